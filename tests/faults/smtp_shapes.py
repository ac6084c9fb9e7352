"""What goes wrong on SMTP, verb by verb."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from tests.faults.shapes import AFTER, BEFORE, BOTH, CLOSED, NOT_SENT, REFUSED, SENT, UNKNOWN, Shape
from tests.faults.smtp_talk import STAGES, SmtpTalk

Play = Callable[[SmtpTalk], None]
_REST = 0.02


def say(data: bytes) -> Play:
    return lambda talk: talk.say(data)


def say_and_end(data: bytes) -> Play:
    def play(talk: SmtpTalk) -> None:
        talk.say(data)
        talk.end()

    return play


def half_reply(talk: SmtpTalk) -> None:
    talk.say(talk.reply.rstrip(b"\r\n")[:-3])
    talk.end()


def reply_and_end(talk: SmtpTalk) -> None:
    talk.say(talk.reply)
    talk.end()


def reply_and_reset(talk: SmtpTalk) -> None:
    talk.say(talk.reply)
    talk.reset()


def reply_twice(talk: SmtpTalk) -> None:
    talk.say(talk.reply * 2)


def reply_and_more(talk: SmtpTalk) -> None:
    talk.say(talk.reply + b"250 2.0.0 Ok: queued as WRONG1\r\n")


def without_end(part: bytes) -> Play:
    def play(talk: SmtpTalk) -> None:
        with contextlib.suppress(OSError):
            for _ in range(2000):
                talk.say(part * 50)

    return play


def drip(talk: SmtpTalk) -> None:
    with contextlib.suppress(OSError):
        talk.drip(talk.reply.rstrip(b"\r\n") + b" and it takes its time" * 20 + b"\r\n", _REST)


def drip_lines(talk: SmtpTalk) -> None:
    with contextlib.suppress(OSError):
        talk.drip(talk.reply[:3] + b"-x\r\n", 0)
        talk.drip((talk.reply[:3] + b"-x\r\n") * 60, _REST)


#: What the server says at each stage, and the class it puts the mail in. A second way in (HELO after EHLO, LOGIN
#: after PLAIN) may still go well.
_SAYINGS: dict[str, tuple[bytes, dict[str, str]]] = {
    "421": (b"421 4.3.2 Closing down\r\n", {"ehlo": "sent|not sent", "auth": "sent|not sent", "": NOT_SENT}),
    "450": (b"450 4.2.0 Not now\r\n", {"ehlo": "sent|not sent", "auth": "sent|not sent", "": NOT_SENT}),
    "450 in lines": (
        b"450-4.2.0 Not\r\n450 4.2.0 now\r\n",
        {"ehlo": "sent|not sent", "auth": "sent|not sent", "": NOT_SENT},
    ),
    "550": (
        b"550 5.3.0 No\r\n",
        {
            "banner": CLOSED,
            "ehlo": "sent|closed",
            "starttls": CLOSED,
            "auth": "sent|closed",
            "mail": CLOSED,
            "": REFUSED,
        },
    ),
}
_NONSENSE: dict[str, bytes] = {
    "a word": b"what?\r\n",
    "an empty line": b"\r\n",
    "bytes of no charset": b"\x00\xff\xfe 250 Ok\r\n",
    "a code of two digits": b"25 Ok\r\n",
    "a code of no class": b"999 Ok\r\n",
    "a code and a letter": b"250x Ok\r\n",
    "lines of different codes": b"250-Ok\r\n550 No\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
}


def _lost(stage: str) -> str:
    return UNKNOWN if stage == "dot" else NOT_SENT


def _make(
    stage: str, name: str, play: Play, expect: str, sides: tuple[str, ...] = (), waits: bool = False
) -> Shape:
    sides = sides or (BOTH if stage == "dot" else (BEFORE,))
    login = stage if stage in ("starttls", "auth") else ""
    return Shape(f"{stage}: {name}", play, expect, sides, stage=stage, login=login, waits=waits)


def _list_at(stage: str) -> Iterator[Shape]:
    for name, (data, classes) in _SAYINGS.items():
        yield _make(stage, name, say(data), classes.get(stage, classes[""]), (BEFORE,))
    lost = _lost(stage)
    # EHLO that makes no sense is followed by HELO on some clients; ours hangs up.
    for name, data in _NONSENSE.items():
        yield _make(stage, name, say(data), lost)
    yield _make(stage, "end", lambda talk: talk.end(), lost)
    yield _make(stage, "reset", lambda talk: talk.reset(), lost)
    yield _make(stage, "half a reply, then end", half_reply, lost)
    yield _make(stage, "reply without its last line, then end", say_and_end(b"250-2.0.0 Ok\r\n"), lost)
    yield _make(stage, "lines without end", without_end(b"250-Ok\r\n"), lost)
    yield _make(stage, "a line without end", without_end(b"250 Ok"), lost)
    yield _make(stage, "stall", lambda talk: talk.stall(), lost, waits=True)
    yield _make(stage, "a byte now and then", drip, lost, waits=True)
    yield _make(stage, "a line now and then", drip_lines, lost, waits=True)
    yield _make(stage, "reply twice", reply_twice, SENT if stage == "dot" else "sent|not sent|unknown", (AFTER,))
    # A connection that ends before its first mail may be followed by another one; after 354 the mail may be out.
    ended = {"dot": "sent|unknown", "data": "not sent|unknown"}.get(stage, "sent|not sent")
    waits = stage == "starttls"
    yield _make(stage, "reply, then end", reply_and_end, SENT if stage == "dot" else ended, (AFTER,), waits=waits)
    yield _make(stage, "reply, then reset", reply_and_reset, ended, (AFTER,), waits=waits)


def _list_special() -> Iterator[Shape]:
    for code in (b"220", b"250", b"251"):
        name = f"{code.decode()} instead of 354"
        yield _make("data", name, say(code + b" 2.0.0 Ok\r\n"), NOT_SENT)
    yield _make("data", "354 twice", reply_twice, "not sent|unknown", (AFTER,))
    yield _make("dot", "354 again", say(b"354 Go on\r\n"), UNKNOWN)
    yield _make("dot", "334", say(b"334 VXNlcm5hbWU6\r\n"), UNKNOWN)
    yield _make("dot", "reply and one for the next mail", reply_and_more, SENT, (AFTER,))
    yield _make("mail", "354", say(b"354 Go on\r\n"), NOT_SENT)
    yield _make("rcpt", "354", say(b"354 Go on\r\n"), NOT_SENT)
    yield _make("rcpt", "451 greylisted", say(b"451 4.7.1 Greylisted, try again in 5 minutes\r\n"), NOT_SENT)
    yield _make("rcpt", "wait for ever", say(b"451 4.7.1 try again in 99999 minutes\r\n"), NOT_SENT)
    yield _make("rcpt", "550 and hangs up", say_and_end(b"550 5.1.1 User unknown\r\n"), REFUSED)
    yield _make("dot", "550 and hangs up", say_and_end(b"550 5.7.1 Spam\r\n"), REFUSED, (BEFORE,))
    yield _make("ehlo", "no features", say(b"250 mx.example.org\r\n"), SENT, (AFTER,))
    yield _make("auth", "334 that is no base64", say(b"334 abcde\r\n"), "sent|not sent|closed")
    yield _make("auth", "334 without end", say(b"334 VXNlcm5hbWU6\r\n" * 40), "not sent|closed")
    yield _make(
        "starttls", "220, then no TLS", say_and_end(b"220 Go\r\n220 hello again\r\n"), "not sent|closed", waits=True
    )
    yield _make("starttls", "220, then end", say_and_end(b"220 Go\r\n"), NOT_SENT, waits=True)
    yield _make("starttls", "220, then stall", _go_and_stall, NOT_SENT, waits=True)
    yield Shape("connection refused", lambda wire: wire.refuse(), NOT_SENT, (BEFORE,), "listen")
    yield Shape("connecting hangs", lambda wire: wire.hang(), NOT_SENT, (BEFORE,), "listen", waits=True)
    tls = "not sent|closed"
    yield Shape("TLS: a banner comes back", say_and_end(b"220 hi\r\n"), tls, (BEFORE,), "handshake")
    yield Shape("TLS: handshake stalls", lambda talk: talk.stall(), tls, (BEFORE,), "handshake", waits=True)
    yield Shape("TLS: reset in the handshake", lambda talk: talk.reset(), tls, (BEFORE,), "handshake")
    yield Shape("kept connection closed meanwhile", lambda talk: talk.end(), SENT, (AFTER,), "connect", warm=True)
    for stage in ("mail", "rcpt", "dot"):
        ended = {"mail": SENT, "rcpt": "sent|not sent"}.get(stage, UNKNOWN)
        yield Shape(
            f"kept connection ends at {stage}", lambda talk: talk.end(), ended, (AFTER,), stage=stage, warm=True
        )
    said = b"421 4.4.2 Idle too long\r\n"
    yield Shape("kept connection says 421", say_and_end(said), SENT, (BEFORE,), stage="mail", warm=True)


def _go_and_stall(talk: SmtpTalk) -> None:
    talk.say(b"220 Go\r\n")
    talk.stall()


def list_shapes() -> list[Shape]:
    """Every stage with everything that can be said or not said there, and what belongs to one stage only."""
    return [*(shape for stage in STAGES for shape in _list_at(stage)), *_list_special()]
