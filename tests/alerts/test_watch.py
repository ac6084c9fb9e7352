"""Watching and telling: over both databases, by real web and mail servers on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.core.alerting import Facts
from distributor.core.errors import StorageError
from distributor.core.telling import Notice
from distributor.pipeline.alert_routes import Mail, Webhook, ping
from distributor.pipeline.alerts import NotDelivered, Patience, Route, Watch
from distributor.sources.fetch import Fetcher
from distributor.storage import Storage
from tests.alerts.web_rig import Post, open_post

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DISK = Facts(disk_free=0.08)
SOUND = Facts()
NOTICE = Notice("[Site] 8 % is free", "New:\n- 8 % is free", {"text": "8 % is free", "alerts": []})


@pytest.fixture
def post() -> Iterator[Post]:
    with open_post() as opened:
        yield opened


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(allow_private=["127.0.0.1"])


@dataclass
class Desk:
    """A watch over facts that a test sets."""

    watch: Watch
    facts: list[Facts | StorageError] = field(default_factory=lambda: [SOUND])

    def look(self, facts: Facts | StorageError, now: datetime) -> None:
        self.facts[0] = facts
        self.watch.look(now)


def make_desk(storage: Storage, *routes: Route, fence: str = "a", pings: list[datetime] | None = None) -> Desk:
    facts: list[Facts | StorageError] = [SOUND]

    def gather() -> Facts:
        if isinstance(facts[0], StorageError):
            raise facts[0]
        return facts[0]

    def send_ping() -> None:
        assert pings is not None
        pings.append(NOW)

    heard = send_ping if pings is not None else None
    watch = Watch(
        "Site", storage.alerts, gather, routes, fence=fence, patience=Patience(again=12 * HOUR), ping=heard
    )
    return Desk(watch, facts)


def test_a_trouble_is_told_once_again_and_at_its_end(storage: Storage, post: Post, fetcher: Fetcher) -> None:
    desk = make_desk(storage, Webhook(fetcher.call, f"{post.url}/hook"))
    desk.look(SOUND, NOW)
    assert post.asked == []
    desk.look(DISK, NOW + MINUTE)
    desk.look(replace(DISK, disk_free=0.07), NOW + 2 * MINUTE)
    assert len(post.texts) == 1
    assert "8.0% of the disk" in post.texts[0]
    assert post.read()["alerts"][0]["state"] == "begun"
    desk.look(DISK, NOW + 13 * HOUR)
    assert post.read()["alerts"][0]["state"] == "still"
    desk.look(SOUND, NOW + 14 * HOUR)
    assert post.read()["alerts"][0]["state"] == "over"
    desk.look(SOUND, NOW + 15 * HOUR)
    assert len(post.texts) == 3
    assert storage.alerts.load() == {}
    assert {path for _, path, _ in post.asked} == {"/hook"}


def test_another_process_knows_what_was_told(storage: Storage, post: Post, fetcher: Fetcher) -> None:
    make_desk(storage, Webhook(fetcher.call, post.url), fence="a").look(DISK, NOW)
    make_desk(storage, Webhook(fetcher.call, post.url), fence="b").look(DISK, NOW + HOUR)
    assert len(post.texts) == 1


def test_of_two_processes_one_tells_and_the_other_takes_over(
    storage: Storage, post: Post, fetcher: Fetcher
) -> None:
    one = make_desk(storage, Webhook(fetcher.call, post.url), fence="a")
    two = make_desk(storage, Webhook(fetcher.call, post.url), fence="b")
    one.look(SOUND, NOW)
    two.look(DISK, NOW + MINUTE)
    assert post.texts == []
    two.look(DISK, NOW + 2 * MINUTE)
    assert len(post.texts) == 1


def test_what_does_not_get_through_is_tried_again_with_growing_waits(
    storage: Storage, post: Post, fetcher: Fetcher
) -> None:
    desk = make_desk(storage, Webhook(fetcher.call, post.url))
    post.statuses = [500, 503, 302]
    for seconds in range(0, 600, 30):
        desk.look(DISK, NOW + timedelta(seconds=seconds))
    assert len(post.texts) == 4, "at 0, 30, 90 and 210 seconds"
    assert storage.alerts.load()["disk"].told_at == NOW + timedelta(seconds=210)


def test_one_way_that_is_away_does_not_keep_the_other_waiting_and_is_made_up_for(
    storage: Storage, post: Post, fetcher: Fetcher
) -> None:
    with SmtpSandbox() as relay:
        mail = Mail(["desk@example.org"], "d@example.org", "127.0.0.1", relay.port, "none")
        desk = make_desk(storage, Webhook(fetcher.call, post.url), mail)
        relay.stop()
        desk.look(DISK, NOW)
        assert len(post.texts) == 1
        relay.start()
        desk.look(DISK, NOW + MINUTE)
        desk.look(DISK, NOW + 2 * MINUTE)
        (seen,) = relay.seen
    assert len(post.texts) == 1
    assert seen.recipient == "desk@example.org"
    assert "8.0% of the disk" in seen.text
    assert seen.subject.startswith("[Site] 8.0% of the disk")


def test_without_any_way_it_is_written_down_all_the_same(storage: Storage) -> None:
    make_desk(storage).look(DISK, NOW)
    assert storage.alerts.load()["disk"].told_at == NOW


def test_the_outside_monitor_hears_us_as_long_as_all_is_watched(storage: Storage) -> None:
    pings: list[datetime] = []
    desk = make_desk(storage, pings=pings)
    for minutes in range(11):
        desk.look(DISK if minutes > 5 else SOUND, NOW + minutes * MINUTE)
    assert len(pings) == 3
    for minutes in range(11, 30):
        desk.look(StorageError("away"), NOW + minutes * MINUTE)
    assert len(pings) == 3


def test_a_database_that_is_away_is_told_without_it(storage: Storage, post: Post, fetcher: Fetcher) -> None:
    desk = make_desk(storage, Webhook(fetcher.call, post.url))
    away = StorageError("the server cannot be reached")
    for minutes in range(5):
        desk.look(away, NOW + minutes * MINUTE)
    assert len(post.texts) == 1
    assert "The database cannot be used, so nothing is sent: the server cannot be reached" in post.texts[0]
    desk.look(SOUND, NOW + 6 * MINUTE)
    desk.look(SOUND, NOW + 7 * MINUTE)
    assert [one["state"] for one in post.read()["alerts"]] == ["over"]
    assert len(post.texts) == 2


def test_a_short_hiccup_of_the_database_is_nobodys_night(storage: Storage, post: Post, fetcher: Fetcher) -> None:
    desk = make_desk(storage, Webhook(fetcher.call, post.url))
    desk.look(StorageError("locked"), NOW)
    desk.look(SOUND, NOW + MINUTE)
    desk.look(StorageError("locked"), NOW + 2 * MINUTE)
    assert post.asked == []


def test_an_edition_that_never_finished_reaches_a_person(storage: Storage, post: Post, fetcher: Fetcher) -> None:
    """The dead man: nobody sends, and somebody hears of it a quarter of an hour later."""
    from tests.storage.scene import add_edition

    number = add_edition(storage, NOW, channel="tg")
    desk = make_desk(storage, Webhook(fetcher.call, post.url))
    for minutes in (10, 14, 16):
        now = NOW + minutes * MINUTE
        desk.look(Facts(late=storage.figures.list_late(now)), now)
    assert len(post.texts) == 1
    assert post.read()["alerts"][0]["key"] == f"late {number}"


@pytest.mark.parametrize("status", [301, 404, 500])
def test_only_a_yes_counts_and_the_address_stays_secret(post: Post, fetcher: Fetcher, status: int) -> None:
    post.statuses = [status, status]
    url = f"{post.url}/T0CANARY/B1"
    with pytest.raises(NotDelivered, match=f"it answered {status}"):
        Webhook(fetcher.call, url).send(NOTICE)
    with pytest.raises(NotDelivered) as caught:
        ping(fetcher.call, url)
    assert "CANARY" not in str(caught.value)
    assert [(method, path) for method, path, _ in post.asked] == [("POST", "/T0CANARY/B1"), ("GET", "/T0CANARY/B1")]
    assert "CANARY" not in repr(Webhook(fetcher.call, url))


def test_nobody_at_the_address(fetcher: Fetcher) -> None:
    with pytest.raises(NotDelivered, match=r"127\.0\.0\.1"):
        ping(fetcher.call, "http://127.0.0.1:1/secret-part")


@pytest.mark.parametrize("answer", ["550", "refuse"])
def test_a_mail_server_that_does_not_take_it(answer: str) -> None:
    with SmtpSandbox() as relay:
        if answer == "refuse":
            relay.stop()
        mail = Mail(
            ["desk@example.org"], "d@example.org", "127.0.0.1", relay.port, "none", "user", "canary-password"
        )
        with pytest.raises(NotDelivered) as caught:
            mail.send(NOTICE)
    assert "127.0.0.1" in str(caught.value)
    assert "canary" not in f"{caught.value}{mail!r}"


def test_a_mail_server_without_the_promised_tls_gets_no_mail() -> None:
    with SmtpSandbox() as relay:
        with pytest.raises(NotDelivered):
            Mail(["desk@example.org"], "d@example.org", "127.0.0.1", relay.port, "starttls").send(NOTICE)
        assert relay.count == 0
