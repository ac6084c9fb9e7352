"""What the web application is made of, and how it is taken from the joined program."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from distributor.core.contracts import Site
from distributor.core.message import ServiceEvent
from distributor.pipeline.plan import Forecast, forecast
from distributor.web.measures import measure_lags, measure_paces
from distributor.web.stores import Stores

if TYPE_CHECKING:
    from distributor.app import App
    from distributor.web.public_site import PublicSite

#: How far ahead the status page looks, and at how many due times.
FORECAST_DAYS = 7
_TOKEN = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class ClickJournalState:
    """How the click journal stands: bytes that are not counted yet, clicks written and lost since the start."""

    backlog: int = 0
    written: int = 0
    lost: int = 0


@dataclass(frozen=True)
class WebParts:
    """Everything the pages need, as stores and functions; nothing here is a channel or a source."""

    site: Site
    stores: Stores
    clock: Callable[[], datetime]
    #: A page of templates/pages by name; raises TemplateError.
    render_page: Callable[[str, Mapping[str, Any]], str]
    #: The page behind "view in browser" by an edition's token; "" where there is none.
    view: Callable[[str], str] = lambda token: ""
    #: (channel, headers, body) -> events. LookupError: no such channel. PermissionError: not from the service.
    read_events: Callable[[str, Mapping[str, str], bytes], Sequence[ServiceEvent]] = lambda name, headers, body: ()
    #: Opens the operator's pages from elsewhere; "" leaves them to this machine.
    console_token: str = field(default="", repr=False)
    channels: Sequence[str] = ()
    sources: Sequence[str] = ()
    #: Whether readers may be on several lists, so that pages have to name the list.
    has_lists: bool = False
    forecast: Callable[[], Sequence[Forecast]] = tuple
    #: How long ago the clock last ticked; None when no clock runs in this process.
    tick_age: Callable[[], timedelta | None] = lambda: None
    journal: Callable[[], ClickJournalState] = ClickJournalState
    #: The free share of the disk with the database and the journals, from 0 to 1.
    disk_free: Callable[[], float] = lambda: 1.0
    #: Schedule -> seconds since a due time that nobody has planned.
    lags: Callable[[], Mapping[str, float]] = dict
    #: (channel, window) -> messages that may still go out within the window.
    paces: Callable[[], Mapping[tuple[str, str], float]] = dict
    is_starting: Callable[[], bool] = lambda: False
    is_draining: Callable[[], bool] = lambda: False
    #: More reasons not to be ready: name -> a sentence, "" when all is well.
    checks: Mapping[str, Callable[[], str]] = field(default_factory=dict)


def make_parts(app: App, public: PublicSite) -> WebParts:
    """The parts of a running program."""
    token = getattr(app.settings.web, "console_token", None)
    lists = {name for one in app.settings.channels if (name := getattr(one, "list_name", ""))}
    return WebParts(
        site=app.site,
        stores=app.storage,
        clock=app.clock,
        render_page=lambda name, context: app.desk.renderer.render_page(name, context),
        view=lambda token: view_edition(app, token),
        read_events=lambda name, headers, body: app.words_channel(name).read_events(headers, body),
        console_token=token.get_secret_value() if token else "",
        channels=[one.name for one in app.settings.channels],
        sources=[one.name for one in app.settings.sources],
        has_lists=len(lists) > 1,
        forecast=lambda: forecast_week(app),
        tick_age=lambda: find_tick_age(app, public),
        journal=lambda: measure_journal(app, public),
        disk_free=lambda: measure_disk(app),
        lags=lambda: measure_lags(app),
        paces=lambda: measure_paces(app),
        is_starting=lambda: public.is_starting,
        is_draining=lambda: public.is_stopping,
    )


def view_edition(app: App, token: str) -> str:
    """The web page of an edition; "" for a token that was never given out or a channel that has no page."""
    found = app.storage.editions.find_by_token(token) if _TOKEN.fullmatch(token) else None
    if found is None:
        return ""
    try:
        return app.words_channel(found[0]).view(found[1])
    except LookupError:
        return ""


def forecast_week(app: App) -> list[Forecast]:
    now = app.clock()
    return forecast(app.plans, app.waiting(), now, now + timedelta(days=FORECAST_DAYS))


def find_tick_age(app: App, public: PublicSite) -> timedelta | None:
    if public.last_tick is None:
        return None
    return app.clock() - (public.last_tick() or public.made_at)


def measure_journal(app: App, public: PublicSite) -> ClickJournalState:
    waiting = 0
    for name in public.files.names():
        try:
            waiting += max((public.folder / name).stat().st_size - app.storage.links.position(name), 0)
        except FileNotFoundError:
            continue  # counted and deleted meanwhile
    clicks = public.clicks
    return ClickJournalState(waiting, clicks.written, clicks.lost)


def measure_disk(app: App) -> float:
    usage = shutil.disk_usage(app.state_dir)
    return usage.free / usage.total if usage.total else 1.0
