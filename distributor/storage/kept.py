"""What the send record of one or more nodes says, gathered by edition and reader."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from distributor.core.sending import Evidence
from distributor.storage.database import Database
from distributor.storage.send_record import Line, list_files, read_lines, unpack
from distributor.storage.tables import delivery, edition, meta

#: State on record -> what a restored database is told. Whatever is not here did not go out.
_ENDS = {"sent": "sent", "failed": "failed", "unknown": "unknown", "presumed": "unknown"}
#: How many of the last messages are asked after at a start.
LAST_LINES = 200


@dataclass(slots=True)
class Begun:
    """A message that may go out, by its line. `is_bulk`: the send journal says whether it was started."""

    delivery_id: int
    fence: str
    is_bulk: bool


@dataclass
class KeptEdition:
    """What the record says of one edition. A reader is in one of `open` and `ended`."""

    facts: dict[str, Any] | None = None
    open: dict[int, Begun] = field(default_factory=dict)
    #: Recipient -> state, receipt and time: sent, failed or unknown.
    ended: dict[int, tuple[str, str, float]] = field(default_factory=dict)
    #: Recipient -> delivery.
    ids: dict[int, int] = field(default_factory=dict)


@dataclass
class Kept:
    """Everything that was asked for. `posts`: id -> the story as it was told last."""

    editions: dict[str, KeptEdition] = field(default_factory=dict)
    posts: dict[int, dict[str, Any]] = field(default_factory=dict)
    leavings: list[Line] = field(default_factory=list)
    lines: int = 0


def read_kept(files: Iterable[Path], instance: str, is_wanted: Callable[[str], bool]) -> Kept:
    """The record of one installation, of the editions whose token is wanted. Raises OSError.

    A few hundred bytes for each reader of a wanted edition are held at a time.
    """
    kept = Kept()
    wanted: dict[str, bool] = {}
    for line in read_in_order(files, instance):
        kept.lines += 1
        if line.kind == "p":
            _add_post(kept, line)
            continue
        if line.kind == "u":
            kept.leavings.append(line)
            continue
        if line.token not in wanted:
            wanted[line.token] = is_wanted(line.token)
        if wanted[line.token]:
            _add_line(kept.editions.setdefault(line.token, KeptEdition()), line)
    return kept


def read_in_order(files: Iterable[Path], instance: str) -> Iterator[Line]:
    """Days of several nodes may lie side by side; one edition may have been sent by all of them."""
    for path in sorted(files, key=lambda path: path.name):
        yield from read_lines(path, instance)


def _add_post(kept: Kept, line: Line) -> None:
    try:
        told = unpack(line.data)
        kept.posts[int(told["id"])] = told
    except (ValueError, KeyError):
        return


def _add_line(one: KeptEdition, line: Line) -> None:
    if line.kind == "f":
        try:
            one.facts = unpack(line.data)
        except ValueError:
            return
    elif line.kind == "e":
        for recipient in line.recipients:
            one.open.pop(recipient, None)
            if state := _ENDS.get(line.word):
                one.ended[recipient] = (state, line.receipt, line.at)
            else:
                one.ended.pop(recipient, None)
    else:
        for delivery_id, recipient in zip(line.ids, line.recipients, strict=False):
            one.open[recipient] = Begun(delivery_id, line.word, line.kind == "b")
            one.ended.pop(recipient, None)
            one.ids[recipient] = delivery_id


def judge_open(one: KeptEdition, evidence: Evidence) -> None:
    """Decide what became of messages without an end, by the send journals: sent, unknown, or not gone at all."""
    for recipient, begun in one.open.items():
        proof = evidence.outcomes.get(begun.delivery_id, "")
        if proof.startswith("sent"):
            one.ended[recipient] = ("sent", proof[5:], 0.0)
        elif proof == "started" or not begun.is_bulk or begun.fence not in evidence.complete:
            one.ended[recipient] = ("unknown", "", 0.0)
    one.open.clear()


def is_behind(database: Database, state_dir: Path, instance: str) -> bool:
    """Whether the last messages on this node's record are news to the database: then it is older than they are.

    What a person has adopted in the meantime is not asked again. Raises OSError.
    """
    with database.read() as connection:
        since = float(connection.execute(select(meta.c.value).where(meta.c.key == "adopted_at")).scalar() or 0)
        return any(_is_news(connection, line) for line in _last_sent(list_files(state_dir)[-2:], instance, since))


def _last_sent(files: Sequence[Path], instance: str, since: float) -> Iterable[Line]:
    sent = (
        line
        for line in read_in_order(files, instance)
        if line.kind == "e" and line.word == "sent" and line.at > since
    )
    return deque(sent, LAST_LINES)


def _is_news(connection: Connection, line: Line) -> bool:
    row = connection.execute(
        select(edition.c.id, edition.c.state).where(edition.c.token == line.token)
    ).one_or_none()
    if row is None or row.state == "planned":
        return True
    if row.state != "frozen":
        return False
    # All of a line is old or none of it, so its ends speak for it.
    return any(_waits(connection, row.id, one) for one in {line.recipients[0], line.recipients[-1]})


def _waits(connection: Connection, edition_id: int, recipient: int) -> bool:
    """Whether the ledger believes that this delivery is still to go out, and no person has sent it again."""
    row = connection.execute(
        select(delivery.c.state, delivery.c.may_duplicate).where(
            delivery.c.edition_id == edition_id, delivery.c.recipient_id == recipient
        )
    ).one_or_none()
    return row is not None and row.state in ("queued", "held") and not row.may_duplicate
