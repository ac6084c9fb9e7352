"""Who has said no, on the send record: a restored backup learns it from there before it writes to anybody.

What is on the record is sealed with the secret that the database and its backups share: no address can be read in
it, and no other installation can add to it.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, text

from distributor.storage.database import Database
from distributor.storage.identity import read_or_make
from distributor.storage.send_record import Line, SendRecord

log = logging.getLogger(__name__)

#: left: the list, for good. barred, allowed: suppressed, and taken back. gone: cannot be reached any more.
Word = Literal["left", "barred", "allowed", "gone"]


class LeaveRecord:
    """Of one process. Safe to use from several threads; the file is opened with the first line."""

    def __init__(self, state_dir: Path, instance: str, secret: bytes) -> None:
        self._record = SendRecord(state_dir, instance, "")
        self._where = state_dir
        self._secret = secret
        self._guard = threading.Lock()

    def note(self, word: Word, keys: Sequence[str], list_name: str, reason: str, now: datetime) -> None:
        """On the disk when it returns. Never raises: who leaves has left, whatever this disk says."""
        if not keys:
            return
        sealed = seal({"word": word, "keys": list(keys), "list": list_name, "reason": reason[:500]}, self._secret)
        try:
            with self._guard:
                self._record.note_left(sealed, now)
        except OSError as error:
            log.error("who left is not on the send record, %s cannot be written: %s", self._where, error)

    def close(self) -> None:
        with self._guard:
            self._record.close()


def open_record(database: Database, state_dir: Path) -> LeaveRecord:
    """That of this database, in this folder."""
    secret = bytes.fromhex(read_or_make(database, "secret"))
    return LeaveRecord(state_dir, read_or_make(database, "instance", 8), secret)


def seal(data: dict[str, Any], secret: bytes) -> str:
    """Any JSON in one word that only who has the secret can read or write."""
    return str(_open_box(secret).encrypt(json.dumps(data, ensure_ascii=False).encode()), "ascii")


def unseal(word: str, secret: bytes) -> dict[str, Any]:
    """Raises ValueError when it is not what `seal` made with this secret."""
    from cryptography.fernet import InvalidToken

    try:
        data: dict[str, Any] = json.loads(_open_box(secret).decrypt(word.encode()))
    except InvalidToken:
        raise ValueError("not sealed with this secret") from None
    return data


def _open_box(secret: bytes) -> Any:
    from cryptography.fernet import Fernet

    key = blake2b(secret, digest_size=32, person=b"leavings").digest()
    return Fernet(base64.urlsafe_b64encode(key))


_Keyed = dict[tuple[str, str], tuple[float, str]]


@dataclass
class Leavings:
    """What the record says in the end: (list, key of the address) -> when and why."""

    left: _Keyed = field(default_factory=dict)
    barred: _Keyed = field(default_factory=dict)
    gone: _Keyed = field(default_factory=dict)


def gather(lines: Iterable[Line], secret: bytes) -> Leavings:
    """Of all nodes together, in the order in which it happened; a line that cannot be read says nothing."""
    found = Leavings()
    for line in sorted(lines, key=lambda line: line.at):
        try:
            told = unseal(line.data, secret)
        except ValueError:
            continue
        said = (line.at, str(told["reason"]))
        for key in told["keys"]:
            name = (str(told["list"]), str(key))
            if told["word"] == "allowed":
                found.barred.pop(name, None)
            elif told["word"] == "gone":
                found.gone[name] = said
            else:
                found.barred.setdefault(name, said)
                if told["word"] == "left":
                    found.left[name] = said
    return found


def apply(connection: Connection, found: Leavings) -> int:
    """Take them off their lists and bar them; returns how many addresses that was news of. Who came back to a list
    after leaving it stays. Nothing that bars an address now is taken back. Safe to repeat."""
    changed: set[str] = set()
    for statement, keyed in ((_BAR, found.barred), (_LEAVE, found.left), (_LOSE, found.gone)):
        for (list_name, key), (at, reason) in keyed.items():
            values = {"list": list_name, "key": key, "at": at, "reason": reason}
            if connection.execute(statement, values).rowcount:
                changed.add(key)
    return len(changed)


_SUBSCRIBER = "(SELECT id FROM subscriber WHERE address_key = :key)"
_BAR = text(
    "INSERT INTO suppression (address_key, list, reason, at) SELECT :key, :list, :reason, :at "  # noqa: S608
    "WHERE NOT EXISTS (SELECT 1 FROM list_member WHERE list = :list AND state = 'member' AND since > :at "
    f"AND subscriber_id = {_SUBSCRIBER}) ON CONFLICT (address_key, list) DO NOTHING"
)
_LEAVE = text(
    "UPDATE list_member SET state = 'left', since = :at WHERE list = :list AND state = 'member' "  # noqa: S608
    f"AND since <= :at AND subscriber_id = {_SUBSCRIBER}"
)
_LOSE = text(
    "UPDATE subscriber SET status = 'unreachable', reason = :reason "
    "WHERE address_key = :key AND status = 'active' AND created_at <= :at"
)
