"""Tracked links: the same for the same thing, another for another, and nobody can guess one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from distributor.core.links import SLUG_LENGTH
from distributor.core.minting import Mint, Utm

SECRET = bytes(range(32))
SITE = "https://go.example.org"
TARGET = "https://news.example/1?utm_source=tg"


def slug_of(url: str) -> str:
    assert url.startswith(f"{SITE}/l/")
    return url.rpartition("/")[2]


def test_a_link_is_short_and_leads_to_its_target() -> None:
    mint = Mint(SECRET, SITE + "/", 7)
    url = mint.make("article", TARGET, 3)
    (link,) = mint.links.values()
    assert slug_of(url) == link.slug
    assert len(link.slug) == SLUG_LENGTH
    assert (link.target, link.edition_id, link.post_id, link.slot) == (TARGET, 7, 3, "article")


def test_wording_twice_mints_once() -> None:
    first, second = Mint(SECRET, SITE, 7), Mint(SECRET, SITE, 7)
    assert first.make("article", TARGET, 3) == second.make("article", TARGET, 3) == first.make("article", TARGET, 3)
    assert first.links == second.links
    assert len(first.links) == 1


@given(
    things=st.lists(
        st.tuples(
            st.integers(1, 10**9),
            st.none() | st.integers(1, 10**9),
            st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12),
            st.integers(1, 10**6).map(lambda n: f"https://news.example/{n}"),
        ),
        min_size=2,
        unique=True,
    )
)
def test_another_edition_post_slot_or_target_has_another_link(
    things: list[tuple[int, int | None, str, str]],
) -> None:
    slugs, keys = set(), set()
    for edition_id, post_id, slot, target in things:
        mint = Mint(SECRET, SITE, edition_id)
        slugs.add(slug_of(mint.make(slot, target, post_id)))
        keys |= set(mint.links)
    assert len(slugs) == len(keys) == len(things)


def test_without_the_secret_a_link_cannot_be_guessed() -> None:
    ours, theirs = Mint(SECRET, SITE, 7), Mint(b"another secret of some other site", SITE, 7)
    assert ours.make("article", TARGET, 3) != theirs.make("article", TARGET, 3)


def test_a_link_that_a_reader_shared_on_is_marked_by_network_and_schedule() -> None:
    utm = Utm({"utm_source": "letter"}, "morning")
    assert utm.shared("x") == {"utm_source": "x", "utm_medium": "share", "utm_campaign": "morning"}
