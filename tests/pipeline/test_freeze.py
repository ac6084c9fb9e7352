"""Words for planned editions: fixed once with their links and readers, and one bad template stops no other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from distributor.app import App
from distributor.channels import load
from distributor.core.message import Content
from distributor.core.minting import Mint
from distributor.core.planning import PlannedEdition
from distributor.core.post import Post
from distributor.pipeline.freeze import make_minter, word
from distributor.pipeline.render import PostView
from distributor.storage import Storage
from distributor.storage.tables import edition_post, metadata
from tests.desk import EVERY, Desk, make_settings, make_story, open_newsroom
from tests.shared_renderer import SharedRenderer
from tests.storage.scene import add_readers, states
from tests.stories import ToyChannel

SLUG = re.compile(r"https://go\.example\.org/l/([0-9A-Za-z]{11})")
SCHEDULES = ["now-tg tg each", "now-x x each", "now-letter letter each", "digest letter digest every 1h"]


def channel(name: str, kind: str, number: int = 0, **more: Any) -> dict[str, Any]:
    """A channel entry as its own sandbox writes it; nothing here connects."""
    return {"name": name, **load(kind, "sandbox").SANDBOXES[number]().settings(), **more}


CHANNELS = [channel("tg", "telegram"), channel("x", "x"), channel("letter", "email", port=2525)]


@dataclass
class Room:
    desk: Desk
    app: App
    renderer: SharedRenderer

    @property
    def storage(self) -> Storage:
        return self.desk.storage

    def publish(self, *posts: Post) -> None:
        self.desk.poll(posts)
        self.desk.now += timedelta(seconds=1)

    def plan(self) -> int:
        return self.app.plan()

    def editions(self) -> dict[tuple[str, str], tuple[str, str]]:
        """(schedule, title) -> (state, reason)."""
        rows = self.storage.reports.list_editions()
        return {(row.schedule, row.title): (row.state, row.reason) for row in rows}

    def write(self, name: str, text: str) -> None:
        path = self.renderer.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def content(self, schedule: str) -> Content:
        """The frozen words of this schedule's newest edition."""
        rows = self.storage.reports.list_editions()
        number = next(row.id for row in rows if row.schedule == schedule)
        planned = self.storage.editions.load_planned(number)
        assert planned is not None
        found = self.storage.editions.find_by_token(planned.token)
        assert found is not None
        return found[1]


@pytest.fixture
def room(storage: Storage, now: datetime, tmp_path: Path, renderer: SharedRenderer) -> Iterator[Room]:
    """Three channels, four schedules, three readers, and a source with one old story."""
    desk = Desk(storage, now)
    app = open_newsroom(make_settings(tmp_path, CHANNELS, SCHEDULES), desk, renderer)
    add_readers(storage, now, 3)
    desk.poll([make_story(0, published_at=now)])
    desk.now += timedelta(seconds=1)
    app.plan()
    yield Room(desk, app, renderer)
    for opened in ("tg", "x", "letter"):
        app.words_channel(opened).close()


def count_rows(storage: Storage) -> dict[str, int]:
    with storage.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }


def links_of(storage: Storage) -> dict[tuple[str, str], str]:
    """(schedule, slot) -> target."""
    return {(row.schedule, row.slot): row.target for row in storage.reports.list_links(limit=1000)}


def test_every_channel_words_a_story_and_fixes_its_links_and_readers(room: Room) -> None:
    room.publish(make_story(1))
    assert room.plan() == 3
    assert sorted(room.app.freeze()) == ["letter", "tg", "x"]
    assert {state for state, _ in room.editions().values()} == {"frozen"}
    assert states(room.storage) == {"queued": 1 + 1 + 3}
    assert room.app.freeze() == [], "what is frozen is not worded again"
    for schedule in ("now-tg", "now-x", "now-letter"):
        text = room.content(schedule).to_json()
        assert "Story number 1" in text
        slugs = set(SLUG.findall(text.replace("%2F", "/").replace("%3A", ":")))
        assert slugs
        targets = [room.storage.links.find_target(slug) for slug in slugs]
        assert any((target or "").startswith("https://news.example/1?") for target in targets)
        assert None not in targets, "every link in the words leads somewhere"
    assert "https://news.example/1" not in room.content("now-x").to_json(), "no link goes uncounted"


def test_links_carry_where_they_stood(room: Room) -> None:
    room.publish(make_story(1))
    room.plan()
    room.app.freeze()
    query = parse_qs(urlsplit(links_of(room.storage)[("now-tg", "article")]).query)
    assert query == {"utm_source": ["tg"], "utm_medium": ["social"], "utm_campaign": ["now-tg"]}


def test_a_share_button_leads_over_a_counted_link_to_a_page_that_carries_one_of_its_own(room: Room) -> None:
    room.publish(make_story(1))
    room.plan()
    room.app.freeze()
    links = links_of(room.storage)
    for network, host in (
        ("x", "x.com"),
        ("telegram", "t.me"),
        ("whatsapp", "wa.me"),
        ("facebook", "www.facebook.com"),
    ):
        page = links[("now-letter", f"share_{network}")]
        assert urlsplit(page).hostname == host
        (shared,) = SLUG.findall(page.replace("%2F", "/").replace("%3A", ":"))
        target = room.storage.links.find_target(shared)
        assert target == links[("now-letter", f"shared_{network}")]
        query = parse_qs(urlsplit(target).query)
        assert query == {"utm_source": [network], "utm_medium": ["share"], "utm_campaign": ["now-letter"]}


def test_what_cannot_be_counted_twice_is_a_shared_link_by_itself(room: Room) -> None:
    """A mail address and a link to copy have no page of their own in between."""
    room.publish(make_story(1))
    room.plan()
    room.app.freeze()
    slots = {slot for schedule, slot in links_of(room.storage) if schedule == "now-letter"}
    assert {"shared_email", "shared_copy"} <= slots
    assert not {"share_email", "share_copy"} & slots


def test_wording_twice_mints_the_same_links_and_the_same_words(room: Room) -> None:
    room.publish(make_story(1), make_story(2))
    room.desk.now += timedelta(hours=1)
    room.plan()
    for edition in room.storage.editions.list_planned():
        first, second = word_again(room, edition), word_again(room, edition)
        assert first == second
        assert len(first[1]) >= 1


def word_again(room: Room, edition: PlannedEdition) -> tuple[str, dict[str, Any]]:
    schedule = next(one for one in room.app.plans if one.name == edition.schedule)
    wording = room.app.wording(schedule)
    rows = room.storage.posts.load_posts(edition.post_ids)
    views = [PostView(number, rows[number].post) for number in edition.post_ids]
    mint = Mint(room.storage.secret, room.app.site.public_url, edition.id)
    content = word(room.app.desk, edition, wording, views, make_minter(mint, wording.utm), room.desk.now)
    return content.to_json(), dict(mint.links)


def test_a_correction_after_the_freeze_changes_nothing_of_what_is_on_its_way(room: Room) -> None:
    room.publish(make_story(1))
    room.plan()
    room.app.freeze()
    before = room.content("now-tg").to_json()
    room.publish(make_story(1, headline="Story number 1, corrected"))
    room.plan()
    room.app.freeze()
    assert room.content("now-tg").to_json() == before


def test_the_newest_revision_is_worded_and_noted(room: Room) -> None:
    room.publish(make_story(1))
    room.plan()
    room.publish(make_story(1, headline="Story number 1, corrected"))
    room.app.freeze()
    assert "corrected" in room.content("now-tg").to_json()
    with room.storage.database.read() as connection:
        assert set(connection.execute(select(edition_post.c.revision)).scalars()) == {2}


# -- trouble stays where it is -------------------------------------------------------------------------------


def test_a_template_that_fails_parks_its_own_edition_and_no_other(room: Room) -> None:
    room.write("telegram/each.html", "<p>{{ post.headline }}</p>\n{{ post.nonsense }}\n")
    room.publish(make_story(1))
    room.plan()
    assert sorted(room.app.freeze()) == ["letter", "x"]
    state, reason = room.editions()[("now-tg", "Story number 1")]
    assert state == "parked"
    assert "telegram/each.html:2: " in reason
    assert "nonsense" in reason


def test_once_the_template_is_mended_the_edition_goes_on(room: Room) -> None:
    room.write("telegram/each.html", "{{ post.nonsense }}")
    room.publish(make_story(1))
    room.plan()
    room.app.freeze()
    (parked,) = [row.id for row in room.storage.reports.list_editions(state="parked")]
    room.write("telegram/each.html", "<p>{{ post.headline }} <a href='{{ post.link }}'>read</a></p>")
    assert room.app.freeze() == [], "not before a person says so"
    assert room.storage.editions.unpark(parked, None)
    assert room.app.freeze() == ["tg"]


def test_words_that_cannot_fit_park_the_edition(room: Room) -> None:
    room.write("x/each.txt", "{{ post.link }} " * 13)
    room.publish(make_story(1))
    room.plan()
    assert "x" not in room.app.freeze()
    assert room.editions()[("now-x", "Story number 1")][0] == "parked"


def test_a_story_without_an_address_parks_its_editions(room: Room) -> None:
    room.publish(Post("front", "g9", "", "No address at all"), make_story(1))
    room.plan()
    room.app.freeze()
    found = room.editions()
    assert found[("now-tg", "No address at all")][0] == "parked"
    assert found[("now-tg", "Story number 1")][0] == "frozen"


def test_a_channel_s_own_bug_parks_its_edition_and_the_others_go_on(room: Room) -> None:
    """A channel of another package may raise anything; it must not stand in everybody's way at every tick."""

    class Broken(ToyChannel):
        kind, name, address = "telegram", "tg", "@daily"

        def compose(self, texts: Mapping[str, str], form: str) -> Content:
            raise KeyError("oops")

    room.app._channels["tg"] = Broken()
    room.publish(make_story(1))
    room.plan()
    assert sorted(room.app.freeze()) == ["letter", "x"]
    state, reason = room.editions()[("now-tg", "Story number 1")]
    assert state == "parked"
    assert "KeyError" in reason


@pytest.mark.parametrize("decision", ["held", "dropped"])
def test_a_story_that_is_taken_back_takes_its_editions_along(room: Room, decision: str) -> None:
    room.publish(make_story(1), make_story(2))
    room.plan()
    room.publish(make_story(1, headline="DO NOT PUBLISH: Story number 1"), make_story(2))
    if decision == "dropped":
        room.storage.posts.drop(room.storage.posts.list_held_ids(), "anna", room.desk.now)
    room.app.freeze()
    found = room.editions()
    assert found[("now-tg", "Story number 1")][0] == "held"
    assert f"is {decision}" in found[("now-tg", "Story number 1")][1]
    assert found[("now-tg", "Story number 2")][0] == "frozen"


def test_a_released_story_frees_its_edition_for_a_person_to_release(room: Room) -> None:
    room.publish(make_story(1))
    room.plan()
    room.publish(make_story(1, headline="DO NOT PUBLISH: Story number 1"))
    room.app.freeze()
    room.storage.posts.release(room.storage.posts.list_held_ids(), "anna", room.desk.now)
    for row in room.storage.reports.list_editions(state="held"):
        room.storage.editions.unpark(row.id, None)
    assert sorted(room.app.freeze()) == ["letter", "tg", "x"]


def test_an_edition_of_a_schedule_that_is_gone_waits_for_a_person(
    room: Room, tmp_path: Path, renderer: SharedRenderer
) -> None:
    room.publish(make_story(1))
    room.plan()
    fewer = open_newsroom(make_settings(tmp_path, CHANNELS, ["now-x x each", "now-tg x each"]), room.desk, renderer)
    assert fewer.freeze() == ["x"]
    found = room.editions()
    for gone in ("now-letter", "now-tg"):
        assert found[(gone, "Story number 1")] == ("held", f"the schedule {gone} is no longer in the configuration")


def test_two_processes_that_word_the_same_edition_freeze_it_once(
    room: Room, tmp_path: Path, renderer: SharedRenderer
) -> None:
    from distributor.pipeline.freeze import freeze

    room.publish(make_story(1))
    room.plan()
    planned = [one for one in room.storage.editions.list_planned() if one.schedule == "now-tg"]
    (wording,) = [room.app.wording(one) for one in room.app.plans if one.name == "now-tg"]
    answers = [freeze(room.app.desk, planned[0], wording, room.desk.now) for _ in range(2)]
    assert answers == ["frozen", "again"]
    assert states(room.storage) == {"queued": 1}


# -- digests and previews ------------------------------------------------------------------------------------


def publish_many(room: Room, numbers: Sequence[int]) -> None:
    for number in numbers:
        room.publish(make_story(number, published_at=room.desk.now))


def test_a_digest_brings_more_from_its_sections_but_nothing_twice(room: Room) -> None:
    publish_many(room, range(1, 4))
    room.publish(make_story(50, section="Sport"))
    room.desk.now += timedelta(minutes=40)
    room.plan()
    publish_many(room, range(4, 6))
    room.app.freeze()
    text = room.content("digest").payload["text"]
    assert [text.count(f"Story number {n}\n") for n in (1, 2, 3, 50)] == [1, 1, 1, 1]
    more = text.partition("More from World")[2]
    assert "Story number 5" in more, "newer than the digest itself, and worth a line"
    assert "Story number 0" in more, "history is worth a line too"
    slots = {slot for schedule, slot in links_of(room.storage) if schedule == "digest"}
    assert {"more", "article", "home"} <= slots


def test_what_had_no_room_is_counted_and_leads_to_the_site(
    storage: Storage, now: datetime, tmp_path: Path, renderer: SharedRenderer
) -> None:
    desk = Desk(storage, now)
    settings = make_settings(tmp_path, [channel("tg", "telegram")], ["digest tg digest every 1h"])
    app = open_newsroom(settings, desk, renderer)
    desk.poll([make_story(0)])
    desk.now += timedelta(seconds=1)
    app.plan()
    desk.poll([make_story(n) for n in range(1, 6)])
    desk.poll([make_story(n) for n in range(6, 11)])
    desk.poll([make_story(n) for n in range(11, 15)])
    desk.now += timedelta(hours=1)
    assert app.plan() == 1
    app.freeze()
    assert links_of(storage)[("digest", "overflow")].startswith("https://news.example/?utm_source=tg")
    (row,) = storage.reports.list_editions()
    planned = storage.editions.load_planned(row.id)
    assert planned is not None
    assert (len(planned.post_ids), len(planned.overflow_ids)) == (10, 4)
    app.words_channel("tg").close()


@pytest.mark.parametrize(
    ("name", "form"), [("tg", "each"), ("x", "each"), ("letter", "each"), ("letter", "digest")]
)
def test_a_preview_shows_the_words_and_leaves_no_trace(room: Room, name: str, form: str) -> None:
    room.publish(make_story(1), make_story(2))
    before = count_rows(room.storage)
    ids = [row.id for row in room.storage.posts.list_recent(2)]
    draft = room.app.draft(name, form, ids)
    assert "Story number" in draft.content.to_json()
    assert "/l/preview" in draft.content.to_json().replace("%2F", "/")
    assert count_rows(room.storage) == before


def test_a_preview_is_as_long_as_the_real_thing(room: Room) -> None:
    """What is measured before is what is measured after: links have the same length."""
    room.publish(make_story(1))
    ids = [row.id for row in room.storage.posts.list_recent(1)]
    shown = room.app.draft("x", "each", ids).content.payload["text"]
    room.plan()
    room.app.freeze()
    assert len(room.content("now-x").payload["text"]) == len(shown)


def test_the_preview_of_no_story_says_so(room: Room) -> None:
    with pytest.raises(LookupError, match="no such post"):
        room.app.draft("tg", "each", [999])


def test_the_hour_of_the_letters_is_fixed_with_their_words(room: Room) -> None:
    room.publish(make_story(1))
    room.plan()
    room.app.freeze()
    payload = room.content("now-letter").payload
    assert payload["date"] == "Mon, 23 Nov 2026 07:34:02 +0000"
    assert re.fullmatch(r"https://go\.example\.org/v/[0-9a-f]{16}", payload["view_url"])
    assert timedelta(minutes=2) == EVERY


def test_an_edition_for_many_more_readers_than_the_last_one_is_held_and_the_others_go_on(room: Room) -> None:
    room.publish(make_story(1))
    room.plan()
    assert sorted(room.app.freeze()) == ["letter", "tg", "x"]
    add_readers(room.storage, room.desk.now, 200)
    room.publish(make_story(2))
    room.plan()
    assert sorted(room.app.freeze()) == ["tg", "x"]
    held = ("held", "audience: 200 readers, the last one had 3")
    assert room.editions()[("now-letter", "Story number 2")] == held
    (row,) = room.storage.reports.list_editions(state="held")
    room.storage.editions.unpark(row.id, None)
    assert room.app.freeze() == ["letter"]
