"""Mails through SendGrid: up to 1,000 readers a call, each with words and headers of their own."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from html import escape
from typing import Any

from distributor.channels.email.headers import split_mailbox
from distributor.channels.email.readers import Readers, read_recipients
from distributor.channels.email.segments import Letterhead, list_bodies, split_slots
from distributor.channels.email.sendgrid_answers import Split, Verdict, judge_answer
from distributor.channels.email.settings import Settings
from distributor.core.contracts import Wire
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, SendError
from distributor.core.message import Accepted, Edition, Message, NotStarted, Outcome

#: Name of the custom argument that comes back with every event; the service stores it as not personal.
DELIVERY_ARGUMENT = "distributor_delivery"

quote = json.JSONEncoder(separators=(",", ":")).encode
_quote_apart = json.JSONEncoder(separators=("\n", ":")).encode

Mailbox = tuple[str, str]

#: What stands before and behind a reader's link. No value holds it without one: JSON escapes quotation marks.
_LINK_HEADERS = ('"List-Unsubscribe":"<', '>","List-Unsubscribe-Post":"List-Unsubscribe=One-Click",')

#: Readers whose part of a call is joined at a time: one block of all would be new memory for every call.
_BLOCK = 200


class Bulk:
    """One edition for SendGrid: JSON escaped once, a call is a few joins of literals and columns of values."""

    def __init__(self, edition: Edition, head: Letterhead, sender: Mailbox, reply_to: Mailbox) -> None:
        self._shapes = [_Shape(edition, head, sender, reply_to, is_shared) for is_shared in (False, True)]

    def join(self, readers: Readers) -> list[bytes]:
        """The body of one call in ASCII pieces; the personalizations stand in the order of `readers`."""
        return self._shapes[_are_safe(readers)].join(readers)


def _are_safe(readers: Readers) -> bool:
    """Whether addresses and links read the same in HTML as in plain text, which saves a third of a call."""
    columns = ("".join(readers.addresses), "".join(readers.links))
    return not any(mark in column for mark in "&'" for column in columns)


class _Shape:
    """How an edition's calls look, with substitutions of their own for HTML or, `is_shared`, for names only."""

    def __init__(
        self, edition: Edition, head: Letterhead, sender: Mailbox, reply_to: Mailbox, is_shared: bool
    ) -> None:
        self._token = edition.token
        self._is_shared = is_shared
        self._tags: dict[str, str] = {}
        content = [
            {"type": f"text/{kind}", "value": self._tag_slots(text, kind)} for kind, text, _ in list_bodies(edition)
        ]
        subject = self._tag_slots(edition.content.payload["subject"], "plain")
        first, *between, last = _lay_out(head, self._tags, edition.token)
        self._start = '{"personalizations":[' + first
        # Between two readers the end of one and the beginning of the next are one literal.
        self._row = [f"{last},{first}", *between]
        self._tail = (last + _write_tail(subject, content, sender, reply_to)).encode("ascii")

    def join(self, readers: Readers) -> list[bytes]:
        """A call in pieces: every personalization with the literals around its values, and the rest."""
        columns = _write_columns(readers, self._row)
        count, width, are_linked = len(readers.places), len(self._row), "" not in readers.links
        calls: list[bytes] = []
        for start in range(0, count, _BLOCK):
            pieces = self._row * min(_BLOCK, count - start)
            for at, column in columns.items():
                pieces[at::width] = column[start : start + _BLOCK]
            if not start:
                pieces[0] = self._start
            text = "".join(pieces)
            calls.append((text if are_linked else text.replace("".join(_LINK_HEADERS), "")).encode("ascii"))
        return [*calls, self._tail]

    def _tag_slots(self, text: str, kind: str) -> str:
        """Slots become substitution tags; the edition's token in them keeps anyone from writing one in a story."""
        parts = split_slots(text)
        for at in range(1, len(parts), 2):
            is_one_for_both = self._is_shared and parts[at] != "name"
            column = f"{parts[at]}.{'plain' if is_one_for_both else kind}"
            parts[at] = self._tags.setdefault(column, f"-{self._token}.{len(self._tags)}-")
        return "".join(parts)


def _lay_out(head: Letterhead, tags: Mapping[str, str], token: str) -> list[str]:
    """A personalization as literals and names of columns in turn, a literal first and last."""
    layout = ['{"to":[{"email":"', "address.plain", '"', "to name", '}],"headers":{' + _LINK_HEADERS[0]]
    layout.append("unsubscribe_url.plain")
    literal = _LINK_HEADERS[1] + _write_constants(head) + '},"substitutions":{'
    for at, (column, tag) in enumerate(tags.items()):
        layout += [literal + ("," if at else "") + quote(tag) + ':"', column]
        literal = '"'
    literal += f'}},"custom_args":{{"{DELIVERY_ARGUMENT}":"'
    return [*layout, literal, "delivery", quote("." + token)[1:] + "}}"]


def _write_columns(readers: Readers, row: Sequence[str]) -> dict[int, Sequence[str]]:
    """The columns that a row of literals and names of columns asks for, by their place in it: JSON already."""
    _, names, addresses, links, deliveries = readers
    lines = _quote_lines(names)
    # A checked address and a checked web address hold nothing that JSON would escape.
    columns: dict[str, Callable[[], Sequence[str]]] = {
        "address.plain": lambda: addresses,
        "address.html": lambda: escape("\n".join(addresses)).split("\n"),
        "name.plain": lambda: lines.split("\n"),
        # In JSON every quotation mark has its backslash; nothing else that HTML minds is changed there.
        "name.html": lambda: escape(lines, quote=False).replace('\\"', "&quot;").replace("'", "&#x27;").split("\n"),
        "unsubscribe_url.plain": lambda: links,
        "unsubscribe_url.html": lambda: escape("\n".join(links)).split("\n"),
        "to name": lambda: _write_to_names(lines),
        "delivery": lambda: list(map(repr, deliveries)),
    }
    return {at: columns[piece]() for at, piece in enumerate(row) if piece in columns}


def _write_to_names(lines: str) -> list[str]:
    # The service refuses comma and semicolon in the name of a recipient.
    names = lines.replace(",", " ").replace(";", " ").split("\n")
    return [f',"name":"{name}"' if name.strip() else "" for name in names]


def _quote_lines(names: Sequence[str]) -> str:
    """The inside of a JSON string for each name, on a line of its own: no JSON holds a bare line end."""
    lines = quote("\n".join(names))[1:-1]
    if "\\\\" in lines:
        # An escaped line end and an escaped backslash before an n look alike.
        return _quote_apart(names)[2:-2].replace('"\n"', "\n")
    return lines.replace("\\n", "\n")


def _write_constants(head: Letterhead) -> str:
    headers = {"Auto-Submitted": "auto-generated"}
    if head.list_id:
        headers["List-Id"] = head.list_id.decode("ascii").replace("\r\n", "")
    return quote(headers)[1:-1]


def _write_tail(subject: str, content: list[dict[str, str]], sender: Mailbox, reply_to: Mailbox) -> str:
    rest: dict[str, Any] = {
        "from": _write_mailbox(sender),
        "subject": subject,
        "content": content,
        # Our links are tracked already, and our own List-Unsubscribe must stay.
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }
    if reply_to[1]:
        rest["reply_to"] = _write_mailbox(reply_to)
    return "]," + quote(rest)[1:]


def _write_mailbox(mailbox: Mailbox) -> dict[str, str]:
    name, address = mailbox
    return {"email": address, "name": name} if name else {"email": address}


class SendgridTransport:
    """Calls one after the other; each is one try for all of its readers."""

    def __init__(self, settings: Settings, agent: str) -> None:
        from distributor.channels.email.sendgrid_client import ApiClient

        self._sender = split_mailbox(settings.from_)
        self._reply_to = split_mailbox(settings.reply_to) if settings.reply_to else ("", "")
        self._per_call = settings.per_call
        self._key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._client = ApiClient(settings.api_base, self._key, agent, settings.timeout)

    def compile(self, edition: Edition, head: Letterhead) -> Bulk:
        return Bulk(edition, head, self._sender, self._reply_to)

    def send(self, bulk: Bulk, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        """A refused call may blame readers, who are left out, or nobody: then its halves are tried."""
        batch = _Batch(len(messages), wire)
        readers, refused = read_recipients(messages)
        for place, error in refused.items():
            batch.settle([place], error)
        todo = deque(split_into_calls(readers, self._per_call))
        while todo:
            readers = todo.popleft()
            verdict = self._call(bulk, readers, wire)
            if verdict is None:
                batch.settle(readers.places, NotStarted())
                continue
            todo.extendleft(reversed(batch.apply(readers, verdict)))
            if isinstance(verdict, SendError) and not isinstance(verdict, MessageRefused):
                batch.settle_rest(todo, verdict)
                break
        return batch.outcomes

    def _call(self, bulk: Bulk, readers: Readers, wire: Wire) -> Verdict | None:
        """None when the pipeline said, with the connection open, that it may not be made."""
        try:
            start = partial(wire.start, readers.places)
            answer = self._client.post(("mail", "send"), bulk.join(readers), start)
        except SendError as error:
            return error
        return None if answer is None else judge_answer(answer, len(readers.places), self._key)

    def check(self) -> list[str]:
        """Whether the key is good for sending."""
        try:
            answer = self._client.get(("scopes",))
        except SendError as error:
            return [str(error)]
        if answer.status != 200:
            verdict = judge_answer(answer, 1, self._key)
            return [f"SendGrid does not accept the API key: {getattr(verdict, 'detail', '') or answer.status}"]
        if b'"mail.send"' not in answer.body:
            return ['the API key may not send: give it the permission "Mail Send" in SendGrid']
        return []

    def close(self) -> None:
        """Nothing is kept open."""


class _Batch:
    def __init__(self, count: int, wire: Wire) -> None:
        self._wire = wire
        self.outcomes: list[Outcome] = [NotStarted()] * count

    def apply(self, readers: Readers, verdict: Verdict) -> list[Readers]:
        """Settle what the verdict decides; what it leaves open, as calls still to be made."""
        if isinstance(verdict, Accepted | SendError):
            self.settle(readers.places, verdict)
            return []
        count = len(readers.places)
        if isinstance(verdict, Split):
            return [readers.cut(0, count // 2), readers.cut(count // 2, count)]
        for row, error in verdict.items():
            self.settle([readers.places[row]], error)
        rest = [row for row in range(count) if row not in verdict]
        return [readers.pick(rest)] if rest else []

    def settle_rest(self, calls: Iterable[Readers], error: SendError) -> None:
        """After a call that broke, the others are not tried: what failed was not about its readers."""
        is_same = isinstance(error, Busy | ChannelClosed)
        for readers in calls:
            self.settle(readers.places, error if is_same else Outage(f"not tried, because before: {error}"))

    def settle(self, places: Sequence[int], outcome: Outcome) -> None:
        settle = self._wire.settle
        for place in places:
            self.outcomes[place] = outcome
            settle(place, outcome)


def split_into_calls(readers: Readers, per_call: int) -> list[Readers]:
    """Calls of at most `per_call` readers in which no address stands twice: one repeat fails a whole call."""
    together = "\n".join(readers.addresses)
    addresses = readers.addresses if together == together.lower() else together.lower().split("\n")
    if 0 < len(readers.places) <= per_call and len(set(addresses)) == len(readers.places):
        return [readers]
    calls: list[Readers] = []
    left = list(range(len(readers.places)))
    while left:
        call: dict[str, int] = {}
        for row in left:
            if len(call) < per_call:
                call.setdefault(addresses[row], row)
        calls.append(readers.pick(list(call.values())))
        taken = set(call.values())
        left = [row for row in left if row not in taken]
    return calls
