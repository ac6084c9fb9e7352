"""What `distributor check` asks: would everything in this configuration work? Sends and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from distributor.app import App, read_clock
from distributor.core.errors import DistributorError, SourceError, StorageError
from distributor.core.planning import PlannedEdition
from distributor.core.post import Image, Post
from distributor.core.source_state import SourceState

if TYPE_CHECKING:
    from distributor.settings import Settings


def check_all(settings: Settings, online: bool) -> list[str]:
    """A sentence for each thing that would not work."""
    problems = list(_check_database(settings))
    app = App(settings, _NoStorage())  # type: ignore[arg-type]
    try:
        problems += _check_words(app)
        if online:
            problems += _check_sources(app, read_clock())
            problems += _check_channels(app)
    finally:
        app.close()
    return problems


def _check_database(settings: Settings) -> Iterator[str]:
    from distributor.storage import schema
    from distributor.storage.database import Database

    database = Database(settings.database_url.get_secret_value())
    try:
        if database.is_sqlite and not database.path.exists():
            return
        if schema.read_version(database) is not None:
            schema.require_current(database)
    except StorageError as error:
        yield str(error)
    finally:
        database.close()


def _check_words(app: App) -> Iterator[str]:
    """Word a sample story with every schedule's templates."""
    from distributor.pipeline.freeze import make_preview_minter, word
    from distributor.pipeline.render import PostView

    now = read_clock()
    for schedule in app.plans:
        try:
            view = PostView(1, _sample(now, app.site.public_url))
            edition = PlannedEdition(
                0,
                "check",
                schedule.name,
                schedule.channel,
                schedule.form,
                "0" * 16,
                "planned",
                "",
                now,
                None,
                (1,),
                (),
            )
            minter = make_preview_minter(app.site.public_url)
            word(app.desk, edition, app.wording(schedule), [view], minter, now)
        except DistributorError as error:
            yield f"schedule {schedule.name}: {error}"


def _check_sources(app: App, now: datetime) -> Iterator[str]:
    for name, source in app.sources.items():
        try:
            found = source.poll(SourceState(), now)
            if not found.posts:
                yield f"source {name}: it can be read, but there is no story in it"
        except SourceError as error:
            yield f"source {name}: {error}"


def _check_channels(app: App) -> Iterator[str]:
    for settings in app.settings.channels:
        channel = app.open_channel(settings.name)
        try:
            for sentence in channel.check():
                yield f"channel {settings.name}: {sentence}"
        finally:
            channel.close()


def _sample(now: datetime, site: str) -> Post:
    return Post(
        source="check",
        guid="check",
        url=f"{site}/sample",
        headline="Council approves a new river crossing after a long night of debate",
        summary="Work begins in spring. The bridge will carry trams, bicycles and people on foot. " * 4,
        byline="A. Writer",
        section="City",
        tags=("transport",),
        published_at=now,
        updated_at=now,
        image=Image(f"{site}/sample.jpg", "The river at night"),
        provenance={"byline": "feed"},
    )


class _NoPosts:
    def load_posts(self, ids: Sequence[int]) -> dict[int, Any]:
        return {}

    def list_section(self, section: str, before: datetime, leave_out: Sequence[int], limit: int) -> list[Any]:
        return []


class _NoStorage:
    """Stands where the database would: wording a sample needs none."""

    posts = _NoPosts()
    editions = None
    secret = b"check"

    def close(self) -> None:
        return
