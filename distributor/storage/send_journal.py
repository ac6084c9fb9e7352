"""The send journal: which bulk messages were started and accepted, kept beside the database.

Bulk channels claim a batch in the database and then write one short line here before a message may reach the
service and one after its answer. A line is one `write()` to an append-only file: it survives kill -9 without an
fsync per message (facts/performance.md 2.5). A power cut may take the unsynced tail with it, so a journal of an
earlier boot of the machine proves only what it holds: what it does not mention is then unknown, not queued.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable
from hashlib import blake2b
from pathlib import Path

from distributor.core.errors import StorageError
from distributor.core.points import reach
from distributor.core.sending import Evidence

log = logging.getLogger(__name__)

_FULL = "the send journal could not be written; is the disk full?"
_VOID = b"\0"
_ONE_LINE = {0: " ", 10: " "}


class SendJournal:
    """One file per process and lane. Thread-safe: each call is one write()."""

    def __init__(self, folder: Path, fence: str, lane: str) -> None:
        """Raises StorageError when it cannot be begun: then nothing may be sent."""
        try:
            self._begin(folder, fence, lane)
        except OSError as error:
            raise StorageError(f"nothing is sent, {folder} cannot be written: {error}") from None

    def _begin(self, folder: Path, fence: str, lane: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"sends-{fence}-{_plain(lane)}.log"
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._header = f"j {fence} {read_boot_id()}\n".encode("ascii", "replace")
        self._is_torn = False
        if not self._write(self._header):
            os.close(self._file)
            raise OSError(_FULL)

    def note(self, accepted: Iterable[tuple[int, str]], refused: Iterable[int], started: Iterable[int]) -> None:
        """Answers, plain noes and what starts behind them, in one write; call before the first byte that matters.

        Raises OSError (disk full) when something was to start: then nothing may be sent. A write that fails without
        one is no error: the database is told next.
        """
        lines = [f"a {one} {_write_receipt(receipt)}\n" for one, receipt in accepted]
        lines += [f"n {one}\n" for one in refused]
        begun = [f"s {one}\n" for one in started]
        if not self._write("".join(lines + begun).encode("utf-8", "replace")) and begun:
            raise OSError(_FULL)

    def _write(self, data: bytes) -> bool:
        """Whether all of it is written. A line that a full disk cut off is marked as void before the next."""
        if self._is_torn:
            data = _VOID + b"\n" + data
        try:
            written = self._append(data)
        except OSError:
            return False
        if written != len(data):
            self._is_torn = self._is_torn or written > 0
            return False
        self._is_torn = False
        return True

    def _append(self, data: bytes) -> int:
        reach("send_journal.write")
        written = os.write(self._file, data)
        reach("send_journal.written")
        return written

    def forget(self) -> None:
        """Empty the file once everything in it is settled in the database. What stays proves what is settled."""
        try:
            reach("send_journal.forget")
            os.ftruncate(self._file, len(self._header))
            reach("send_journal.forgotten")
        except OSError as error:
            log.warning("%s could not be emptied: %s", self.path, error)
            return
        self._is_torn = False

    def close(self) -> None:
        os.close(self._file)
        if self.path.exists() and self.path.stat().st_size <= len(self._header):
            reach("send_journal.remove")
            self.path.unlink()


def _write_receipt(receipt: str) -> str:
    said = receipt[:200]
    return said if said.isprintable() else said.translate(_ONE_LINE)


def read_evidence(folder: Path, live: Collection[str] = ()) -> tuple[Evidence, list[Path]]:
    """What the journals of dead processes prove, and the files to delete once the ledger has it.

    The journals of the processes `live` are left alone. A torn last line proves nothing: before it was whole nobody
    may have begun, and nobody was told yes.
    """
    outcomes: dict[int, str] = {}
    complete: set[str] = set()
    files = [path for path in list_journals(folder) if _fence_of(path) not in live]
    boot = read_boot_id()
    for path in files:
        for line in path.read_bytes().split(b"\n")[:-1]:
            _read_line(line, outcomes, complete, boot)
    known = frozenset(_fence_of(path) for path in files)
    return Evidence(outcomes, frozenset(complete), known), files


def list_journals(folder: Path) -> list[Path]:
    """The send journals of every process that ever kept its state in this folder and did not stop cleanly."""
    return sorted(folder.glob("sends-*.log")) if folder.is_dir() else []


def _fence_of(path: Path) -> str:
    return path.name.split("-")[1]


def remove_journals(files: Iterable[Path]) -> None:
    """Delete journals whose evidence the ledger has. One that stays is read again and changes nothing."""
    for path in files:
        try:
            reach("send_journal.clear")
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s could not be removed: %s", path, error)


def _read_line(line: bytes, outcomes: dict[int, str], complete: set[str], boot: str) -> None:
    if line.endswith(_VOID):
        return
    word, _, rest = line.partition(b" ")
    if word == b"j":
        fence, _, its_boot = rest.decode("ascii", "replace").partition(" ")
        if its_boot == boot:
            complete.add(fence)
        return
    number, _, receipt = rest.partition(b" ")
    if not number.isdigit():
        return
    delivery_id = int(number)
    if word == b"s":
        outcomes[delivery_id] = "started"
    elif word == b"a":
        outcomes[delivery_id] = f"sent {receipt.decode('utf-8', 'replace')}"
    elif word == b"n":
        outcomes.pop(delivery_id, None)


def read_boot_id() -> str:
    """A name for this run of the machine's kernel; "unknown" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "unknown"


def _plain(name: str) -> str:
    """A file name for a lane, another one for each lane."""
    letters = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in name)[:60]
    return f"{letters}-{blake2b(name.encode(), digest_size=4).hexdigest()}"
