"""What a mail server's refusal means for a message, its reader or the whole channel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from distributor.core.errors import (
    Busy,
    ChannelClosed,
    MessageRefused,
    Outage,
    RecipientGone,
    SendError,
)

Stage = Literal["hello", "sender", "recipient", "message"]

#: Seconds to leave a server alone: greylisting wants 5 minutes, Gmail's 4.7.28 wants 10 (its page 81126).
GREYLIST_WAIT = 300.0
QUOTA_WAIT = 600.0
BUSY_WAIT = 60.0

_ENHANCED = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")
_WAIT = re.compile(r"\b(\d{1,5}) ?(s|sec|secs|seconds?|m|min|mins|minutes?)\b", re.IGNORECASE)
_GREYLIST = re.compile(r"gr[ae]y-?list", re.IGNORECASE)
_UNKNOWN_USER = re.compile(
    r"no such (user|recipient|mailbox|address|person)|(user|recipient|mailbox|address) (is )?(unknown|not found|"
    r"does(n't| not) exist)|unknown (user|recipient|mailbox|address|local)|does(n't| not) have an? |"
    r"no mailbox|mailbox unavailable|invalid (recipient|mailbox)",
    re.IGNORECASE,
)
#: Where relays put their own id: Postfix and others "queued as", Exim "id=", Amazon and Gmail behind "Ok".
_QUEUED = re.compile(r"(?:queued as|queued mail for delivery|\bid=)\W*([\w.@+-]{3,80})", re.IGNORECASE)
_BEHIND = len("queued as ")
_AFTER_OK = re.compile(r"\bok:?\s+([\w.-]{8,80})", re.IGNORECASE)
_NO_RELAY = re.compile(
    r"relay(ing)? (access )?(is )?(denied|not (permitted|allowed))|unable to relay", re.IGNORECASE
)
#: Microsoft's marks for a blocked network address; it writes them behind a plain 5.7.1.
_BLOCKED = re.compile(r"\b(SC-00[1-4]|DY-00[12]|OU-00[12])\b")

#: Detail part of X.7.Y that says our own domain, key or address is not set up: a person has to act, and the
#: same answer awaits every reader (/5.7.26 and 5.7.515 from Google's and Microsoft's sender rules).
_NOT_SET_UP = frozenset({"8", "9", "11", "14", "20", "21", "22", "23", "25", "26", "27", "29", "30", "31", "32"})
_NOT_SET_UP_MORE = frozenset({"40", "515"})
_GONE_SUBJECTS = frozenset({("1", "1"), ("1", "2"), ("1", "3"), ("1", "6"), ("1", "10"), ("2", "1")})


@dataclass(frozen=True, slots=True)
class Reply:
    """One complete answer of an SMTP server; `text` is its lines without codes, joined by spaces."""

    code: int
    text: str
    #: Its lines one by one, when it has several.
    lines: tuple[str, ...] = ()

    @property
    def enhanced(self) -> tuple[str, str, str] | None:
        """The RFC 3463 status (class, subject, detail), when the server gives one."""
        match = _ENHANCED.match(self.text)
        return (match[1], match[2], match[3]) if match else None

    @property
    def words(self) -> str:
        return f"{self.code} {self.text}".strip()[:300]


def explain_refusal(reply: Reply, stage: Stage) -> SendError:
    """The outcome of a complete reply that is not a yes. Every one of them means: nothing was sent."""
    if 400 <= reply.code <= 499:
        return _explain_later(reply, stage)
    if 500 <= reply.code <= 599:
        return _explain_never(reply, stage)
    return Outage(f"the mail server gave an answer that does not belong here: {reply.code}", reply.words)


def _explain_later(reply: Reply, stage: Stage) -> SendError:
    _, subject, detail = reply.enhanced or ("4", "", "")
    if (subject, detail) == ("7", "28"):
        return Busy("the mail service says we send too much", QUOTA_WAIT, reply.words)
    if subject == "7" and _is_not_set_up(detail):
        return ChannelClosed(
            "the mail service does not accept our domain's set-up (SPF, DKIM, DMARC, TLS)", reply.words
        )
    if stage == "hello":
        return Outage("the mail server takes no mail right now", reply.words)
    if reply.code == 421:
        return Busy("the mail server is closing down or busy", find_wait(reply.text, BUSY_WAIT), reply.words)
    if subject == "7" or (subject in ("", "0") and (_GREYLIST.search(reply.text) or _WAIT.search(reply.text))):
        return Busy("the mail server asks us to come back later", find_wait(reply.text, GREYLIST_WAIT), reply.words)
    # A full or busy mailbox and trouble inside the server: worth some more tries, but not endless ones.
    return Outage("the mail server could not take the mail this time", reply.words)


def _explain_never(reply: Reply, stage: Stage) -> SendError:
    _, subject, detail = reply.enhanced or ("5", "", "")
    if reply.code in (530, 534, 535, 538) or stage == "hello":
        return ChannelClosed("the mail server does not let us in: check host, username and password", reply.words)
    if (subject, detail) == ("7", "28"):
        return Busy("the mail service says we send too much", QUOTA_WAIT, reply.words)
    if _is_about_us(reply, subject, detail):
        return ChannelClosed(
            "the mail server does not accept mail from us: check the account and domain", reply.words
        )
    if stage != "sender" and _is_recipient_gone(reply, subject, detail):
        return RecipientGone("there is no such mailbox", reply.words)
    is_too_large = reply.code == 552 or (subject, detail) in (("3", "4"), ("2", "3"))
    if stage == "sender" and not is_too_large:
        return ChannelClosed("the mail server refuses our From address: check from and the account", reply.words)
    return MessageRefused("the mail server refused this mail", reply.words)


def _is_about_us(reply: Reply, subject: str, detail: str) -> bool:
    if (subject == "7" and _is_not_set_up(detail)) or (subject, detail) in (("1", "7"), ("1", "8")):
        return True
    return bool(_NO_RELAY.search(reply.text) or _BLOCKED.search(reply.text))


def _is_recipient_gone(reply: Reply, subject: str, detail: str) -> bool:
    if subject == "7" or (detail == "1" and "rate" in reply.text):
        return False
    if (subject, detail) in _GONE_SUBJECTS:
        return True
    return reply.code in (550, 551, 553, 554) and bool(_UNKNOWN_USER.search(reply.text))


def _is_not_set_up(detail: str) -> bool:
    return detail in _NOT_SET_UP or detail in _NOT_SET_UP_MORE


def is_for_everyone(outcome: object) -> bool:
    """Whether the rest of the batch would hear the same: closed, or told by a provider to stop (4.7.28)."""
    if isinstance(outcome, Busy):
        return re.search(r"\b[45]\.7\.28\b", outcome.detail) is not None
    return isinstance(outcome, ChannelClosed)


def find_wait(text: str, otherwise: float) -> float:
    """Seconds that a server's sentence names ("try again in 5 minutes"), within an hour."""
    match = _WAIT.search(text)
    if match is None:
        return otherwise
    seconds = float(match[1]) * (60.0 if match[2].lower().startswith("m") else 1.0)
    return min(max(seconds, 1.0), 3600.0)


def find_receipt(text: str) -> str:
    """The relay's own id in its yes to a mail, or the beginning of what it said."""
    at = text.find("queued as ")
    # Postfix's own words, found without the search through all that others say.
    if 0 <= at < 20 and 3 <= len(word := text[at + _BEHIND :]) <= 80 and word.isalnum() and "id=" not in text[:at]:
        return word
    match = _QUEUED.search(text) or _AFTER_OK.search(text)
    return match[1] if match else text[:80]
