"""The demo without a browser: a newsroom's day in twenty seconds, and a report of what went where."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from distributor.core.errors import DistributorError
from distributor.demo.click_round import ClickRound, find_mail
from distributor.demo.letters import find_unsubscribe
from distributor.demo.newsroom.stories import Story
from distributor.demo.proof import Expected, find_faults
from distributor.demo.readings import Readings
from distributor.demo.setting import HARBOUR_READERS, READERS, Rhythm
from distributor.demo.stage import FolderTaken, Stage, Tell, open_stage, start_product
from distributor.demo.summary import write_summary
from distributor.demo.visits import CHROME, call
from distributor.demo.waiting import Stalled

FIRST = ("night-ferry", "tram-depot", "bus-fourteen")
#: The letter waits for three stories and the breaking one, and leaves at the next due time after them.
RHYTHM = Rhythm("3s", len(FIRST) + 1)


def play(folder: Path | None) -> int:
    """See `distributor.demo.play_once`."""
    began = time.monotonic()

    def tell(sentence: str) -> None:
        say(f"{time.monotonic() - began:5.1f} s  {sentence}")

    with end_on_signals(), choose_folder(folder) as place:
        try:
            faults, summary = _play_in(place, tell)
        except KeyboardInterrupt:
            say("Stopped; nothing is left running.")
            return 130
        except FolderTaken as error:
            say(str(error))
            return 1
        except (Stalled, DistributorError, OSError) as error:
            faults, summary = [str(error)], ""
    say(f"\n{summary}" if summary else "")
    say(_conclude(faults, time.monotonic() - began))
    return 1 if faults else 0


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _conclude(faults: list[str], seconds: float) -> str:
    if not faults:
        return f"Everything arrived exactly once and every click was counted, in {seconds:.1f} seconds."
    return "\n".join(["This went wrong:", *(f"  - {fault}" for fault in faults)])


@contextmanager
def choose_folder(folder: Path | None) -> Iterator[Path]:
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="distributor-demo-") as name:
            yield Path(name)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder.resolve()


@contextmanager
def end_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the demo as Ctrl-C does: everything it started is stopped first."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    # A shell that starts us in the background has us ignore Ctrl-C; whoever sends it all the same means it.
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _play_in(folder: Path, tell: Tell) -> tuple[list[str], str]:
    with open_stage(folder, RHYTHM, pages_url="") as stage:
        tell(f"the newsroom ({stage.site.url}), a mailbox, Telegram and X are up")
        readings = Readings(stage.product.config)
        try:
            start_product(stage, tell)
            return _tell_the_day(stage, readings, tell)
        except (Stalled, DistributorError) as error:
            return [str(error), *_find_trouble(readings), f"the product said:\n{stage.product.read_log(25)}"], ""
        finally:
            readings.close()


def _find_trouble(readings: Readings) -> list[str]:
    """What is stuck in the product, for whoever has to find out why something did not come."""
    try:
        snapshot = readings.take_snapshot()
    except DistributorError as error:
        return [f"its database cannot be read: {error}"]
    held = [f"held: “{row.post.headline}” ({row.reason})" for row in snapshot.posts if row.status == "held"]
    stuck = [
        f"{edition.channel}: “{edition.title}” is {edition.state} {edition.counts} {edition.reason}".rstrip()
        for edition in snapshot.editions
        if edition.state != "complete"
    ]
    return held + stuck


def _tell_the_day(stage: Stage, readings: Readings, tell: Tell) -> tuple[list[str], str]:
    first = [stage.newsroom.publish(slug).story for slug in FIRST]
    tell(f"published: {', '.join(story.slug for story in first)}")
    _wait_for_counts(stage, posts=len(first), alerts=len(HARBOUR_READERS))
    tell("they are on Telegram and X, and the harbour story is with those who asked for alerts")
    left = _unsubscribe_one(stage, readings, tell)
    corrected = _correct(stage, readings, tell)
    breaking = _break(stage, tell, alerts=2 * len(HARBOUR_READERS) - 1)
    stage.wait_for("the letter to reach every reader", lambda: stage.smtp.count >= len(READERS))
    tell(f"the letter left at its due time and reached {len(READERS)} readers")
    round_ = ClickRound(stage, readings)
    round_.go()
    wanted = dict(round_.expected)
    stage.wait_for("the clicks to be counted", lambda: _total(round_.read_report()) >= _total(wanted))
    for line in round_.told:
        tell(line)
    stage.wait_for("the ledger to settle", lambda: not readings.list_open())
    code = stage.product.stop()
    tell("the product was asked to stop and has; now to what is where")
    expected = [_expect(story, corrected, left) for story in (*first, breaking)]
    faults = _find_all_faults(stage, readings, round_, expected)
    if code:
        faults.append(f"the product ended with exit code {code}:\n{stage.product.read_log()}")
    return faults, write_summary(expected, stage, _read_links(stage), readings.warnings())


def _wait_for_counts(stage: Stage, posts: int, alerts: int) -> None:
    stage.wait_for(f"{posts} posts on Telegram", lambda: len(stage.telegram.seen) >= posts)
    stage.wait_for(f"{posts} posts on X", lambda: len(stage.x.seen) >= posts)
    stage.wait_for(f"{alerts} harbour alerts", lambda: len(stage.sendgrid.seen) >= alerts)


def _unsubscribe_one(stage: Stage, readings: Readings, tell: Tell) -> str:
    """One click in a mail program: a POST to the address in the mail's header (RFC 8058)."""
    mail = find_mail(stage.sendgrid.seen)
    address = find_unsubscribe(mail)
    if not address:
        raise Stalled(f"the mail to {mail.recipient} offers no one-click unsubscribe")
    asked, before = call(address, CHROME), readings.members("harbour")
    if asked.status != 200 or before != len(HARBOUR_READERS):
        raise Stalled(f"the unsubscribe page answered {asked.status}, {before} are on the list after a look at it")
    answer = call(address, CHROME, "POST", "List-Unsubscribe=One-Click")
    if answer.status >= 300 or readings.members("harbour") != before - 1:
        raise Stalled(f"one-click unsubscribe answered {answer.status} and {mail.recipient} is still on the list")
    tell(f"{mail.recipient} unsubscribed with one click")
    return mail.recipient


def _correct(stage: Stage, readings: Readings, tell: Tell) -> Story:
    article = stage.newsroom.correct()
    assert article is not None
    address = stage.site.url + article.path
    stage.wait_for("the product to notice the correction", lambda: readings.revisions().get(address, 0) > 1)
    tell(f"corrected, and noticed: “{article.story.headline}”")
    return article.story


def _break(stage: Stage, tell: Tell, alerts: int) -> Story:
    article = stage.newsroom.publish_breaking()
    assert article is not None
    tell(f"breaking: “{article.story.headline}”")
    _wait_for_counts(stage, posts=len(FIRST) + 1, alerts=alerts)
    tell("it is out; who unsubscribed did not get it")
    return article.story


def _expect(story: Story, corrected: Story, left: str) -> Expected:
    later = corrected.headline if story.slug == corrected.slug else story.headline
    alerted = frozenset(HARBOUR_READERS) if story.section == "Harbour" else frozenset()
    return Expected(story, later, alerted - {left} if story.is_breaking else alerted)


def _total(report: dict[Any, Any]) -> int:
    return sum(tally.people + tally.others for tally in report.values())


def _read_links(stage: Stage) -> list[dict[str, Any]]:
    """What the product's own command says about its links."""
    rows: list[dict[str, Any]] = json.loads(stage.product.ask("links", "--limit", "10000", "--json"))
    return rows


def _find_all_faults(stage: Stage, readings: Readings, round_: ClickRound, expected: list[Expected]) -> list[str]:
    faults = find_faults(expected, stage.telegram.seen, stage.x.seen, stage.smtp.seen, stage.sendgrid.seen)
    counted = round_.read_report()
    for place in sorted({*round_.expected, *counted}):
        wanted, got = round_.expected.get(place), counted.get(place)
        if wanted != got:
            faults.append(f"clicks on {' '.join(place)}: {got} in the report instead of {wanted}")
    arrived = sum(len(seen) for seen in (stage.telegram.seen, stage.x.seen, stage.smtp.seen, stage.sendgrid.seen))
    if readings.deliveries() != {"sent": arrived}:
        faults.append(f"the ledger says {readings.deliveries()} of {arrived} messages that arrived")
    return faults
