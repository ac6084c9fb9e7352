"""What each answer of POST /2/tweets means for a delivery. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from distributor.channels.whole_answer import GUESSED
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Unknown
from distributor.core.message import Accepted, Outcome

#: Seconds to wait after a 429 that names no time, or names one without a Date header to compare it with.
WAIT_WITHOUT_A_TIME = 60.0
LONGEST_WAIT = 86_400.0
LONGEST_DETAIL = 300
END_OF_CENTURY = 4_102_444_800.0

_WINDOWS = ("x-rate-limit", "x-user-limit-24hour", "x-app-limit-24hour")

#: What X says in a 403 when the account or the app is the trouble and not this post. Its 403s have no
#: dependable code: most are type about:blank, so the sentence decides.
_CLOSING = re.compile(
    r"suspend|locked|deactivated|not permitted|permission|not configured|client-forbidden|not-enrolled"
    r"|attached to a project|subset of x api|cannot perform write",
    re.IGNORECASE,
)
_DAILY = re.compile(r"daily (?:status update|post|tweet|usage)?\s*limit|\"period\":\s*\"daily\"", re.IGNORECASE)
_DUPLICATE = re.compile(r"duplicate content", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """A complete answer. Header names are lower case; `text` has no secret in it."""

    status: int
    headers: Mapping[str, str]
    text: str

    def json(self) -> Any:
        """The parsed body, None when it is not JSON."""
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            return None


@dataclass(frozen=True)
class Problem:
    """X's own words about a refusal."""

    type: str
    words: str


def judge_answer(answer: Answer) -> Outcome:
    """One complete answer -> its outcome. Everything that is not plainly yes or no is Unknown."""
    if 200 <= answer.status < 300:
        return _judge_success(answer)
    if answer.status in GUESSED or not 400 <= answer.status < 500:
        return Unknown(f"X answered {answer.status}; the post may be out", read_problem(answer).words)
    return _judge_refusal(answer, read_problem(answer))


def is_duplicate(answer: Answer) -> bool:
    """X refused because the account already has a post with exactly these words."""
    return answer.status == 403 and bool(_DUPLICATE.search(read_problem(answer).words))


def _judge_success(answer: Answer) -> Outcome:
    receipt = read_post_id(answer.json())
    if not receipt:
        return Unknown("X answered without the id of the post; it may be out", _shorten(answer.text))
    return Accepted(receipt, rest_until=find_rest(answer.headers))


def _judge_refusal(answer: Answer, problem: Problem) -> Outcome:
    words = problem.words
    match answer.status:
        case 401:
            return ChannelClosed("X does not accept the keys: make new ones and fill them in", words)
        case 402:
            return ChannelClosed("the X account is out of credit: add credit in the X console", words)
        case 403:
            return _judge_forbidden(problem, answer)
        case 404 | 405 | 407:
            return ChannelClosed(f"there is no X API at api_base (status {answer.status}): check it", words)
        case 429:
            return _judge_limit(answer, problem)
    if answer.status != 413 and not isinstance(answer.json(), dict):
        return Unknown(f"something before X answered {answer.status}; the post may be out", words)
    return MessageRefused(f"X refused this post (status {answer.status})", words)


def _judge_forbidden(problem: Problem, answer: Answer) -> Outcome:
    if _DUPLICATE.search(problem.words):
        return MessageRefused(
            "X already has a post with exactly these words on this account: change the words", problem.words
        )
    if _DAILY.search(problem.words):
        return Busy("X's daily limit is used up", find_wait(answer.headers, 3600.0), problem.words)
    if _CLOSING.search(f"{problem.type} {problem.words}"):
        return ChannelClosed("X does not let this account or app post", problem.words)
    if answer.json() is None:
        return ChannelClosed("something before X refused the request and gave a web page", problem.words)
    return MessageRefused("X refused this post", problem.words)


def _judge_limit(answer: Answer, problem: Problem) -> Outcome:
    is_capped = problem.type.endswith("usage-capped") and not _DAILY.search(answer.text)
    if is_capped:
        return ChannelClosed("the spending limit of the X account is used up: raise it there", problem.words)
    return Busy("X asks to wait", find_wait(answer.headers), problem.words)


def read_post_id(data: Any) -> str:
    """data.id of an answer, "" when it is not the string of digits that it must be."""
    inner = data.get("data") if isinstance(data, dict) else None
    found = inner.get("id") if isinstance(inner, dict) else None
    return found if isinstance(found, str) and re.fullmatch(r"[0-9]{1,20}", found) else ""


def find_wait(headers: Mapping[str, str], default: float = WAIT_WITHOUT_A_TIME) -> float:
    """Seconds to wait, 1 to 86,400: until the reset of the used-up window, by X's own Date header.

    X names the reset as an epoch time and a channel has no clock, so both ends come from the answer.
    """
    reset = find_rest(headers) or _number(headers, "x-rate-limit-reset")
    now = _date(headers)
    if reset is not None and now is not None:
        return min(max(reset - now, 1.0), LONGEST_WAIT)
    after = _number(headers, "retry-after")
    return default if after is None else min(max(after, 1.0), LONGEST_WAIT)


def find_rest(headers: Mapping[str, str]) -> float | None:
    """Epoch seconds when the last of the used-up windows opens again; None while there is room.

    At most a day after the answer's own Date: a mistyped time must not silence the account for years. Without a
    Date, what is no time of this century is no time.
    """
    resets = [
        _number(headers, f"{window}-reset") for window in _WINDOWS if _number(headers, f"{window}-remaining") == 0
    ]
    reset = max((reset for reset in resets if reset is not None), default=None)
    now = _date(headers)
    if reset is None or now is None:
        return reset if reset is not None and reset < END_OF_CENTURY else None
    return min(reset, now + LONGEST_WAIT, END_OF_CENTURY)


def read_problem(answer: Answer) -> Problem:
    """The words of a problem document, of an old-style error list, or of whatever came."""
    data = answer.json()
    if not isinstance(data, dict):
        return Problem("", _shorten(re.sub(r"(?s)<(?:style|script).*?</[^>]*>|<[^>]*>", " ", answer.text[:20_000])))
    errors = data.get("errors")
    listed = [entry for entry in errors if isinstance(entry, dict)] if isinstance(errors, list) else []
    found = [str(entry.get("message") or entry.get("detail") or "") for entry in listed]
    for name in ("detail", "title"):
        found.append(str(data.get(name) or "") if name == "detail" or not any(found) else "")
    return Problem(str(data.get("type") or ""), _shorten(" ".join(dict.fromkeys(filter(None, found)))))


def _shorten(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:LONGEST_DETAIL]


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "").strip()
    return float(text) if re.fullmatch(r"[0-9]{1,12}", text) else None


def _date(headers: Mapping[str, str]) -> float | None:
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
