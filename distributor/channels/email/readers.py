"""The personal values of a batch, checked together: per reader that costs a fraction of checking one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from distributor.channels.email.headers import (
    AddressError,
    are_addresses,
    are_urls,
    check_address,
    check_url,
    clean_names,
)
from distributor.core.errors import MessageRefused, RecipientGone, SendError
from distributor.core.message import Message


class Reader(NamedTuple):
    """What is personal about one copy, each on one line: a clean name, one checked address, one web address."""

    name: str
    address: str
    unsubscribe_url: str
    delivery: int


class Readers(NamedTuple):
    """Many readers by value: columns of equal length. `places` are the indexes of their messages in the batch."""

    places: Sequence[int]
    names: Sequence[str]
    addresses: Sequence[str]
    links: Sequence[str]
    deliveries: Sequence[int]

    def cut(self, start: int, end: int) -> Readers:
        return Readers(*(column[start:end] for column in self))  # type: ignore[arg-type]

    def pick(self, rows: Collection[int]) -> Readers:
        """Only the readers in these rows."""
        return Readers(*([column[row] for row in rows] for column in self))  # type: ignore[arg-type]

    def list_rows(self) -> Iterator[tuple[int, Reader]]:
        """Each reader with its place."""
        return zip(self.places, map(Reader, self.names, self.addresses, self.links, self.deliveries), strict=True)


def read_recipients(messages: Sequence[Message]) -> tuple[Readers, dict[int, SendError]]:
    """Who gets a copy, and for the other messages why nothing can be sent."""
    names = clean_names([message.slots.get("name") or message.recipient.name for message in messages])
    addresses = [message.recipient.address for message in messages]
    links = [message.slots.get("unsubscribe_url", "") for message in messages]
    deliveries = [message.delivery_id for message in messages]
    everyone = Readers(range(len(messages)), names, addresses, links, deliveries)
    if are_addresses(addresses) and are_urls(links):
        return everyone, {}
    return _check_each(everyone)


def _check_each(readers: Readers) -> tuple[Readers, dict[int, SendError]]:
    addresses: list[str] = []
    refused: dict[int, SendError] = {}
    for place, reader in readers.list_rows():
        try:
            check_url(reader.unsubscribe_url)
            addresses.append(check_address(reader.address))
        except AddressError as error:
            refused[place] = RecipientGone(f"this address cannot be written to: {error}")
        except ValueError as error:
            refused[place] = MessageRefused(str(error))
    good = readers.pick([place for place in readers.places if place not in refused])
    return good._replace(addresses=addresses), refused
