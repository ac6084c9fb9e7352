from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram_support import LINK

from distributor.channels.telegram.compose import compose_payload
from distributor.channels.telegram.dialect import read_parts
from distributor.channels.telegram.preview import draw_preview
from distributor.channels.telegram.sandbox_rules import read_buttons, read_caption, read_text
from distributor.core.errors import Unsupported
from distributor.core.message import Content, make_slot
from distributor.core.text import FIT_END, FIT_START

PAGE = "https://news.example.org/rain?a=1&b=2"
IMAGE = "https://news.example.org/rain.jpg"
STORY = f"""
{{photo}}
<tg-preview href="{PAGE.replace("&", "&amp;")}">
<p><b><a href="{LINK}">Rain &amp; wind by noon</a></b></p>
<p>{{summary}}</p>
<tg-row><tg-button href="{LINK}">Read</tg-button> <tg-button href="https://t.me/share/url?url=x">Share</tg-button></tg-row>
"""


def compose(summary: str = "Take an umbrella.", image: str = IMAGE) -> Content:
    photo = f'<tg-photo src="{image}">' if image else ""
    return compose_payload(STORY.format(photo=photo, summary=f"{FIT_START}{summary}{FIT_END}"), is_silent=False)


def test_a_story_becomes_an_image_with_a_caption_marks_and_buttons() -> None:
    payload = dict(compose().payload)
    payload["entities"] = sorted(payload["entities"], key=lambda entity: entity["type"])
    assert payload == {
        "text": "Rain & wind by noon\n\nTake an umbrella.",
        "entities": [
            {"type": "bold", "offset": 0, "length": 19},
            {"type": "text_link", "offset": 0, "length": 19, "url": LINK},
        ],
        "photo": IMAGE,
        "caption": True,
        "buttons": [[{"text": "Read", "url": LINK}, {"text": "Share", "url": "https://t.me/share/url?url=x"}]],
        "preview_url": PAGE,
        "silent": False,
    }


def test_without_an_image_it_is_a_text_with_the_storys_page_as_preview() -> None:
    payload = compose(image="").payload
    assert (payload["photo"], payload["caption"], payload["preview_url"]) == ("", False, PAGE)


def test_words_are_cut_at_a_sentence_to_keep_the_image() -> None:
    content = compose("The wind turns north. " * 70)
    assert content.payload["photo"] == IMAGE
    assert len(content.payload["text"]) <= 1024
    assert content.payload["text"].endswith("north.")
    assert content.warnings == ()


def test_an_image_that_would_cost_most_of_the_words_stays_away() -> None:
    content = compose("The wind turns north. " * 150)
    assert (content.payload["photo"], content.payload["caption"]) == ("", False)
    assert 3000 < len(content.payload["text"]) <= 4096
    assert content.warnings == ("the image is left out: a caption has at most 1,024 characters",)


def test_words_that_cannot_be_cut_are_too_long_for_any_message() -> None:
    with pytest.raises(Unsupported, match="4096"):
        compose_payload("<p>" + "word " * 1000 + "</p>", is_silent=False)


def test_length_is_safe_for_phones_that_count_more_than_the_server() -> None:
    payload = compose_payload(f"<p>{FIT_START}{'😀' * 4096}{FIT_END}</p>", is_silent=False).payload
    assert len(payload["text"].encode("utf-16-le")) // 2 <= 4096


@pytest.mark.parametrize("bad", ["http://localhost:8000/l/x", "mailto:a@example.org", "tel:112"])
def test_an_address_that_would_refuse_the_message_is_left_out_and_told(bad: str) -> None:
    content = compose_payload(
        f'<p><a href="{bad}">Rain</a></p><tg-button href="{bad}">Read</tg-button><tg-preview href="{bad}">'
        f'<tg-photo src="{bad}">',
        is_silent=False,
    )
    payload = content.payload
    assert (payload["text"], payload["entities"], payload["buttons"]) == ("Rain", [], [])
    assert (payload["photo"], payload["preview_url"]) == ("", "")
    assert content.warnings == (f"Telegram takes {bad} for no web address: it is left out",)


@pytest.mark.parametrize("path", ["/etc/hostname", "file:///etc/hostname", "AgACAgIAAx", str(Path(__file__))])
def test_an_image_is_only_ever_a_web_address(path: str) -> None:
    # The library would read a local file of this name and upload it.
    assert compose(image=path).payload["photo"] == ""


@pytest.mark.parametrize("text", ["", "  \n ", "<p> </p>", '<tg-button href="https://a.example">Read</tg-button>'])
def test_an_empty_message_is_refused(text: str) -> None:
    with pytest.raises(Unsupported, match="empty"):
        compose_payload(text, is_silent=False)


def test_personal_words_have_no_place_on_a_channel() -> None:
    with pytest.raises(Unsupported, match="same for everyone"):
        compose_payload(f"<p>Dear {make_slot('name')}</p>", is_silent=False)


def test_a_tag_with_a_typing_error_is_named() -> None:
    with pytest.raises(Unsupported, match="<tg-buton>; it has tg-photo, tg-preview, tg-row, tg-button"):
        compose_payload('<p>x</p><tg-buton href="https://a.example">Read</tg-buton>', is_silent=False)


def test_a_plain_template_keeps_its_lines_and_signs() -> None:
    content = compose_payload("Rain &amp; wind\n\n• north\n• west\n\nhttps://go.example.org/l/x\n", is_silent=True)
    assert content.payload["text"] == "Rain & wind\n\n• north\n• west\n\nhttps://go.example.org/l/x"
    assert content.payload["silent"] is True


def test_buttons_stand_alone_or_in_their_row() -> None:
    parts = read_parts(
        '<tg-button href="a">One</tg-button><tg-row><tg-button href="b">Two</tg-button>'
        "<tg-button href='c?x=1&amp;y=2'>\n  <b>Three</b> &amp; more </tg-button></tg-row>"
        '<tg-row><tg-button href="">Empty</tg-button><tg-button href="d"></tg-button></tg-row>'
        '<tg-button href="e">Five'
    )
    assert parts.rows == [
        [{"text": "One", "url": "a"}],
        [{"text": "Two", "url": "b"}, {"text": "Three & more", "url": "c?x=1&y=2"}],
        [{"text": "Five", "url": "e"}],
    ]


def test_only_the_first_image_and_preview_count() -> None:
    parts = read_parts(
        '<tg-photo src=""><tg-photo src="a"><tg-photo src="b"><tg-preview href="c"><tg-preview href="d">x'
    )
    assert (parts.photo, parts.preview_url, parts.body) == ("a", "c", "x")


def test_the_preview_shows_words_addresses_and_the_length_as_counted() -> None:
    preview = draw_preview(compose())
    assert preview.measure == "38 of 1,024 (caption)"
    assert preview.title == "Rain & wind by noon"
    assert preview.text == (
        f"[image] {IMAGE}\n\nRain & wind by noon\n\nTake an umbrella.\n\n[1] {LINK}\n\n"
        f"( Read ) {LINK}   ( Share ) https://t.me/share/url?url=x"
    )
    assert "Rain &amp; wind" in preview.html


def test_the_preview_of_a_text_names_its_link_preview_and_escapes_everything() -> None:
    preview = draw_preview(compose("<script>alert(1)</script>a &lt;b&gt;", image=""))
    assert preview.measure == "26 of 4,096"
    assert preview.text.endswith(f"[link preview] {PAGE}")
    assert "<script" not in preview.html
    assert "a &lt;b&gt;" in preview.html


WORDS = st.text(alphabet="ab .<>&\"'😀я\n" + FIT_START + FIT_END, max_size=300)
TAGS = st.sampled_from(
    ["<b>", "</b>", "<p>", "<ul><li>", "</li></ul>", "<pre>", "</pre>", '<a href="https://a.example/x">', "</a>"]
)
EXTRAS = st.sampled_from(
    [
        '<tg-photo src="https://a.example/i.jpg">',
        "<tg-row>",
        '<tg-button href="https://a.example">Go',
        "</tg-button>",
    ]
)


@given(st.lists(st.one_of(WORDS, TAGS, EXTRAS), max_size=12), st.integers(1, 40))
def test_whatever_a_template_gives_the_service_takes_it(pieces: list[str], times: int) -> None:
    try:
        payload = compose_payload("".join(pieces) * times, is_silent=False).payload
    except Unsupported:
        return
    fields: dict[str, Any] = {"reply_markup": {"inline_keyboard": payload["buttons"]}}
    fields |= {"text": payload["text"], "entities": payload["entities"]}
    fields |= {"caption": payload["text"], "caption_entities": payload["entities"]}
    words = read_caption(fields) if payload["caption"] else read_text(fields)
    assert words.text == payload["text"].strip()
    read_buttons(fields)
