"""One connection to a mail relay. smtplib opens, encrypts and proves it; the rest is read strictly here."""

from __future__ import annotations

import binascii
import contextlib
import smtplib
import socket
from collections.abc import Callable
from typing import Any

from distributor.channels.email.headers import split_mailbox
from distributor.channels.email.replies import Reply, explain_refusal, find_receipt
from distributor.channels.email.settings import Settings
from distributor.channels.email.smtp_incoming import Incoming
from distributor.channels.email.smtp_trust import describe_loss, explain_no_way_in, make_trust
from distributor.core.errors import ChannelClosed, Outage, SendError, Unknown
from distributor.core.message import Accepted, NotStarted, Outcome
from distributor.core.points import reach


class LostConnection(Exception):
    """The server went away, took too long or said something that is not an SMTP reply."""


class _StrictReplies(smtplib.SMTP):
    """smtplib takes a reply that breaks off in the middle of a line for a whole one; this does not."""

    incoming: Incoming | None = None

    @property
    def file(self) -> Any:
        return self.incoming

    @file.setter
    def file(self, value: Any) -> None:
        # smtplib lets go of what it has read when a connection begins and when it is encrypted: nothing that was
        # said in the clear may count as said behind TLS.
        self.incoming = None

    def getreply(self) -> tuple[int, bytes]:
        try:
            if self.sock is None:
                raise OSError("the connection is closed")
            self.incoming = self.incoming or Incoming(self.sock)
            return self.incoming.read_reply()
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(str(error) or type(error).__name__) from None


class _PlainClient(_StrictReplies):
    pass


class _TlsClient(_StrictReplies, smtplib.SMTP_SSL):
    pass


class Line:
    """A connection that is opened when needed and outlives one batch of mails. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        _, address = split_mailbox(settings.from_)
        self._hello = settings.hello or address.rpartition("@")[2]
        self._answer_timeout = settings.answer_wait
        self._client: _StrictReplies | None = None
        #: Nothing was asked on it yet: when it breaks now, opening it again would not help.
        self.is_fresh = False
        self._tries = 0
        #: Mails accepted since the connection was last opened.
        self.carried = 0

    @property
    def is_open(self) -> bool:
        return self._client is not None

    def ensure_open(self) -> None:
        """Connect, encrypt and log in unless that is done. Raises Outage or ChannelClosed: nothing was sent."""
        if self._tries >= self._settings.per_connection:
            self.quit()
        if self._client is None:
            self._client = _open_client(self._settings, self._hello)
            self._tries = self.carried = 0
            self.is_fresh = True

    def ask(self, command: bytes, timeout: float | None = None) -> Reply:
        """Send and read one complete reply. A timeout holds until the next one is named. Raises LostConnection."""
        try:
            if self._client is None or self._client.sock is None:
                raise OSError("the connection is closed")
            if timeout is not None:
                self._client.sock.settimeout(timeout)
            if self._client.incoming is not None and not self._client.incoming.is_empty:
                raise OSError("it said something nobody had asked")
            self._client.sock.sendall(command)
            code, text = self._client.getreply()
            reach("smtp.answered")
        except OSError as error:
            raise LostConnection(describe_loss(error)) from None
        return Reply(code, text.decode("utf-8", "replace").replace("\n", " "))

    def deliver(self, sender: str, recipient: str, body: bytes, may_start: Callable[[], bool]) -> Outcome:
        """One mail to exactly one recipient. `body` ends with the final dot; `may_start` is asked before DATA.

        Up to the dot every failure proves that nothing was sent; after it only a complete reply counts.
        """
        try:
            if refusal := self._address(sender, recipient):
                return refusal
            if not may_start():
                self._reset()
                return NotStarted()
            reach("smtp.data")
            reply = self.ask(b"DATA\r\n")
            if reply.code != 354:
                self._reset()
                return explain_refusal(reply, "message")
        except LostConnection as error:
            self.drop()
            return Outage(f"the mail server went away before it had the mail: {error}")
        return self._give(body)

    def _address(self, sender: str, recipient: str) -> SendError | None:
        try:
            reply = self._begin(f"MAIL FROM:<{sender}>\r\n".encode("ascii"))
        except SendError as error:
            return error
        if reply.code // 100 != 2:
            if reply.code == 421:
                self.drop()
            return explain_refusal(reply, "sender")
        reach("smtp.rcpt")
        reply = self.ask(f"RCPT TO:<{recipient}>\r\n".encode("ascii"))
        if reply.code // 100 != 2:
            self._reset()
            return explain_refusal(reply, "recipient")
        return None

    def _begin(self, mail_from: bytes) -> Reply:
        """MAIL FROM; a kept connection that turns out to be dead is opened again, once."""
        was_fresh, self.is_fresh = self.is_fresh, False
        self._tries += 1
        reach("smtp.mail")
        try:
            reply = self.ask(mail_from, self._settings.timeout)
        except LostConnection:
            if was_fresh:
                raise
            reply = Reply(421, "")
        if reply.code != 421 or was_fresh:
            return reply
        self.drop()
        self.ensure_open()
        self.is_fresh = False
        self._tries = 1
        return self.ask(mail_from)

    def _give(self, body: bytes) -> Outcome:
        reach("smtp.body")
        try:
            reply = self.ask(body, self._answer_timeout)
            reach("smtp.body answered")
        except LostConnection as error:
            self.drop()
            return Unknown(f"no complete answer came after the mail was sent: {error}")
        if reply.code == 421:
            self.drop()
        if reply.code // 100 == 2:
            self.carried += 1
            return Accepted(find_receipt(reply.text), reply.words)
        if reply.code >= 400:
            return explain_refusal(reply, "message")
        self.drop()
        return Unknown("the answer after the mail was sent makes no sense", reply.words)

    def _reset(self) -> None:
        """End a transaction that is not completed; a connection that cannot do that is given up."""
        reach("smtp.rset")
        try:
            is_ready = self.ask(b"RSET\r\n").code == 250
        except LostConnection:
            is_ready = False
        if not is_ready:
            self.drop()

    def drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def quit(self) -> None:
        """Say goodbye, without waiting long for an answer."""
        reach("smtp.quit")
        with contextlib.suppress(LostConnection):
            self.ask(b"QUIT\r\n", min(2.0, self._settings.timeout))
        self.drop()
        self._tries = 0


def _open_client(settings: Settings, hello: str) -> _StrictReplies:
    where = f"{settings.host}:{settings.port}"
    try:
        return _connect(settings, hello)
    except smtplib.SMTPResponseException as error:
        words = error.smtp_error
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
        raise explain_refusal(Reply(error.smtp_code, text.replace("\n", " ")), "hello") from None
    except smtplib.SMTPServerDisconnected as error:
        raise Outage(f"{where} hung up before we could send: {error}") from None
    except smtplib.SMTPException as error:
        raise ChannelClosed(f"{where} cannot be used as configured: {error}") from None
    except binascii.Error:
        raise Outage(f"{where} asks for the password in a way that cannot be read") from None
    except (OSError, UnicodeEncodeError) as error:
        raise explain_no_way_in(where, error) from None


def _connect(settings: Settings, hello: str) -> _StrictReplies:
    client: _StrictReplies
    host = (settings.host or "").strip("[]")
    reach("smtp.connect")
    if settings.tls == "tls":
        context = make_trust(settings)
        client = _TlsClient(host, settings.port, hello, timeout=settings.timeout, context=context)
    else:
        client = _PlainClient(host, settings.port, hello, timeout=settings.timeout)
    try:
        if client.sock is not None:
            client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.ehlo_or_helo_if_needed()
        if settings.tls == "starttls":
            client.starttls(context=make_trust(settings))
            client.ehlo_or_helo_if_needed()
        if settings.username and settings.password:
            client.login(settings.username, settings.password.get_secret_value())
    except BaseException:
        client.close()
        raise
    reach("smtp.ready")
    return client
