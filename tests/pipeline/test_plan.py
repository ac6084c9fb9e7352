"""Who, where, when: what planning decides, and that the database makes it true once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.planning import EditionPlan, OccurrenceNote
from distributor.pipeline.plan import Candidate, Plan, Planned, forecast, load_candidates, plan
from distributor.storage import Storage
from tests.desk import HOUR, Desk, make_candidate, make_plan, make_story

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
MORNING = make_plan("morning", at="07:30", form="digest", title="Morning briefing")
DUE = MONDAY + timedelta(hours=7, minutes=30)
KEY = "morning@2026-11-23T07:30"


def ids(planned: Planned) -> list[tuple[int, ...]]:
    return [edition.post_ids for edition in planned.editions]


def outcomes(planned: Planned) -> list[tuple[str, str]]:
    return [(note.key.partition("@")[2], note.outcome) for note in planned.notes]


def digest(candidates: Sequence[Candidate], now: datetime = DUE + timedelta(minutes=1), **fields: Any) -> Planned:
    return plan(replace(MORNING, **fields), candidates, MONDAY, now)


# -- each story at once --------------------------------------------------------------------------------------


def test_each_story_is_an_edition_of_its_own_in_the_order_they_could_go() -> None:
    now = MONDAY + HOUR
    candidates = [make_candidate(2, now - timedelta(minutes=1)), make_candidate(1, now - timedelta(minutes=5))]
    first, second = plan(make_plan(), candidates, MONDAY, now).editions
    assert (first.post_ids, second.post_ids) == ((1,), (2,))
    assert first.key == "now-tg:post:1"
    assert (first.title, first.due_at, first.hold_reason) == ("Story number 1", now - timedelta(minutes=5), "")
    assert first.late_after == first.due_at + HOUR


def test_a_story_that_could_have_gone_long_ago_is_held_for_a_person() -> None:
    """The program was off over night: last night's stories do not ring a thousand phones at breakfast."""
    now = MONDAY + timedelta(hours=8)
    late, fresh = make_candidate(1, now - timedelta(hours=6)), make_candidate(2, now - timedelta(minutes=10))
    found = {one.post_ids: one.hold_reason for one in plan(make_plan(), [late, fresh], MONDAY, now).editions}
    assert found[(1,)].startswith("late: it could have gone out at 2026-11-23 02:00")
    assert found[(2,)] == ""


def test_lateness_begins_after_the_allowed_time_and_not_at_it() -> None:
    now = MONDAY + timedelta(hours=8)
    (edge,) = plan(make_plan(), [make_candidate(1, now - HOUR)], MONDAY, now).editions
    assert edge.hold_reason == ""


# -- digests -------------------------------------------------------------------------------------------------


def test_before_its_hour_nothing_is_planned() -> None:
    assert digest([make_candidate(1, MONDAY)], DUE - timedelta(seconds=1)) == Planned(
        (), (), DUE - timedelta(seconds=1)
    )


def test_a_digest_brings_the_newest_first_and_counts_the_rest_as_overflow() -> None:
    published = {1: 3, 2: 5, 3: 1, 4: 4}
    candidates = [make_candidate(n, DUE, published_at=MONDAY + h * HOUR) for n, h in published.items()]
    (edition,) = digest(candidates, max_items=3).editions
    assert (edition.post_ids, edition.overflow_ids) == ((2, 4, 1), (3,))
    assert (edition.key, edition.title, edition.form) == (KEY, "Morning briefing", "digest")
    assert (edition.due_at, edition.late_after) == (DUE, DUE + HOUR)
    assert edition.note == OccurrenceNote(KEY, DUE, "edition")


def test_without_a_title_a_digest_is_called_after_its_first_story() -> None:
    (edition,) = digest([make_candidate(4, DUE)], title="").editions
    assert edition.title == "Story number 4"


def test_a_digest_is_never_empty() -> None:
    planned = digest([])
    assert planned.editions == ()
    assert outcomes(planned) == [("2026-11-23T07:30", "empty")]


def test_with_too_few_stories_a_digest_waits_for_its_next_time() -> None:
    planned = digest([make_candidate(1, DUE), make_candidate(2, DUE)], min_items=3)
    assert (planned.editions, outcomes(planned)) == ((), [("2026-11-23T07:30", "empty")])
    assert planned.notes[0].text == "2 of at least 3 stories"
    assert ids(digest([make_candidate(n, DUE) for n in range(3)], min_items=3)) == [(2, 1, 0)]


def test_a_story_that_came_after_the_hour_is_for_the_next_digest() -> None:
    assert ids(digest([make_candidate(1, DUE), make_candidate(2, DUE + timedelta(seconds=1))])) == [(1,)]


def test_of_several_missed_hours_only_the_newest_is_made_up_for() -> None:
    now = DUE + timedelta(days=3, minutes=5)
    planned = plan(MORNING, [make_candidate(1, MONDAY)], MONDAY, now)
    assert [edition.key for edition in planned.editions] == ["morning@2026-11-26T07:30"]
    assert outcomes(planned) == [(f"2026-11-{day}T07:30", "superseded") for day in (23, 24, 25)]
    assert planned.until == now


def test_an_hour_that_is_too_long_ago_is_written_down_as_late_and_its_stories_wait() -> None:
    planned = digest([make_candidate(1, MONDAY)], DUE + timedelta(hours=2))
    assert (planned.editions, outcomes(planned)) == ((), [("2026-11-23T07:30", "late")])
    (tomorrow,) = plan(
        MORNING, [make_candidate(1, MONDAY)], planned.until, DUE + timedelta(days=1, minutes=1)
    ).editions
    assert tomorrow.post_ids == (1,)


def test_a_schedule_for_each_story_sends_the_oldest_first_and_no_more_than_allowed() -> None:
    each = make_plan("hourly", every="1h", max_items=2)
    candidates = [make_candidate(n, MONDAY, published_at=MONDAY + n * timedelta(minutes=1)) for n in (3, 1, 2)]
    planned = plan(each, candidates, MONDAY, MONDAY + HOUR)
    assert ids(planned) == [(1,), (2,)]
    assert {edition.due_at for edition in planned.editions} == {MONDAY + HOUR}
    assert {edition.key for edition in planned.editions} == {"hourly:post:1", "hourly:post:2"}


def test_only_what_the_filter_likes_is_planned() -> None:
    only = make_plan(only={"sections": ("Sport",)})
    candidates = [make_candidate(1, MONDAY), make_candidate(2, MONDAY, section="sport")]
    assert ids(plan(only, candidates, MONDAY, MONDAY)) == [(2,)]
    assert ids(digest(candidates, matches=only.matches)) == [(2,)]


# -- whatever happens ----------------------------------------------------------------------------------------

rules = st.sampled_from(
    [make_plan("s", at="07:30"), make_plan("s", every="1h"), make_plan("s", every="5h"), make_plan("s")]
)
hours = st.integers(0, 24 * 14 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes))
schedules = st.builds(
    lambda rule, form, low, more, late: replace(
        rule,
        form=form if not rule.rule.is_immediate else "each",
        min_items=low,
        max_items=low + more,
        max_lateness=timedelta(minutes=late),
    ),
    rules,
    st.sampled_from(["each", "digest"]),
    st.integers(1, 4),
    st.integers(0, 6),
    st.integers(0, 600),
)


@given(schedule=schedules, ripe=st.lists(hours, max_size=12), ticks=st.lists(hours, min_size=1, max_size=12))
def test_no_story_is_told_twice_and_none_is_lost_however_the_ticks_fall(
    schedule: Plan, ripe: list[datetime], ticks: list[datetime]
) -> None:
    """Against a model of the database: unique keys of editions, occurrences and (schedule, post)."""
    waiting = {n: make_candidate(n, at) for n, at in enumerate(ripe)}
    told: dict[int, str] = {}
    editions: dict[str, EditionPlan] = {}
    due: dict[str, str] = {}
    until = MONDAY
    for now in sorted(ticks):
        seen = [one for n, one in waiting.items() if n not in told and one.ripe_at <= now]
        planned = plan(schedule, seen, until, now)
        assert planned == plan(schedule, list(reversed(seen)), until, now), "the order of rows means nothing"
        for edition in planned.editions:
            assert edition.key not in editions
            assert 1 <= len(edition.post_ids) <= max(schedule.max_items, 1)
            assert edition.form == "digest" or edition.post_ids == edition.post_ids[:1]
            editions[edition.key] = edition
            for post_id in edition.post_ids + edition.overflow_ids:
                assert post_id not in told
                told[post_id] = edition.key
        for note in [*planned.notes, *(e.note for e in planned.editions if e.note)]:
            assert due.setdefault(note.key, note.outcome) == note.outcome
        until = planned.until
    if schedule.rule.is_immediate:
        assert set(told) == {n for n, one in waiting.items() if one.ripe_at <= max(ticks)}
    rest = [one for n, one in waiting.items() if n not in told and one.ripe_at <= max(ticks)]
    assert plan(schedule, rest, until, max(ticks)).editions == ()


# -- with the database ---------------------------------------------------------------------------------------


@pytest.fixture
def desk(storage: Storage, now: datetime) -> Desk:
    return Desk(storage, now)


def test_what_was_there_before_the_schedule_is_never_sent(desk: Desk) -> None:
    desk.poll([make_story(1), make_story(2)])
    desk.poll([make_story(3), make_story(1), make_story(2)])
    assert desk.statuses() == {"baseline": 2, "live": 1}
    assert desk.plan(make_plan()) == 0
    desk.poll([make_story(4), make_story(3), make_story(1)])
    assert desk.plan(make_plan()) == 1
    assert desk.planned() == ["Story number 4"]


def test_planning_twice_plans_once(desk: Desk) -> None:
    schedules = [make_plan(), make_plan("now-x", channel="x")]
    desk.open(*schedules)
    desk.poll([make_story(1), make_story(2)])
    assert desk.plan(*schedules) == 4
    assert desk.plan(*schedules) == 0
    desk.now += timedelta(days=1)
    assert desk.plan(*schedules) == 0


def test_two_planners_at_the_same_moment_plan_once(desk: Desk) -> None:
    """Both have looked before either wrote: the unique keys decide."""
    schedule = make_plan("morning", at="07:40", form="digest")
    desk.open(schedule)
    desk.poll([make_story(1), make_story(2)])
    desk.now += HOUR / 2
    one = plan(schedule, [make_candidate(2, desk.now - HOUR)], desk.now - HOUR, desk.now)
    two = plan(schedule, [make_candidate(3, desk.now - HOUR)], desk.now - HOUR, desk.now)
    editions = desk.storage.editions
    written = [editions.add_edition(edition, desk.now) for edition in (*one.editions, *two.editions)]
    assert [found is not None for found in written] == [True, False]
    assert [row["outcome"] for row in desk.storage.reports.list_occurrences()] == ["edition"]


def test_an_edition_whose_stories_were_all_taken_meanwhile_is_not_written(desk: Desk) -> None:
    """A slower planner at a later hour: nothing is left but overflow, and an edition is never empty."""
    schedule = make_plan("hourly", every="1h", form="digest", max_items=1)
    desk.open(schedule)
    desk.poll([make_story(1), make_story(2)])
    first, second = sorted(row.id for row in desk.storage.posts.list_recent() if row.status == "live")

    def edition(key: str, items: tuple[int, ...], overflow: tuple[int, ...]) -> EditionPlan:
        note = OccurrenceNote(key, desk.now, "edition")
        return EditionPlan(key, "hourly", "tg", "digest", "", desk.now, None, items, overflow, "", note)

    assert desk.storage.editions.add_edition(edition("hourly@08:00", (first,), ()), desk.now) is not None
    assert desk.storage.editions.add_edition(edition("hourly@09:00", (first,), (second,)), desk.now) is None
    assert desk.told() == [("hourly", (first,))]
    again = desk.storage.editions.add_edition(edition("hourly@10:00", (second,), ()), desk.now)
    assert again is not None, "the story that was only overflow is still to be told"


def test_a_planner_that_died_half_way_is_finished_by_the_next(desk: Desk) -> None:
    schedule = make_plan("hourly", every="1h")
    desk.open(schedule)
    desk.poll([make_story(1), make_story(2), make_story(3)])
    desk.now += HOUR
    waiting = load_candidates(schedule, desk.storage.posts, (MONDAY, desk.now - HOUR), desk.now)
    found = plan(schedule, waiting, desk.now - HOUR, desk.now)
    desk.storage.editions.add_edition(found.editions[0], desk.now)
    assert desk.plan(schedule) == 2
    assert sorted(desk.planned()) == ["Story number 1", "Story number 2", "Story number 3"]


def test_each_schedule_tells_a_story_once_and_does_not_mind_the_others(desk: Desk) -> None:
    schedules = [make_plan("now-tg"), make_plan("morning", at="07:45", channel="letter", form="digest")]
    desk.open(*schedules)
    desk.poll([make_story(1), make_story(2)])
    desk.now += HOUR / 2
    desk.plan(*schedules)
    assert sorted(name for name, _ in desk.told()) == ["morning", "now-tg", "now-tg"]
    desk.now += timedelta(days=1)
    assert desk.plan(*schedules) == 0


def test_a_schedule_with_another_name_begins_anew_and_sends_no_history(desk: Desk) -> None:
    desk.open(make_plan("old-name"))
    desk.poll([make_story(1)])
    assert desk.plan(make_plan("old-name")) == 1
    assert desk.plan(make_plan("new-name")) == 0
    desk.poll([make_story(2), make_story(1)])
    assert desk.plan(make_plan("new-name")) == 1


def test_a_filter_finds_a_story_under_any_source_that_carries_it(desk: Desk) -> None:
    schedule = make_plan(only={"sources": ("wire",)})
    desk.open(schedule)
    desk.poll([make_story(0, "wire")], "wire")
    desk.poll([make_story(1), make_story(2)])
    desk.poll([make_story(1, "wire")], "wire")
    assert desk.plan(schedule) == 1
    assert desk.planned() == ["Story number 1"]


def test_a_story_waits_for_its_own_hour(desk: Desk) -> None:
    desk.open(make_plan())
    desk.poll([make_story(1, published_at=desk.now + HOUR)])
    assert desk.plan(make_plan()) == 0
    desk.now += HOUR
    assert desk.plan(make_plan()) == 1
    assert desk.storage.reports.list_editions()[0].state == "planned"


def test_after_a_long_stop_old_stories_are_held_and_new_ones_go(desk: Desk) -> None:
    desk.open(make_plan())
    back = desk.now + timedelta(hours=9)
    stories = [
        make_story(1, published_at=back - timedelta(hours=5)),
        make_story(2, published_at=back - timedelta(minutes=5)),
    ]
    desk.poll(stories, after=timedelta(hours=9))
    desk.plan(make_plan())
    assert {row.title: row.state for row in desk.storage.reports.list_editions()} == {
        "Story number 1": "held",
        "Story number 2": "planned",
    }


def test_a_story_published_before_we_looked_last_is_news_and_not_late(desk: Desk) -> None:
    """Its date says this morning, but it stands in the feed only now: nobody could have sent it earlier."""
    desk.open(make_plan())
    desk.poll([make_story(1, published_at=desk.now - timedelta(hours=6))])
    desk.plan(make_plan())
    assert desk.storage.reports.list_editions()[0].state == "planned"


def test_stories_that_no_schedule_wants_never_hide_the_ones_it_does(desk: Desk) -> None:
    schedule = make_plan("sport", only={"sections": ("Sport",)})
    weekly = replace(schedule, name="weekly", rule=MORNING.rule, form="digest")
    desk.open(schedule, weekly)
    for number in range(1, 41):
        desk.poll([make_story(number)])
    desk.poll([make_story(99, section="Sport")])
    page = desk.storage.posts.list_candidates(
        "sport", started_at=MONDAY, changed_since=MONDAY, after_id=0, now=desk.now, limit=10
    )
    assert len(page) == 10, "the database answers in pages"
    assert desk.plan(schedule) == 1
    desk.now = DUE + timedelta(days=40)
    assert desk.plan(schedule, weekly) == 1
    assert desk.planned() == ["Story number 99", "Story number 99"]


def test_a_corrected_story_may_come_to_fit_a_schedule(desk: Desk) -> None:
    schedule = make_plan("sport", only={"sections": ("Sport",)})
    desk.open(schedule)
    desk.poll([make_story(1, section="World")])
    assert desk.plan(schedule) == 0
    desk.poll([make_story(1, section="Sport")], after=timedelta(days=2))
    assert desk.plan(schedule) == 1


# -- the week ahead ------------------------------------------------------------------------------------------


def test_the_forecast_shows_every_due_time_and_what_waits_for_the_first() -> None:
    schedules = [make_plan("morning", at="07:30", form="digest", channel="letter"), make_plan()]
    waiting = {"morning": [make_candidate(1, MONDAY, published_at=MONDAY), make_candidate(2, MONDAY)]}
    lines = forecast(schedules, waiting, MONDAY, MONDAY + timedelta(days=2))
    assert [(line.schedule, line.due_at, line.stories, line.headline) for line in lines] == [
        ("morning", DUE, 2, "Story number 2"),
        ("morning", DUE + timedelta(days=1), 0, ""),
        ("now-tg", None, -1, ""),
    ]


def test_the_forecast_tells_local_time() -> None:
    kyiv = make_plan("morning", at="07:30", form="digest", timezone="Europe/Kyiv")
    (line,) = forecast([kyiv], {}, MONDAY, MONDAY + timedelta(days=1))
    assert line.due_at == MONDAY + timedelta(hours=5, minutes=30)
    assert line.local == datetime(2026, 11, 23, 7, 30)


def test_the_forecast_counts_only_what_the_filter_likes() -> None:
    only = make_plan("morning", at="07:30", form="digest", only={"sections": ("Sport",)})
    (line,) = forecast([only], {"morning": [make_candidate(1, MONDAY)]}, MONDAY, MONDAY + timedelta(days=1))
    assert (line.stories, line.headline) == (0, "")


def test_a_forecast_of_a_schedule_that_is_due_each_minute_stays_short() -> None:
    from distributor.core.schedule import parse_rule
    from distributor.pipeline.plan import MOST_DUE_TIMES

    start = datetime(2026, 11, 23, 8, tzinfo=UTC)
    rule = parse_rule(every="1m", timezone="UTC")
    often = Plan("often", "letter", "digest", rule, lambda post: True, timedelta(hours=1))
    assert len(forecast([often], {}, start, start + timedelta(days=31))) == MOST_DUE_TIMES
