"""The operator's status page: what it says, and that nothing foreign becomes markup on it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import update

from distributor.core.contracts import Site
from distributor.core.delivery import settle
from distributor.core.errors import ChannelClosed, Unknown
from distributor.core.needs import count, describe_span
from distributor.core.reporting import ChannelRow, ClickCount, EditionRow, HeldRow, NoticeRow, ProcessRow, SourceRow
from distributor.core.sending import Batch, Settled
from distributor.pipeline.plan import Forecast
from distributor.storage import Storage
from distributor.storage.tables import edition, post
from distributor.web.console.markup import Markup, join, tag
from distributor.web.console.overview import Overview, find_needs
from distributor.web.console.page import draw_page
from distributor.web.console.times import Times
from distributor.web.parts import ClickJournalState
from tests.storage.scene import add_edition
from tests.web.app_rig import NOW, SITE, Away, add_letter, make_parts, serving

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title></style><script>alert(1)</script>",
    "javascript:alert(1)",
    "&lt;script&gt; \u202e <!-- ]]> {{ 7*7 }} %s \x00",
)
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div", "p", "h1", "h2",
    "ul", "ol", "li", "dl", "dt", "dd", "code", "span", "strong", "time", "svg", "rect", "table", "thead", "tbody",
    "tr", "th", "td",
}  # fmt: skip


class Reading(HTMLParser):
    """The tags, attributes and words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, name: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(name)
        self.attributes += [(key, value or "") for key, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def read(view: Overview, site: Site = SITE) -> Reading:
    return Reading(draw_page(site, view, "body { color: black }"))


def edition_row(text: str = "Title", **changes: Any) -> EditionRow:
    row = EditionRow(
        1, "key", text, text, text, "frozen", text, text, NOW, None, 10, {"sent": 4, "failed": 1, "queued": 5}, "[]"
    )
    return replace(row, **changes)


def make_view(text: str) -> Overview:
    """Everything that can be on the page, saying `text` wherever a text is."""
    return Overview(
        now=NOW,
        reasons={text: text},
        deliveries={(text, state): 2 for state in ("unknown", "held", "queued", "sent", "failed", "skipped")},
        oldest={"unknown": NOW - timedelta(hours=3), "queued": NOW - timedelta(hours=1), "held": NOW},
        editions=[edition_row(text), edition_row(text, audience=1, state=text)],
        aside=[edition_row(text, state="parked"), edition_row(text, state="held")],
        mismatches=[1],
        channels={
            text: ChannelRow(text, True, text, NOW, NOW, text, NOW),
            "b": ChannelRow("b", False, "", None, None, text, NOW),
        },
        channel_names=[text],
        sources={text: SourceRow(text, "{}", NOW, NOW, NOW, 3, text)},
        source_names=[text],
        held_posts=3,
        deadlines={text: NOW + timedelta(minutes=12)},
        held=[HeldRow(1, text, text, text, 1)],
        coming=[Forecast(NOW, None, text, text, text, 3, text), Forecast(None, None, text, text, text, -1)],
        clicks=[ClickCount(text, text, 5, 7, {"human": 5, "bot": 4, text: 3})],
        stories=[ClickCount("1", text, 5, 7, {})],
        readers_by_edition={"1": 3},
        journal=ClickJournalState(1_000_000, 5, 2),
        processes=[ProcessRow(text, text, 7, text, text, NOW, 1.0, True)],
        notices=[NoticeRow(NOW, level, text, text) for level in ("alarm", "warning", "info", "audit", text)],
    )


@pytest.mark.parametrize("text", EVIL)
def test_foreign_text_stays_text(text: str) -> None:
    found = read(make_view(text), replace(SITE, name=text))
    assert found.tags <= ALLOWED
    for name, value in found.attributes:
        assert not name.startswith("on") and name not in ("style", "href", "src")
        assert name in ("title", "datetime", "data-label") or "alert" not in value, (name, value)
    assert text.replace("\x00", "").split()[0] in found.text.replace("\ufffd", "")


@given(st.text(max_size=40))
def test_any_text_at_all_stays_text(text: str) -> None:
    assert read(make_view(text)).tags <= ALLOWED


def test_the_page_loads_nothing_and_runs_nothing(storage: Storage) -> None:
    with serving(make_parts(storage)) as browser:
        answer = browser.ask("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    found = Reading(answer.text)
    assert {"script", "link", "img", "iframe", "a", "form"}.isdisjoint(found.tags)


def test_foreign_text_from_the_database_stays_text(storage: Storage) -> None:
    edition_id = add_letter(storage)
    with storage.database.write() as connection:
        connection.execute(update(edition).where(edition.c.id == edition_id).values(title=EVIL[0]))
        connection.execute(update(post).values(headline=EVIL[1], status="held", reason=EVIL[2]))
    storage.posts.note_failure("front", "{}", EVIL[3], None, NOW)
    storage.decisions.pause("tg", EVIL[1], EVIL[0], NOW)
    with serving(make_parts(storage)) as browser:
        found = Reading(browser.ask("/").text)
    assert found.tags <= ALLOWED
    assert EVIL[0] in found.text and EVIL[1] in found.text and EVIL[3] in found.text


def test_an_untouched_program_has_an_empty_page_that_says_so() -> None:
    text = read(Overview(NOW)).text
    assert "Nothing is set up yet." in text
    assert "All is well." in read(Overview(NOW, channel_names=["tg"], source_names=["front"])).text
    for sentence in ("No channel is set up yet.", "No source is set up yet.", "No schedule is set up yet."):
        assert sentence in text


def test_what_needs_a_person_stands_first_with_what_to_type(storage: Storage) -> None:
    add_edition(storage, NOW, channel="letter", number=1)
    add_edition(storage, NOW, channel="tg", number=2)
    for name, outcome in (("letter", Unknown("reset")), ("tg", ChannelClosed("the bot was kicked"))):
        batch = storage.ledger.claim(name, limit=1, paces=(), fence="me", lease=900, now=NOW)
        assert isinstance(batch, Batch)
        what = settle(outcome, 1, 20, 1)
        storage.ledger.settle(name, "me", [Settled(batch.claimed[0].delivery_id, 1, NOW, NOW, what)], NOW)
    with serving(make_parts(storage)) as browser:
        text = Reading(browser.ask("/").text).text
    assert (
        text.index("3 things need you.")
        < text.index("1 message may or may not have gone out")
        < text.index("Editions")
    )
    assert "distributor deliveries --state unknown" in text
    assert "The channel tg is paused: the bot was kicked" in text
    assert "distributor resume tg" in text
    assert "waits for you" in text


def test_the_page_says_when_the_database_is_away() -> None:
    with serving(make_parts(Away())) as browser:
        answer = browser.ask("/")
    assert answer.status == 200
    assert (
        "not ready: secret-label: the database server cannot be reached; is it running?"
        in Reading(answer.text).text
    )


def test_alarms_come_before_warnings() -> None:
    levels = [need.level for need in find_needs(make_view("x"))]
    assert levels == sorted(levels)
    assert levels[0] == "alarm" and levels[-1] == "warning"


def test_a_channel_that_is_sending_is_not_called_idle() -> None:
    view = Overview(
        NOW,
        deliveries={("letter", "queued"): 40_000},
        oldest={"queued": NOW - timedelta(hours=1)},
        channels={"letter": ChannelRow("letter", False, "", None, NOW - timedelta(seconds=5), "", None)},
    )
    assert find_needs(view) == []
    row = replace(view.channels["letter"], last_ok_at=NOW - timedelta(hours=2))
    (need,) = find_needs(replace(view, channels={"letter": row}))
    assert need.what == "40,000 messages waiting for letter, which has accepted nothing for a while."


def test_a_source_that_is_no_longer_configured_needs_nobody() -> None:
    view = Overview(
        NOW, sources={"old": SourceRow("old", "{}", None, None, None, 5, "gone")}, source_names=["front"]
    )
    assert find_needs(view) == []
    assert "no longer in the configuration" in read(view).text


def test_the_processes_that_run_are_told_from_those_that_fell_silent() -> None:
    began = NOW - timedelta(hours=3)
    view = Overview(
        NOW,
        processes=[
            ProcessRow("a", "north", 71, "web,clock", "1", began, 4.0, False),
            ProcessRow("b", "south", 72, "worker", "1", began, 300.0, True),
        ],
    )
    words = " ".join(Reading(draw_page(SITE, view, "")).words)
    assert "north 71 web, clock started 3 h ago seen 4 s ago south 72 taken for dead worker" in " ".join(
        words.split()
    )


def test_an_audience_is_accounted_for_in_words_and_as_a_bar() -> None:
    found = read(Overview(NOW, editions=[edition_row("Morning")]))
    assert "of 10: 4 sent, 5 waiting, 1 failed" in found.text
    widths = [value for name, value in found.attributes if name == "width"]
    assert widths == ["40.000", "10.000"]


def test_a_busy_schedule_does_not_crowd_out_the_others() -> None:
    often = [Forecast(NOW + timedelta(minutes=n), None, "often", "tg", "each", 0) for n in range(1, 500)]
    rare = Forecast(NOW + timedelta(days=1), None, "rare", "letter", "digest", 0)
    text = read(Overview(NOW, coming=[*often, rare])).text
    assert text.count("often → tg") == 2
    assert "rare → letter" in text


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
        (-5, "0 s"),
    ],
)
def test_spans_are_said_in_their_largest_unit(span: float, words: str) -> None:
    assert describe_span(timedelta(seconds=span)) == words


def test_days_are_named_as_people_name_them() -> None:
    times = Times(NOW, "Europe/Kyiv")

    def day(moment: datetime) -> str:
        return times.day(moment)

    assert day(NOW) == "today"
    assert day(NOW + timedelta(hours=15)) == "tomorrow"
    assert day(NOW - timedelta(hours=10)) == "yesterday"
    assert day(NOW + timedelta(days=4)) == "Fri"
    assert day(NOW - timedelta(days=4)) == "19 Nov"
    assert "never" in times.ago(None)
    assert "in 15 h" in times.ago(NOW + timedelta(hours=15))
    assert 'title="2026-11-23 09:30"' in times.ago(NOW)


def test_counting_words_agree_with_their_numbers() -> None:
    assert [count(n, "story", "stories") for n in (0, 1, 2000)] == ["0 stories", "1 story", "2,000 stories"]


def test_markup_is_escaped_once() -> None:
    inner = tag("b", 'a < b & "c"', title='"x" & <y>')
    assert inner == '<b title="&quot;x&quot; &amp; &lt;y&gt;">a &lt; b &amp; &quot;c&quot;</b>'
    assert tag("p", inner, None, [1, ["<"]], class_="x", data_label=None) == f'<p class="x">{inner}1&lt;</p>'
    assert join("<", Markup("<br>")) == "&lt;<br>"
    assert tag("meta", name="a") == '<meta name="a">'


def test_every_field_of_the_overview_is_on_the_page() -> None:
    """A new field that nobody draws would be gathered for nothing."""
    full, calm = make_view("word"), Overview(NOW)
    page = draw_page(SITE, full, "")
    for field in fields(Overview):
        if field.name not in ("now", "oldest", "capped"):
            assert draw_page(SITE, replace(full, **{field.name: getattr(calm, field.name)}), "") != page, field.name
