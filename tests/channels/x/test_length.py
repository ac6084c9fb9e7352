"""The counter agrees with X: twitter-text's own cases where they are at hand, and our own everywhere."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.channels.x.length import (
    LIMIT,
    URL_WEIGHT,
    find_urls,
    is_valid_post,
    lint_accidental_urls,
    weighted_length,
)

CONFORMANCE = Path(__file__).parents[4] / "shared" / "data" / "x"
FOR_OLD_CONFIG = {
    # In the v2 configuration every part of an emoji counts by itself; the newer group says the v3 weights.
    ("WeightedTweetsCounterTest", description)
    for description in (
        "Count a mix of single byte single word, and double word unicode characters",
        "Count unicode emoji chars outside the basic multilingual plane with skin tone modifiers",
    )
}

urls_of = [
    ("nothing here", []),
    ("", []),
    ("see https://example.org/a?b=c#d now", ["https://example.org/a?b=c#d"]),
    ("HTTPS://Example.ORG/A", ["HTTPS://Example.ORG/A"]),
    ("(https://example.org/wiki/A_(b)).", ["https://example.org/wiki/A_(b)"]),
    ("https://example.org/a...", ["https://example.org/a"]),
    ("https://example.org:8080/a", ["https://example.org:8080/a"]),
    ("https://приклад.укр/шлях", ["https://приклад.укр/шлях"]),
    ("https://xn--80aikifvh.xn--j1amh/", ["https://xn--80aikifvh.xn--j1amh/"]),
    ("https://example.notatld/a", []),
    ("example.org and www.example.co.uk/x", ["example.org", "www.example.co.uk/x"]),
    ("日本語example.com日本語example.org/a", ["example.com", "example.org/a"]),
    ("приклад.укр", []),
    ("name@example.org or @example.org #example.org $example.org", []),
    ("-example.org _example.org .example.org /example.org", []),
    ("file.tar.bz2 version 3.14 e.g. U.K.", []),
    ("a_b.example.org but not a_b.org", ["a_b.example.org"]),
    ("example.org@home example.org+1 example.org-x", []),
    ("https://t.co/abc's and https://t.co/abc?amp=1", ["https://t.co/abc", "https://t.co/abc?amp=1"]),
    ("https://t.co/" + "a" * 41, []),
    ("https://" + "a" * 64 + ".org", []),
    ("https://" + "я" * 63 + ".org", []),
    ("https://example.org/" + "a" * 4100, []),
    ("https://one.org\nhttps://two.org", ["https://one.org", "https://two.org"]),
    ("see https://example.org…", ["https://example.org"]),
    ("https://example.org/a\u2069", ["https://example.org/a"]),
]

weights = [
    ("", 0),
    ("plain", 5),
    ("Kyiv’s “bridge” — reopened", 26),
    ("Київ", 4),
    ("שלום سلام", 9),
    ("…", 2),
    ("€ № ™", 8),
    ("東京", 4),
    ("한국", 4),
    ("cafe\u0301", 4),
    ("🇺🇦", 2),
    ("👨‍👩‍👧‍👦", 2),
    ("👍🏽", 2),
    ("1️⃣", 2),
    ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", 2),
    ("❤️", 2),
    ("✅\ufe0f", 4),
    ("😀🏽", 2 + 2),
    ("©", 1),
    ("©️", 2),
    ("#1", 2),
    ("see https://example.org/a/very/long/path", 4 + 23),
    ("t.co", 23),
    ("a\nb", 3),
]


def load_cases(file: str, *groups: str) -> list[Any]:
    """Cases of twitter-text, or one that is skipped where they are not at hand."""
    path = CONFORMANCE / file
    if not path.exists():
        return [pytest.param({}, id=file, marks=pytest.mark.skip(f"needs ../shared/data/x/{file}"))]
    from ruamel.yaml import YAML

    tests = YAML(typ="safe").load(path.read_text(encoding="utf-8"))["tests"]
    return [
        pytest.param(case, id=f"{group}: {case['description']}")
        for group in groups
        for case in tests[group]
        if (group, case["description"]) not in FOR_OLD_CONFIG
    ]


@pytest.mark.parametrize(("text", "urls"), urls_of, ids=lambda value: str(value)[:40])
def test_links_are_found_as_x_finds_them(text: str, urls: list[str]) -> None:
    assert [span.url for span in find_urls(text)] == urls


@pytest.mark.parametrize(("text", "weight"), weights, ids=lambda value: str(value)[:40])
def test_a_text_weighs_what_x_says(text: str, weight: int) -> None:
    assert weighted_length(text) == weight


def test_a_post_of_280_is_valid_and_of_281_is_not() -> None:
    assert is_valid_post("a" * LIMIT)
    assert not is_valid_post("a" * (LIMIT + 1))


def test_an_empty_post_and_one_with_a_byte_order_mark_are_not_valid() -> None:
    assert not is_valid_post("")
    assert not is_valid_post("a\ufeffb")


class TestLint:
    def test_a_lost_space_is_put_back(self) -> None:
        [finding] = lint_accidental_urls("This is the end.Next question")
        assert (finding.text, finding.start, finding.fix) == ("end.Next", 12, "end. Next")
        assert "write “end. Next”" in str(finding)

    def test_a_name_gets_an_invisible_joiner(self) -> None:
        [finding] = lint_accidental_urls("Booking.com is fined")
        assert finding.fix == "Booking.\u2060com"
        assert "U+2060" in str(finding)

    def test_a_saint_gets_his_space(self) -> None:
        assert [finding.fix for finding in lint_accidental_urls("The council of St.George")] == ["St. George"]

    def test_links_that_were_meant_are_left_alone(self) -> None:
        assert lint_accidental_urls("https://go.example.org/l/a www.example.org example.org/news") == []

    def test_sums_and_abbreviations_are_no_links(self) -> None:
        assert lint_accidental_urls("The U.S. paid 3.5 bn. No.10 agreed, e.g. on it") == []

    @given(
        st.lists(st.sampled_from(["end.Next", "Booking.com", "St.George", "Яндекс.ru", "a.co.uk"])).map(" ".join)
    )
    def test_the_fix_is_no_link(self, text: str) -> None:
        for finding in lint_accidental_urls(text):
            assert text[finding.start :].startswith(finding.text)
            assert find_urls(finding.fix) == []


PIECES = "http:// https:// a _ - . com 日本 .укр / ( ) ? # @ t.co xn-- … 👍🏽 \u202e co.uk :80 é"
pieces = st.sampled_from([*PIECES.split(" "), " ", "\n"])


@given(st.lists(pieces, max_size=60).map("".join))
def test_links_lie_in_order_and_are_the_text_they_name(text: str) -> None:
    end = 0
    for span in find_urls(text):
        assert end <= span.start < span.end
        assert text[span.start : span.end] == span.url
        end = span.end


@given(st.lists(pieces | st.text(max_size=5), max_size=40).map("".join))
def test_text_without_links_weighs_at_most_two_a_letter(text: str) -> None:
    if not find_urls(text):
        assert weighted_length(text) <= 2 * len(unicodedata.normalize("NFC", text))


@given(st.text(st.characters(codec="utf-8", exclude_characters="."), max_size=60))
def test_words_around_a_link_weigh_as_if_alone(text: str) -> None:
    link = "https://example.org/a"
    assert weighted_length(f"{text} {link} {text}") == 2 * weighted_length(f"{text} ") + URL_WEIGHT


@pytest.mark.parametrize(
    "text", ["a." * 5000, "." * 9000, "a_" * 5000 + ".com", "http://a.co/" + "(a(b)" * 2000, "日.co/日" * 2000]
)
def test_hostile_text_is_measured_too(text: str) -> None:
    assert weighted_length(text) > LIMIT


@pytest.mark.parametrize(
    "case",
    load_cases(
        "twitter-text-validate.yml",
        "WeightedTweetsCounterTest",
        "WeightedTweetsWithDiscountedEmojiCounterTest",
        "UnicodeDirectionalMarkerCounterTest",
    ),
)
def test_the_official_weights_hold(case: Any, request: pytest.FixtureRequest) -> None:
    expected = case["expected"]
    assert weighted_length(case["text"]) == expected["weightedLength"]
    assert is_valid_post(case["text"]) == expected["valid"]


@pytest.mark.parametrize(
    "case",
    load_cases(
        "twitter-text-extract.yml",
        "urls",
        "urls_with_indices",
        "urls_with_directional_markers",
        "tco_urls_with_params",
    ),
)
def test_the_official_links_are_found(case: Any) -> None:
    found = find_urls(case["text"])
    expected = case["expected"]
    if expected and isinstance(expected[0], dict):
        assert [{"url": span.url, "indices": [span.start, span.end]} for span in found] == expected
    else:
        assert [span.url for span in found] == expected


def test_every_official_top_level_domain_makes_a_link() -> None:
    cases = [param.values[0] for param in load_cases("twitter-text-tlds.yml", "country", "generic")]
    if not cases[0]:
        pytest.skip("needs ../shared/data/x/twitter-text-tlds.yml")
    wrong = [case["text"] for case in cases if [span.url for span in find_urls(case["text"])] != case["expected"]]
    assert wrong == []
