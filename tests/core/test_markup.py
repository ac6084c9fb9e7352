"""HTML becomes words and formatting that Telegram takes, and plain text that a person likes to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import Unsupported
from distributor.core.markup import read_markup, to_plain_text
from distributor.core.rich import KINDS, Entity, Links, Rich, clip_rich, fit_rich, make_rich, utf16_length
from distributor.core.text import FIT_END, FIT_START, graphemes

FAMILY = "👨‍👩‍👧‍👦"


def words_of(rich: Rich, entity: Entity) -> str:
    """The words an entity covers, cut out as Telegram would, in UTF-16."""
    units = rich.text.encode("utf-16-le", "surrogatepass")
    return units[entity.offset * 2 : entity.end * 2].decode("utf-16-le")


def formats(html: str) -> list[tuple[str, str]]:
    rich = read_markup(html)
    return [(entity.kind, words_of(rich, entity)) for entity in rich.entities]


def text_of(html: str) -> str:
    return read_markup(html).text


class TestInline:
    @pytest.mark.parametrize(
        ("html", "kind"),
        [
            ("<b>x</b>", "bold"),
            ("<strong>x</strong>", "bold"),
            ("<i>x</i>", "italic"),
            ("<em>x</em>", "italic"),
            ("<u>x</u>", "underline"),
            ("<ins>x</ins>", "underline"),
            ("<s>x</s>", "strike"),
            ("<del>x</del>", "strike"),
            ("<code>x</code>", "code"),
            ("<pre>x</pre>", "pre"),
            ("<blockquote>x</blockquote>", "quote"),
            ("<h2>x</h2>", "bold"),
            ("<figcaption>x</figcaption>", "italic"),
            ('<a href="https://example.org">x</a>', "link"),
        ],
    )
    def test_a_tag_gives_its_format(self, html: str, kind: str) -> None:
        assert formats(html) == [(kind, "x")]

    def test_a_link_keeps_its_address(self) -> None:
        [link] = read_markup('<a href=" https://example.org/?a=1&amp;b=2 ">here</a>').entities
        assert link == Entity("link", 0, 4, url="https://example.org/?a=1&b=2")

    @pytest.mark.parametrize("href", ["javascript:alert(1)", "#top", "/news", "data:text/html,x", "", "vbscript:x"])
    def test_an_address_that_leads_nowhere_is_no_link(self, href: str) -> None:
        assert read_markup(f'<a href="{href}">here</a>') == Rich("here")

    def test_a_personal_slot_is_an_address(self) -> None:
        assert formats('<a href="\ue100unsubscribe_url\ue101">Unsubscribe</a>') == [("link", "Unsubscribe")]

    def test_offsets_count_utf_16_units(self) -> None:
        rich = read_markup(f"😀{FAMILY} <b>bold 😀</b> <i>x</i>")
        assert rich.entities == (Entity("bold", 14, 7), Entity("italic", 22, 1))

    def test_right_to_left_text_is_like_any_other(self) -> None:
        assert formats("<p>شكرا <b>جزيلا</b> לך</p>") == [("bold", "جزيلا")]

    def test_spaces_at_the_edges_stay_outside(self) -> None:
        rich = read_markup("a<b> bold&nbsp;</b>b <i> </i><u></u>")
        assert rich.text == "a bold\u00a0b"
        assert [words_of(rich, entity) for entity in rich.entities] == ["bold"]

    def test_unknown_tags_are_transparent(self) -> None:
        assert read_markup("<x-y>a</x-y><font color=red>b</font><span>c</span>") == Rich("abc")

    def test_entities_and_bare_text_are_read(self) -> None:
        assert text_of("Fish &amp; chips &lt;3 &#8212; &nbsp;x") == "Fish & chips <3 — \u00a0x"
        assert text_of("just   words\n here ") == "just words here"
        assert text_of("") == ""

    def test_a_quotation_gets_its_marks(self) -> None:
        assert text_of("He said <q>yes </q>.") == "He said “yes”."

    def test_soft_hyphens_go(self) -> None:
        assert text_of("<p>Donau&shy;dampf</p>") == "Donaudampf"


class TestNesting:
    def test_outer_comes_before_inner(self) -> None:
        assert formats("<b>a <i>b</i></b>") == [("bold", "a b"), ("italic", "b")]

    def test_the_same_format_twice_is_once(self) -> None:
        assert formats("<h2>A <b>big</b> day</h2>") == [("bold", "A big day")]

    def test_code_splits_the_format_around_it(self) -> None:
        assert formats("<b>run <code>make</code> now</b>") == [("bold", "run"), ("code", "make"), ("bold", "now")]

    def test_a_quote_splits_the_format_around_it(self) -> None:
        html = "<b>a <blockquote>b <code>c</code> d</blockquote> e</b>"
        kinds = [("bold", "a"), ("quote", "b c d"), ("bold", "b"), ("code", "c"), ("bold", "d"), ("bold", "e")]
        assert formats(html) == kinds

    def test_code_holds_no_other_format(self) -> None:
        assert formats("<pre>a <b>b</b> <code>c</code></pre>") == [("pre", "a b c")]

    def test_a_link_is_worth_more_than_code(self) -> None:
        assert formats('<a href="https://a.example"><code>x</code></a>') == [("link", "x")]
        assert formats('<code>x <a href="https://a.example">y</a></code>') == [("link", "y")]

    def test_a_quote_holds_all_of_the_code_that_begins_it(self) -> None:
        rich = read_markup("<b>word<blockquote><pre> word</pre></blockquote></b>")
        assert_sound(rich)
        assert [(one.kind, words_of(rich, one)) for one in rich.entities[1:]] == [
            ("quote", " word"),
            ("pre", " word"),
        ]

    def test_quotes_do_not_nest(self) -> None:
        assert formats("<blockquote>a<blockquote>b</blockquote></blockquote>") == [("quote", "a\n\nb")]

    def test_a_quote_may_hold_links_and_lists(self) -> None:
        html = '<blockquote><ul><li>a</li><li><a href="https://a.example">b</a></li></ul></blockquote>'
        assert formats(html) == [("quote", "• a\n• b"), ("link", "b")]

    def test_a_link_over_blocks_covers_them(self) -> None:
        assert formats('<a href="https://a.example"><h3>T</h3><p>s</p></a>')[0] == ("link", "T\n\ns")


class TestBlocks:
    def test_paragraphs_stand_apart_and_lines_break(self) -> None:
        assert text_of("<p> a </p>\n\n<p>b<br>c</p><div>d</div><div>e</div>") == "a\n\nb\nc\n\nd\ne"

    def test_many_breaks_leave_one_empty_line(self) -> None:
        assert text_of("a<br><br><br><br>b<p></p><p>&#10;</p>") == "a\n\nb"

    def test_lists_have_bullets_and_numbers(self) -> None:
        html = (
            "<p>Now:</p><ul><li>one</li><li>two</li></ul><ol start=9><li>nine</li><li>ten<li value=20>x</ol>after"
        )
        assert text_of(html) == "Now:\n\n• one\n• two\n\n9. nine\n10. ten\n20. x\n\nafter"

    def test_nested_lists_are_indented(self) -> None:
        html = "<ul><li>a<ol><li>b</li><li><p>c</p><p>d</p></li></ol></li><li>e</li></ul>"
        assert text_of(html) == "• a\n  1. b\n  2. c\n    d\n• e"

    def test_an_empty_item_is_left_out(self) -> None:
        assert text_of("<ul><li></li><li><img src=x></li><li>a</li></ul>b") == "• a\n\nb"

    def test_an_item_without_list_is_an_item(self) -> None:
        assert text_of("<li>a</li><li>b</li>") == "• a\n• b"

    def test_a_table_of_data_is_lines(self) -> None:
        html = "<table><tr><th>City</th><th>2025</th></tr><tr><td><p>Kyiv</p></td><td>3<br>mln</td></tr></table>"
        assert text_of(html) == "City | 2025\nKyiv | 3 mln"

    def test_an_empty_cell_keeps_its_column(self) -> None:
        assert text_of("<table><tr><td>a</td><td></td><td>c</td></tr></table>") == "a |  | c"

    def test_a_table_that_lays_out_a_page_is_blocks(self) -> None:
        data = "<table><tr><td>a</td><td>b</td></tr></table>"
        html = f"<table role=presentation><tr><td>left</td><td>{data}</td></tr></table>"
        assert text_of(html) == "left\n\na | b"

    def test_a_pre_keeps_its_lines_and_names_its_language(self) -> None:
        html = '<p>So:</p><pre><code class="x language-Python">\n  def f():\n\n      pass\n\n</code></pre><p>b</p>'
        rich = read_markup(html)
        assert rich.text == "So:\n\n  def f():\n\n      pass\n\nb"
        assert rich.entities == (Entity("pre", 5, 22, language="python"),)

    def test_an_image_speaks_its_alternative_text(self) -> None:
        assert text_of('<figure><img alt="A bridge"><figcaption>Photo</figcaption></figure>') == "[A bridge]\nPhoto"
        assert text_of('<a href="https://a.example"><img alt="Share"></a>') == "Share"
        assert text_of('Hi <img class="wp-smiley emoji" alt="😀">') == "Hi 😀"
        assert text_of('<p>a</p><img src="x" alt="">') == "a"

    def test_a_rule_is_three_stars(self) -> None:
        assert text_of("<p>a</p><hr><p>b</p><hr>") == "a\n\n* * *\n\nb\n\n* * *"

    @pytest.mark.parametrize(
        "html",
        [
            "<script>x</script>",
            "<style>x</style>",
            "<template>x</template>",
            "<noscript>x</noscript>",
            "<svg><text>x</text></svg>",
            "<iframe>x</iframe>",
            "<!-- x -->",
            "<p hidden>x</p>",
            '<p style="color:red; display : none">x</p>',
            '<span aria-hidden="true">x</span>',
            "<title>x</title>",
        ],
    )
    def test_what_is_not_seen_is_not_said(self, html: str) -> None:
        assert text_of(f"<p>a</p>{html}<p>b</p>") == "a\n\nb"

    def test_thousands_of_nested_tags_are_no_problem(self) -> None:
        deep = "<div>" * 50_000 + "x" + "</div>" * 50_000 + "<b>y</b>"
        assert text_of(deep) == "x\ny"
        assert formats(deep) == [("bold", "y")]

    def test_a_long_page_keeps_all_its_tags(self) -> None:
        html = "".join(f"<p>{n}<div><b>b</b></div>" for n in range(1000))
        assert len(formats(html)) == 1000


class TestPlainText:
    HTML = '<p>The <a href="https://example.org/a">council</a> voted.</p><h2><a href="https://example.org/b">More</a></h2>'

    def test_links_may_be_left_out(self) -> None:
        assert to_plain_text(self.HTML) == "The council voted.\n\nMore"

    def test_links_may_stand_in_the_text(self) -> None:
        plain = "The council (https://example.org/a) voted.\n\nMore\nhttps://example.org/b"
        assert to_plain_text(self.HTML, links="inline") == plain

    def test_links_may_be_numbered(self) -> None:
        plain = "The council [1] voted.\n\nMore [2]\n\n[1] https://example.org/a\n[2] https://example.org/b"
        assert to_plain_text(self.HTML, links="notes") == plain

    def test_an_address_that_is_said_is_not_repeated(self) -> None:
        html = (
            '<a href="https://www.example.org/">example.org</a> <a href="mailto:a@example.org">a@example.org</a> x'
        )
        choices: tuple[Links, ...] = ("inline", "notes")
        for links in choices:
            assert to_plain_text(html, links=links) == "example.org a@example.org x"

    def test_the_same_address_has_one_number(self) -> None:
        html = '<p><a href="https://a.example">b</a> <a href="https://a.example">c</a> d</p>'
        assert to_plain_text(html, links="notes") == "b [1] c [1] d\n\n[1] https://a.example"

    def test_a_quote_has_its_sign_on_every_line(self) -> None:
        html = '<p>He:</p><blockquote><p>a</p><p><a href="https://b.example">b</a></p></blockquote><p>c</p>'
        assert to_plain_text(html, links="inline") == "He:\n\n> a\n> \n> b\n> https://b.example\n\nc"

    def test_formatting_leaves_no_sign(self) -> None:
        assert to_plain_text("<b>a</b> <i>b</i> <code>c</code>") == "a b c"


class TestClip:
    RICH = read_markup(
        '<p><b>Bridge reopens.</b> The <a href="https://a.example">city council</a> voted on Tuesday.</p>'
    )

    def test_formatting_ends_with_the_words(self) -> None:
        clipped = clip_rich(self.RICH, 30)
        assert clipped.text == "Bridge reopens. The city…"
        assert clipped.entities == (Entity("bold", 0, 15), Entity("link", 20, 4, url="https://a.example"))

    def test_what_lies_behind_the_cut_goes(self) -> None:
        assert clip_rich(self.RICH, 18).entities == (Entity("bold", 0, 15),)

    def test_what_fits_is_not_touched(self) -> None:
        assert clip_rich(self.RICH, 200) == self.RICH

    def test_nothing_may_be_left(self) -> None:
        assert clip_rich(self.RICH, 0) == Rich("")


class TestFit:
    def fit(self, html: str, limit: int) -> tuple[str, list[tuple[str, str]], bool]:
        rich, was_cut = fit_rich(read_markup(html), limit)
        return rich.text, [(entity.kind, words_of(rich, entity)) for entity in rich.entities], was_cut

    HTML = (
        f"<p><b>Title</b></p>{FIT_START}<p>One <i>sentence here</i>. And another one.</p>{FIT_END}"
        '<p><a href="https://a.example">Read on</a></p>'
    )

    def test_markers_go_and_formatting_moves_up(self) -> None:
        text = "Title\n\nOne sentence here. And another one.\n\nRead on"
        assert self.fit(self.HTML, 99) == (
            text,
            [("bold", "Title"), ("italic", "sentence here"), ("link", "Read on")],
            False,
        )

    def test_a_flexible_block_is_cut_and_the_rest_stays(self) -> None:
        text, entities, was_cut = self.fit(self.HTML, 36)
        assert text == "Title\n\nOne sentence here.\n\nRead on"
        assert entities == [("bold", "Title"), ("italic", "sentence here"), ("link", "Read on")]
        assert was_cut

    def test_formatting_is_cut_with_its_words(self) -> None:
        assert self.fit(self.HTML, 29)[:2] == (
            "Title\n\nOne sentence…\n\nRead on",
            [("bold", "Title"), ("italic", "sentence"), ("link", "Read on")],
        )

    def test_a_block_may_vanish_with_its_formatting(self) -> None:
        text, entities, was_cut = self.fit(self.HTML, 15)
        assert (text, entities, was_cut) == ("Title\n\nRead on", [("bold", "Title"), ("link", "Read on")], True)

    def test_formatting_around_a_flexible_span_goes_on_after_it(self) -> None:
        html = f"<b>a {FIT_START}bbb ccc{FIT_END} d</b>"
        assert self.fit(html, 9)[:2] == ("a bbb… d", [("bold", "a bbb… d")])

    def test_an_empty_flexible_span_leaves_nothing(self) -> None:
        assert self.fit(f"<p>a</p>{FIT_START}{FIT_END}<p>b</p>", 9)[0] == "a\n\nb"
        assert self.fit(f"<p>a</p><p>{FIT_START}{FIT_END}</p><p>b</p>", 9)[0] == "a\n\nb"

    def test_items_of_a_list_may_be_flexible(self) -> None:
        html = f"<ul><li>{FIT_START}one item{FIT_END}</li>{FIT_START}<li>two items</li>{FIT_END}</ul>"
        assert self.fit(html, 99)[0] == "• one item\n• two items"
        assert self.fit(html, 12)[0] == "• one item"

    def test_a_fixed_part_that_is_too_long_is_refused(self) -> None:
        with pytest.raises(Unsupported, match="nothing in it is left to shorten"):
            self.fit("<p>much too long</p>", 5)


TAGS = "b i u s code pre a blockquote p div ul ol li h2 table tr td th span figure figcaption q img br hr"
tags = st.sampled_from(TAGS.split(" "))
leaves = st.sampled_from(
    [
        "word",
        " ",
        "two words ",
        "\n",
        "😀",
        FAMILY,
        "e\u0301",
        "&nbsp;",
        "&amp;",
        "שלום",
        "日本。",
        "End. ",
        FIT_START,
        FIT_END,
    ]
)


def wrap(tag: str, inside: list[str]) -> str:
    attributes = {"a": ' href="https://a.example/x"', "img": ' alt="seen"'}.get(tag, "")
    return f"<{tag}{attributes}>{''.join(inside)}</{tag}>"


trees = st.recursive(leaves, lambda inner: st.builds(wrap, tags, st.lists(inner, max_size=5)), max_leaves=40)


def assert_sound(rich: Rich) -> None:
    """What Telegram asks of a message."""
    assert rich.text == rich.text.strip(" \n")
    end = utf16_length(rich.text)
    for index, entity in enumerate(rich.entities):
        assert entity.kind in KINDS
        assert 0 <= entity.offset < entity.end <= end
        words = words_of(rich, entity)
        assert words.strip()
        holds_raw = any(
            inner.kind == "pre" and inner.offset < entity.end and entity.offset < inner.end
            for inner in rich.entities
        )
        assert holds_raw or words == words.strip()
        for other in rich.entities[index + 1 :]:
            is_apart = other.offset >= entity.end
            assert is_apart or (other.offset >= entity.offset and other.end <= entity.end)
            assert is_apart or {entity.kind, other.kind}.isdisjoint({"code", "pre"}) or entity.kind == "quote"
            assert is_apart or entity.kind != other.kind


@given(trees)
def test_whatever_the_html_the_formatting_is_sound(html: str) -> None:
    rich = read_markup(html.replace(FIT_START, "").replace(FIT_END, ""))
    assert_sound(rich)


@given(trees)
def test_whatever_the_html_no_word_is_lost(html: str) -> None:
    assert text_of(html).count("word") == html.count("word")


@given(st.text(max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    assert_sound(read_markup(text.replace(FIT_START, "").replace(FIT_END, "").replace("\x00", "")))


@given(trees, st.integers(0, 60), st.sampled_from([len, utf16_length]))
def test_a_clipped_text_fits_and_is_sound(html: str, limit: int, measure: object) -> None:
    rich = read_markup(html.replace(FIT_START, "").replace(FIT_END, ""))
    clipped = clip_rich(rich, limit, measure)  # type: ignore[arg-type]
    assert measure(clipped.text) <= limit  # type: ignore[operator]
    assert_sound(clipped)


@given(trees, st.integers(0, 60))
def test_a_fitted_text_fits_and_is_sound(html: str, limit: int) -> None:
    try:
        fitted, _ = fit_rich(read_markup(html), limit, utf16_length)
    except Unsupported:
        return
    assert utf16_length(fitted.text) <= limit
    assert FIT_START not in fitted.text
    assert FIT_END not in fitted.text
    assert_sound(Rich(fitted.text.strip(" \n"), fitted.entities) if "<pre" in html else fitted)


@given(st.lists(st.sampled_from(["a", "😀", FAMILY, " ", "\n", "é"])), st.integers(0, 20), st.integers(0, 20))
def test_spans_are_moved_to_utf_16_exactly(parts: list[str], start: int, size: int) -> None:
    text = "".join(parts)
    rich = make_rich(text, [Entity("bold", min(start, len(text)), max(0, min(size, len(text) - start)))])
    for entity in rich.entities:
        assert words_of(rich, entity) == text[start : start + size].strip()


def test_a_grapheme_is_never_halved_by_clipping() -> None:
    rich = read_markup(f"<b>{FAMILY * 3}</b>")
    clipped = clip_rich(rich, 16, utf16_length)
    assert graphemes(clipped.text) == [FAMILY, "…"]
    assert clipped.entities == (Entity("bold", 0, 11),)
