"""A feed that changed: from its bytes to finished stories, one of them new, against feedparser.

Goals: 1/10 of the CPU of feedparser as it comes (which sanitises too), and 1/10 of it with nothing sanitised on
either side. Both sides give the same entries. The share of feeds that are read quickly is that of the files in
`--corpus` (a folder of feeds); feedparser reads the others on both sides of that row, whose goal is 1/5.

python -m benchmarks.feeds [--full] [--corpus FOLDER]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from io import BytesIO
from pathlib import Path

from benchmarks.rigs.rounds import choose, end, measure_cpu, print_ratio, run_rounds
from distributor.core.errors import SourceError
from distributor.sources.feed import parse
from distributor.sources.feed.parse import FeedText, ask_feedparser, read_drafts, read_entry
from distributor.sources.feed.quick import read_quickly

GOAL = 0.1
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "https://news.example/feed/"
HEAD = (
    "<?xml version='1.0' encoding='UTF-8'?><rss version='2.0' "
    "xmlns:content='http://purl.org/rss/1.0/modules/content/' xmlns:dc='http://purl.org/dc/elements/1.1/' "
    "xmlns:atom='http://www.w3.org/2005/Atom'><channel><title>Front</title>"
    f"<atom:link href='{URL}' rel='self' type='application/rss+xml'/><link>https://news.example</link>"
)
PARAGRAPH = (
    "<p>Grain left the port of Odesa on <a href='/ships'>three ships</a> this morning, and <b>nobody</b> said "
    "where to. «Ми чекали на це тиждень», said a docker who gave no name &amp; wanted none in the paper.</p>"
)


def write_item(number: int) -> str:
    body = PARAGRAPH * (8 + number % 9)
    return (
        f"<item><title>Story number {number} &amp; more</title><link>https://news.example/2026/{number}/?utm=rss</link>"
        f"<dc:creator><![CDATA[Olena Kovalenko]]></dc:creator><pubDate>{format_datetime(NOW)}</pubDate>"
        "<category><![CDATA[World]]></category><category><![CDATA[Ports]]></category>"
        f"<guid isPermaLink='false'>https://news.example/?p={number}</guid>"
        f"<description><![CDATA[<p>Grain left the port. [&#8230;]</p>]]></description>"
        f"<content:encoded><![CDATA[<img src='/i/{number}.jpg' width='1200'>{body}]]></content:encoded></item>"
    )


def write_feed(newest: int, size: int) -> bytes:
    items = "".join(write_item(number) for number in range(newest, newest - size, -1))
    return f"{HEAD}{items}</channel></rss>".encode()


def read_ours(body: bytes) -> int:
    about = {"url": URL, "source": "front", "now": NOW.isoformat()}
    return len(parse.run(about, body)["posts"])


def read_theirs(body: bytes) -> int:
    import feedparser

    return len(feedparser.parse(BytesIO(body), response_headers={"content-location": URL})["entries"])


def word_ours(body: bytes) -> int:
    return len(read_drafts(FeedText(body, URL, "front"), NOW))


def word_theirs(body: bytes) -> int:
    text = FeedText(body, URL, "front")
    entries, language = ask_feedparser(text)
    return len([read_entry(entry, text, language, NOW) for entry in entries])


def compare(
    title: str, ours: Callable[[bytes], int], theirs: Callable[[bytes], int], size: int, rounds: int
) -> bool:
    newest = iter(range(1000, 9000))

    def take(read: Callable[[bytes], int]) -> float:
        bodies = [write_feed(next(newest), size) for _ in range(3)]
        used = measure_cpu(lambda: [read(body) for body in bodies])
        assert all(read(body) == size for body in bodies)
        return used / len(bodies) * 1000

    take(ours)
    medians = run_rounds({"ours": lambda: take(ours), "theirs": lambda: take(theirs)}, rounds)
    return print_ratio(title, medians["ours"], medians["theirs"], GOAL, "CPU ms")


def list_corpus() -> Iterator[bytes]:
    if "--corpus" in sys.argv:
        folder = Path(sys.argv[sys.argv.index("--corpus") + 1])
        yield from (path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def read_corpus() -> bool:
    """How many feeds of the corpus are read quickly, and what that saves over all of them."""
    ours = theirs = 0.0
    quick = feeds = 0
    for body in list_corpus():
        try:
            theirs += measure_cpu(lambda body=body: word_theirs(body))  # type: ignore[misc]
        except SourceError:
            continue
        ours += measure_cpu(lambda body=body: word_ours(body))  # type: ignore[misc]
        quick += read_quickly(FeedText(body, URL, "front")) is not None
        feeds += 1
    if not feeds:
        return True
    title = f"a corpus of {feeds} feeds, {quick} of them read quickly, nothing sanitised"
    return print_ratio(title, ours / feeds * 1000, theirs / feeds * 1000, GOAL * 2, "CPU ms for each")


def main() -> int:
    size, rounds = choose((3, 1), (40, 5), (40, 9))
    done = [
        compare(f"a changed feed of {size} entries", read_ours, read_theirs, size, rounds),
        compare(f"the same, nothing sanitised, {size} entries", word_ours, word_theirs, size, rounds),
        read_corpus(),
    ]
    return end(all(done))


if __name__ == "__main__":
    sys.exit(main())
