"""Whom the program tells what is wrong, by ways that do not lead through the channels it watches."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from distributor.settings.model import Duration, Section, Words

_LEAST_WAIT = timedelta(minutes=1)


def _check_secret_address(value: SecretStr) -> SecretStr:
    parts = urlsplit(value.get_secret_value().strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a web address that begins with https://")
    if parts.username or parts.password:
        raise ValueError("must hold no user name or password before the host")
    return SecretStr(value.get_secret_value().strip())


def _check_addresses(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        _check_address(one)
    return value


def _check_address(value: str) -> str:
    name, _, domain = value.rpartition("@")
    if not name or not domain or any(sign <= " " or sign in "<>,;" or sign > "~" for sign in value):
        raise ValueError(f'"{value[:60]}" is no plain address; write for example desk@example.org')
    return value


def _check_span(value: timedelta) -> timedelta:
    if value < _LEAST_WAIT:
        raise ValueError("must be at least 1m")
    return value


SecretAddress = Annotated[SecretStr, AfterValidator(_check_secret_address)]
Span = Annotated[Duration, AfterValidator(_check_span)]


class AlertEmail(Section):
    """A mail server for alerts; better another one than the letters go through."""

    to: Annotated[Words, AfterValidator(_check_addresses)] = Field(
        min_length=1, description="Addresses that alerts go to."
    )
    from_: Annotated[str, AfterValidator(_check_address)] = Field(
        alias="from", description="The address alerts come from."
    )
    host: str = Field(min_length=1, pattern=r"^[!-~]+$", description="The mail server's host name.")
    port: int | None = Field(
        default=None, ge=1, le=65535, description="Default: 587 with tls: starttls, 465 with tls, 25 with none."
    )
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="starttls, tls (from the first byte) or none."
    )
    username: str | None = Field(default=None, description="With password, where the server asks for them.")
    password: SecretStr | None = Field(default=None, description="Belongs to username.")

    @model_validator(mode="after")
    def _match(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together: fill in both or neither")
        if self.username and self.tls == "none":
            raise ValueError("tls: none would send the password unprotected: use starttls or tls")
        return self

    @property
    def port_or_default(self) -> int:
        return self.port or {"starttls": 587, "tls": 465, "none": 25}[self.tls]


class AlertSettings(Section):
    """Whom the program tells what is wrong. Without any of webhook, email and ping it says so in its log and pages
    only."""

    webhook: SecretAddress | None = Field(
        default=None,
        description="Each alert is posted here as JSON; the field text suits Slack, Mattermost and their like.",
    )
    email: AlertEmail | None = Field(default=None, description="Each alert is mailed: see alerts.email below.")
    ping: SecretAddress | None = Field(
        default=None,
        description="Asked for by GET as long as all is watched: an outside monitor that misses it raises the "
        "alarm, also when this machine is off.",
    )
    ping_every: Span = Field(default=timedelta(minutes=5), description="How often ping is asked for.")
    after: Span = Field(
        default=timedelta(minutes=15),
        description="An edition that is not finished so long after it was due is an alert. Give it the time your "
        "largest list takes.",
    )
    again: Span = Field(default=timedelta(hours=12), description="What is still wrong is told again so often.")
