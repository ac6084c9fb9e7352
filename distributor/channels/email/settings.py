"""What an operator fills in for an email list: one kind, sent through an SMTP relay or through SendGrid."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from distributor.channels.email.headers import AddressError, split_mailbox
from distributor.channels.fields import DECIDE_WITHIN_TEXT, Deciding

#: Which fields mean something for one transport only.
_FIELDS = {
    "smtp": frozenset(
        (
            *("host", "port", "tls", "tls_ca", "username", "password", "connections", "per_connection"),
            *("answer_timeout", "hello", "bounce_address", "feedback_id", "client", "auth"),
        )
    ),
    "sendgrid": frozenset(("api_key", "api_base", "per_call", "webhook_key")),
}


class Settings(BaseModel):
    """One list of readers and the way mails reach them."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)

    name: str = Field(description="Short name of this channel, used in schedules and reports.")
    kind: Literal["email"] = "email"
    transport: Literal["smtp", "sendgrid"] = Field(
        default="smtp", description="smtp: any mail relay. sendgrid: Twilio SendGrid's web API."
    )
    from_: str = Field(
        alias="from", description='Who the mail is from: "The Daily <news@example.org>" or a bare address.'
    )
    list_name: str = Field(
        alias="list", min_length=1, description="The list whose members receive this channel's editions."
    )
    reply_to: str | None = Field(default=None, description="Where answers go, when not to the From address.")

    host: str | None = Field(default=None, description="smtp: the relay's host name.")
    port: int = Field(
        default=587, ge=1, le=65535, description="smtp: the relay's port: 587 with starttls, 465 with tls."
    )
    tls: Literal["none", "starttls", "tls"] = Field(
        default="starttls",
        description="smtp: none (only on this machine or a trusted network), starttls, or tls from the first byte.",
    )
    tls_ca: Path | None = Field(
        default=None,
        description="smtp: PEM file of a private certificate authority to trust instead of the system's.",
    )
    username: str | None = Field(default=None, description="smtp: user name, when the relay asks for one.")
    password: SecretStr | None = Field(default=None, description="smtp: password that goes with username.")
    connections: int = Field(
        default=4, ge=1, le=50, description="smtp: connections kept open and used side by side."
    )
    per_connection: int = Field(
        default=500, ge=1, description="smtp: mails over one connection before it is opened afresh."
    )
    answer_timeout: float | None = Field(
        default=None,
        gt=0,
        le=120,
        description="smtp: seconds to wait for the answer to a whole mail, at most 120; a mail without an answer "
        "may have gone out and is never repeated by itself. Default: four times timeout.",
    )
    hello: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9.:\[\]-]{1,255}$",
        description="smtp: the host name this machine introduces itself with. Default: the domain of From.",
    )
    bounce_address: str | None = Field(
        default=None, description="smtp: envelope sender, where bounces go. Default: the From address."
    )
    feedback_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{5,15}$",
        description="smtp: sender id of 5 to 15 characters for Gmail's Feedback-ID header.",
    )
    client: Literal["pipelined", "plain"] = Field(
        default="pipelined",
        description="smtp: pipelined needs one round trip for a mail. plain (Python's smtplib) is slow and patient "
        "with odd servers.",
    )
    auth: Literal["auto", "xoauth2"] = Field(
        default="auto",
        description="smtp: xoauth2 logs in with an access token as password; client: pipelined only.",
    )

    api_key: SecretStr | None = Field(
        default=None, description='sendgrid: API key with the permission "Mail Send".'
    )
    api_base: str = Field(
        default="https://api.sendgrid.com",
        description="sendgrid: the part before /v3/mail/send; https://api.eu.sendgrid.com for accounts in the EU.",
    )
    per_call: int = Field(
        default=1000,
        ge=1,
        le=1000,
        description="sendgrid: readers in one call. A call that breaks leaves all of its readers in doubt.",
    )
    webhook_key: str | None = Field(
        default=None,
        description="sendgrid: verification key of the signed event webhook; without it no event is believed.",
    )

    timeout: float = Field(
        default=30.0, gt=0, le=60, description="Seconds to wait for a connection and for each answer, at most 60."
    )
    decide_within: Deciding | None = Field(
        default=None, description=f"{DECIDE_WITHIN_TEXT} Default: 1h for smtp, 2h for sendgrid."
    )
    template: str | None = Field(default=None, description="Folder of templates to use instead of email.")
    utm: dict[str, str] | None = Field(
        default=None, description="UTM parameters for links in this channel's mails."
    )
    allow: tuple[str, ...] = Field(default=(), description="Addresses that send-test may write to.")

    @property
    def answer_wait(self) -> float:
        """Seconds to wait for the answer to a whole mail."""
        return self.answer_timeout or min(self.timeout * 4, 120.0)

    @field_validator("from_", "reply_to", "bounce_address")
    @classmethod
    def _require_a_mailbox(cls, value: str | None) -> str | None:
        if value is None:
            return value
        try:
            split_mailbox(value)
        except AddressError as error:
            raise ValueError(f'must look like "The Daily <news@example.org>": {error}') from None
        return value

    @field_validator("api_base")
    @classmethod
    def _require_a_prefix(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError('must look like "https://api.sendgrid.com": the part before /v3/mail/send')
        if "/v3" in parts.path:
            raise ValueError("must stop before /v3/mail/send")
        return value.rstrip("/")

    @field_validator("webhook_key")
    @classmethod
    def _require_a_public_key(cls, value: str | None) -> str | None:
        if value is not None:
            from distributor.channels.email.events import load_key

            load_key(value)
        return value

    @model_validator(mode="after")
    def _match_the_transport(self) -> Settings:
        other = "sendgrid" if self.transport == "smtp" else "smtp"
        if wrong := sorted(_FIELDS[other] & self.model_fields_set):
            raise ValueError(
                f"{', '.join(wrong)} belongs to transport: {other}, but transport is {self.transport}: "
                "remove it or change transport"
            )
        return self._check_smtp() if self.transport == "smtp" else self._check_sendgrid()

    def _check_smtp(self) -> Settings:
        if not self.host or any(not 33 <= ord(char) <= 126 for char in self.host):
            raise ValueError("host is missing or odd: fill in the mail relay's host name")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password (or password_file) go together: fill in both or neither")
        if self.username and self.tls == "none" and not is_loopback(self.host):
            raise ValueError("tls: none would send the password unprotected: use starttls or tls")
        if self.auth == "xoauth2" and self.client == "plain":
            raise ValueError("auth: xoauth2 needs client: pipelined")
        if self.tls == "none" and self.tls_ca:
            raise ValueError("tls_ca has no meaning with tls: none: remove it or use starttls")
        return self

    def _check_sendgrid(self) -> Settings:
        if self.api_key is None or not self.api_key.get_secret_value().strip():
            raise ValueError("api_key is missing: make one in SendGrid under Settings, API Keys")
        if any(not 33 <= ord(char) <= 126 for char in self.api_key.get_secret_value()):
            raise ValueError("api_key has spaces or unusual characters: copy it again")
        return self


def is_loopback(host: str) -> bool:
    """Whether the host is this machine by name or number; nothing is looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
