"""From a host name to a connection that takes mail: greeting, EHLO, STARTTLS, AUTH."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator

from distributor.channels.email.replies import Reply, explain_refusal
from distributor.channels.email.settings import Settings
from distributor.channels.email.smtp_link import Link, LostLink
from distributor.channels.email.smtp_trust import explain_no_way_in, make_trust
from distributor.core.errors import ChannelClosed, Outage
from distributor.core.points import reach


async def open_link(settings: Settings, hello: str) -> Link:
    """A connection on which MAIL may be said. Raises Outage or ChannelClosed: nothing was sent."""
    where = f"{settings.host}:{settings.port}"
    link = Link()
    try:
        try:
            await _connect(link, settings)
            await _introduce(link, settings, hello)
            return link
        except BaseException:
            link.drop("it could not be opened")
            raise
    except LostLink as error:
        raise Outage(f"{where} hung up before we could send: {error}") from None
    except (OSError, UnicodeEncodeError) as error:
        raise explain_no_way_in(where, error) from None


async def _connect(link: Link, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    host = (settings.host or "").strip("[]")
    context = make_trust(settings) if settings.tls == "tls" else None
    greeting = link.expect()
    reach("smtp.connect")
    try:
        name = host if context else None
        opening = loop.create_connection(lambda: link, host, settings.port, ssl=context, server_hostname=name)
        await asyncio.wait_for(opening, settings.timeout)
        reply = await link.wait(greeting, settings.timeout)
    finally:
        greeting.cancel()
    if reply.code != 220:
        raise explain_refusal(reply, "hello")


async def _introduce(link: Link, settings: Settings, hello: str) -> None:
    await _say_hello(link, settings, hello)
    if settings.tls == "starttls":
        await _start_tls(link, settings)
        await _say_hello(link, settings, hello)
    if settings.username and settings.password:
        await _log_in(link, settings, settings.username, settings.password.get_secret_value())
    reach("smtp.ready")


async def _say_hello(link: Link, settings: Settings, hello: str) -> None:
    reply = await link.ask(f"EHLO {hello}\r\n".encode("ascii"), settings.timeout)
    if 500 <= reply.code <= 504:
        reply = await link.ask(f"HELO {hello}\r\n".encode("ascii"), settings.timeout)
        link.offers = {}
    else:
        link.offers = _read_offers(reply)
    if reply.code != 250:
        raise explain_refusal(reply, "hello")


def _read_offers(reply: Reply) -> dict[str, str]:
    offers: dict[str, str] = {}
    for line in reply.lines[1:]:
        name, _, rest = line.replace("=", " ", 1).partition(" ")
        offers[name.upper()] = f"{offers.get(name.upper(), '')} {rest}".strip()
    return offers


async def _start_tls(link: Link, settings: Settings) -> None:
    if "STARTTLS" not in link.offers:
        raise ChannelClosed(
            f"{settings.host}:{settings.port} offers no encryption (STARTTLS): check host and port, or tls"
        )
    reply = await link.ask(b"STARTTLS\r\n", settings.timeout)
    if reply.code != 220:
        raise explain_refusal(reply, "hello")
    if not link.is_quiet or link.transport is None:
        raise LostLink("it spoke before encryption began")
    loop = asyncio.get_running_loop()
    host = (settings.host or "").strip("[]")
    secured = await asyncio.wait_for(
        loop.start_tls(link.transport, link, make_trust(settings), server_hostname=host), settings.timeout
    )
    if secured is None:
        raise LostLink("it hung up before encryption began")
    link.transport = secured


async def _log_in(link: Link, settings: Settings, username: str, password: str) -> None:
    offered = link.offers.get("AUTH", "").upper().split()
    wanted = ("XOAUTH2",) if settings.auth == "xoauth2" else ("PLAIN", "LOGIN")
    way = next((one for one in wanted if one in offered), "")
    if not way:
        ways = ", ".join(offered) or "none"
        raise ChannelClosed(
            f"{settings.host}:{settings.port} takes no login by {' or '.join(wanted)} (it offers {ways}): "
            "check port, tls and auth"
        )
    steps = _login_steps(way, username, password)
    reply = await link.ask(b"AUTH " + way.encode() + b" " + next(steps) + b"\r\n", settings.timeout)
    for step in steps:
        if reply.code != 334:
            break
        reply = await link.ask(step + b"\r\n", settings.timeout)
    if reply.code // 100 != 2:
        raise explain_refusal(reply, "hello")


def _login_steps(way: str, username: str, password: str) -> Iterator[bytes]:
    raw_name, raw_word = username.encode("ascii"), password.encode("ascii")
    if way == "PLAIN":
        yield base64.b64encode(b"\0" + raw_name + b"\0" + raw_word)
    elif way == "LOGIN":
        yield base64.b64encode(raw_name)
        yield base64.b64encode(raw_word)
    else:
        yield base64.b64encode(b"user=" + raw_name + b"\x01auth=Bearer " + raw_word + b"\x01\x01")
        # A refusal comes as one more question; an empty answer asks for the reason.
        yield b""
