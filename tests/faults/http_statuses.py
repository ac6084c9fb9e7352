"""What HTTP statuses prove, in the service's own words and in those of a machine in between.

A no counts in the service's own words. From a machine in between only those count that it says before it passes
a request on (no way in, too large, too often); any other may hide a message that did go out.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.http_shapes import redirect, web_page
from tests.faults.http_talk import HttpReply, HttpTalk
from tests.faults.shapes import BEFORE, CLOSED, NOT_SENT, REFUSED, UNKNOWN, Shape

#: Status -> class of the service's own no. "" is every service without a line of its own.
OWN_WORDS: dict[int, dict[str, str]] = {
    400: {"": REFUSED},
    401: {"": CLOSED},
    402: {"": CLOSED},
    403: {"x": REFUSED, "": CLOSED},
    404: {"": CLOSED},
    405: {"sendgrid": CLOSED, "x": CLOSED, "": REFUSED},
    406: {"sendgrid": NOT_SENT, "": REFUSED},
    408: {"": UNKNOWN},
    409: {"sendgrid": NOT_SENT, "": REFUSED},
    413: {"": REFUSED},
    415: {"sendgrid": CLOSED, "": REFUSED},
    422: {"sendgrid": NOT_SENT, "": REFUSED},
    499: {"": UNKNOWN},
    500: {"": UNKNOWN},
    502: {"": UNKNOWN},
    503: {"": UNKNOWN},
    504: {"": UNKNOWN},
}
#: Status -> class of a web page with it. Telegram's API speaks JSON whatever happens: a page is not its answer.
PAGES: dict[int, dict[str, str]] = {
    401: {"telegram": UNKNOWN, "": CLOSED},
    403: {"telegram": UNKNOWN, "": CLOSED},
    404: {"telegram": UNKNOWN, "": CLOSED},
    407: {"telegram": UNKNOWN, "": CLOSED},
    413: {"telegram": UNKNOWN, "": REFUSED},
    429: {"telegram": UNKNOWN, "": NOT_SENT},
}
#: Pages of these statuses prove nothing on any service.
DOUBTFUL_PAGES = (400, 406, 408, 409, 410, 412, 417, 418, 421, 422, 424, 425, 499)
SERVER_PAGES = (500, 501, 502, 503, 504, 507, 511, 520, 522, 524, 599)

#: What a 429 may say about when to come back: header values, and Telegram's own parameter as JSON.
WAITS = (
    "30",
    "0",
    "-1",
    "1000000000",
    "9" * 400,
    "1e400",
    "nan",
    "-inf",
    "Mon, 23 Nov 2026 09:00:00 GMT",
    "soon",
    "",
)
TELEGRAM_WAITS = (
    "30",
    "0",
    "-1",
    "1000000000",
    "9" * 400,
    "1e400",
    "NaN",
    "-Infinity",
    '"30"',
    "null",
    "[]",
    "true",
)


def _name(value: str) -> str:
    return value if len(value) < 40 else f"of {len(value)} digits"


def _say_no(status: int) -> Shape:
    def play(talk: HttpTalk) -> None:
        talk.say(talk.refusal.but(status=status))
        talk.end()

    return Shape(f"{status} in its own words", play, OWN_WORDS[status], (BEFORE,))


def _say_too_often(name: str, header: str, value: str, more: dict[str, str] | None = None) -> Shape:
    def play(talk: HttpTalk) -> None:
        reply = talk.refusal
        talk.say(HttpReply(429, {**reply.headers, header: value, **(more or {})}, reply.body))
        talk.end()

    return Shape(name, play, NOT_SENT, (BEFORE,))


def _say_telegram_wait(value: str) -> Shape:
    def play(talk: HttpTalk) -> None:
        words = '{"ok": false, "description": "Too Many Requests", "parameters": {"retry_after": %s}}'
        talk.say(HttpReply(429, {}, (words % value).encode()))
        talk.end()

    return Shape(f"429 retry_after {_name(value)}", play, {"telegram": NOT_SENT, "": ""}, (BEFORE,))


def _list_too_often() -> Iterator[Shape]:
    yield _say_too_often("429 without a time", "X-Nothing", "said")
    for value in WAITS:
        yield _say_too_often(f"429 Retry-After {_name(value)}", "Retry-After", value)
    skewed = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT", "X-Rate-Limit-Remaining": "0"}
    for header in ("X-Rate-Limit-Reset", "X-RateLimit-Reset"):
        for value in ("1", "99999999999", "9" * 400, "-5", "soon"):
            yield _say_too_often(f"429 {header} {_name(value)}, skewed Date", header, value, skewed)
    odd = {"Date": "Mon, 23 Nov 99999999999999999999 07:30:00 +0000", "X-Rate-Limit-Remaining": "0"}
    yield _say_too_often("429 with a Date of no calendar", "X-RateLimit-Reset", "1790000000", odd)
    odd = {"Date": "Mon, 01 Jan 0001 00:00:00 +2359", "X-Rate-Limit-Remaining": "0"}
    yield _say_too_often("429 with the first Date there is", "X-RateLimit-Reset", "1790000000", odd)
    yield from map(_say_telegram_wait, TELEGRAM_WAITS)


def list_shapes() -> list[Shape]:
    """Statuses: by the service, by somebody in between, redirects, and asking for patience."""
    pages = [Shape(f"{status} as a web page", web_page(status), PAGES[status], (BEFORE,)) for status in PAGES]
    doubtful = [Shape(f"{status} as a web page", web_page(status), UNKNOWN) for status in DOUBTFUL_PAGES]
    broken = [Shape(f"{status} as a web page", web_page(status), UNKNOWN) for status in SERVER_PAGES]
    loops = [Shape(f"{status} to itself", redirect(status), UNKNOWN) for status in (301, 302, 303, 307, 308)]
    return [*map(_say_no, OWN_WORDS), *pages, *doubtful, *broken, *loops, *_list_too_often()]
