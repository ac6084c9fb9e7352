"""The one place where parts are chosen and joined: settings in, a working newsroom desk out."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributor import __version__
from distributor.core.contracts import Channel, Site
from distributor.core.message import Content, Edition, Recipient
from distributor.core.minting import Utm
from distributor.core.planning import PlannedEdition
from distributor.core.schedule import parse_rule
from distributor.core.source_state import QuietPoll, SourceState
from distributor.core.tokens import sign_unsubscribe
from distributor.pipeline.plan import Candidate, Plan, load_candidates, plan_all
from distributor.pipeline.poll import Polled, poll
from distributor.storage import Storage, open_storage

if TYPE_CHECKING:
    from distributor.pipeline.freeze import Desk, Wording
    from distributor.pipeline.send import Lane
    from distributor.settings import Settings
    from distributor.sources.fetch import Fetcher
    from distributor.storage.lanes import Turn

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


def read_clock() -> datetime:
    """Now, in UTC: for entrances, which pass it on."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Draft:
    """Words that go nowhere, with the channel that can show them."""

    channel: Channel
    content: Content


@dataclass
class App:
    """Settings and stores with everything that is made from them on first use."""

    settings: Settings
    storage: Storage
    clock: Clock = read_clock
    fence: str = field(default_factory=lambda: secrets.token_hex(6))
    #: How lanes of one voice are taken where many machines send.
    turn: Turn | None = None
    _freeze_lock: threading.Lock = field(default_factory=threading.Lock)
    _channels: dict[str, Channel] = field(default_factory=dict)

    # -- parts -----------------------------------------------------------------------------------------------

    @cached_property
    def site(self) -> Site:
        return self.settings.site.describe()

    @cached_property
    def state_dir(self) -> Path:
        """Where journals live: beside the database, on this machine's own disk."""
        return self.settings.state_dir

    @cached_property
    def agent(self) -> str:
        return f"distributor/{__version__} (+{self.site.public_url})"

    @cached_property
    def fetcher(self) -> Fetcher:
        from distributor.sources.fetch import Fetcher

        return Fetcher(allow_private=self.settings.network.allow_private, user_agent=self.agent)

    @cached_property
    def sources(self) -> Mapping[str, Any]:
        from distributor.sources import load

        return {one.name: load(one.kind).Source(one, self.fetcher) for one in self.settings.sources}

    @cached_property
    def _source_settings(self) -> Mapping[str, Any]:
        return {one.name: one for one in self.settings.sources}

    @cached_property
    def plans(self) -> tuple[Plan, ...]:
        return tuple(
            Plan(
                name=one.name,
                channel=one.channel,
                form=one.form,
                rule=one.rule,
                matches=one.filter.matches,
                max_lateness=one.max_lateness,
                min_items=one.min_items,
                max_items=one.max_items,
                title=one.title,
            )
            for one in self.settings.schedules
        )

    @cached_property
    def desk(self) -> Desk:
        from distributor.pipeline.freeze import Desk
        from distributor.pipeline.last_look import LastLook
        from distributor.pipeline.render import Renderer, Templates
        from distributor.shipped import templates_dir
        from distributor.sources.last_look import ask_page

        roots = [root for root in (self.settings.templates_dir, templates_dir()) if root is not None]
        renderer = Renderer(Templates(roots))
        look = LastLook(
            partial(ask_page, self.fetcher), {one.name: one.check_page for one in self.settings.sources}
        )
        return Desk(self.site, renderer, self.storage.posts, self.storage.editions, self.storage.secret, look)

    def open_channel(self, name: str) -> Channel:
        """A channel of its own for the caller's thread; the caller closes it."""
        from distributor.channels import Surroundings, open_channel

        found = next((one for one in self.settings.channels if one.name == name), None)
        if found is None:
            raise LookupError(f"there is no channel {name!r}")
        return open_channel(found, Surroundings(self.site, self.agent))

    def words_channel(self, name: str) -> Channel:
        """The channel that words and previews; it never sends."""
        if name not in self._channels:
            self._channels[name] = self.open_channel(name)
        return self._channels[name]

    def wording(self, schedule: Plan) -> Wording:
        from distributor.pipeline.freeze import Wording
        from distributor.pipeline.render import ScheduleView

        channel = self.words_channel(schedule.channel)
        settings = next(one for one in self.settings.channels if one.name == schedule.channel)
        folders = tuple(dict.fromkeys(f for f in (settings.template, channel.name, channel.kind, "default") if f))
        own = {"utm_source": channel.name, "utm_medium": channel.medium, "utm_campaign": schedule.name}
        wished = {**self.settings.site.utm, **(settings.utm or {})}
        utm = Utm(
            {**own, **{f"utm_{key.removeprefix('utm_')}": text for key, text in wished.items()}}, schedule.name
        )
        return Wording(channel, folders, ScheduleView(schedule.name, schedule.title), utm)

    # -- steps of the walk -----------------------------------------------------------------------------------

    def due_sources(self, is_left: Callable[[SourceState], bool] = lambda state: False) -> dict[str, SourceState]:
        """Sources whose time has come or whose asker `is_left`, with what they remember."""
        now, known = self.clock(), self.storage.posts.load_states()
        states = ((one, SourceState.from_json(known.get(one.name, ""))) for one in self.settings.sources)
        return {one.name: state for one, state in states if state.is_due(one.url, now) or is_left(state)}

    def poll(
        self, name: str, state: SourceState | None = None, later: Callable[[QuietPoll], None] | None = None
    ) -> Polled:
        """Poll one source now, due or not. `state` spares a look; `later` takes the note of a poll without news."""
        own, source, posts = self._source_settings[name], self.sources[name], self.storage.posts
        state = (state or SourceState.from_json(posts.load_state(name))).for_address(own.url)
        return poll(name, source, own.every, state, posts, source.enrich, self.clock(), later, own.settle)

    def plan(self) -> int:
        """Write the editions that are due; returns how many."""
        return plan_all(self.plans, self.storage.posts, self.storage.editions, self.clock())

    def freeze(self) -> list[str]:
        """Word and fix every planned edition; returns the channels that have something to send."""
        from distributor.pipeline.freeze import freeze_all

        with self._freeze_lock:
            return freeze_all(self.desk, self.storage.editions.list_planned(), self._find_wording, self.clock)

    def _find_wording(self, edition: PlannedEdition) -> Wording | None:
        fitting = (one for one in self.plans if (one.name, one.channel) == (edition.schedule, edition.channel))
        return next(map(self.wording, fitting), None)

    def draft(self, channel_name: str, form: str, post_ids: Sequence[int], schedule_name: str = "") -> Draft:
        """An edition worded like a real one and kept nowhere. Raises LookupError, TemplateError, Unsupported."""
        from distributor.pipeline.freeze import make_preview_minter, word
        from distributor.pipeline.render import PostView

        schedule = self.find_plan(channel_name, form, schedule_name)
        rows = self.storage.posts.load_posts(post_ids)
        views = [PostView(i, rows[i].post) for i in post_ids if i in rows]
        if not views:
            raise LookupError("there is no such post; see: distributor posts")
        now, ids = self.clock(), tuple(view.id for view in views)
        edition = PlannedEdition(
            0, "preview", schedule.name, channel_name, form, "0" * 16, "planned", schedule.title, now, None, ids, ()
        )
        wording = self.wording(schedule)
        content = word(self.desk, edition, wording, views, make_preview_minter(self.site.public_url), now)
        return Draft(wording.channel, content)

    def find_plan(self, channel_name: str, form: str, schedule_name: str = "") -> Plan:
        """The schedule whose words a preview uses: the named one, else the channel's first of this form."""
        fitting = [one for one in self.plans if one.channel == channel_name and one.form == form]
        if schedule_name:
            fitting = [one for one in self.plans if one.name == schedule_name]
        if fitting:
            return replace(fitting[0], channel=channel_name, form=form)
        rule = parse_rule(when="immediately", timezone="UTC")
        return Plan("preview", channel_name, form, rule, lambda post: True, timedelta(hours=1))

    def waiting(self) -> dict[str, list[Candidate]]:
        """Schedule -> live posts it has not told yet."""
        now = self.clock()
        known = self.storage.editions.load_schedules()
        posts = self.storage.posts
        return {one.name: load_candidates(one, posts, known.get(one.name, (now, now)), now) for one in self.plans}

    def housekeep(self) -> None:
        """Leases, lateness, accounts: small and safe to repeat."""
        self.storage.recovery.housekeep(self.clock())

    def recover(self) -> dict[str, int]:
        """Settle what a killed process left behind, with what its send journals prove."""
        from distributor.storage.aftermath import recover

        return recover(self.storage, self.state_dir, self.fence, self.clock())

    # -- sending ---------------------------------------------------------------------------------------------

    def open_lane(self, name: str, is_stopping: Callable[[], bool], pause: Callable[[float], None]) -> Lane:
        """Everything one lane needs, made in the lane's own thread."""
        from distributor.pipeline.send import Lane
        from distributor.storage.pauses import PauseWatch
        from distributor.storage.recorded import RecordedLedger
        from distributor.storage.send_journal import SendJournal

        channel = self.open_channel(name)
        watch = PauseWatch(self.storage.decisions, name, self.clock)
        is_voice = channel.limits.batch == 1
        storage = self.storage.taking_turns(self.turn) if self.turn and is_voice else self.storage
        return Lane(
            channel=channel,
            ledger=RecordedLedger(storage, self.state_dir, self.fence),
            journal=SendJournal(self.state_dir, self.fence, name),
            fence=self.fence,
            clock=self.clock,
            slots=self.make_slots(channel),
            may_start=lambda: not is_stopping() and not watch.is_paused(),
            pause=pause,
            unknowns=self.storage.recovery,
        )

    def make_slots(self, channel: Channel) -> Callable[[Edition, Recipient], Mapping[str, str]]:
        """What differs between two readers of one edition."""
        secret, prefix = self.storage.secret, f"{self.site.public_url.rstrip('/')}/u/"
        if not channel.list_name:
            return lambda edition, recipient: {}

        def slots(edition: Edition, recipient: Recipient) -> Mapping[str, str]:
            token = sign_unsubscribe(secret, recipient.id, edition.id)
            return {"name": recipient.name, "address": recipient.address, "unsubscribe_url": prefix + token}

        return slots

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()
        if "desk" in self.__dict__:
            self.desk.renderer.close()
        if "fetcher" in self.__dict__:
            self.fetcher.close()
        self.storage.close()


def open_app(settings: Settings, clock: Clock = read_clock) -> App:
    """The desk over the configured database; raises StorageError with what to type."""
    return App(settings, open_storage(settings.database_url.get_secret_value(), settings.state_dir), clock)


def read_settings(path: Path, environ: Mapping[str, str]) -> Settings:
    """Settings checked against the kinds of sources and channels there are; raises SettingsError."""
    from distributor import channels, sources
    from distributor.settings import load_settings
    from distributor.sources.guard import read_allowance

    return load_settings(
        path,
        environ,
        source_model=sources.settings_model,
        channel_model=channels.settings_model,
        check_network=read_allowance,
    )


__all__: Sequence[str] = ("App", "open_app", "read_clock", "read_settings")
