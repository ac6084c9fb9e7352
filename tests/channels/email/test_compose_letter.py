"""Letters: what of a rendered template is sent, how large it may be, and what goes first when it is too large."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.channels.email.compose import CLIPPED_FROM, compose, encoded_size, view_page
from distributor.core.errors import Unsupported
from distributor.core.message import make_slot

UNSUBSCRIBE = make_slot("unsubscribe_url")
STYLE = """
.head { color: #111; font-size: 20px; }
@media (prefers-color-scheme: dark) { .head { color: #eee !important; } }
@media only screen and (max-width: 479px) { .head { font-size: 18px !important; } }
"""


def make_letter(body: str, subject: str = "Subject\nPreheader", style: str = STYLE) -> dict[str, str]:
    page = f"<!doctype html><html><head><style>{style}</style></head><body><div>{body}</div></body></html>"
    return {"each.subject.txt": subject, "each.mjml": page}


def word(body: str, subject: str = "Subject\nPreheader", style: str = STYLE) -> dict[str, str]:
    return dict(compose(make_letter(body, subject, style), "each", language="uk").payload)


def test_a_letter_is_plain_data_of_five_parts() -> None:
    letter = word("<p>Hello</p>")
    assert letter.keys() == {"subject", "preheader", "html", "text", "language"}
    assert (letter["subject"], letter["preheader"], letter["language"]) == ("Subject", "Preheader", "uk")
    assert letter["text"].strip() == "Hello"


def test_styles_are_inlined_and_the_rules_for_dark_and_narrow_screens_kept() -> None:
    page = word('<h1 class="head">Hello</h1>')["html"]
    assert re.search(r'<h1 class="head" style="[^"]*color: ?#111', page)
    assert "prefers-color-scheme: dark" in page
    assert "max-width: 479px" in page
    assert ".head { color: #111" not in page


def test_outlooks_comments_survive() -> None:
    assert "<!--[if mso]><b>x</b><![endif]-->" in word("<!--[if mso]><b>x</b><![endif]-->y")["html"]


def test_personal_slots_survive_in_text_and_attributes() -> None:
    letter = word(f'<p>{make_slot("name")} <a href="{UNSUBSCRIBE}">leave</a></p>', f"For {make_slot('name')}\nx")
    assert f'href="{UNSUBSCRIBE}"' in letter["html"]
    assert make_slot("name") in letter["html"]
    assert UNSUBSCRIBE in letter["text"]
    assert letter["subject"] == f"For {make_slot('name')}"


@pytest.mark.parametrize("subject", ["", "\n\n", " \t\n", "\x00\nSecond"])
def test_a_letter_without_a_subject_is_refused(subject: str) -> None:
    with pytest.raises(Unsupported, match="subject is empty"):
        word("x", subject)


@given(st.text(min_size=1, max_size=400))
def test_a_subject_is_one_clean_line(text: str) -> None:
    try:
        subject = str(word("x", "a" + text, style="")["subject"])
    except Unsupported:
        return
    assert subject == " ".join(subject.split())
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", subject)
    assert len(subject) <= 200


def test_the_preheader_is_hidden_first_and_escaped() -> None:
    letter = word("<p>Hello</p>", "S\nA <b> & more")
    hidden = re.search(r"<body[^>]*><div style=\"display: ?none[^>]*>(.*?)</div>", letter["html"])
    assert hidden
    assert hidden[1].startswith("A &lt;b&gt; &amp; more")
    assert "more" not in letter["text"]


def test_marks_decide_what_stands_in_which_part_and_are_not_sent() -> None:
    letter = word("<p>both</p><!--html--><p>html</p><!--/html--><!--text <p>text</p> --><!--trim 1-->t<!--/trim-->")
    assert letter["text"].split() == ["both", "text", "t"]
    assert "<p>html</p>" in letter["html"]
    assert "text</p>" not in letter["html"]
    assert not re.search(r"<!--/?(?:html|text|trim)", letter["html"])


def test_the_web_page_of_a_letter_has_nothing_personal() -> None:
    letter = word(
        f"<p>all {make_slot('name')}</p><!--personal--><a href='{UNSUBSCRIBE}'>leave {make_slot('address')}</a>"
        "<!--/personal--><p>end</p>"
    )
    page = view_page(letter)
    assert "leave" not in page
    assert "\ue100" not in page
    assert "<p>end</p>" in page
    assert UNSUBSCRIBE in letter["html"]


def test_the_fit_marks_of_other_channels_are_dropped() -> None:
    letter = word("<p>\ue000words\ue001</p>", "\ue000S\ue001")
    assert "\ue000" not in letter["html"] + letter["text"] + letter["subject"]


def test_indentation_is_not_sent_except_in_preformatted_text() -> None:
    page = word("<p>a</p>\n\n        <p>b</p>   \n<pre>x\n    y</pre>")["html"]
    assert "<p>a</p>\n<p>b</p>\n<pre>x\n    y</pre>" in page


def test_images_without_alternative_text_are_counted_in_a_warning() -> None:
    body = '<img src="a"><img src="b" alt=""><img src="c" alt="A cat">'
    assert compose(make_letter(body), "each").warnings == (
        "2 images have no alternative text for readers who do not see it",
    )
    assert compose(make_letter('<img src="c" alt="A cat">'), "each").warnings == ()


def test_the_size_counts_as_it_travels() -> None:
    assert encoded_size("a" * 75) == 78
    assert encoded_size("ї" * 100) == 600 + 24
    assert encoded_size("=") == 3


def test_a_letter_near_the_clip_is_sent_with_a_warning() -> None:
    content = compose(make_letter("<p>" + "word " * 19_000 + "</p>"), "each")
    assert len(content.warnings) == 1
    assert "Gmail hides what comes after 102 KB" in content.warnings[0]


def test_what_is_marked_goes_level_by_level_until_the_letter_fits() -> None:
    share = "<!--trim 1--><p>" + "share " * 3_000 + "</p><!--/trim-->"
    more = "<!--trim 2--><p>" + "more " * 3_000 + "</p><!--/trim-->"
    rest = "<!--trim 3--><p>rest</p><!--/trim-->"
    content = compose(make_letter("<p>" + "word " * 16_000 + "</p>" + share + rest + more), "each")
    page = str(content.payload["html"])
    assert "share" not in page
    assert "more" in page
    assert "rest" in page
    assert "share" not in str(content.payload["text"])
    assert '"trim 1" was left out' in content.warnings[0]
    assert encoded_size(page) < CLIPPED_FROM


def test_a_letter_too_large_without_its_marked_parts_is_refused_with_the_fix() -> None:
    with pytest.raises(Unsupported, match=r"Gmail hides what comes after 102 KB: send fewer stories"):
        word("<p>" + "word " * 22_000 + "</p><!--trim 1-->x<!--/trim-->")


def test_endless_nesting_is_refused_before_it_can_end_the_process() -> None:
    with pytest.raises(Unsupported, match="nested more than 500 deep"):
        word("<div>" * 100_000)
