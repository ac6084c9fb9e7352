"""What goes wrong on HTTP, for SendGrid, Telegram and X alike."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable, Iterator

from tests.faults.http_talk import HttpReply, HttpTalk, Play
from tests.faults.shapes import AFTER, BEFORE, NOT_SENT, SENT, UNKNOWN, Shape

WEB_PAGE = b"<html><head><title>Sorry</title></head><body>something in between</body></html>"
_LARGE = 10_000_000
#: Seconds between two bytes of a slow answer: far less than the shortest patience in these tests.
_REST = 0.02


def say_then(data: Callable[[HttpTalk], bytes], then: str) -> Play:
    def play(talk: HttpTalk) -> None:
        talk.say(data(talk))
        getattr(talk, then)()

    return play


def say(change: Callable[[HttpReply], HttpReply | bytes]) -> Play:
    """The service's answer with something changed, then the end of the connection."""

    def play(talk: HttpTalk) -> None:
        talk.say(change(talk.reply))
        talk.end()

    return play


def web_page(status: int) -> Play:
    """What a machine in between says in its own words."""
    return say(lambda reply: HttpReply(status, {"Content-Type": "text/html"}, WEB_PAGE))


def redirect(status: int) -> Play:
    return lambda talk: talk.say(HttpReply(status, {"Location": talk.url + "/v3/mail/send"}, b"Moved"))


def half_head(talk: HttpTalk) -> bytes:
    return talk.reply.raw().partition(b"\r\n")[0] + b"\r\nDate: Mon, 23 No"


def most_of_it(talk: HttpTalk) -> bytes:
    """All of the head, and less of the body than it says."""
    reply = talk.reply.but(talk.reply.body or b"{}")
    return reply.raw()[: -len(reply.body) // 2 or None][:-1]


def too_long(reply: HttpReply) -> HttpReply:
    return HttpReply(reply.status, {**reply.headers, "Content-Length": str(len(reply.body) + 7)}, reply.body)


def too_short(reply: HttpReply) -> HttpReply:
    body = reply.body or b"{}"
    return HttpReply(reply.status, {**reply.headers, "Content-Length": str(len(body) // 2)}, body)


def chunk(reply: HttpReply, body: bytes | None = None) -> HttpReply:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(reply.body), reply.body) if body is None else body
    body = b"0\r\n\r\n" if body.startswith(b"0\r\n\r\n") else body
    return HttpReply(reply.status, {**reply.headers, "Transfer-Encoding": "chunked"}, body)


def without_id(reply: HttpReply) -> HttpReply:
    headers = {name: value for name, value in reply.headers.items() if name.lower() != "x-message-id"}
    return HttpReply(reply.status, headers, b"{}")


def pour_for_ever(talk: HttpTalk) -> None:
    headers = {**talk.reply.headers, "Content-Length": str(10**12)}
    with contextlib.suppress(OSError):
        talk.say(HttpReply(talk.reply.status, headers, b""))
        for _ in range(4000):
            talk.say(b" " * 65_536)


def pour_heads(talk: HttpTalk) -> None:
    with contextlib.suppress(OSError):
        talk.say(b"HTTP/1.1 %d Said\r\n" % talk.reply.status)
        for number in range(100_000):
            talk.say(b"X-Filler-%d: %s\r\n" % (number, b"x" * 1000))


def continue_for_ever(talk: HttpTalk) -> None:
    with contextlib.suppress(OSError):
        for _ in range(500_000):
            if talk.stopping.is_set():
                return
            talk.say(b"HTTP/1.1 100 Continue\r\n\r\n")


def drip(talk: HttpTalk) -> None:
    with contextlib.suppress(OSError):
        talk.drip(talk.reply.raw(), _REST)


def _list_connecting() -> Iterator[Shape]:
    yield Shape("connection refused", lambda wire: wire.refuse(), NOT_SENT, (BEFORE,), "listen")
    yield Shape("connecting hangs", lambda wire: wire.hang(), NOT_SENT, (BEFORE,), "listen", waits=True)
    tls = "not sent|closed"
    yield Shape("TLS: plain HTTP comes back", say(lambda _: HttpReply(400)), tls, (BEFORE,), "handshake")
    yield Shape("TLS: reset in the handshake", lambda talk: talk.reset(), tls, (BEFORE,), "handshake")
    yield Shape("TLS: end in the handshake", lambda talk: talk.end(), tls, (BEFORE,), "handshake")
    yield Shape("TLS: handshake stalls", lambda talk: talk.stall(), tls, (BEFORE,), "handshake", waits=True)
    either = "not sent|unknown"
    yield Shape("reset before the request is read", lambda talk: talk.reset(), either, (BEFORE,), "connect")
    yield Shape("closed before the request is read", lambda talk: talk.end(), either, (BEFORE,), "connect")
    yield Shape("nobody reads the request", lambda talk: talk.stall(), UNKNOWN, (BEFORE,), "connect", waits=True)


def _list_broken() -> Iterator[Shape]:
    """The connection ends, or nothing more comes."""
    for then in ("end", "reset", "stall"):
        waits = then == "stall"
        yield Shape(f"no answer, {then}", say_then(lambda talk: b"", then), UNKNOWN, waits=waits)
        yield Shape(f"half a status line, {then}", say_then(lambda talk: b"HTTP/1.1 2", then), UNKNOWN, waits=waits)
        yield Shape(f"half the head, {then}", say_then(half_head, then), UNKNOWN, waits=waits)
        yield Shape(f"half the body, {then}", say_then(most_of_it, then), UNKNOWN, waits=waits)
    whole = say_then(lambda talk: talk.reply.raw(), "reset")
    yield Shape("reset right after the whole answer", whole, "sent|unknown", (AFTER,))
    yield Shape("a byte now and then", drip, UNKNOWN, waits=True)
    yield Shape("head of a page, then reset", say_then(lambda t: b"HTTP/1.1 429 Slow\r\nX: ", "reset"), UNKNOWN)
    yield Shape("head of a no, then end", say_then(lambda t: b"HTTP/1.1 403 No\r\nX: ", "end"), UNKNOWN)
    yield Shape("kept connection closed meanwhile", lambda talk: talk.end(), SENT, (AFTER,), "connect", warm=True)
    yield Shape("kept connection ends without an answer", lambda talk: talk.end(), UNKNOWN, warm=True)


def _list_odd() -> Iterator[Shape]:
    """Something comes, but not what was promised."""
    yield Shape("200 empty", say(lambda reply: HttpReply(200)), UNKNOWN)
    yield Shape("204", say(lambda reply: HttpReply(204)), UNKNOWN)
    yield Shape("yes with an empty body and no id", say(lambda r: HttpReply(r.status)), UNKNOWN)
    yield Shape("200 that is a list", say(lambda r: HttpReply(r.status, {}, b"[1, 2]")), UNKNOWN)
    yield Shape("200 that is null", say(lambda r: HttpReply(r.status, {}, b"null")), UNKNOWN)
    yield Shape("200 that is no JSON", say(lambda r: HttpReply(r.status, {}, b"{'ok': True")), UNKNOWN)
    yield Shape("200 without an id", say(without_id), UNKNOWN)
    yield Shape("a web page instead of an answer", web_page(200), UNKNOWN)
    yield Shape("deeply nested JSON", say(lambda r: HttpReply(r.status, {}, b"[" * 200_000)), UNKNOWN)
    yield Shape("no HTTP at all", say(lambda r: b"\x16\x03\x01\x00\xff 220 mail.example ESMTP\r\n\r\n"), UNKNOWN)
    yield Shape("an HTTP status that is no number", say(lambda r: b"HTTP/1.1 OK OK\r\n\r\n"), UNKNOWN)
    yield Shape("an answer of another charset", say(utf_16), UNKNOWN)
    yield Shape("gzip that is none", say(lambda r: without_id(r).but(b"garbage", content_encoding="gzip")), UNKNOWN)
    yield Shape("a gzip bomb", say(bomb), UNKNOWN)
    yield Shape("garbage for chunks", say(lambda r: chunk(without_id(r), b"zz\r\n{}\r\n")), UNKNOWN)
    yield Shape("chunks that do not end", say(lambda r: chunk(without_id(r), b"5\r\n{}")), UNKNOWN)
    yield Shape("less body than said", say(lambda r: too_long(without_id(r))), UNKNOWN)
    yield Shape("more body than said", say(lambda r: too_short(without_id(r))), UNKNOWN)
    yield Shape("ten megabytes of page", say(lambda r: HttpReply(200, {}, WEB_PAGE * (_LARGE // 80))), UNKNOWN)
    yield Shape("a body without end", pour_for_ever, UNKNOWN)
    yield Shape("a head without end", pour_heads, UNKNOWN)
    yield Shape("one header line without end", say(lambda r: b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), UNKNOWN)
    yield Shape("100 Continue without end", continue_for_ever, UNKNOWN, waits=True)


def utf_16(reply: HttpReply) -> HttpReply:
    body = (reply.body or b"{}").decode().encode("utf-16")
    headers = {name: value for name, value in reply.headers.items() if name.lower() != "x-message-id"}
    return HttpReply(reply.status, headers, body).but(content_type="application/json; charset=utf-8")


def bomb(reply: HttpReply) -> HttpReply:
    return without_id(reply).but(gzip.compress(b" " * 50_000_000, 1), content_encoding="gzip")


def _list_whole() -> Iterator[Shape]:
    """The true answer, oddly wrapped: it may still be read."""
    after = (AFTER,)
    kind = {"sendgrid": "sent|unknown", "": SENT}
    yield Shape("the answer in chunks", say(chunk), SENT, after)
    yield Shape(
        "the answer after 100 Continue", say(lambda r: b"HTTP/1.1 100 Continue\r\n\r\n" + r.raw()), SENT, after
    )
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    yield Shape("the answer after early hints", say(lambda r: early + r.raw()), "sent|unknown", after)
    yield Shape("the answer byte by byte", lambda talk: talk.drip(talk.reply.raw(), 0), SENT, after)
    yield Shape("the answer twice", say(lambda r: r.raw() * 2), SENT, after)
    yield Shape("the answer and then a no", say(lambda r: r.raw() + HttpReply(400, {}, b"{}").raw()), SENT, after)
    large = say(lambda r: r.but(r.body + b" " * _LARGE))
    yield Shape("the answer in ten megabytes", large, "sent|unknown", after)
    yield Shape("the answer with more behind it", say(lambda r: r.raw() + b"\r\n\r\nmore"), SENT, after)
    yield Shape("the answer with too short a length", say(too_short), {**kind, "": UNKNOWN}, after)
    yield Shape("the answer with too long a length", say(too_long), UNKNOWN, after)
    for reset in ("999999999999", "-1", "soon", "0"):
        limits = {"x_rate_limit_remaining": "0", "x_rate_limit_reset": reset}
        yield Shape(f"the answer with a rest until {reset}", say(limit(limits)), SENT, after)
        late = {**limits, "date": "Fri, 31 Dec 9999 23:59:59 GMT"}
        yield Shape(f"the answer with a rest until {reset}, at the end of time", say(limit(late)), SENT, after)
    for year in ("1970", "2099", "99999999999999999999"):
        dated = f"Mon, 23 Nov {year} 07:30:00 GMT"
        yield Shape(f"the answer from the year {year[:5]}", say(date(dated)), SENT, after)


def date(text: str) -> Callable[[HttpReply], HttpReply]:
    return lambda reply: reply.but(date=text)


def limit(headers: dict[str, str]) -> Callable[[HttpReply], HttpReply]:
    """The yes with other limits, and without the Date it came with."""

    def change(reply: HttpReply) -> HttpReply:
        dropped = ("date", *(name.replace("_", "-") for name in headers))
        kept = {name: value for name, value in reply.headers.items() if name.lower() not in dropped}
        return HttpReply(reply.status, kept, reply.body).but(None, None, **headers)

    return change


def list_shapes() -> list[Shape]:
    """Every shape that does not depend on what the service would say in its own words."""
    return [*_list_connecting(), *_list_broken(), *_list_odd(), *_list_whole()]
