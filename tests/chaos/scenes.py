"""What has to happen so that the program comes by a boundary: the stories of a day, and what goes wrong in it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from distributor.sources.sandbox import Reply
from distributor.sources.sandbox_pages import Story
from distributor.storage.send_record import FOLDER
from tests.chaos.callers import Callers
from tests.chaos.child import Bomb
from tests.chaos.stage import ROUND, Stage


def do_nothing(stage: Stage, callers: Callers) -> None:
    return


def publish(stage: Stage) -> list[str]:
    return stage.publish(1)


@dataclass(frozen=True)
class Scene:
    """One story after another, each with what this scene adds.

    `setup` is done while the program is down and before it is killed at a boundary; when there is a `fall` it was
    killed there just before. `meanwhile` is done about twice a second while it runs. `after` is done while it is
    down again and puts right what a person would; `changes` are entries of the configuration.
    """

    name: str
    what: str
    publish: Callable[[Stage], list[str]] = publish
    setup: Callable[[Stage, Callers], None] = do_nothing
    meanwhile: Callable[[Stage, Callers], None] = do_nothing
    after: Callable[[Stage, Callers], None] = do_nothing
    fall: Bomb | None = None
    #: The boundary that fails once, as a commit whose acknowledgement is lost.
    trip: str = ""
    #: Done once a day, before the first story.
    begin: Callable[[Stage], None] = field(default=lambda stage: None)
    #: Seconds without anything to do before it is believed that nothing comes any more.
    quiet: float = 1.5
    changes: Callable[[Stage], dict[str, Any]] = field(default=lambda stage: {})
    kinds: tuple[str, ...] = ("SQLite", "PostgreSQL")
    #: Whether the channel X is closed while the program is killed, so that what goes to it waits.
    closes_x: bool = False


# -- what is on the wires and on the lists ---------------------------------------------------------------------


def make_busy(stage: Stage, callers: Callers) -> None:
    """Every service asks for patience once; the mail servers refuse a reader for the moment."""
    for name in ("tg", "letter1"):
        stage.boxes[name].script("busy")
    stage.boxes["letter2"].script("busy")


def call_from_outside(stage: Stage, callers: Callers) -> None:
    callers.leave(stage)
    callers.report(stage)


def lose_feed(stage: Stage, callers: Callers) -> None:
    stage.feed.outages = 1


def publish_on_site(stage: Stage) -> list[str]:
    titles = stage.publish(1)
    number, title, at = stage.feed.stories.pop()
    body = f"<p>All about story {number}.</p>"
    stage.site.publish(Story(f"s{number}", title, "In short.", body, section="World", published_at=at))
    return titles


def get_to_know_site(stage: Stage) -> None:
    """What is on a site when it is asked for the first time is history."""
    if not stage.site.stories():
        stage.site.publish(Story("s0", "An old story", "In short.", "<p>Long ago.</p>", section="World"))
    stage.require("poll")


def lose_site(stage: Stage, callers: Callers) -> None:
    """It fails once; then its programming interface is looked for again."""
    stage.site.answer_next("/wp-json/wp/v2/posts", Reply(500, b"Briefly unavailable"))


def use_site(stage: Stage) -> dict[str, Any]:
    site = {"name": "site", "kind": "wordpress", "url": stage.site.url, "every": "1s"}
    return {"sources": [*stage.settings["sources"], site]}


#: Digests that a day of vanishing pages has stories for.
ROUNDS = 10


def publish_pairs(stage: Stage) -> None:
    """Two stories for each digest of the day, all of them seen; then the page of the second one is gone."""
    get_to_know_site(stage)
    pairs = [[f"r{next(stage.numbers)}" for _ in range(2)] for _ in range(ROUNDS)]
    for number, pair in enumerate(pairs):
        for slug in pair:
            stage.site.publish(Story(slug, f"Local story {slug}", section=f"Local {number}"))
    stage.require("poll")
    for _, gone in pairs:
        stage.site.withdraw(gone)
    # So many at once are rightly held for a person.
    stage.tell("UPDATE post SET status = 'live', reason = '' WHERE source = 'local' AND status = 'held'")


def publish_digest(stage: Stage) -> list[str]:
    """A story, and one more digest of two stories, due for ten minutes."""
    now = time.time()
    stage.tell(f"UPDATE post SET ripe_at = {now - 1800:.0f} WHERE source = 'local' AND status = 'live'")
    ((count,),) = stage.ask("SELECT count(*) FROM schedule WHERE name LIKE 'round-%'")
    stage.tell(
        "INSERT INTO schedule (name, started_at, planned_until) "
        f"VALUES ('round-{count}', {now - 3600:.0f}, {now - 900:.0f})"
    )
    due = f"{datetime.now(UTC) - timedelta(minutes=10):%H:%M}"
    rounds = [
        {"name": f"round-{number}", "channel": "tg", "form": "digest", "at": due, "title": f"{ROUND}{number}"}
        | {"filter": {"sections": [f"Local {number}"]}, "max_lateness": "20h"}
        for number in range(count + 1)
    ]
    stage.configure({**use_local_site(stage), "schedules": [*stage.settings["schedules"], *rounds]})
    return [*stage.publish(1), f"{ROUND}{count}"]


def use_local_site(stage: Stage) -> dict[str, Any]:
    site = {"name": "local", "kind": "feed", "url": f"{stage.site.url}/feed/", "every": "1s", "check_page": "0s"}
    return {"sources": [*stage.settings["sources"], site]}


# -- what nobody answers for -----------------------------------------------------------------------------------

OF_X = "edition_id IN (SELECT id FROM edition WHERE channel = 'x')"


def forget_holder(stage: Stage, callers: Callers) -> None:
    """A machine that is gone has claimed what waits, and its time is over."""
    stage.tell(
        "UPDATE delivery SET state = 'claimed', fence = 'gone', attempts = attempts, "
        f"lease_until = {time.time() - 60:.0f} WHERE state = 'queued' AND {OF_X}"
    )


def make_late(stage: Stage, callers: Callers) -> None:
    stage.tell(
        f"UPDATE edition SET late_after = {time.time() - 60:.0f} WHERE channel = 'x' AND state = 'frozen' "
        "AND late_after IS NOT NULL"
    )


def release_late(stage: Stage, callers: Callers) -> None:
    held = stage.ask(f"SELECT DISTINCT edition_id FROM delivery WHERE state = 'held' AND {OF_X}")
    for row in held:
        stage.require("editions", "release", str(row[0]))


def open_silently(stage: Stage, callers: Callers) -> None:
    """The wake-up for what waits on X was lost."""
    stage.tell("UPDATE channel SET is_paused = (1 = 0) WHERE name = 'x'")


def let_time_pass(seconds: float) -> Callable[[Stage, Callers], None]:
    """What was on the wire at the kill has been unknown for so long."""

    def age(stage: Stage, callers: Callers) -> None:
        stage.tell(
            "UPDATE delivery SET state = 'unknown', fence = NULL, lease_until = NULL, not_before = NULL, "
            f"changed_at = {time.time() - seconds:.0f} WHERE state = 'sending' AND {OF_X}"
        )

    return age


def reopen_accounts(stage: Stage, callers: Callers) -> None:
    """As two machines leave it that settle the last two deliveries in one moment."""
    stage.tell(
        "UPDATE edition SET state = 'frozen', completed_at = NULL, audience = NULL, sent = NULL, failed = NULL, "
        "skipped = NULL, presumed = NULL WHERE id = (SELECT max(id) FROM edition WHERE state = 'complete')"
    )


# -- what is broken here ---------------------------------------------------------------------------------------


def break_template(stage: Stage, callers: Callers) -> None:
    page = stage.folder / "templates" / "telegram" / "each.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("{{ broken")


def mend_template(stage: Stage, callers: Callers) -> None:
    (stage.folder / "templates" / "telegram" / "each.html").unlink(missing_ok=True)
    for row in stage.ask("SELECT id FROM edition WHERE state = 'parked'"):
        stage.require("editions", "release", str(row[0]))


def age_copies(stage: Stage, callers: Callers) -> None:
    """The last copy is of last year."""
    backups = stage.folder / "var" / "backups"
    backups.mkdir(exist_ok=True)
    (backups / "distributor-regular-20250101T000000Z.db").write_bytes(b"")
    for path in backups.glob("distributor-regular-2026*"):
        path.unlink()


def age_record(stage: Stage, callers: Callers) -> None:
    """A day of the record of what was sent is of last year."""
    record = stage.folder / "var" / FOLDER
    record.mkdir(exist_ok=True)
    (record / "2025-01-01.log").write_text("")


def block_copies(stage: Stage, callers: Callers) -> None:
    """There is a file where the folder for copies belongs."""
    backups = stage.folder / "var" / "backups"
    for path in backups.glob("*") if backups.is_dir() else ():
        path.unlink()
    if backups.is_dir():
        backups.rmdir()
    backups.write_text("in the way")


def unblock_copies(stage: Stage, callers: Callers) -> None:
    (stage.folder / "var" / "backups").unlink(missing_ok=True)


def share_redirects(stage: Stage) -> dict[str, Any]:
    return {"web": {**stage.settings["web"], "processes": 2}}


def keep_one_copy(stage: Stage) -> dict[str, Any]:
    return {"database": {**stage.settings["database"], "backups_kept": 1}}


HOUSEKEEPING = 8.0
SCENES = (
    Scene("a day", "stories, a weekly letter, readers who click"),
    Scene("busy services", "services ask for patience, a mail server refuses", setup=make_busy, quiet=4.0),
    Scene("calls from outside", "readers leave the list, SendGrid reports", meanwhile=call_from_outside),
    Scene("a WordPress site", "a story comes from WordPress", publish=publish_on_site, setup=lose_site,
          changes=use_site, begin=get_to_know_site),
    Scene("a feed that is down", "the feed cannot be read once", setup=lose_feed, quiet=4.0),
    Scene("a lost answer", "the answer of X is lost, its timeline is asked", fall=Bomb("x.answered"),
          setup=let_time_pass(30), quiet=3.0),
    Scene("nobody decides", "what is unknown is not decided about in time", fall=Bomb("x.body"),
          setup=let_time_pass(40 * 86_400), quiet=HOUSEKEEPING),
    Scene("a holder is gone", "a lease ends on a machine that never came back", meanwhile=forget_holder,
          closes_x=True, quiet=HOUSEKEEPING),
    Scene("too late", "deliveries past their hour are held", meanwhile=make_late, after=release_late,
          closes_x=True, quiet=HOUSEKEEPING),
    Scene("a lost wake-up", "what is ready is found without one", meanwhile=open_silently, closes_x=True,
          quiet=HOUSEKEEPING, kinds=("PostgreSQL",)),
    Scene("accounts left open", "two machines settle in one moment", setup=reopen_accounts, quiet=HOUSEKEEPING),
    Scene("a broken template", "an edition cannot be worded", setup=break_template, after=mend_template),
    Scene("a lost commit", "the database took a claim, its answer was lost", trip="ledger.claim committed",
          quiet=3.0),
    Scene("old copies", "an old copy of the database makes room", setup=age_copies, changes=keep_one_copy,
          quiet=HOUSEKEEPING, kinds=("SQLite",)),
    Scene("an old record", "a day of what was sent makes room", setup=age_record, quiet=HOUSEKEEPING),
    Scene("no room for copies", "a copy cannot be made", setup=block_copies, after=unblock_copies,
          quiet=HOUSEKEEPING, kinds=("SQLite",)),
    Scene("pages that are gone", "a digest goes without a story whose page has vanished",
          publish=publish_digest, changes=use_local_site, begin=publish_pairs),
    Scene("two for the redirects", "a second process answers readers who click", changes=share_redirects),
)  # fmt: skip
