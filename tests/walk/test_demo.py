"""The demo: played through once as a user would, and its parts one by one."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest

from distributor.channels.x.length import find_urls
from distributor.core.hold_words import find_hold_words
from distributor.core.post import Post
from distributor.core.reporting import EditionRow, LinkRow
from distributor.core.sandbox import Sighting
from distributor.core.schedule import parse_rule
from distributor.demo import play_once, run_demo
from distributor.demo.board import Snapshot, make_board
from distributor.demo.cards import read_card
from distributor.demo.letters import find_unsubscribe, read_headers
from distributor.demo.newsroom.paper import Newsroom
from distributor.demo.newsroom.pictures import COLOURS, HEIGHT, SCENES, WIDTH, draw
from distributor.demo.newsroom.site import NewsroomSite
from distributor.demo.newsroom.stories import Story, load_stories, make_bulletin
from distributor.demo.pages.site import DemoSite
from distributor.demo.proof import Expected, find_faults
from distributor.demo.readings import Readings
from distributor.demo.setting import GONE, READERS, Rhythm
from distributor.demo.stage import Stage, open_stage
from distributor.demo.visits import CHROME, call, unpack_share
from distributor.demo.waiting import Stalled, wait_for
from distributor.pipeline.plan import Plan
from distributor.storage.post_rows import PostRow

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
STORIES = load_stories()
#: Seconds for what takes twenty on a quiet machine.
PATIENCE = 540


# Played through


def test_the_demo_plays_through_and_everything_arrives_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distributor", "demo", "--once", "--folder", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "Everything arrived exactly once and every click was counted" in done.stdout
    assert re.search(r"^Swing bridge stuck open.* 1 +1 +11 +2$", done.stdout, re.MULTILINE)
    assert re.search(r"^Bus 14 will run every twelve .* 1 +1 +11 +-$", done.stdout, re.MULTILINE)
    assert re.search(r"^The night ferry.* link shared on X +1 +0$", done.stdout, re.MULTILINE)
    assert re.search(r"^together +6 +2$", done.stdout, re.MULTILINE)
    assert "X would turn “end.Next” into a link" in done.stdout


def test_the_demo_shows_itself_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "distributor", "demo", "--port", "0", "--folder", str(tmp_path / "demo")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as demo:
        assert demo.stdout
        url = demo.stdout.readline().split()[-1]
        assert "are starting" in Fetched(url, "/numbers").text
        try:
            wait_for("the demo to be ready", lambda: "Numbers" in Fetched(url, "/numbers").text)
            for path in ("/telegram", "/x", "/"):
                wait_for(path, lambda path=path: "Saltgate crossing" in Fetched(url, path).text)  # type: ignore[misc]
            wait_for("X to look at its links", lambda: "link preview" in Fetched(url, "/numbers").text)
        finally:
            demo.send_signal(signal.SIGINT)
            words = demo.communicate(timeout=PATIENCE)[0]
    assert demo.returncode == 0
    assert words.endswith("Stopped; nothing is left running.\n")
    assert "stopping: what is on the wire finishes first" in (tmp_path / "demo/distributor.log").read_text("utf-8")


def test_a_product_that_cannot_start_is_told_with_its_own_words(tmp_path: Path) -> None:
    with open_stage(tmp_path, Rhythm("3s", 4), "") as stage:
        stage.product.config.write_text("site: {name: The Harbour Gazette}\n", encoding="utf-8")
        stage.product.start()
        with pytest.raises(Stalled, match=r"exit code 3[\s\S]*public_url"):
            stage.wait_for("the product's web server", stage.product.is_up)


def test_a_taken_port_is_told_and_nothing_starts(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert run_demo(port) == 1
    said = capsys.readouterr().out
    assert f"Port {port} is taken by another program" in said
    assert "--port 0" in said


def test_the_files_of_an_earlier_demo_are_never_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config" / "distributor.yaml"
    config.parent.mkdir()
    config.write_text("mine", encoding="utf-8")
    assert play_once(tmp_path) == 1
    assert "empty it, or name another folder" in capsys.readouterr().out
    assert config.read_text(encoding="utf-8") == "mine"


def test_a_condition_that_never_comes_is_named() -> None:
    with pytest.raises(Stalled, match="waited 0 seconds for the tide, which did not come"):
        wait_for("the tide", lambda: False, seconds=0.0)


# Nothing is left running


KEPT = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
KEEPER = [sys.executable, "-m", "distributor.demo.keeper", sys.executable, "-c"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text() if Path("/proc/self").exists() else True


def test_a_kept_program_ends_when_its_owner_lets_go() -> None:
    keeper = subprocess.Popen([*KEEPER, KEPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with keeper:
        assert keeper.stdin
        assert keeper.stdout
        pid = int(keeper.stdout.readline())
        assert is_running(pid)
        keeper.stdin.close()
        assert keeper.wait(30) == 128 + signal.SIGTERM
    assert not is_running(pid)


def test_a_kept_program_ends_when_its_owner_is_killed() -> None:
    owner = (
        "import subprocess, sys, time\n"
        "subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", owner, *KEEPER, KEPT], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        process.kill()
        wait_for("the program to end", lambda: not is_running(pid), seconds=30)


def test_the_exit_code_of_a_kept_program_is_passed_on() -> None:
    with subprocess.Popen([*KEEPER, "raise SystemExit(7)"], stdin=subprocess.PIPE) as keeper:
        assert keeper.wait(30) == 7


# The newsroom


@pytest.fixture
def newsroom_site() -> Iterator[NewsroomSite]:
    # A clock of its own: every look at it is a second later.
    ticks = iter(range(10_000))
    newsroom = Newsroom(lambda: NOW + timedelta(seconds=next(ticks)))
    site = NewsroomSite(newsroom, lambda: NOW)
    site.start()
    yield site
    site.stop()


class Fetched:
    """One answer, read whole."""

    def __init__(self, url: str, path: str, method: str = "GET", **headers: str) -> None:
        connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            self.status, self.headers, self.body = answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    @property
    def text(self) -> str:
        return self.body.decode()


def test_an_unchanged_feed_is_not_sent_again(newsroom_site: NewsroomSite) -> None:
    first = Fetched(newsroom_site.url, "/feed.xml")
    assert first.status == 200
    assert first.text.count("<item>") == 6
    assert not newsroom_site.is_known
    by_tag = Fetched(newsroom_site.url, "/feed.xml", If_None_Match=f"W/{first.headers['ETag']}")
    by_date = Fetched(newsroom_site.url, "/feed.xml", If_Modified_Since=first.headers["Last-Modified"])
    assert (by_tag.status, by_tag.body, by_date.status) == (304, b"", 304)
    assert newsroom_site.is_known


def test_a_new_and_a_corrected_story_change_the_feed(newsroom_site: NewsroomSite) -> None:
    tags = [Fetched(newsroom_site.url, "/feed.xml").headers["ETag"]]
    for change in (lambda: newsroom_site.newsroom.publish("bus-fourteen"), newsroom_site.newsroom.correct):
        assert change() is not None
        fetched = Fetched(newsroom_site.url, "/feed.xml", If_None_Match=tags[-1])
        assert fetched.status == 200
        tags.append(fetched.headers["ETag"])
    assert "every twelve minutes" in fetched.text
    assert "every ten minutes" not in fetched.text
    assert len(set(tags)) == 3


def test_an_article_page_says_what_the_feed_leaves_out(newsroom_site: NewsroomSite) -> None:
    article = newsroom_site.newsroom.publish("night-ferry")
    page = Fetched(newsroom_site.url, article.path).text
    facts = json.loads(re.findall(r'<script type="application/ld\+json">(.*?)</script>', page)[0])
    assert facts["author"]["name"] == "Harbour desk"
    assert facts["articleSection"] == "Harbour"
    assert facts["image"]["url"] == f"{newsroom_site.url}/pictures/night-ferry.png"
    assert f'<link rel="canonical" href="{newsroom_site.url}{article.path}">' in page
    card = read_card(page)
    assert card is not None
    assert card.title == article.story.headline


def test_the_newsroom_fetches_nothing_from_elsewhere(newsroom_site: NewsroomSite) -> None:
    for story in STORIES:
        if story.when == "fresh":
            newsroom_site.newsroom.publish(story.slug)
    for path in ("/", "/section/Harbour", "/newsroom.css", *(a.path for a in newsroom_site.newsroom.articles)):
        fetched = Fetched(newsroom_site.url, path)
        assert fetched.status == 200
        assert set(re.findall(r"""(?:src|href)="(https?://[^/"]*)""", fetched.text)) <= {newsroom_site.url}
        assert not re.search(r"@import|url\(", fetched.text)


def test_every_story_can_be_told_and_the_correction_changes_its_words() -> None:
    assert len({story.slug for story in STORIES}) == len(STORIES) >= 14
    for story in (*STORIES, make_bulletin(3, NOW)):
        text = "\n".join(story.paragraphs)
        post = Post("gazette", story.slug, "https://example.org/", story.headline, summary=story.summary)
        assert find_hold_words(replace(post, body_html=text)) == ""
        assert story.picture is None or (story.picture.scene in SCENES and story.picture.colours in COLOURS)
        if story.correction:
            words = "\n".join([story.headline, story.summary, text])
            assert [old for old, _ in story.correction.changes if old not in words] == []


def test_one_headline_would_become_a_link_on_x_by_accident() -> None:
    found = {story.slug: [span.url for span in find_urls(story.headline)] for story in STORIES}
    assert {slug: urls for slug, urls in found.items() if urls} == {"tram-depot": ["end.Next"]}


def test_after_the_last_story_come_bulletins() -> None:
    newsroom = Newsroom(lambda: NOW)
    count = sum(story.when == "fresh" for story in STORIES)
    slugs = [newsroom.publish().story.slug for _ in range(count + 3)]
    assert slugs[count:] == ["bulletin-1", "bulletin-2", "bulletin-3"]
    assert len(set(slugs)) == len(slugs)
    while newsroom.can_correct:
        assert newsroom.correct() is not None
    assert newsroom.correct() is None
    with pytest.raises(LookupError):
        newsroom.publish("night-ferry")


@pytest.mark.parametrize("slug", ["night-ferry", "swing-bridge", "seagrass"])
def test_a_picture_is_a_valid_png_and_always_the_same(slug: str) -> None:
    picture = next(story.picture for story in STORIES if story.slug == slug)
    assert picture is not None
    made = draw.__wrapped__(slug, picture)
    assert made == draw.__wrapped__(slug, picture)
    assert read_png(made) == (WIDTH, HEIGHT)
    assert len(made) < 300_000


def read_png(data: bytes) -> tuple[int, int]:
    """Width and height of a sound PNG of 8-bit RGB."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size) == (zlib.crc32(kind + body),)
        chunks[kind] = chunks.get(kind, b"") + body
        at += 12 + size
    assert [*chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [8, 2, 0, 0, 0]
    assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
    return width, height


# The demo's own pages


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Everything but the product."""
    with open_stage(tmp_path, Rhythm("1m", 2), "http://127.0.0.1:9") as opened:
        yield opened


@pytest.fixture
def pages(stage: Stage) -> Iterator[DemoSite]:
    site = DemoSite(0)
    site.start()
    readings = Readings(stage.product.config)
    site.open(stage, readings)
    yield site
    readings.close()
    site.stop()


PATHS = ("/", "/mailbox", "/telegram", "/x", "/inside")


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_there_before_anything_happened(pages: DemoSite, path: str) -> None:
    fetched = Fetched(pages.url, path)
    assert fetched.status == 200
    assert "default-src 'none'" in fetched.headers["Content-Security-Policy"]
    ours = {pages.url, pages.stage.site.url, pages.stage.product.url} if pages.stage else set()
    assert set(re.findall(r"""(?:src|href|action)="(https?://[^/"]*)""", fetched.text)) <= ours


def test_the_pages_say_so_while_everything_starts() -> None:
    site = DemoSite(0)
    site.start()
    try:
        assert "are starting" in Fetched(site.url, "/").text
        assert Fetched(site.url, "/look.css").headers["Content-Type"].startswith("text/css")
    finally:
        site.stop()


def test_a_button_publishes_and_only_the_demos_own_pages_have_it(pages: DemoSite, stage: Stage) -> None:
    before = len(stage.newsroom.articles)
    pressed = Fetched(pages.url, "/publish", "POST", Sec_Fetch_Site="same-origin")
    assert (pressed.status, pressed.headers["Location"]) == (303, "/")
    assert len(stage.newsroom.articles) == before + 1
    assert Fetched(pages.url, "/publish", "POST", Sec_Fetch_Site="cross-site").status == 403
    assert Fetched(pages.url, "/", Host="evil.example").status == 421
    assert Fetched(pages.url, "/nothing", "POST").status == 404
    assert len(stage.newsroom.articles) == before + 1


def test_a_letter_is_shown_as_page_as_text_and_with_its_header(pages: DemoSite, stage: Stage) -> None:
    stage.smtp.keep(READERS[0], make_mail(READERS[0]))
    assert "Rain by noon" in Fetched(pages.url, f"/mailbox?reader={READERS[0]}").text
    whole = Fetched(pages.url, "/mailbox/0").text
    assert 'sandbox="allow-same-origin allow-popups' in whole
    assert 'action="http://127.0.0.1:9/u/1"' in whole
    page = Fetched(pages.url, "/mailbox/0/page")
    assert '<base target="_blank">' in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "Umbrellas &amp; boots" in Fetched(pages.url, "/mailbox/0?as=text").text
    assert "List-Unsubscribe-Post" in Fetched(pages.url, "/mailbox/0?as=header").text
    assert Fetched(pages.url, "/mailbox/1").status == 404
    assert Fetched(pages.url, "/mailbox/%C2%B2").status == 404


def make_mail(reader: str, headline: str = "Rain by noon") -> bytes:
    head = (
        f"From: The Harbour Gazette <news@harbour-gazette.example>\r\nTo: {reader}\r\nSubject: {headline}\r\n"
        "List-Unsubscribe: <http://127.0.0.1:9/u/1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n'
    )
    text = f"--b\r\nContent-Type: text/plain\r\n\r\n{headline}\r\n\r\nUmbrellas & boots.\r\n"
    page = "--b\r\nContent-Type: text/html\r\n\r\n<html><head></head><body>Rain</body></html>\r\n--b--\r\n"
    return (head + text + page).encode()


def test_the_header_of_a_mail_gives_the_one_click_address(stage: Stage) -> None:
    stage.smtp.keep(READERS[0], make_mail(READERS[0]))
    (mail,) = stage.smtp.seen
    assert find_unsubscribe(mail) == "http://127.0.0.1:9/u/1"
    assert ("To", READERS[0]) in read_headers(mail)


def test_the_board_says_where_a_story_is_and_where_it_waits() -> None:
    newsroom = Newsroom(lambda: NOW)
    article = newsroom.publish("night-ferry")
    post = Post("gazette", "g", f"http://127.0.0.1:9{article.path}", article.story.headline, section="Harbour")
    rows = [PostRow(7, post, "live", "", 1, NOW, NOW, NOW)]
    plans = [
        make_plan("telegram-now", "each"),
        make_plan("x-now", "each", takes=False),
        make_plan("briefing", "digest"),
    ]
    edition = EditionRow(
        3, "k", "telegram-now", "telegram", "each", "frozen", "", "", NOW, None, 1, {"queued": 1}, "[]"
    )
    link = LinkRow("abc", post.url, "article", "telegram", "telegram-now", 3, 7, "", 2, 1)
    snapshot = Snapshot(rows, [edition], [link], plans, paused={"telegram": "fog"})
    board = make_board(newsroom.articles, "http://127.0.0.1:9", snapshot, NOW)
    assert (len(board.rows), board.waiting, board.next_letter) == (1, 1, NOW + timedelta(minutes=1))
    assert board.rows[0].cells.keys() == {"telegram-now", "briefing"}
    cell = board.rows[0].cells["telegram-now"]
    assert (cell.is_out, cell.people, cell.others, cell.trouble) == (False, 2, 1, "paused: fog")


def make_plan(name: str, form: str, takes: bool = True) -> Plan:
    rule = (
        parse_rule(every="1m", timezone="UTC")
        if form == "digest"
        else parse_rule(when="immediately", timezone="UTC")
    )
    return Plan(name, name.partition("-")[0], form, rule, lambda post: takes, timedelta(hours=1))


# Proof


@pytest.fixture
def arrived() -> Callable[..., list[str]]:
    """Faults of a day on which one story went to everybody, after `spoil` had its hand in it."""

    def find(
        spoil: Callable[[dict[str, list[Sighting]]], object] = lambda seen: None, later: str = "Rain by noon"
    ) -> list[str]:
        story = Story("rain", "City", "City desk", "Rain by noon", "Umbrellas.", ("Rain.",))
        post = Sighting(1.0, "@gazette", "Rain by noon\n\nUmbrellas.")
        letters = [Sighting(1.0, reader, f"{later}\n\nUmbrellas.", subject=later) for reader in READERS]
        alert = Sighting(1.0, READERS[0], "Rain by noon", subject="Rain by noon")
        seen = {"telegram": [post], "x": [post], "letters": letters, "alerts": [alert]}
        spoil(seen)
        return find_faults([Expected(story, later, frozenset({READERS[0]}))], **seen)

    return find


def test_what_arrived_once_has_no_fault(arrived: Callable[..., list[str]]) -> None:
    assert arrived() == []
    assert arrived(later="Rain by one, not by noon") == []


@pytest.mark.parametrize("place", ["telegram", "x", "letters", "alerts"])
def test_what_is_missing_or_there_twice_is_a_fault(arrived: Callable[..., list[str]], place: str) -> None:
    assert arrived(lambda seen: seen[place].pop())
    assert arrived(lambda seen: seen[place].append(seen[place][0]))


def test_a_letter_to_somebody_who_left_is_a_fault(arrived: Callable[..., list[str]]) -> None:
    faults = arrived(lambda seen: seen["letters"].append(replace(seen["letters"][0], recipient=GONE)))
    assert f"{GONE} has left and got a letter" in faults


def test_an_uncorrected_letter_is_a_fault(arrived: Callable[..., list[str]]) -> None:
    def spoil(seen: dict[str, list[Sighting]]) -> None:
        seen["letters"][0] = replace(seen["letters"][0], text="Rain by noon\n\nSun by noon")

    assert arrived(spoil, later="Sun by noon") == [
        f"the letter to {READERS[0]} still has the uncorrected “Rain by noon”"
    ]


def test_nobody_in_the_demo_leaves_this_machine() -> None:
    with pytest.raises(ValueError, match="does not leave this machine"):
        call("https://x.com/intent/tweet", CHROME)
    shared = "http://127.0.0.1:9/l/abc"
    assert unpack_share("https://x.com/intent/tweet?text=Rain&url=http%3A%2F%2F127.0.0.1%3A9%2Fl%2Fabc") == shared


def test_the_pages_stay_fresh_without_a_reload(pages: DemoSite) -> None:
    script = Fetched(pages.url, "/live.js").text
    assert "data-live" in script
    ids = re.findall(r'id="([a-z]+)" data-live', Fetched(pages.url, "/").text)
    assert sorted(ids) == sorted(set(ids)) == ["board", "buttons", "letter", "tiles"]
    assert time.monotonic() - pages.looked_at < 60
