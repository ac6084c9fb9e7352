"""Editions: planned once, frozen once, complete when the sums agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from distributor.core.message import Content
from distributor.core.minting import MintedLink
from distributor.core.planning import EditionPlan, OccurrenceNote
from distributor.storage import Storage
from tests.storage.scene import add_post, add_readers, states

WORDS = Content({"text": "Story number 1"}, ("near a limit",))


def make_edition(post_id: int, now: datetime, **changes: object) -> EditionPlan:
    plan = EditionPlan(
        key=f"now-tg:post:{post_id}",
        schedule="now-tg",
        channel="tg",
        form="each",
        title="Story number 1",
        due_at=now,
        late_after=now + timedelta(hours=1),
        post_ids=(post_id,),
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


@pytest.fixture
def post_id(storage: Storage, now: datetime) -> int:
    return add_post(storage, now)


@pytest.fixture
def edition_id(storage: Storage, now: datetime, post_id: int) -> int:
    found = storage.editions.add_edition(make_edition(post_id, now), now)
    assert found is not None
    return found


def freeze(storage: Storage, edition_id: int, now: datetime, *links: MintedLink, list_name: str = "") -> int:
    return storage.editions.freeze(edition_id, WORDS, list_name=list_name, revisions={}, links=links, now=now)


def make_link(edition_id: int, slug: str, post_id: int | None = None) -> MintedLink:
    return MintedLink(slug, f"{edition_id}:{slug}", "https://news.example/1", edition_id, post_id, "article")


def test_a_planned_edition_comes_back_as_it_was_planned(storage: Storage, now: datetime) -> None:
    ids = [add_post(storage, now, number) for number in (1, 2, 3, 4)]
    plan = make_edition(ids[0], now, post_ids=(ids[2], ids[0]), overflow_ids=(ids[1], ids[3]), form="digest")
    number = storage.editions.add_edition(plan, now)
    (row,) = storage.editions.list_planned()
    assert (row.id, row.key, row.form, row.state) == (number, plan.key, "digest", "planned")
    assert (row.post_ids, row.overflow_ids) == (plan.post_ids, plan.overflow_ids)
    assert (row.due_at, row.late_after) == (plan.due_at, plan.late_after)
    assert number is not None
    assert storage.editions.load_planned(number) == row
    assert storage.editions.load_planned(999) is None


def test_each_edition_has_a_token_that_nobody_can_guess(storage: Storage, now: datetime) -> None:
    tokens = set()
    for number in (1, 2, 3):
        storage.editions.add_edition(make_edition(add_post(storage, now, number), now), now)
    for row in storage.editions.list_planned():
        assert len(row.token) == 16
        tokens.add(row.token)
    assert len(tokens) == 3


def test_an_edition_is_planned_once(storage: Storage, now: datetime, edition_id: int, post_id: int) -> None:
    assert storage.editions.add_edition(make_edition(post_id, now), now) is None
    assert storage.editions.add_edition(make_edition(post_id, now, key="another key"), now) is None
    assert len(storage.reports.list_editions()) == 1


def test_one_due_time_makes_one_edition_also_of_other_stories(
    storage: Storage, now: datetime, edition_id: int, post_id: int
) -> None:
    """Two planners that saw different stories at the same due time: the second edition would be a second mail."""
    other = add_post(storage, now, 2)
    same_hour = make_edition(other, now, key=f"now-tg:post:{post_id}")
    assert storage.editions.add_edition(same_hour, now) is None
    assert len(storage.reports.list_editions()) == 1


def test_schedules_begin_when_they_are_first_seen_and_never_again(storage: Storage, now: datetime) -> None:
    later = now + timedelta(hours=1)
    assert storage.editions.load_schedules() == {}
    assert storage.editions.start_schedules(["a"], now) == {"a": (now, now)}
    assert storage.editions.start_schedules(["a", "b"], later) == {"a": (now, now), "b": (later, later)}


def test_planning_never_goes_back(storage: Storage, now: datetime) -> None:
    storage.editions.start_schedules(["a"], now)
    later = now + timedelta(hours=1)
    note = OccurrenceNote("a@07:30", now, "empty", "0 of at least 1 stories")
    storage.editions.note_planned("a", later, [note], later)
    storage.editions.note_planned("a", now, [replace(note, outcome="late")], later)
    assert storage.editions.load_schedules()["a"] == (now, later)
    (row,) = storage.reports.list_occurrences()
    assert (row["key"], row["outcome"], row["note"]) == ("a@07:30", "empty", "0 of at least 1 stories")


def test_words_links_and_audience_are_fixed_together(
    storage: Storage, now: datetime, edition_id: int, post_id: int
) -> None:
    add_readers(storage, now, 3)
    assert freeze(storage, edition_id, now, make_link(edition_id, "abc", post_id), list_name="readers") == 3
    (row,) = storage.reports.list_editions()
    assert (row.state, row.audience, row.counts, row.warnings) == ("frozen", 3, {"queued": 3}, '["near a limit"]')
    assert storage.links.find_target("abc") == "https://news.example/1"
    assert storage.editions.list_planned() == []
    assert storage.editions.find_list(edition_id) == "readers"


def test_a_freeze_that_fails_leaves_nothing_behind(storage: Storage, now: datetime, edition_id: int) -> None:
    add_readers(storage, now, 3)
    good, bad = make_link(edition_id, "abc"), make_link(edition_id, "def", post_id=999)
    with pytest.raises(IntegrityError):
        freeze(storage, edition_id, now, good, bad, list_name="readers")
    assert (states(storage), storage.links.find_target("abc")) == ({}, None)
    assert [row.id for row in storage.editions.list_planned()] == [edition_id]


def test_the_second_to_freeze_changes_nothing(storage: Storage, now: datetime, edition_id: int) -> None:
    assert freeze(storage, edition_id, now) == 1
    assert freeze(storage, edition_id, now, make_link(edition_id, "late")) == -1
    assert storage.links.find_target("late") is None
    assert states(storage) == {"queued": 1}


def test_an_edition_without_readers_is_complete_at_once(storage: Storage, now: datetime, edition_id: int) -> None:
    assert freeze(storage, edition_id, now, list_name="nobody") == 0
    assert storage.reports.list_editions()[0].state == "complete"


def test_the_audience_is_who_may_be_written_to_now(storage: Storage, now: datetime, edition_id: int) -> None:
    add_readers(storage, now, 6)
    add_readers(storage, now, 9, list_name="others")
    storage.recipients.suppress(["reader0@example.org"], "readers", "complained", now)
    storage.recipients.suppress(["reader1@example.org"], "", "bounced", now)
    storage.recipients.suppress(["reader2@example.org"], "others", "complained", now)
    storage.recipients.suppress(["reader1@example.org"], "readers", "twice", now)
    assert freeze(storage, edition_id, now, list_name="readers") == 4
    addresses = sorted(row.recipient for row in storage.reports.list_deliveries())
    assert addresses == [f"reader{n}@example.org" for n in (2, 3, 4, 5)]


def test_a_parked_edition_can_be_worded_again(storage: Storage, now: datetime, edition_id: int) -> None:
    storage.editions.park(edition_id, "parked", "each.html:7: unknown word")
    assert freeze(storage, edition_id, now) == -1
    assert storage.editions.list_planned() == []
    assert storage.editions.unpark(edition_id, None)
    assert not storage.editions.unpark(edition_id, None)
    (row,) = storage.editions.list_planned()
    assert row.late_after is None
    assert freeze(storage, edition_id, now) == 1


def test_a_frozen_edition_is_parked_by_nobody(storage: Storage, now: datetime, edition_id: int) -> None:
    freeze(storage, edition_id, now)
    storage.editions.park(edition_id, "parked", "too late")
    assert not storage.editions.unpark(edition_id, None)
    assert not storage.editions.drop(edition_id, "too late", now)
    assert storage.reports.list_editions()[0].state == "frozen"


def test_a_dropped_edition_keeps_its_stories_from_coming_again(
    storage: Storage, now: datetime, edition_id: int, post_id: int
) -> None:
    assert storage.editions.drop(edition_id, "anna: wrong picture", now)
    assert not storage.editions.drop(edition_id, "again", now)
    (row,) = storage.reports.list_editions()
    assert (row.state, row.reason) == ("dropped", "anna: wrong picture")
    assert storage.editions.add_edition(make_edition(post_id, now, key="again"), now) is None


def test_an_edition_held_by_a_rule_waits_for_a_person(storage: Storage, now: datetime, post_id: int) -> None:
    plan = make_edition(post_id, now, hold_reason="late: it could have gone out at 02:00")
    number = storage.editions.add_edition(plan, now)
    assert number is not None
    assert storage.editions.list_planned() == []
    assert storage.editions.unpark(number, None)
    assert len(storage.editions.list_planned()) == 1


def test_the_page_behind_view_in_browser_is_found_by_its_token(
    storage: Storage, now: datetime, edition_id: int
) -> None:
    (row,) = storage.editions.list_planned()
    assert storage.editions.find_by_token(row.token) is None, "not before it has words"
    freeze(storage, edition_id, now)
    found = storage.editions.find_by_token(row.token)
    assert found is not None
    assert (found[0], found[1].payload) == ("tg", {"text": "Story number 1"})
    assert storage.editions.find_by_token("0" * 16) is None
