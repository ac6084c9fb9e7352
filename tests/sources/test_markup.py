"""HTML and dates from outside: what readers may get, and nothing that costs more than its size."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.sources.dates import check_moment, from_parts, read_date
from distributor.sources.markup import LONGEST_BODY, first_image, join_address, make_image, sanitise

BASE = "https://example.org/news/a/"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

VECTORS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="java&#x09;script:alert(1)">x</a>',
    '<a href=" javascript:alert(1)">x</a>',
    '<a href="JaVaScRiPt:alert(1)">x</a>',
    '<a href="\x01javascript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<a href="vbscript:x">x</a>',
    '<svg><a xlink:href="javascript:alert(1)">x</a></svg>',
    '<math><a xlink:href="javascript:alert(1)">x</a></math>',
    "<video poster=javascript:alert(1)>x</video>",
    '<img src="data:image/svg+xml,<svg onload=alert(1)>">',
    "<form action=javascript:alert(1)><input type=submit></form>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<base href=javascript:alert(1)//>",
    "<meta http-equiv=refresh content=0;url=javascript:alert(1)>",
    "<link rel=stylesheet href=javascript:alert(1)>",
    "<style>*{background:url(javascript:alert(1))}</style>",
    '<p style="background:url(javascript:alert(1))">x</p>',
    "<b onmouseover=alert(1)>x</b>",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<template><script>alert(1)</script></template>",
    '<p id="x"><math><mtext><table><mglyph><style><img src=x onerror=alert(1)>',
    "<a href='//evil.example' target=_blank ping=javascript:alert(1)>x</a>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<img srcset='javascript:alert(1) 1x' src=a.png>",
    "<button formaction=javascript:alert(1)>x</button>",
]


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_that_runs_is_left(vector: str) -> None:
    clean = sanitise(f"<p>before {vector} after</p>", BASE).lower()
    for sign in (
        "javascript:",
        "vbscript:",
        "data:",
        "<script",
        "onerror=",
        "onmouse",
        "onload=",
        "<svg",
        "<form",
        "style=",
    ):
        assert sign not in clean.replace("&lt;", "")


@given(st.text("<>/='\" abpi&#;x1:!-", max_size=200))
def test_sanitising_twice_is_sanitising_once(markup: str) -> None:
    once = sanitise(markup, BASE)
    assert sanitise(once, BASE) == once


@pytest.mark.parametrize("vector", VECTORS)
def test_the_attacks_survive_no_second_look_either(vector: str) -> None:
    assert sanitise(sanitise(vector, BASE), BASE) == sanitise(vector, BASE)


@pytest.mark.parametrize(
    "part",
    """<div> <b> <b></i> <p> <p><b> <table><tr><td> <b><p></b> <li> <font><p></font> </p> <svg><p> <p/a=' & &#
    &amp; <!-- < <a/x </a <img/ <template> <a/href=x> &#x &a ]]> <![CDATA[ <select><option>""".split(),  # noqa: SIM905
)
def test_hostile_markup_costs_in_proportion(part: str) -> None:
    """Half a megabyte: what is quadratic takes minutes and never ends this test."""
    sanitise(part * (LONGEST_BODY // len(part)), BASE)


def test_a_story_too_deep_or_too_long_becomes_its_words() -> None:
    assert sanitise("<div>" * 500 + "a &lt; b", BASE) == "<p>a &lt; b</p>"
    assert sanitise("word " * 300_000, BASE).startswith("<p>word word")


def test_addresses_become_absolute() -> None:
    markup = '<a href="../b?x=1&amp;y=2">b</a><img src="//cdn.example/i.png"><a href="#top">t</a>'
    markup += '<a href="mailto:a@b.c">m</a>'
    clean = sanitise(markup, BASE)
    assert 'href="https://example.org/news/b?x=1&amp;y=2"' in clean
    assert 'src="https://cdn.example/i.png"' in clean
    assert 'href="https://example.org/news/a/#top"' in clean and 'href="mailto:a@b.c"' in clean


def test_characters_that_may_not_be_stored_go_also_when_they_are_written_as_references() -> None:
    clean = sanitise("a\x00b<i>&#xE100;&#x202E;&#8;c</i>", BASE)
    assert not set(clean) & set("\x00\x08\ue100\u202e")


@given(st.text(max_size=50), st.text(max_size=50))
def test_joining_addresses_never_raises(base: str, address: str) -> None:
    joined = join_address("https://example.org/" + base, address)
    assert joined == "" or joined.startswith(("http://", "https://", "mailto:", "tel:"))


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="https://example.org/pixel.gif" width="1" height="1">',
        '<img src="https://s.w.org/images/core/emoji/1.png">',
        '<img src="https://secure.gravatar.com/avatar/1">',
        '<img src="https://feeds.feedburner.com/~r/x">',
        '<img src="data:image/png;base64,x">',
        '<img src="https://example.org/logo.svg">',
        '<img alt="nothing">',
    ],
)
def test_pixels_and_icons_lead_no_story(markup: str) -> None:
    image = first_image(
        markup + '<img alt="A &quot;big&quot; day" src="https://example.org/day.jpg?a=1&amp;b=2" width="900">'
    )
    assert image and (image.url, image.alt, image.width) == (
        "https://example.org/day.jpg?a=1&b=2",
        'A "big" day',
        900,
    )
    assert first_image(markup) is None


def test_an_image_without_sizes_is_taken_at_its_word() -> None:
    assert make_image(BASE, "/i.jpg", None, "wide", "-3") == make_image(BASE, "https://example.org/i.jpg")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T10:00:00Z", (2026, 11, 23, 10, 0)),
        ("2026-11-23T12:00:00+02:00", (2026, 11, 23, 10, 0)),
        ("2026-11-23T10:00:00.123456+00:00", (2026, 11, 23, 10, 0)),
        ("2026-11-23 12:00:00 +0200", (2026, 11, 23, 10, 0)),
        ("Mon, 23 Nov 2026 10:00:00 GMT", (2026, 11, 23, 10, 0)),
        ("Mon, 23 Nov 2026 05:00:00 -0500", (2026, 11, 23, 10, 0)),
        ("2026-11-23", (2026, 11, 23, 0, 0)),
        ("20261123", (2026, 11, 23, 0, 0)),
    ],
)
def test_dates_with_a_zone_are_read(text: str, moment: tuple[int, ...]) -> None:
    assert read_date(text, NOW) == datetime(*moment, tzinfo=UTC)


NO_DATES = """
0000-00-00
0000-00-00T00:00:00Z
-0001-11-30T00:00:00+00:00
0001-01-01
1970-01-01T00:00:00Z
2099-12-31T23:59:59Z
9999-12-31T23:59:59-23:00
2026-13-01
2026-02-30
2026-11-23T10:00:00
2026-11-23T10:00:00+99:99
Thu, 01 Jan 1970 00:00:00 GMT
Sat, 01 Jan 0000 00:00:00 +0000
Mon, 99 Nov 2026 10:00:00 GMT
Mon, 23 Nov 99999 10:00:00 GMT
Mon, 23 Nov 2026 10:00:00 +99999999
yesterday
12
"""


@pytest.mark.parametrize("text", [*NO_DATES.splitlines(), " ", "\x00", "1" * 5000])
def test_dates_that_cannot_be_true_are_none(text: str) -> None:
    assert read_date(text, NOW) is None


@pytest.mark.parametrize(
    "parts",
    [
        None,
        (),
        (2026,),
        (-1, 11, 30, 0, 0, 0),
        (1970, 1, 1, 0, 0, 0),
        (2099, 1, 1, 0, 0, 0),
        (2026, 2, 30, 0, 0, 0),
    ],
)
def test_parts_that_make_no_moment_are_none(parts: tuple[int, ...] | None) -> None:
    assert from_parts(parts, NOW) is None


@given(st.datetimes(datetime(1985, 1, 1), datetime(2035, 1, 1)))
def test_a_moment_in_parts_is_checked_like_any_other(moment: datetime) -> None:
    assert from_parts(moment.timetuple()[:6], NOW) == check_moment(moment.replace(tzinfo=UTC), NOW)


def test_a_leap_second_is_the_second_before() -> None:
    assert from_parts((2016, 12, 31, 23, 59, 60), NOW) == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.text(max_size=60) | st.datetimes().map(str) | st.none() | st.integers())
def test_reading_a_date_never_raises(text: object) -> None:
    moment = read_date(text, NOW)
    assert moment is None or (moment.tzinfo is UTC and moment <= NOW + timedelta(days=366))


def test_a_moment_without_a_zone_is_no_moment() -> None:
    assert check_moment(datetime(2026, 11, 23), NOW) is None
