"""Pages of receipts: the evidence of a batch that was accepted, one row for up to a thousand first answers.

A row of `attempt` for each of them took half of what the ledger costs. A try that is not a plain yes to a claimed
delivery has its row there. A page is the last word on its deliveries: who was accepted is not tried again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select

from distributor.core.sending import Settled
from distributor.storage.asking import ask
from distributor.storage.tables import delivery, edition, receipt_page

#: A first delivery is accepted only once, but for a database that somebody turned back.
_ADD = """
INSERT INTO receipt_page (edition_id, first_id, last_id, number, started_at, data)
VALUES (:edition_id, :first_id, :last_id, :number, :started_at, :data)
ON CONFLICT (edition_id, first_id) DO UPDATE SET last_id = excluded.last_id, number = excluded.number,
started_at = excluded.started_at, data = excluded.data RETURNING first_id
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a service said to one delivery when it took it."""

    number: int
    started_at: datetime
    ended_at: datetime
    receipt: str
    detail: str


def add_pages(connection: Connection, editions: Mapping[int, int], items: Iterable[Settled]) -> None:
    """Keep the receipts of what was accepted on one try. `editions`: delivery -> edition of those that count."""
    pages: dict[int, list[Settled]] = {}
    for item in items:
        if (edition_id := editions.get(item.delivery_id)) is not None:
            pages.setdefault(edition_id, []).append(item)
    for edition_id, kept in pages.items():
        page = write_page(kept)
        ask(connection, _ADD, {**page, "edition_id": edition_id, "started_at": page["started_at"].timestamp()})


def write_page(items: Sequence[Settled]) -> dict[str, Any]:
    """What all these were answered on the same try. Times are kept to the millisecond."""
    ids = [item.delivery_id for item in items]
    began = min(item.started_at for item in items)
    data = {
        "ids": ids,
        "started": _pack([item.started_at for item in items], began),
        "ended": _pack([item.ended_at for item in items], began),
        "receipts": _shorten([item.settlement.receipt for item in items]),
        "details": _shorten([item.settlement.detail[:500] for item in items]),
    }
    return {
        "first_id": min(ids),
        "last_id": max(ids),
        "number": items[0].number,
        "started_at": began,
        "data": _write(data),
    }


def _write(data: Any) -> str:
    """JSON that any database takes: a service's answer may hold halves of characters."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def _pack(times: Sequence[datetime], began: datetime) -> list[int]:
    """Milliseconds since then; one number where all are the same."""
    after = {at: round((at - began) / timedelta(milliseconds=1)) for at in set(times)}
    return list(after.values()) if len(after) == 1 else [after[at] for at in times]


def _shorten(texts: list[str]) -> list[str]:
    return texts[:1] if len(set(texts)) == 1 else texts


def find_kept(connection: Connection, editions: Mapping[int, int]) -> dict[int, Kept]:
    """What is on a page of these (delivery -> edition). For a few hundred at most."""
    found: dict[int, Kept] = {}
    for delivery_id, edition_id in editions.items():
        if delivery_id in found:
            continue
        query = select(receipt_page).where(
            receipt_page.c.edition_id == edition_id,
            receipt_page.c.first_id <= delivery_id,
            receipt_page.c.last_id >= delivery_id,
        )
        for page in connection.execute(query):
            found.update((one, kept) for one, kept in read_page(page) if one in editions)
    return found


def find_by_receipt(connection: Connection, channel_name: str, recipient_id: int, receipt: str) -> set[int]:
    """The deliveries of a reader on a channel whose page says that this was the answer to them."""
    query = (
        select(delivery.c.id, delivery.c.edition_id)
        .join(edition, edition.c.id == delivery.c.edition_id)
        .join(
            receipt_page,
            (receipt_page.c.edition_id == delivery.c.edition_id)
            & (receipt_page.c.first_id <= delivery.c.id)
            & (receipt_page.c.last_id >= delivery.c.id),
        )
        .where(
            edition.c.channel == channel_name,
            delivery.c.recipient_id == recipient_id,
            receipt_page.c.data.contains(_write(receipt)[1:-1], autoescape=True),
        )
    )
    near = {row.id: row.edition_id for row in connection.execute(query)}
    return {one for one, kept in find_kept(connection, near).items() if kept.receipt == receipt}


def read_page(page: Any) -> Iterable[tuple[int, Kept]]:
    """Each delivery on a row of the table, and what was said to it."""
    data = json.loads(page.data)
    ids = data["ids"]
    columns = (_spread(data[name], len(ids)) for name in ("started", "ended", "receipts", "details"))
    for delivery_id, started, ended, receipt, detail in zip(ids, *columns, strict=True):
        began, came = (page.started_at + timedelta(milliseconds=at) for at in (started, ended))
        yield delivery_id, Kept(page.number, began, came, receipt, detail)


def _spread(values: list[Any], size: int) -> list[Any]:
    return values * size if len(values) == 1 else values
