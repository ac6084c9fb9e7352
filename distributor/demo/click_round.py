"""Readers follow links out of real messages, and what the click report has to say afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from distributor.core.sandbox import Sighting
from distributor.demo.readings import Readings
from distributor.demo.stage import Stage
from distributor.demo.visits import (
    ANDROID,
    CHROME,
    EDGE,
    FIREFOX,
    IPHONE,
    TELEGRAM_BOT,
    Visitor,
    call,
    follow,
    unpack_share,
)
from distributor.demo.waiting import Stalled

#: A link as reports name it: channel, slot, story.
Place = tuple[str, str, str]


@dataclass
class Tally:
    """Clicks on one link: people, and previews, scanners and bots."""

    people: int = 0
    others: int = 0


@dataclass
class ClickRound:
    """Each visit is one request to the redirector; `expected` grows with it."""

    stage: Stage
    readings: Readings
    expected: dict[Place, Tally] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def go(self) -> None:
        """People on six links, a preview program and a HEAD on two of them."""
        letter = find_mail(self.stage.smtp.seen)
        self._read("a reader of the letter", CHROME, ("letter", "article", "night-ferry"), [letter])
        self._share("the same reader shares the story on X", CHROME, ("letter", "share_x", "night-ferry"), letter)
        alert = find_mail(self.stage.sendgrid.seen)
        self._read("a reader of the harbour alert", EDGE, ("harbour", "article", "night-ferry"), [alert])
        bridge = ("telegram", "article", "swing-bridge")
        self._read("a follower on Telegram", IPHONE, bridge, self.stage.telegram.seen)
        self._look("Telegram's link preview", TELEGRAM_BOT, bridge)
        tram = ("x", "article", "tram-depot")
        self._read("a follower on X", ANDROID, tram, self.stage.x.seen)
        self._look("a HEAD request for the link on X", EDGE, tram, "HEAD")

    def _read(self, who: str, visitor: Visitor, place: Place, seen: Iterable[Sighting]) -> None:
        url = self._find(place)
        if not any(url in list_addresses(sighting) for sighting in seen):
            raise Stalled(f"the link of {place} is in none of the messages that arrived")
        self._land(who, visitor, place, url)

    def _share(self, who: str, visitor: Visitor, place: Place, letter: Sighting) -> None:
        """The button leads to X's share page with a link of its own; a friend follows that one."""
        url = self._find(place)
        if url not in list_addresses(letter):
            raise Stalled(f"the share button of {place} is not in the letter")
        page = call(url, visitor).location
        self._count(place, people=1)
        self.told.append(f"{who}: to {page.partition('?')[0]}")
        self._land(
            "a friend follows what was shared", FIREFOX, (place[0], "shared_x", place[2]), unpack_share(page)
        )

    def _land(self, who: str, visitor: Visitor, place: Place, url: str) -> None:
        answer = follow(url, visitor)
        wanted = next(one.story.headline for one in self.stage.newsroom.articles if one.story.slug == place[2])
        if answer.status != 200 or answer.headline != wanted:
            raise Stalled(f"{url} led to a page {answer.status} {answer.headline!r} instead of {wanted!r}")
        self._count(place, people=1)
        self.told.append(f"{who} ({visitor.name}): reads “{wanted}”")

    def _look(self, who: str, visitor: Visitor, place: Place, method: str = "GET") -> None:
        answer = call(self._find(place), visitor, method)
        if answer.status != 302:
            raise Stalled(f"{who} got {answer.status} instead of a redirect")
        self._count(place, others=1)
        self.told.append(f"{who}: redirected, counted apart")

    def _find(self, place: Place) -> str:
        """The address of this link, as it stands in the product's own list of links."""
        channel, slot, slug = place
        post_id = self.readings.post_ids()[self._address(slug)]
        rows = [
            row for row in self.readings.links() if (row.channel, row.slot, row.post_id) == (channel, slot, post_id)
        ]
        if len(rows) != 1:
            raise Stalled(f"there are {len(rows)} links for {place}, not one")
        return f"{self.stage.product.url}/l/{rows[0].slug}"

    def _address(self, slug: str) -> str:
        article = next(one for one in self.stage.newsroom.articles if one.story.slug == slug)
        return self.stage.site.url + article.path

    def _count(self, place: Place, people: int = 0, others: int = 0) -> None:
        tally = self.expected.setdefault(place, Tally())
        tally.people += people
        tally.others += others

    def read_report(self) -> dict[Place, Tally]:
        """The same from the product: every link that was followed."""
        slugs = {self.stage.site.url + one.path: one.story.slug for one in self.stage.newsroom.articles}
        stories = {number: slugs.get(address, address) for address, number in self.readings.post_ids().items()}
        return {
            (row.channel, row.slot, stories.get(row.post_id or 0, row.target)): Tally(row.human, row.other)
            for row in self.readings.links()
            if row.human or row.other
        }


def find_mail(mails: Iterable[Sighting]) -> Sighting:
    """The first one; Stalled when none came."""
    for mail in mails:
        return mail
    raise Stalled("no mail arrived")


def list_addresses(sighting: Sighting) -> set[str]:
    """Every address a reader of this message can press."""
    return {*sighting.links, *(target for _, target in sighting.buttons)}
