"""What the pipeline asks of a channel. Sources and stores are described in the step that needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from distributor.core.message import Content, Limits, Message, Outcome, Preview, Recipient, ServiceEvent


class Wire(Protocol):
    """The pipeline's side of a send."""

    def start(self, indexes: Sequence[int]) -> bool:
        """Ask right before the first byte that could make the service act on these messages.

        True: it is on record (safe against kill -9) that they may have gone out from now on.
        False: do not send them; their outcome is `NotStarted`.
        """

    def settle(self, index: int, outcome: Outcome) -> None:
        """Tell the answer at once; the returned list repeats it. Never raises.

        It is on record (safe against kill -9) when the next `start` has said yes, or after `flush`.
        """

    def flush(self) -> None:
        """Put on record what was settled. For a channel that waits now and starts nothing. Never raises."""
        return

    def more(self) -> Sequence[Message] | None:
        """The next messages of the same edition, whose indexes and outcomes follow those of the others.

        For a channel that would run dry between two calls of `send`. None: ask again soon; empty: no more.
        """
        return ()


@dataclass(frozen=True)
class Site:
    """The newsroom, as channels and templates know it."""

    name: str
    public_url: str
    timezone: str = "UTC"
    language: str = "en"
    follow: Mapping[str, str] = field(default_factory=dict)


class Channel(Protocol):
    """One place where messages go. Subclass it: what is not marked required has a default that does nothing.

    Required: `kind`, `name`, `address`, `parts`, `compose`, `send`.
    """

    kind: str
    name: str
    #: What the one voice is called ("@dailyexample"); for a list channel the From address.
    address: str
    #: The list whose members are the audience; "" means one voice with one recipient.
    list_name: str = ""
    #: utm_medium of links on this channel.
    medium: str = "social"
    limits: Limits = Limits()
    #: form -> the template files whose texts `compose` needs, e.g. {"each": ("each.html",)}.
    parts: Mapping[str, Sequence[str]]

    def compile_template(self, name: str, source: str) -> str:
        """Turn a template's own language (MJML) into what Jinja2 reads. Raises TemplateError (with line)."""
        return source

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        """Rendered parts -> frozen content that fits the service's limits. Pure; raises Unsupported.

        `texts` maps each name of `parts[form]` to its rendered text. Tracked links are already in it.
        """
        ...

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        """Put the messages out; outcomes in the same order and number. Never raises for a service's answer.

        Calls `wire.start` before the first byte that matters and `wire.settle` with each answer.
        Exactly one try: no retries inside. What may have gone out without an answer is `Unknown`.
        """
        ...

    def preview(self, content: Content, recipient: Recipient) -> Preview:
        """The same words as the send, as the recipient would see them."""
        return Preview(title="", text=content.to_json(), warnings=content.warnings)

    def view(self, content: Content) -> str:
        """The web page behind "view in browser", without anything personal; "" where there is none."""
        return ""

    def reconcile(self, message: Message) -> Outcome | None:
        """Ask the service whether an unknown message went out; None when it cannot tell."""
        return None

    def read_events(self, headers: Mapping[str, str], body: bytes) -> list[ServiceEvent]:
        """What the service reports back, verified; [] when it has nothing to say."""
        return []

    def check(self) -> list[str]:
        """Ask the service who we are; a sentence for each problem. Used by the `check` command only."""
        return []

    def close(self) -> None:
        """Give back connections."""
        return
