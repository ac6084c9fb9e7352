"""The process that reads what others wrote: it answers, and when it cannot, only that text is lost."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from distributor.core.errors import SourceError
from distributor.sources.reader import Reader
from tests.sources.conftest import NOW

FEED = b"<rss version='2.0'><channel><item><title>T</title><link>https://e.example/a</link></item></channel></rss>"
ABOUT = {"url": "https://e.example/feed", "source": "front", "now": NOW.isoformat()}


def read(reader: Reader, body: bytes = FEED) -> int:
    return len(reader.run("feed", dict(ABOUT), body)["posts"])


def test_one_child_reads_many_texts(reader: Reader) -> None:
    assert [read(reader) for _ in range(5)] == [1] * 5


def test_a_refusal_comes_back_as_a_sentence(reader: Reader) -> None:
    with pytest.raises(SourceError, match="is no feed"):
        read(reader, b"words")
    assert read(reader) == 1


def test_threads_take_turns(reader: Reader) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: read(reader), range(12))) == [1] * 12


def test_a_large_text_goes_through(reader: Reader) -> None:
    items = b"".join(b"<item><title>T</title><link>https://e.example/%d</link></item>" % n for n in range(5_000))
    assert read(reader, b"<rss version='2.0'><channel>" + items + b"</channel></rss>") == 500


def test_a_child_that_was_killed_is_replaced_unseen() -> None:
    reader = Reader()
    assert read(reader) == 1
    assert reader.child_id
    os.kill(reader.child_id, signal.SIGKILL)
    assert read(reader) == 1
    reader.close()


def test_a_text_that_takes_all_memory_ends_only_the_child() -> None:
    reader = Reader(memory=150_000_000)
    bomb = b"<rss version='2.0'><channel>" + b"<item><title>T</title></item>" * 300_000 + b"</channel></rss>"
    with pytest.raises(SourceError, match="want of memory"):
        read(reader, bomb)
    reader.close()


def test_the_child_ends_with_its_parent_even_when_that_is_killed() -> None:
    script = (
        "import time; from distributor.sources.reader import Reader; reader = Reader();"
        f"reader.run('feed', {ABOUT!r}, {FEED!r}); print(reader.child_id, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(200):
        if not is_running(child):
            return
        time.sleep(0.05)
    pytest.fail("the child outlived its parent")


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
