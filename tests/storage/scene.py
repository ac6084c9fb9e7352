"""Small scenes for ledger tests: a post, an edition, readers."""

from __future__ import annotations

from datetime import datetime, timedelta

from distributor.core.identity import identity_keys, judge
from distributor.core.message import Content
from distributor.core.planning import EditionPlan
from distributor.core.post import Post
from distributor.core.source_state import SourceState
from distributor.core.subscriber import NewSubscriber
from distributor.storage import Storage


def make_post(number: int = 1, source: str = "front", **fields: object) -> Post:
    values: dict[str, object] = {
        "source": source,
        "guid": f"{source}-{number}",
        "url": f"https://news.example/{number}",
        "headline": f"Story number {number}",
    }
    return Post(**{**values, **fields})  # type: ignore[arg-type]


def add_post(storage: Storage, now: datetime, number: int = 1, source: str = "front") -> int:
    """A live post; returns its id."""
    post = make_post(number, source, published_at=now)
    stats = storage.posts.source_stats(source)
    began = SourceState(first_polled_at=now - timedelta(minutes=1))
    if stats.is_first_poll:
        storage.posts.apply_poll(source, began.to_json(), [], {}, None, began.first_polled_at or now)
        stats = storage.posts.source_stats(source)
    known = storage.posts.find_known(source, identity_keys(post))
    verdicts = judge([post], known, stats, now)
    storage.posts.apply_poll(source, began.to_json(), verdicts, {}, None, now)
    return next(iter(storage.posts.find_known(source, identity_keys(post)).values())).post_id


def add_edition(
    storage: Storage,
    now: datetime,
    *,
    channel: str = "tg",
    list_name: str = "",
    number: int = 1,
    lateness: timedelta = timedelta(hours=1),
) -> int:
    """A frozen edition of one post; returns its id."""
    post_id = add_post(storage, now, number)
    plan = EditionPlan(
        key=f"{channel}:post:{post_id}",
        schedule=f"now-{channel}",
        channel=channel,
        form="each",
        title=f"Story number {number}",
        due_at=now,
        late_after=now + lateness,
        post_ids=(post_id,),
    )
    edition_id = storage.editions.add_edition(plan, now)
    assert edition_id is not None
    content = Content({"text": f"Story number {number}"})
    storage.editions.freeze(edition_id, content, list_name=list_name, revisions={post_id: 1}, links=(), now=now)
    return edition_id


def add_readers(storage: Storage, now: datetime, count: int, list_name: str = "readers") -> None:
    people = [NewSubscriber(f"reader{i}@example.org", f"reader{i}@example.org") for i in range(count)]
    for _ in storage.recipients.add_subscribers(people, list_name, now):
        pass


def states(storage: Storage) -> dict[str, int]:
    """State -> deliveries, over all editions."""
    found: dict[str, int] = {}
    for row in storage.reports.list_deliveries(limit=10_000):
        found[row.state] = found.get(row.state, 0) + 1
    return found
