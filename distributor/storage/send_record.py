"""The send record: what went out, kept for weeks outside the database, so that a restored backup learns of it.

One file a day in state_dir/sent, appended to by every lane, a line for each batch and not for each message:

    p INSTANCE POST .                                what a story was, before the first edition with it
    f INSTANCE TOKEN EDITION .                       what an edition is: its key, stories, links; no words of it
    b INSTANCE TIME TOKEN FENCE IDS RECIPIENTS .     a batch that may go out from now on
    s INSTANCE TIME TOKEN FENCE IDS RECIPIENTS .     the same for one voice: it goes out now
    e INSTANCE TIME TOKEN STATE RECIPIENTS RECEIPT . how it ended; `queued` and `held`: it did not go out
    u INSTANCE TIME SEALED .                         who left a list or was barred from it (leavings.py)

Recipients are numbers, never addresses. `b` and `s` are on the disk before the first byte leaves, `u` before the
reader is told; an `e` that a power cut takes away makes its messages unknown, not unsent. Each line ends with a
point: a torn one proves nothing.
"""

from __future__ import annotations

import base64
import json
import os
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from distributor.core.points import reach

#: Days a line is kept: as long as backups should be (facts/reliability.md section 5).
KEPT_DAYS = 35
FOLDER = "sent"
_END = " .\n"


class SendRecord:
    """Appends lines. One for each lane; several may write to one day's file."""

    def __init__(self, state_dir: Path, instance: str, fence: str) -> None:
        self._folder = state_dir / FOLDER
        self._instance = instance
        self._fence = fence
        self._file: int | None = None
        self._day = ""
        self._is_torn = False

    def note_posts(self, posts: Iterable[Mapping[str, Any]], now: datetime) -> None:
        """Raises OSError, as all of these."""
        self._write("".join(f"p {self._instance} {pack(post)}{_END}" for post in posts), now)

    def note_edition(self, token: str, facts: Mapping[str, Any], now: datetime) -> None:
        self._write(f"f {self._instance} {token} {pack(facts)}{_END}", now)

    def note_begun(
        self, token: str, ids: Sequence[int], recipients: Sequence[int], is_bulk: bool, now: datetime
    ) -> None:
        """Call before the first byte; it waits for the disk. When it raises nothing may be sent."""
        words = ("b" if is_bulk else "s", self._instance, f"{now.timestamp():.3f}", token, self._fence)
        self._write(" ".join((*words, join_runs(ids), join_runs(recipients))) + _END, now)
        self._sync()

    def note_left(self, sealed: str, now: datetime) -> None:
        """Waits for the disk."""
        self._write(f"u {self._instance} {now.timestamp():.3f} {sealed}{_END}", now)
        self._sync()

    def note_ended(
        self, token: str, ended: Mapping[str, Sequence[int]], receipts: Mapping[int, str], now: datetime
    ) -> None:
        """`ended`: state -> recipients; `receipts` for one voice, whose messages may be changed later."""
        lines = []
        for state, recipients in ended.items():
            words = ("e", self._instance, f"{now.timestamp():.3f}", token, state, join_runs(recipients))
            receipt = "".join(receipts.get(recipients[0], "").split())[:200] if len(recipients) == 1 else ""
            lines.append(" ".join((*words, receipt or "-")) + _END)
        self._write("".join(lines), now)

    def close(self) -> None:
        """Also done when nobody holds it any more."""
        if self._file is not None:
            self._close()
            self._file = None

    def _write(self, lines: str, now: datetime) -> None:
        if not lines:
            return
        self._turn_page(now)
        assert self._file is not None
        data = lines.encode("utf-8", "replace")
        reach("send_record.write")
        written = os.write(self._file, b"\n" + data if self._is_torn else data)
        reach("send_record.written")
        is_whole = written == len(data) + self._is_torn
        self._is_torn = not is_whole
        if not is_whole:
            raise OSError("the send record could not be written; is the disk full?")

    def _sync(self) -> None:
        assert self._file is not None
        reach("send_record.sync")
        os.fdatasync(self._file)
        reach("send_record.synced")

    def _turn_page(self, now: datetime) -> None:
        day = f"{now:%Y-%m-%d}"
        if self._file is not None and day == self._day:
            return
        self.close()
        reach("send_record.turn_page")
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._folder / f"{day}.log", flags, 0o600)
        self._close = weakref.finalize(self, os.close, self._file)
        # Whatever a dead process left unfinished there ends here.
        self._day, self._is_torn = day, True


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the record. `ids` stand beside `recipients` in `b` and `s`; `data` is of `p`, `f` and `u`."""

    kind: str
    token: str = ""
    at: float = 0.0
    #: The fence of the process in `b` and `s`, the state in `e`.
    word: str = ""
    ids: tuple[int, ...] = ()
    recipients: tuple[int, ...] = ()
    receipt: str = ""
    data: str = ""


def list_files(state_dir: Path) -> list[Path]:
    """The days of the record, oldest first."""
    return sorted((state_dir / FOLDER).glob("????-??-??.log"))


def read_lines(path: Path, instance: str) -> Iterator[Line]:
    """The whole lines of one day that this installation wrote, in order. Raises OSError."""
    with path.open("rb") as file:
        for raw in file:
            if raw.endswith(_END.encode()):
                line = _parse(raw[: -len(_END)].decode("utf-8", "replace"), instance)
                if line is not None:
                    yield line


def count_odd_lines(path: Path, instance: str) -> int:
    """Lines of this installation that say nothing: cut off by a full disk or a power cut. Raises OSError."""
    with path.open("rb") as file:
        ours = [raw for raw in file if raw[2 : 2 + len(instance) + 1] == f"{instance} ".encode()]
    ended = [raw for raw in ours if raw.endswith(_END.encode())]
    said = sum(_parse(raw[: -len(_END)].decode("utf-8", "replace"), instance) is not None for raw in ended)
    return len(ours) - said


def _parse(text: str, instance: str) -> Line | None:
    kind, *words = text.split(" ")
    if not words or words[0] != instance:
        return None
    try:
        match kind, words[1:]:
            case "p", [data]:
                return Line("p", data=data)
            case "f", [token, data]:
                return Line("f", token, data=data)
            case "u", [at, data]:
                return Line("u", at=float(at), data=data)
            case "b" | "s", [at, token, fence, ids, recipients]:
                return Line(kind, token, float(at), fence, split_runs(ids), split_runs(recipients))
            case "e", [at, token, state, recipients, receipt]:
                receipt = "" if receipt == "-" else receipt
                return Line("e", token, float(at), state, recipients=split_runs(recipients), receipt=receipt)
    except ValueError:
        return None
    return None


def forget_old_days(state_dir: Path, now: datetime) -> int:
    """Delete days that are over `KEPT_DAYS` old; returns how many."""
    oldest = f"{now - timedelta(days=KEPT_DAYS):%Y-%m-%d}"
    old = [path for path in list_files(state_dir) if path.stem < oldest]
    for path in old:
        reach("send_record.forget")
        path.unlink(missing_ok=True)
    return len(old)


def join_runs(numbers: Sequence[int]) -> str:
    """ "1-1000,1005": in their order, so that two lists may stand beside each other."""
    if len(numbers) > 1 and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))):
        return f"{numbers[0]}-{numbers[-1]}"  # nearly every batch, and forty times as fast
    runs: list[str] = []
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if last is not None:
            runs.append(str(first) if first == last else f"{first}-{last}")
        first = last = number
    if last is not None:
        runs.append(str(first) if first == last else f"{first}-{last}")
    return ",".join(runs)


def split_runs(text: str) -> tuple[int, ...]:
    """What `join_runs` joined. Raises ValueError."""
    numbers: list[int] = []
    for run in text.split(","):
        first, _, last = run.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return tuple(numbers)


def pack(data: Mapping[str, Any]) -> str:
    """Any JSON in one word."""
    return base64.b64encode(zlib.compress(json.dumps(data, ensure_ascii=False).encode(), 6)).decode("ascii")


def unpack(word: str) -> dict[str, Any]:
    """Raises ValueError when it is not what `pack` made."""
    try:
        data: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(word, validate=True)))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return data
