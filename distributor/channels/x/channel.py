"""An X account: one voice, posts of 280 weighted characters, written through tweepy."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from distributor.channels import Surroundings
from distributor.channels.fields import list_caps
from distributor.channels.x.answers import Answer, is_duplicate, judge_answer, read_problem
from distributor.channels.x.length import LIMIT, find_urls, lint_accidental_urls, weighted_length
from distributor.channels.x.settings import Settings
from distributor.core.contracts import Channel, Wire
from distributor.core.errors import Outage, Unknown, Unsupported
from distributor.core.message import (
    SLOT_START,
    Accepted,
    Content,
    Limits,
    Message,
    NotStarted,
    Outcome,
    Pace,
    Preview,
    Recipient,
)
from distributor.core.text import fit_text

if TYPE_CHECKING:
    from distributor.channels.x.adapter import Gate, OneTrySession

#: Dollars for one post (price list of 2026-08-22, facts/api-facts.md 2.1).
PRICE_PLAIN = 0.015
PRICE_WITH_URL = 0.200
#: How many own posts `reconcile` reads; X asks $0.001 for each.
POSTS_READ_BACK = 25

#: X answers 400 to a post with one of these.
_REFUSED = re.compile("[\ufffe\ufeff\uffff]")
_CASHTAG = re.compile(r"(?<![\w$])\$[A-Za-z]{1,6}(?:[._][A-Za-z]{1,2})?\b")


class XChannel(Channel):
    """Posts to one X account.

    At most 300 posts in 3 hours and 100 in 15 minutes: X's documents disagree, this is the lower of each
    (facts/api-facts.md 2.2). `address` is the channel's own name, because the keys do not tell the account's.
    """

    kind = "x"
    parts: Mapping[str, Sequence[str]] = {"each": ("each.txt",), "digest": ("digest.txt",)}

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self.name = settings.name
        self.address = settings.name
        self.settings = settings
        self.around = around
        paces = _paces(settings.access_token.get_secret_value())
        caps = list_caps(settings.name, settings.cap, settings.cap_per_day)
        self.limits = Limits(batch=1, paces=(*paces, *caps), decide_within=settings.decide_within.total_seconds())
        self._opened: tuple[Any, OneTrySession] | None = None

    def compose(self, texts: Mapping[str, str], form: str) -> Content:
        """The post's text in NFC, at most 280 weighted characters, with its links whole."""
        if form not in self.parts:
            raise Unsupported(f"X has no form {form!r}: use {' or '.join(self.parts)}")
        marked = unicodedata.normalize("NFC", _REFUSED.sub("", texts[self.parts[form][0]])).strip()
        if SLOT_START in marked:
            raise Unsupported("a post on X is the same for everyone: take the personal fields out of it")
        text = fit_text(marked, LIMIT, weighted_length).text.strip()
        if not text:
            raise Unsupported("the template gave an empty post")
        return Content({"text": text}, tuple(_find_warnings(text)))

    def preview(self, content: Content, recipient: Recipient) -> Preview:
        text = str(content.payload["text"])
        measure = f"{weighted_length(text)} of {LIMIT}"
        return Preview(title=self.name, text=text, measure=measure, warnings=content.warnings)

    def send(self, messages: Sequence[Message], wire: Wire) -> list[Outcome]:
        """Each message is one POST, tried once on a connection of its own.

        `wire.start` is asked when the connection (with TLS) stands and the headers are out, before the first
        byte of the body: everything that fails earlier is an Outage, everything later without an answer is Unknown.

        A 403 for duplicate words is looked up on the account's own timeline: found there by its tracked
        link, the message counts as accepted with that post's id. Not found but tried before
        (`Message.attempt` > 1) and carrying a tracked link, it counts as accepted without an id, because
        nobody else has that link. Otherwise it is refused.
        """
        outcomes = []
        for index, message in enumerate(messages):
            outcome = self._post(message, lambda index=index: wire.start([index]))  # type: ignore[misc]
            wire.settle(index, outcome)
            outcomes.append(outcome)
        return outcomes

    def reconcile(self, message: Message) -> Outcome | None:
        """Look for the message's tracked link among the account's latest 25 posts (costs at most $0.025).

        Accepted when it is there. None when it is not, or cannot be told: absence decides nothing.
        """
        wanted = self._find_tracked_links(message)
        if not wanted:
            return None
        answer = self._ask(lambda client: client.get_users_tweets(**self._own_timeline(client)))
        if answer is None or answer.status != 200:
            return None
        receipt = _find_post_with(answer.json(), wanted)
        return Accepted(receipt, detail="found on the account's own timeline") if receipt else None

    def check(self) -> list[str]:
        """Ask X whose keys these are; costs $0.010."""
        answer = self._ask(lambda client: client.get_me(user_auth=True))
        if answer is None:
            return [f"X cannot be reached at {self.settings.api_base}"]
        if answer.status != 200:
            return [f"X answers {answer.status} for these keys: {read_problem(answer).words}"]
        return []

    def close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()

    def _post(self, message: Message, ask: Callable[[], bool]) -> Outcome:
        from distributor.channels.x.adapter import Gate, Stopped

        gate = Gate(ask)
        client, session = self._open()
        session.begin(gate)
        error: Exception | None = None
        try:
            client.create_tweet(text=str(message.edition.content.payload["text"]), user_auth=True)
        except Stopped:
            return NotStarted()
        except Exception as raised:
            # tweepy raises for every answer but 2xx, and in odd ways for odd bodies: the answer itself
            # is judged, and only where there is none does the exception say anything.
            error = raised
        if session.answer is not None:
            return self._judge(session.answer, message)
        return self._explain_silence(gate, error)

    def _judge(self, answer: Answer, message: Message) -> Outcome:
        if is_duplicate(answer) and (evidence := self._prove_by_duplicate(message)):
            return evidence
        return judge_answer(answer)

    def _prove_by_duplicate(self, message: Message) -> Outcome | None:
        if not self._find_tracked_links(message):
            return None
        if message.attempt > 1:
            return self.reconcile(message) or Accepted(
                "", detail="refused as a duplicate of the earlier try, so that one went out"
            )
        return self.reconcile(message)

    def _explain_silence(self, gate: Gate, error: Exception | None) -> Outcome:
        from distributor.channels.x.adapter import name_cause

        if error is not None and gate.was_asked and not gate.is_open:
            raise error
        cause = self._keys().redact(name_cause(error)) if error else ""
        if not gate.was_asked:
            return Outage("X could not be reached; nothing was sent", cause)
        return Unknown("X gave no complete answer; the post may be out", cause)

    def _ask(self, call: Callable[[Any], Any]) -> Answer | None:
        """One read; None when no answer came."""
        client, session = self._open()
        session.begin(None)
        try:
            call(client)
        except Exception:
            # Reads prove something only by a complete answer; what went wrong is in it, or nothing is known.
            return session.answer
        return session.answer

    def _own_timeline(self, client: Any) -> dict[str, Any]:
        token = self._keys().access_token
        # Tokens begin with the account's id; asking for it would cost $0.010.
        user = token.partition("-")[0]
        if not user.isdigit():
            found = client.get_me(user_auth=True).json()
            user = str(found["data"]["id"])
        return {"id": user, "max_results": POSTS_READ_BACK, "tweet_fields": ["entities"], "user_auth": True}

    def _find_tracked_links(self, message: Message) -> set[str]:
        # Not `find_urls`: on a test machine the links have no domain that X would know.
        text = str(message.edition.content.payload.get("text", ""))
        prefix = self.around.site.public_url.rstrip("/") + "/l/"
        return set(re.findall(re.escape(prefix) + "[A-Za-z0-9]+", text))

    def _keys(self) -> Any:
        from distributor.channels.x.adapter import Keys

        parts = {name: getattr(self.settings, name) for name in Keys.__dataclass_fields__}
        return Keys(**{name: part.get_secret_value() for name, part in parts.items() if part is not None})

    def _open(self) -> tuple[Any, OneTrySession]:
        if self._opened is None:
            from distributor.channels.x.adapter import open_client

            settings = self.settings
            self._opened = open_client(self._keys(), settings.api_base, settings.timeout, self.around.agent)
        return self._opened


def open_channel(settings: Settings, around: Surroundings) -> Channel:
    """A channel ready to send; nothing is imported or connected before the first message."""
    return XChannel(settings, around)


def _paces(access_token: str) -> tuple[Pace, ...]:
    account = hashlib.blake2b(access_token.encode(), digest_size=8, person=b"x account").hexdigest()
    return (Pace(f"x:{account}:3h", 300, 10_800.0), Pace(f"x:{account}:15m", 100, 900.0))


def _find_warnings(text: str) -> Iterator[str]:
    findings = lint_accidental_urls(text)
    yield from map(str, findings)
    if findings and len(findings) == len(find_urls(text)):
        yield f"with a link this post costs ${PRICE_WITH_URL:.3f}, without one ${PRICE_PLAIN:.3f}"
    cashtags = set(_CASHTAG.findall(text.upper()))
    if len(cashtags) > 1:
        yield f"X refuses posts with more than one cashtag: this one has {', '.join(sorted(cashtags))}"


def _find_post_with(data: Any, wanted: set[str]) -> str:
    """The id of the post that links to one of `wanted`, "" when none does or the answer is not a timeline."""
    posts = data.get("data") if isinstance(data, dict) else None
    for post in posts if isinstance(posts, list) else []:
        entities = post.get("entities") if isinstance(post, dict) else None
        urls = entities.get("urls") if isinstance(entities, dict) else None
        for url in urls if isinstance(urls, list) else []:
            if isinstance(url, dict) and wanted & {url.get("expanded_url"), url.get("unwound_url")}:
                return str(post.get("id", ""))
    return ""
