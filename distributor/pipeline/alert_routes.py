"""The ways to a person that do not lead through a channel: a web address, and a mail server of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING

from distributor.core.errors import SourceError
from distributor.core.points import reach
from distributor.core.telling import Notice
from distributor.pipeline.alerts import NotDelivered

if TYPE_CHECKING:
    import smtplib

#: Seconds for a connection and for each answer.
TIMEOUT = 10.0

#: (method, address, body) -> HTTP status. Raises SourceError.
Call = Callable[[str, str, bytes], int]


@dataclass(frozen=True)
class Webhook:
    """POST of JSON: `text` for people, `alerts` for programs. Any 2xx is a yes."""

    call: Call
    url: str = field(repr=False)
    name: str = "webhook"

    def send(self, notice: Notice) -> None:
        body = json.dumps(notice.data, ensure_ascii=False).encode()
        reach("alerts.webhook")
        ask(self.call, "POST", self.url, body)


def ask(call: Call, method: str, url: str, body: bytes = b"") -> None:
    """One request; NotDelivered, without the address's secret part, when it is not answered by 2xx."""
    try:
        status = call(method, url, body)
    except SourceError as error:
        raise NotDelivered(str(error).replace(url[:100], "...")) from None
    if not 200 <= status < 300:
        raise NotDelivered(f"it answered {status}")


def ping(call: Call, url: str) -> None:
    """Tell an outside monitor that somebody is watching."""
    reach("alerts.ping")
    ask(call, "GET", url)


@dataclass(frozen=True)
class Mail:
    """Plain mail by a server of its own. `tls`: starttls | tls | none."""

    to: Sequence[str]
    sender: str
    host: str
    port: int
    tls: str = "starttls"
    username: str = ""
    password: str = field(default="", repr=False)
    name: str = "email"

    def send(self, notice: Notice) -> None:
        import smtplib

        try:
            with self._connect() as server:
                if self.username:
                    server.login(self.username, self.password)
                reach("alerts.mail")
                server.send_message(self._write(notice))
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error
            answer = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
            raise NotDelivered(f"{self.host} answered {error.smtp_code} {answer[:200]}".strip()) from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise NotDelivered(f"{self.host} refused the recipients ({', '.join(map(str, codes))})") from None
        except (smtplib.SMTPException, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotDelivered(f"{self.host}:{self.port}: {reason}") from None

    def _connect(self) -> smtplib.SMTP:
        import smtplib
        import ssl

        reach("alerts.mail server")
        if self.tls == "tls":
            return smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=ssl.create_default_context())
        server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        if self.tls == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server

    def _write(self, notice: Notice) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = " ".join(notice.subject.split())
        message["From"] = self.sender
        message["To"] = ", ".join(self.to)
        # No out-of-office answers, and no place in front of them.
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(notice.text)
        return message
