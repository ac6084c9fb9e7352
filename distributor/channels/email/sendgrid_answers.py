"""What SendGrid's answer to one call means for its readers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from distributor.channels.whole_answer import GUESSED
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, SendError, Unknown
from distributor.core.message import Accepted

if TYPE_CHECKING:
    from distributor.channels.email.sendgrid_client import Answer

_READER = re.compile(r"personalizations\.(\d{1,4})\b(.*)")
#: Parts of a call that are the same for all of its readers: a mistake there is nobody's own.
_SHARED = frozenset({"subject", "content", "tracking_settings", "categories", "custom_args", "headers", "asm"})
_OURS = frozenset({"from", "reply_to", "reply_to_list", "ip_pool_name"})


@dataclass(frozen=True)
class Split:
    """The call was refused without saying for whom; nothing was sent."""


#: One outcome for all, the readers (by place in the call) to blame for a refused call, or neither.
Verdict = Accepted | SendError | Split | dict[int, SendError]


def judge_answer(answer: Answer, count: int, key: str = "") -> Verdict:
    """Only 202 with a message id is a yes. A no is a 4xx in the service's own words, or one that machines in
    between say before they pass a call on. Everything else is Unknown.

    `count` is the number of readers in the call, `key` what must not appear in a detail.
    """
    status = answer.status
    errors = _read_errors(answer.body)
    words = _join_words(status, errors, key)
    if status == 202:
        receipt = answer.headers.get("x-message-id", "")
        return Accepted(receipt) if receipt else Unknown("SendGrid took the call but gave no message id", words)
    if status == 400 and errors is not None:
        return _blame(errors, count, words)
    if status == 413:
        return Split() if count > 1 else MessageRefused("the mail is too large for SendGrid (30 MB)", words)
    if status == 429:
        return Busy("SendGrid asks for patience", find_wait(answer.headers), words)
    if status in (401, 402, 403):
        return ChannelClosed(
            "SendGrid does not let us send: check the API key, the plan and the From address", words
        )
    if status in (404, 405, 407, 415):
        return ChannelClosed("this is not SendGrid's mail/send: check api_base", words)
    if 400 <= status <= 499 and errors is not None and status not in GUESSED:
        return Outage(f"SendGrid could not take the call (HTTP {status})", words)
    return Unknown(f"SendGrid gave no clear answer (HTTP {status})", words)


def _read_errors(body: bytes) -> list[dict[str, Any]] | None:
    """The service's own list of errors, or None when the answer is not in its shape."""
    try:
        errors = json.loads(body)["errors"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if isinstance(errors, list) and errors and all(isinstance(error, dict) for error in errors):
        return errors
    return None


def _join_words(status: int, errors: list[dict[str, Any]] | None, key: str) -> str:
    words = "; ".join(f"{error.get('message') or ''} ({error.get('field') or '-'})" for error in errors or [])
    if key:
        words = words.replace(key, "***")
    return f"{status} {words}".strip()[:300]


def _blame(errors: list[dict[str, Any]], count: int, words: str) -> Verdict:
    blamed: dict[int, SendError] = {}
    for error in errors:
        field, message = str(error.get("field") or ""), str(error.get("message") or "")
        match = _READER.match(field)
        if match and int(match[1]) < count:
            blamed[int(match[1])] = _explain_reader(match[2], f"400 {message} ({field})"[:300])
    if blamed:
        return blamed
    fields = {str(error.get("field") or "").partition(".")[0] for error in errors}
    if fields & _OURS:
        return ChannelClosed("SendGrid does not accept our From or reply address: check from and reply_to", words)
    if count == 1 or fields & _SHARED:
        return MessageRefused("SendGrid refused this mail", words)
    return Split()


def _explain_reader(field: str, words: str) -> SendError:
    if field.startswith(".to"):
        return RecipientGone("SendGrid says this is not a mail address", words)
    return MessageRefused("SendGrid refused this reader's copy", words)


def find_wait(headers: dict[str, str]) -> float:
    """Seconds until the rate limit's window opens again, by the service's own clock; 60 when it does not say."""
    try:
        if "retry-after" in headers:
            seconds = float(headers["retry-after"])
        else:
            seconds = float(headers["x-ratelimit-reset"]) - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return 60.0
    # In this order "nan" means the least.
    return min(3600.0, max(1.0, seconds))
