"""What can be set. The page docs/configuration.md is drawn from these models and checked against them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from distributor.core.contracts import Site
from distributor.core.duration import parse_duration
from distributor.core.filters import Filter
from distributor.core.schedule import Rule
from distributor.core.wall_time import load_zone

if TYPE_CHECKING:
    from distributor.settings.alerts import AlertSettings

DEFAULT_LATENESS = {"each": timedelta(minutes=60), "digest": timedelta(hours=6)}
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_UTM_NAMES = ("source", "medium", "campaign", "term", "content", "id")


def _check_web_address(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f'"{value[:60]}" is no web address; write it with https://')
    return value.strip()


def _check_public_url(value: str) -> str:
    address = _check_web_address(value)
    parts = urlsplit(address)
    if parts.query or parts.fragment or parts.username:
        raise ValueError("must end before any ?, # or user name; write for example https://go.example.org")
    return address.rstrip("/")


def _check_timezone(value: str) -> str:
    load_zone(value)
    return value


def _check_language(value: str) -> str:
    if not _LANGUAGE.fullmatch(value):
        raise ValueError(f'"{value[:20]}" is no language tag; write for example en, uk or pt-BR')
    return value


def _check_listen(value: str) -> str:
    host, port = split_listen(value)
    if not host or not 0 <= port <= 65535:
        raise ValueError(f'"{value[:60]}" is no address to listen on; write for example 127.0.0.1:8080')
    return value


def _check_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        try:
            ipaddress.ip_network(one)
        except ValueError:
            raise ValueError(f'"{one[:60]}" is no network; write for example 10.0.0.0/8 or 192.0.2.7') from None
    return value


def split_listen(value: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:8080" or "[::1]:8080"; ("", -1) when it is neither."""
    host, colon, port = value.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or (":" in host and not host.startswith("[")):
        return "", -1
    return host.strip("[]"), int(port)


def _check_utm(value: dict[str, str]) -> dict[str, str]:
    for name in value:
        if name.removeprefix("utm_") not in _UTM_NAMES:
            raise ValueError(f'"{name[:30]}" is no UTM parameter; known are: {", ".join(_UTM_NAMES)}')
    return {name.removeprefix("utm_"): text for name, text in value.items()}


def _read_duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _make_list(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _make_text(value: Any) -> Any:
    """2026 as a tag or a word is meant as text."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _check_word(value: str) -> str:
    if not value.strip("* "):
        raise ValueError("has no letter in it; write a word, or remove it")
    return value


WebAddress = Annotated[str, AfterValidator(_check_web_address)]
Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
Word = Annotated[str, BeforeValidator(_make_text), AfterValidator(_check_word)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_make_list)]
Utm = Annotated[dict[str, str], AfterValidator(_check_utm)]


class Section(BaseModel):
    """Unknown settings are refused, and no error shows what was written."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SiteSettings(Section):
    """The newsroom."""

    name: str = Field(min_length=1, description="The newsroom's name, as readers see it.")
    public_url: Annotated[str, AfterValidator(_check_public_url)] = Field(
        description="Where readers reach this program: links and unsubscribe pages begin with it. Use https."
    )
    timezone: Annotated[str, AfterValidator(_check_timezone)] = Field(
        default="UTC", description="The newsroom's time zone, an IANA name such as Europe/Kyiv."
    )
    language: Annotated[str, AfterValidator(_check_language)] = Field(
        default="en", description="The language of messages and pages, such as en, uk or pt-BR."
    )
    follow: dict[str, WebAddress] = Field(
        default_factory=dict,
        description="Addresses for the follow block of mails: google_news, rss, telegram, x and any other name.",
    )
    utm: Utm = Field(
        default_factory=dict,
        description="UTM parameters for links to your site, besides those the program fills in: source, medium, "
        "campaign, term, content, id.",
    )

    def describe(self) -> Site:
        """The newsroom as channels and templates know it."""
        return Site(self.name, self.public_url, self.timezone, self.language, dict(self.follow))


class WebSettings(Section):
    """The program's own web server."""

    listen: Annotated[str, AfterValidator(_check_listen)] = Field(
        default="127.0.0.1:8080",
        description="Address and port to listen on; your web server or proxy stands before it.",
    )
    trusted_proxies: Annotated[Words, AfterValidator(_check_networks)] = Field(
        default=(),
        description="Networks of the web servers or proxies before it, such as 10.0.0.0/8. Their X-Forwarded-For "
        "is believed; this machine's always is.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Processes that redirect readers: as many as processors, where one is not fast enough. About "
        "40 MB each.",
    )
    console_token: SecretStr | None = Field(
        default=None,
        description="Opens the status page and /metrics from other machines, as a bearer token or as a password. "
        "Default: they answer on this machine only.",
    )

    @property
    def host(self) -> str:
        return split_listen(self.listen)[0]

    @property
    def port(self) -> int:
        return split_listen(self.listen)[1]


class NetworkSettings(Section):
    """What the program may connect to when it fetches feeds and pages."""

    allow_private: Words = Field(
        default=(),
        description="Networks or hosts inside your own network that sources may be fetched from: 10.0.0.0/8, "
        "127.0.0.1:8080, cms.internal. All others that are not public are refused.",
    )


class FilterParts(Section):
    """Which posts. One match within a part is enough; all parts that are given must match."""

    sections: Words = Field(default=(), description="Sections, as the source names them.")
    tags: Words = Field(default=(), description="Tags, as the source names them.")
    authors: Words = Field(default=(), description="Names that the byline contains.")
    sources: Words = Field(default=(), description="Names of sources.")
    words: Words = Field(default=(), description='Whole words in headline or summary; "elect*" for beginnings.')

    def build(self) -> Filter:
        return Filter(self.sections, self.tags, self.authors, self.sources, self.words)


class FilterSettings(FilterParts):
    """As FilterParts, and what is left out."""

    not_: FilterParts | None = Field(
        default=None, alias="not", description="The same parts; a post that any of them matches is left out."
    )

    def build(self) -> Filter:
        excluded = self.not_.build() if self.not_ and self.not_.model_fields_set else None
        return Filter(self.sections, self.tags, self.authors, self.sources, self.words, excluded)


class ScheduleEntry(Section):
    """A schedule as it is written. Exactly one of when, at, every and cron says when it is due."""

    name: str = Field(description="What reports call this schedule. Changing it starts a new schedule.")
    channel: str = Field(description="The name of the channel that its messages go to.")
    form: Literal["each", "digest"] = Field(description="each: one message for each post. digest: one for several.")
    when: Any = Field(default=None, description="immediately: as soon as a post is seen. For form each only.")
    at: Any = Field(default=None, description='Local time, "07:30", or several, ["07:30", "18:00"].')
    days: Any = Field(
        default=None,
        description="With at: which days. mon to sun, weekdays, weekend, days of the month 1 to 31, last. "
        "Default: every day.",
    )
    every: Any = Field(default=None, description="A length of time such as 2h, counted from local midnight.")
    cron: Any = Field(default=None, description='Five fields of cron text: "30 7 * * mon-fri".')
    timezone: Annotated[str, AfterValidator(_check_timezone)] | None = Field(
        default=None, description="Time zone of this schedule. Default: site.timezone."
    )
    filter: FilterSettings = Field(
        default_factory=FilterSettings, description="Which posts it takes. Default: all posts."
    )
    max_lateness: Duration | None = Field(
        default=None,
        description="How much later than due a message may still go out, such as 90m. "
        "Default: 60m for each, 6h for digest.",
    )
    min_items: int = Field(
        default=1, ge=1, le=100, description="With fewer posts a digest waits for its next time."
    )
    max_items: int = Field(
        default=10, ge=1, le=100, description="Most posts in a digest, or most messages at one due time."
    )
    title: str = Field(default="", description="Title of a digest. Default: the headline of its first post.")


@dataclass(frozen=True)
class ScheduleSettings:
    """A schedule as the program uses it."""

    name: str
    channel: str
    form: str
    rule: Rule
    filter: Filter
    max_lateness: timedelta
    min_items: int
    max_items: int
    title: str


@dataclass(frozen=True)
class Settings:
    """Everything that was set before start, whole and checked. Paths are absolute."""

    path: Path
    site: SiteSettings
    database_url: SecretStr
    web: WebSettings
    network: NetworkSettings
    alerts: AlertSettings
    sources: tuple[Any, ...]
    channels: tuple[Any, ...]
    schedules: tuple[ScheduleSettings, ...]
    templates_dir: Path
    state_dir: Path
    #: Sentences about what works and should be looked at: secrets written out, http, one place named twice.
    doubts: tuple[str, ...] = ()
    #: auto | local | procrastinate
    engine: str = "auto"
    #: How often the database file is copied, and how many of these copies are kept; 0: none are made.
    backup_every: timedelta = timedelta(hours=1)
    backups_kept: int = 24
