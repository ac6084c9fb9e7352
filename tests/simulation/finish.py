"""Calm: no more faults. Editors decide what waits for them, and in bounded time all of it has ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from distributor.core.delivery import TERMINAL
from tests.simulation.actors import Actors
from tests.simulation.house import list_names

#: The longest wait between two tries is 72 minutes, a source is asked again after 66, a clock was an hour ahead.
LONGEST = timedelta(hours=5)
ROUNDS = 600
#: Editions that still go out in the calm; more of them prove nothing more.
MOST_KEPT = 4


def finish(actors: Actors) -> None:
    """Raises Violation when something does not come to its end, or a story is lost."""
    world = actors.world
    deadline = world.now + LONGEST
    for _ in range(ROUNDS):
        _decide_everything(actors)
        for name in ("poll", "tick", "housekeep", "reconcile", "count_clicks"):
            getattr(actors, name)()
        wait = min((_drain(actors, name) for name in list_names(actors.house.plot)), default=60.0)
        actors.oracle.check()
        if not _find_open(actors):
            break
        world.require(world.now < deadline, f"not at rest after {LONGEST}: {_find_open(actors)}")
        world.turn_clock(timedelta(seconds=min(max(wait, 1.0), 60.0)))
    world.require(not _find_open(actors), f"not at rest: {_find_open(actors)}")
    _check_told(actors)


def _drain(actors: Actors, name: str) -> float:
    while (wait := actors.run_one_lane(name)) == 0:
        pass
    return 60.0 if wait is None else wait


def _decide_everything(actors: Actors) -> None:
    storage, world, look = actors.storage, actors.world, actors.house.database.look
    for name in storage.decisions.list_paused():
        storage.decisions.resume(name, "anna", world.read_clock())
    actors.decide_post(everything=True)
    for (one,) in look("SELECT DISTINCT edition_id FROM delivery WHERE state = 'held' ORDER BY edition_id"):
        if world.random.random() < 0.6:
            storage.decisions.give_up(one, "old news", "anna", world.read_clock())
        else:
            storage.decisions.release(one, None, "anna", world.read_clock())
    for (one,) in look("SELECT id FROM edition WHERE state IN ('held', 'parked') ORDER BY id"):
        if world.random.random() < 0.6:
            storage.editions.drop(one, "old news", world.read_clock())
        else:
            storage.editions.unpark(one, None)
    waiting = look("SELECT DISTINCT edition_id FROM delivery WHERE state = 'queued' ORDER BY edition_id DESC")
    for (one,) in waiting[MOST_KEPT:]:
        storage.decisions.give_up(one, "old news", "anna", world.read_clock())
    while look("SELECT id FROM delivery WHERE state = 'unknown' LIMIT 1"):
        actors.decide_unknown()
    while actors.public.late:
        actors.public.see(actors.public.late.pop())


def _find_open(actors: Actors) -> list[Any]:
    """What has not ended: deliveries, editions without words, stories that were not read."""
    look = actors.house.database.look
    states = ", ".join(f"'{state}'" for state in sorted(TERMINAL))
    found: list[Any] = look(f"SELECT id, state FROM delivery WHERE state NOT IN ({states})")
    found += look("SELECT id, state, reason FROM edition WHERE state IN ('planned', 'parked', 'held', 'frozen')")
    newsroom = actors.newsroom
    found += [f"story {number}" for number in newsroom.feed[:30] if not newsroom.stories[number].was_read]
    return found


def _check_told(actors: Actors) -> None:
    """One story is one post, and every live post is told on every schedule that takes it at once."""
    look, world = actors.house.database.look, actors.world
    posts: dict[int, list[Any]] = {}
    for one, headline, status in look("SELECT id, headline, status FROM post WHERE status <> 'dropped'"):
        posts.setdefault(int(headline.split("Story ")[1].split()[0]), []).append((one, status))
    for number, story in actors.newsroom.stories.items():
        found = posts.get(number, [])
        world.require(len(found) <= 1, f"story {number} became {len(found)} posts")
        if story.was_read and story.is_history:
            world.require(
                all(status == "baseline" for _, status in found), f"story {number} is history and {found}"
            )
    told = {(row[0], row[1]) for row in look("SELECT schedule, post_id FROM edition_post")}
    for schedule in actors.house.plot.schedules:
        for found in posts.values() if schedule.rule.is_immediate else ():
            one, status = found[0]
            is_told = status != "live" or (schedule.name, one) in told or _is_ahead(actors, one)
            world.require(is_told, f"post {one} is live and {schedule.name} never told it")


def _is_ahead(actors: Actors, post_id: int) -> bool:
    row = actors.house.database.look(f"SELECT not_before FROM post WHERE id = {int(post_id)}")[0]
    return row[0] is not None and row[0] > actors.world.now.timestamp()
