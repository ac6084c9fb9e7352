"""Cleaning, cutting and fitting: what readers see is whole words, and never longer than a channel allows."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import Unsupported
from distributor.core.text import (
    FIT_END,
    FIT_START,
    Fitted,
    clean_text,
    cut_text,
    find_cut,
    fit_text,
    graphemes,
)

STORY = (
    "The council voted on Tuesday to reopen the bridge at once. Mr. Smith of St. George called it “long overdue.” "
    "Traffic resumes on Monday, officials said at https://example.org/a-long/path.html after the vote."
)
FAMILY = "👨‍👩‍👧‍👦"

WORDS = (
    "The|vote|passed.|Mr.|Об’єднання|голосує!|日本語の文。|שלום|été|क्षि|🇺🇦🇫🇷|https://example.org/a/b?c=d|…|\n|"
    "example.org/path,|(see|it)|no—yes|a\u0301\u0301|\u0600|👨‍👩‍👧‍👦"
)
spaced = st.lists(st.sampled_from(WORDS.split("|")), max_size=40).map(" ".join)
stories = spaced | st.text(max_size=80)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def weigh(text: str) -> int:
    """A measure such as X's: a link is 23 whatever its length, wide letters count twice."""
    text = re.sub(r"https?://\S+", "u" * 23, text)
    return sum(2 if ord(char) > 0x10FF else 1 for char in text)


measures = st.sampled_from([len, utf16, weigh])


class TestCleanText:
    def test_plain_text_stays_as_it_is(self) -> None:
        assert (
            clean_text("Mayor resigns:\n\t“no comment”, 10 °C, שלום")
            == "Mayor resigns:\n\t“no comment”, 10 °C, שלום"
        )

    def test_nul_and_control_characters_go(self) -> None:
        assert clean_text("a\x00b\x07c\x1bd\x7fe") == "abcde"

    def test_every_line_break_becomes_a_newline(self) -> None:
        assert clean_text("a\r\nb\rc\u2028d\u2029e") == "a\nb\nc\nd\ne"

    def test_windows_1252_read_as_latin_1_is_repaired(self) -> None:
        assert clean_text("It\x92s \x93now\x94 \x96 wait\x85\x81") == "It’s “now” – wait…"

    def test_half_surrogates_go(self) -> None:
        assert clean_text("a\ud83db") == "ab"

    def test_byte_order_marks_and_noncharacters_go(self) -> None:
        assert clean_text("\ufeffa\uffffb\ufffec\ufdd0") == "abc"

    def test_a_feed_cannot_bring_its_own_fit_markers(self) -> None:
        assert clean_text(f"a{FIT_START}b{FIT_END}c\ue100d") == "abcd"

    def test_overrides_go_even_in_pairs(self) -> None:
        assert clean_text("file\u202egpj.exe\u202c end") == "filegpj.exe end"

    def test_paired_embeddings_and_isolates_stay(self) -> None:
        text = "a \u2067שלום\u2069 b \u202bسلام\u202c c"
        assert clean_text(text) == text

    @pytest.mark.parametrize("loose", ["\u2067", "\u2069", "\u202b", "\u202c", "\u202e"])
    def test_a_directional_control_without_partner_goes(self, loose: str) -> None:
        assert clean_text(f"a{loose}b\nc") == "ab\nc"

    def test_an_isolate_closes_the_embeddings_inside_it(self) -> None:
        assert clean_text("\u2066a\u202bb\u2069c\u202c") == "\u2066ab\u2069c"

    def test_thousands_of_openers_are_no_problem(self) -> None:
        assert clean_text("\u202b" * 5_000 + "x" + "\u2069" * 5_000) == "x"

    def test_marks_for_single_letters_stay(self) -> None:
        assert clean_text("a\u200fb\u200ec\u200d\u061c") == "a\u200fb\u200ec\u200d\u061c"

    @given(st.text(max_size=200))
    def test_cleaning_twice_changes_nothing(self, text: str) -> None:
        assert clean_text(clean_text(text)) == clean_text(text)

    @given(st.text(st.characters(codec=None), max_size=100))
    def test_what_is_left_can_be_stored_and_sent(self, text: str) -> None:
        cleaned = clean_text(text)
        cleaned.encode("utf-8")
        assert not [char for char in cleaned if unicodedata.category(char) == "Cc" and char not in "\n\t"]


class TestGraphemes:
    def test_a_family_is_one_grapheme(self) -> None:
        assert graphemes(f"a{FAMILY}e\u0301🇺🇦क्षि") == ["a", FAMILY, "e\u0301", "🇺🇦", "क्षि"]

    @given(stories)
    def test_joined_they_are_the_text(self, text: str) -> None:
        assert "".join(graphemes(text)) == text


class TestCutText:
    def test_a_text_that_fits_is_not_touched(self) -> None:
        assert cut_text("Short. ", 7) == "Short. "

    def test_a_whole_sentence_needs_no_ellipsis(self) -> None:
        assert cut_text(STORY, 80) == "The council voted on Tuesday to reopen the bridge at once."

    def test_a_short_sentence_does_not_waste_the_room(self) -> None:
        assert cut_text("Yes. The council voted on Tuesday to reopen it", 30) == "Yes. The council voted on…"

    def test_abbreviations_and_initials_end_no_sentence(self) -> None:
        assert (
            cut_text("The winner of the prize is Mr. J. Smith of the U.S. Senate", 34)
            == "The winner of the prize is Mr. J…"
        )
        assert cut_text("Захід відбувся на вул. Шевченка в місті Львові", 25) == "Захід відбувся на вул…"

    def test_a_closing_quote_belongs_to_its_sentence(self) -> None:
        assert (
            cut_text("He called it “long overdue.” Traffic resumes on Monday", 40) == "He called it “long overdue.”"
        )

    def test_a_number_after_a_dot_starts_no_sentence(self) -> None:
        assert cut_text("It is on the list as No. 5 of twelve entries", 30) == "It is on the list as No. 5 of…"

    def test_loose_punctuation_goes_before_the_ellipsis(self) -> None:
        assert cut_text("The mayor, who was — at last — there", 12) == "The mayor…"
        assert cut_text("Council (re)opens (again) the bridge", 19) == "Council (re)opens…"

    def test_japanese_ends_after_its_own_full_stop(self) -> None:
        assert cut_text("最初の文です。次の文はもっと長いのです。", 10) == "最初の文です。"

    def test_a_script_without_spaces_is_cut_between_graphemes(self) -> None:
        assert cut_text("東京都知事が記者会見で新しい計画を発表しました", 8) == "東京都知事が記…"

    def test_one_huge_word_is_cut_between_graphemes(self) -> None:
        assert cut_text("Donaudampfschifffahrtsgesellschaft", 10) == "Donaudamp…"

    def test_a_family_is_never_halved(self) -> None:
        assert cut_text(FAMILY * 3, 13) == FAMILY + "…"

    def test_a_url_is_kept_whole_or_left_out(self) -> None:
        text = "Read https://example.org/a/very/long/path/to/it now please"
        assert cut_text(text, 30) == "Read…"
        assert cut_text(text, 50) == "Read https://example.org/a/very/long/path/to/it …"

    def test_an_ellipsis_does_not_become_part_of_a_link(self) -> None:
        assert cut_text("Read https://example.org/a, then go home quickly", 30) == "Read https://example.org/a …"

    def test_a_bare_domain_is_a_url_too(self) -> None:
        assert cut_text("Donaudampf例example.org/path例例例例例例", 20) == "Donaudampf例…"

    def test_nothing_is_better_than_an_ellipsis_alone(self) -> None:
        assert cut_text("Hello there", 1) == ""
        assert cut_text("Hello there", 0) == ""
        assert cut_text("https://example.org/a/very/long/path", 20) == ""

    def test_the_cut_says_where_it_fell(self) -> None:
        cut = find_cut(STORY, 80)
        assert (STORY[: cut.end], cut.tail) == ("The council voted on Tuesday to reopen the bridge at once.", "")

    def test_another_ellipsis_is_counted_too(self) -> None:
        assert cut_text("one two three four", 15, ellipsis=" [more]") == "one two [more]"

    @given(stories, st.integers(0, 120), measures)
    def test_the_result_is_never_too_long(self, text: str, limit: int, measure: object) -> None:
        assert measure(cut_text(text, limit, measure)) <= limit  # type: ignore[operator, arg-type]

    @given(stories, st.integers(0, 120), measures)
    def test_the_result_is_a_beginning_at_a_grapheme_boundary(self, text: str, limit: int, measure: object) -> None:
        cut = find_cut(text, limit, measure)  # type: ignore[arg-type]
        ends = {0}
        for grapheme in graphemes(text):
            ends.add(max(ends) + len(grapheme))
        assert cut.end in ends
        assert cut.tail in ("", "…", " …")

    @given(spaced, st.integers(0, 120), measures)
    def test_a_url_is_never_cut(self, text: str, limit: int, measure: object) -> None:
        kept = cut_text(text, limit, measure)  # type: ignore[arg-type]
        assert set(re.findall(r"http\S*", kept)) <= {"https://example.org/a/b?c=d"}
        assert set(re.findall(r"(?<!/)exam\S*", kept)) <= {"example.org/path", "example.org/path,"}

    @given(
        st.lists(st.sampled_from(["one", "three", "seventeen", "of"]), min_size=1).map(" ".join),
        st.integers(12, 60),
    )
    def test_the_prefix_is_the_longest_that_ends_after_a_word(self, text: str, limit: int) -> None:
        kept = cut_text(text, limit)
        if kept != text:
            rest = text[len(kept) - 1 :]
            following = rest.split()[0] if rest.split() else ""
            assert len(kept) + 1 + len(following) > limit


def fit(*parts: str) -> str:
    """Odd parts are flexible."""
    return "".join(FIT_START + part + FIT_END if index % 2 else part for index, part in enumerate(parts))


class TestFitText:
    def test_markers_are_removed_when_nothing_must_go(self) -> None:
        assert fit_text(fit("Title: ", "summary", " end"), 50) == Fitted("Title: summary end", was_cut=False)

    def test_the_last_span_gives_way_first(self) -> None:
        marked = fit("", "The first headline", "\n", "The second one is here", "\nhttps://a.example/1")
        assert fit_text(marked, 52).text == "The first headline\nThe second…\nhttps://a.example/1"

    def test_a_span_may_vanish_with_its_empty_line(self) -> None:
        marked = fit("Title\n\n", "Summary of it.", "\n\nhttps://a.example/1")
        assert fit_text(marked, 27) == Fitted("Title\n\nhttps://a.example/1", was_cut=True)

    def test_then_the_span_before_it_is_cut(self) -> None:
        marked = fit("", "The headline", "\n\n", "Summary.", "\n\nhttps://a.example/1")
        assert fit_text(marked, 26).text == "The…\n\nhttps://a.example/1"

    def test_vanished_neighbours_leave_one_gap(self) -> None:
        marked = fit("A\n\n", "bbbb", "\n\n", "cccc", "\n\nDDDD")
        assert fit_text(marked, 7).text == "A\n\nDDDD"

    def test_a_vanished_span_at_the_end_leaves_no_space(self) -> None:
        assert fit_text(fit("Title — fixed\n\n", "Summary"), 14).text == "Title — fixed"

    def test_a_vanished_span_in_a_line_leaves_one_space(self) -> None:
        assert fit_text(fit("Now: ", "Summary", " http://a.example"), 22).text == "Now: http://a.example"

    def test_an_empty_span_leaves_no_empty_line(self) -> None:
        assert fit_text(fit("Title\n\n", "", "\n\nlink"), 50) == Fitted("Title\n\nlink", was_cut=False)

    def test_a_whole_sentence_is_preferred(self) -> None:
        marked = fit("T\n", "One sentence here. And another one follows", "\nhttp://a.example")
        assert fit_text(marked, 44).text == "T\nOne sentence here.\nhttp://a.example"

    def test_spans_in_a_span_belong_to_it(self) -> None:
        marked = f"a {FIT_START}b {FIT_START}c{FIT_END} d{FIT_END} e"
        assert fit_text(marked, 50).text == "a b c d e"

    def test_loose_markers_do_no_harm(self) -> None:
        assert fit_text(f"a{FIT_END} b{FIT_START} c", 50).text == "a b c"

    def test_a_fixed_part_that_is_too_long_says_so(self) -> None:
        with pytest.raises(Unsupported, match="measures 20 where at most 10 is allowed"):
            fit_text(fit("a" * 20, "summary"), 10)

    @given(st.lists(stories.map(clean_text), min_size=1, max_size=6), st.integers(0, 150), measures)
    def test_the_result_fits_or_is_refused(self, parts: list[str], limit: int, measure: object) -> None:
        try:
            fitted = fit_text(fit(*parts), limit, measure)  # type: ignore[arg-type]
        except Unsupported:
            least = fit(*["" if index % 2 else part for index, part in enumerate(parts)])
            assert measure(fit_text(least, 10_000).text) > limit  # type: ignore[operator]
            return
        assert measure(fitted.text) <= limit  # type: ignore[operator]
        assert FIT_START not in fitted.text
        assert FIT_END not in fitted.text

    @given(st.lists(st.text("ab .\n", max_size=30), min_size=1, max_size=6), st.integers(0, 60))
    def test_what_is_not_marked_stays(self, parts: list[str], limit: int) -> None:
        fixed = "".join(parts[::2]).split()
        try:
            text = fit_text(
                fit(*[part.upper() if i % 2 == 0 else part for i, part in enumerate(parts)]), limit
            ).text
        except Unsupported:
            return
        kept = re.sub("[^AB.]", "", text)
        for word in fixed:
            assert re.sub("[^AB]", "", word.upper()) in kept.replace(".", "")
