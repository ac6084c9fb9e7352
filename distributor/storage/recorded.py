"""The ledger as a lane sees it: nothing is claimed in safe mode, and what goes out is put on the send record."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, select

from distributor.core.delivery import Settlement
from distributor.core.errors import StorageError
from distributor.core.message import Pace
from distributor.core.sending import Batch, Settled, Wait
from distributor.storage import Storage
from distributor.storage.freezing import has_open_edition
from distributor.storage.instance import read_safe_mode
from distributor.storage.send_record import SendRecord
from distributor.storage.tables import edition, edition_post, link, post, post_key

log = logging.getLogger(__name__)

#: Editions and stories that are remembered as told; more only means that they are told once more.
MOST_TOLD = 2000


#: Deliveries of earlier batches that may still be on the wire.
MOST_IN_HAND = 3000


class InnerLedger(Protocol):
    """The ledger that keeps the truth."""

    def claim(
        self, name: str, *, limit: int, paces: Sequence[Pace], fence: str, lease: float, now: datetime
    ) -> Batch | Wait: ...
    def start(self, delivery_ids: Sequence[int], fence: str, now: datetime) -> list[int]: ...
    def settle(self, channel_name: str, fence: str, settled: Sequence[Settled], now: datetime) -> None: ...
    def find_gone(self, delivery_ids: Sequence[int]) -> set[int]: ...
    def lose(self, name: str, lease_until: datetime) -> None: ...
    def rest_channel(self, name: str, until: datetime) -> None: ...


class RecordedLedger:
    """One for each lane; its thread and the one that works ahead of it use it in turn."""

    def __init__(self, storage: Storage, state_dir: Path, fence: str) -> None:
        self._ledger: InnerLedger = storage.ledger
        self._database = storage.database
        self._record = SendRecord(state_dir, storage.instance, fence)
        #: Delivery -> (edition's token, recipient) of the batches in hand.
        self._hand: dict[int, tuple[str, int]] = {}
        self._told: dict[object, None] = {}
        self._where = state_dir

    def claim(
        self, name: str, *, limit: int, paces: Sequence[Pace], fence: str, lease: float, now: datetime
    ) -> Batch | Wait:
        """As the ledger's. A bulk batch is on the record and on the disk before it is handed out; when it cannot
        be, it goes back and StorageError says why."""
        if not has_open_edition(self._database, name) or read_safe_mode(self._database):
            return Wait(None)
        batch = self._ledger.claim(name, limit=limit, paces=paces, fence=fence, lease=lease, now=now)
        if isinstance(batch, Wait) or not batch.claimed:
            return batch
        token, lease_until = batch.edition.token, now + timedelta(seconds=lease)
        fresh = {one.delivery_id: (token, one.recipient_id) for one in batch.claimed}
        # The batch before it may still be on the wire; what never came back from there is forgotten.
        self._hand = {**dict(list(self._hand.items())[-MOST_IN_HAND:]), **fresh}
        try:
            self._tell_edition(batch, now)
            if limit > 1:
                self._note_begun(list(fresh), True, now)
        except StorageError:
            self._ledger.lose(name, lease_until)
            raise
        except OSError as error:
            # At once; if that fails too, at the next claim.
            self._ledger.lose(name, lease_until)
            back = [(one.delivery_id, one.attempts + 1) for one in batch.claimed]
            self._give_back(name, fence, back, now)
            raise StorageError(f"nothing is sent, {self._where} cannot be written: {error}") from None
        return batch

    def start(self, delivery_ids: Sequence[int], fence: str, now: datetime) -> list[int]:
        """As the ledger's, and on the record. What cannot be put there is not started."""
        if read_safe_mode(self._database):
            return []
        begun = self._ledger.start(delivery_ids, fence, now)
        try:
            if begun:
                self._note_begun(begun, False, now)
        except OSError as error:
            log.error("nothing is sent, %s cannot be written: %s", self._where, error)
            return []
        return begun

    def find_gone(self, delivery_ids: Sequence[int]) -> set[int]:
        return self._ledger.find_gone(delivery_ids)

    def settle(self, channel_name: str, fence: str, settled: Sequence[Settled], now: datetime) -> None:
        """As the ledger's. On the record first: the database may be away, and what is there may be restored."""
        try:
            self._note_ended(settled, now)
        except OSError as error:
            log.warning("the send record could not be written: %s", error)
        self._ledger.settle(channel_name, fence, settled, now)

    def rest_channel(self, name: str, until: datetime) -> None:
        self._ledger.rest_channel(name, until)

    def _give_back(self, name: str, fence: str, items: Sequence[tuple[int, int]], now: datetime) -> None:
        what = Settlement("queued", is_attempt=False)
        self._ledger.settle(name, fence, [Settled(i, number, now, now, what) for i, number in items], now)

    def _note_begun(self, ids: Sequence[int], is_bulk: bool, now: datetime) -> None:
        known = [one for one in ids if one in self._hand]
        if known:
            token = self._hand[known[0]][0]
            self._record.note_begun(token, known, [self._hand[one][1] for one in known], is_bulk, now)

    def _note_ended(self, settled: Sequence[Settled], now: datetime) -> None:
        """Once for each answer, however often the database has to be told."""
        ended: dict[str, list[int]] = {}
        receipts: dict[int, str] = {}
        token = ""
        for item in settled:
            if found := self._hand.pop(item.delivery_id, None):
                token, recipient = found
                what = item.settlement
                ended.setdefault(what.state, []).append(recipient)
                if len(settled) == 1:
                    receipts[recipient] = what.receipt
        if ended:
            self._record.note_ended(token, ended, receipts, now)

    def _tell_edition(self, batch: Batch, now: datetime) -> None:
        token = batch.edition.token
        if token in self._told:
            return
        with self._database.read() as connection:
            posts = [one for one in describe_posts(connection, batch.edition.id) if _mark(one) not in self._told]
            facts = describe_edition(connection, batch.edition.id)
        self._record.note_posts(posts, now)
        self._record.note_edition(token, facts, now)
        self._told.update(dict.fromkeys([*map(_mark, posts), token]))
        while len(self._told) > MOST_TOLD:
            del self._told[next(iter(self._told))]


def _mark(described: Mapping[str, Any]) -> tuple[int, int]:
    return described["id"], described["revision"]


def describe_edition(connection: Connection, edition_id: int) -> dict[str, Any]:
    """What a database that never knew this edition has to know so as not to send it again: all but its words."""
    row = connection.execute(select(edition).where(edition.c.id == edition_id)).mappings().one()
    posts = connection.execute(select(edition_post).where(edition_post.c.edition_id == edition_id)).mappings()
    links = connection.execute(select(link).where(link.c.edition_id == edition_id)).mappings()
    left_out = {"content", "content_hash", "warnings"}
    return {
        "edition": {key: _plain(value) for key, value in row.items() if key not in left_out},
        "posts": [dict(one) for one in posts],
        "links": [{key: _plain(value) for key, value in one.items() if key != "id"} for one in links],
    }


def describe_posts(connection: Connection, edition_id: int) -> list[dict[str, Any]]:
    """The stories of an edition as they are now, with every name they are known by."""
    ids = connection.execute(select(edition_post.c.post_id).where(edition_post.c.edition_id == edition_id))
    wanted = ids.scalars().all()
    rows = connection.execute(select(post).where(post.c.id.in_(wanted)).order_by(post.c.id)).mappings().all()
    keys: dict[int, list[list[str]]] = {}
    for one in connection.execute(select(post_key).where(post_key.c.post_id.in_(wanted))):
        keys.setdefault(one.post_id, []).append([one.source, one.key])
    return [{**{key: _plain(value) for key, value in row.items()}, "keys": keys.get(row["id"], [])} for row in rows]


def _plain(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value
