"""The quick reading of feeds gives what feedparser gives, or nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distributor.core.errors import SourceError
from distributor.core.text_clean import clean_text
from distributor.sources.drafts import Draft
from distributor.sources.feed.finished import Finished
from distributor.sources.feed.parse import FeedText, ask_feedparser, read_entry
from distributor.sources.feed.quick import _DECLARED, _find_declared, read_quickly
from distributor.sources.feed.quick_names import HANDLED, NAMESPACES, PREFIXES
from distributor.sources.feed.quick_texts import WINDOWS, read_moment, resolve
from distributor.sources.sandbox import NewsSite
from distributor.sources.sandbox_pages import Story
from tests.sources.conftest import NOW
from tests.sources.test_feed_parse import content_type_of, item, rss, unpack

URL = "https://example.org/news/feed/"
ATOM = "http://www.w3.org/2005/Atom"
USUAL = {
    "rss": rss(
        "<item><guid isPermaLink='false'>1</guid><link>https://example.org/a?b=1&amp;c</link>"
        "<title>A &amp;amp; B</title><dc:creator>Jo</dc:creator><author>al@example.org (Al)</author>"
        "<category domain='x'>World</category>"
        "<pubDate>Mon, 23 Nov 2026 10:00:00 +0200</pubDate><description><![CDATA[<p>Є</p>]]></description>"
        "<content:encoded><![CDATA[<p>Ї</p>]]></content:encoded><enclosure url='/a.mp3' type='Audio/MPEG'/>"
        "<media:content url='/a.jpg' medium='image'><media:title>Caption</media:title></media:content></item>",
        "<language>uk</language><lastBuildDate>Mon, 23 Nov 2026 10:00:00 GMT</lastBuildDate>",
    ),
    "atom": f"<feed xmlns='{ATOM}' xml:base='https://cdn.example.org/x/' xml:lang='en_GB'><entry><id>tag:1</id>"
    "<title type='html'>A &lt;b&gt;</title><link href='../s'/>"
    "<link rel='enclosure' href='/a.png' type='image/png'/>"
    "<author><name>Олена</name><uri>/o</uri></author><category term='w' label='World'/>"
    "<summary>plain &lt; text</summary><published>2026-11-23T10:00:00Z</published>"
    "<updated>2026-11-23T13:00:00.5+02:00</updated>"
    "<content type='html' xml:base='y/'>&lt;p&gt;One&lt;/p&gt;</content></entry></feed>",
    "rdf": "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/' "
    "xmlns:dc='http://purl.org/dc/elements/1.1/'><channel rdf:about='x'><items><rdf:Seq><rdf:li resource='y'/>"
    "</rdf:Seq></items></channel><item rdf:about='https://example.org/a'><title>T</title>"
    "<link>https://example.org/a</link><dc:date>2026-11-23</dc:date><dc:subject>World</dc:subject></item></rdf:RDF>",
}


def read_both(body: bytes, content_type: str = "application/xml") -> tuple[list[Draft] | None, list[Draft] | str]:
    """The entries as they are read quickly (None: not at all), and as feedparser reads them."""
    text = FeedText(body, URL, "front", content_type)
    found = read_quickly(text)
    quick = found and [read_entry(entry, text, found[1], NOW) for entry in found[0]]
    try:
        entries, language = ask_feedparser(text)
    except SourceError as error:
        return quick, str(error)
    return quick, [read_entry(entry, text, language, NOW) for entry in entries]


def check(body: bytes, content_type: str = "application/xml") -> bool:
    """Whether the feed was read quickly; it must be equal then."""
    quick, slow = read_both(body, content_type)
    assert quick is None or quick == slow
    return quick is not None


@pytest.mark.parametrize("name", USUAL)
def test_usual_feeds_are_read_quickly_and_as_feedparser_reads_them(name: str) -> None:
    assert check(USUAL[name].encode())


def test_the_sandbox_is_read_quickly(site: NewsSite) -> None:
    site.publish(Story("s1", "One", "Summary.", section="World", published_at=NOW))
    from distributor.sources.fetch import Fetcher

    fetcher = Fetcher(allow_private=[site.place])
    assert all(check(fetcher.fetch(site.url + path).body) for path in ("/feed/", "/feed/atom/"))
    fetcher.close()


def corpus() -> Iterator[tuple[str, bytes, str]]:
    for name, body in unpack("feedparser-tests.tar.gz"):
        yield name, body, content_type_of(body)
    for name, body in unpack("miniflux-testdata.tar.gz"):
        yield name, body, "application/xml"


def test_a_corpus_of_two_thousand_oddities_is_read_alike() -> None:
    """Two thirds of feedparser's own test feeds, which are oddities by trade; of real feeds it is nine in ten."""
    names = [name for name, body, content_type in corpus() if name.endswith(".xml") and check(body, content_type)]
    assert len(names) >= 1350


@pytest.mark.parametrize(
    "body",
    [
        "<!DOCTYPE rss>" + item(""),
        item("<description>&nbsp;</description>"),
        item("<x:y xmlns:x='urn:x'><title>inside</title></x:y>"),
        item("<pubDate>23/11/2026</pubDate>"),
        item("<author>Jo jo@example.museum</author>"),
        item("<summary>a &lt;b&gt;c&lt;/b&gt;</summary>"),
        item("<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>x</div></content>"),
        item("<image><url>/a.png</url></image>"),
        item("<links>x</links>"),
        item("<dc:creator>Jo</dc:creator><author><name>Al</name></author>"),
        item("<item/>"),
        item("").replace("</item>", ""),
        rss("<a>" * 50 + "</a>" * 50),
        item("").replace("purl.org/dc/elements/1.1/", "example.org/dc"),
        "<html><body/></html>",
        "<rss version='2.0' xml:base='javascript:x'><channel/></rss>",
    ],
)
def test_what_is_not_proved_is_left_to_feedparser(body: str) -> None:
    assert read_quickly(FeedText(body.encode(), URL, "front")) is None


@pytest.mark.parametrize(
    ("encoding", "declared", "content_type", "is_quick"),
    [
        ("utf-8", "utf-8", "application/xml", True),
        ("utf-8", "", "application/rss+xml; charset=UTF-8", True),
        ("utf-8-sig", "", "", True),
        ("windows-1251", "windows-1251", "application/xml", True),
        ("windows-1251", "utf-8", "text/xml; charset=windows-1251", True),
        ("windows-1251", "windows-1251", "text/xml", True),
        ("koi8-u", "koi8-u", "text/html", True),
        ("utf-8", "", "text/xml", False),
        ("windows-1251", "utf-8", "application/xml", False),
        ("shift_jis", "shift_jis", "application/xml", False),
        ("utf-16", "utf-16", "application/xml", False),
        ("utf-16-le", "", "application/xml", False),
        ("utf-16-be", "", "text/html", False),
    ],
)
def test_an_encoding_is_certain_or_left_to_feedparser(
    encoding: str, declared: str, content_type: str, is_quick: bool
) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    word = "東" if encoding == "shift_jis" else "Київ"
    assert check((head + item("").replace("Title", word)).encode(encoding), content_type) is is_quick


TEXTS = st.sampled_from(
    [
        *(
            "",
            " ",
            "Jo",
            "a@b.org (Jo)",
            "Jo &lt;a@b.org&gt;",
            "x &amp;amp; y;",
            "&lt;p&gt;Hi&lt;/p&gt;",
            "a,b , ,c",
            "7",
        ),
        *(
            "<![CDATA[<p class='a'>Ї <b>x</b></p>]]>",
            "caf\u00c3\u00a9",
            "na\u00efve",
            "it&#146;s",
            "\u0092",
            "&#8217;",
        ),
        *(
            "https://e.org/a",
            "https://e.org/a?b=1&amp;c;=2",
            "/a/../b",
            "http:////e.org/x",
            "//e.org/a",
            "?q",
            "#f",
        ),
        *(
            "Mon, 23 Nov 2026 10:00:00 GMT",
            "23 Nov 2026 10:00 EST",
            "2026-11-23T10:00:00+05:30",
            "2026-11-23",
            "soon",
        ),
        *("2026-11-23T10:00:00", "2026-11-23T10:00:00.123Z", "Tue, 3 Nov 2026 24:00:00 +0000", "en-US", "true"),
    ]
)
ATTRIBUTES = st.sampled_from(
    [
        *("", "", "", "type='html'", "type='text'", "type='TEXT/HTML'", "type='xhtml'", "isPermaLink='false'"),
        *("href='/a'", "href='https://e.org/a' rel='Enclosure' type='image/png'", "rel='self' href='x'", "href=''"),
        *(
            "url='/a.jpg' medium='image' width='700'",
            "url='b.png' type='image/png'",
            "term='t'",
            "label='L' term=''",
        ),
        *("domain='d'", "scheme='s' term='t'", "text='T'", "xml:base='/z/'", "base='y'", "xml:lang='uk'", "a='b'"),
        *("dc:href='h'", "u:type='x'", "mode='base64'", "uri='u'", "rel='alternate' type='html' href='b'"),
    ]
)
NAMES = (
    "title link guid id pubDate published updated issued modified created category author creator description "
    "summary content source enclosure language rights subtitle contributor comments image keywords dc:title "
    "dc:creator dc:date dc:subject dc:description dc:language dcterms:modified content:encoded itunes:author "
    "itunes:summary itunes:image itunes:keywords itunes:title media:content media:thumbnail media:title "
    "media:description media:category media:keywords media:credit media:group feedburner:origLink u:thing "
    "u:other a:link a:title name uri email pubdate TITLE"
)
PLAIN = st.builds(
    lambda name, attributes, text: f"<{name} {attributes}>{text}</{name}>",
    st.sampled_from(NAMES.split()),
    ATTRIBUTES,
    TEXTS,
)
GROUPS = st.builds(
    lambda name, attributes, inside: f"<{name} {attributes}>{''.join(inside)}</{name}>",
    st.sampled_from(["author", "media:group", "media:content", "u:box", "contributor", "source", "dc:creator"]),
    ATTRIBUTES,
    st.lists(PLAIN, max_size=3),
)
AUTHORS = st.builds("<author><name>{}</name><email>{}</email></author>".format, TEXTS, TEXTS)
INSIDES = st.lists(PLAIN | PLAIN | PLAIN | GROUPS | AUTHORS, max_size=9).map("".join)
DECLARED = (
    "xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:dcterms='http://purl.org/dc/terms/' "
    "xmlns:content='http://purl.org/rss/1.0/modules/content/' xmlns:media='http://search.yahoo.com/mrss/' "
    "xmlns:itunes='http://www.itunes.com/dtds/podcast-1.0.dtd' xmlns:u='urn:unknown' "
    f"xmlns:feedburner='http://rssnamespace.org/feedburner/ext/1.0' xmlns:a='{ATOM}'"
)
ROOTS = st.sampled_from(
    [
        (f"<rss version='2.0' {DECLARED}><channel>", "item", "</channel></rss>"),
        (
            f"<rss {DECLARED} xmlns='http://purl.org/rss/1.0/' xml:lang='de_AT'><channel>",
            "item",
            "</channel></rss>",
        ),
        (f"<feed xmlns='{ATOM}' {DECLARED} xml:base='https://b.org/c/'>", "entry", "</feed>"),
        (f"<feed version='0.3' xmlns='http://purl.org/atom/ns#' {DECLARED}>", "entry", "</feed>"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(ROOTS, INSIDES, st.lists(INSIDES, min_size=1, max_size=2))
def test_feeds_of_any_elements_are_read_alike(root: tuple[str, str, str], head: str, entries: list[str]) -> None:
    start, name, end = root
    for channel in (head, ""):
        items = "".join(f"<{name}>{entry}</{name}>" for entry in entries)
        check(f"{start}{channel}{items}{end}".encode())


@settings(deadline=None)
@given(ROOTS, st.lists(PLAIN, max_size=4), st.text(max_size=20))
def test_any_text_in_a_usual_feed_is_read_alike(root: tuple[str, str, str], inside: list[str], text: str) -> None:
    words = clean_text(text).replace("&", "&amp;").replace("<", "&lt;").replace("]]>", "")
    start, name, end = root
    body = f"<title>{words}</title><id>{words}</id><content>{words}</content><category>{words}</category>"
    check(f"{start}<{name}>{body}{''.join(inside)}</{name}>{end}".encode())


@given(
    st.lists(
        st.sampled_from(
            ["<?xml ", "encoding=", "'utf-8'", '"koi8-u"', "'", "?>", "?", ">", " ", "\n", "\r", "<a>"]
        ),
        max_size=14,
    )
)
def test_an_encoding_is_declared_where_the_whole_pattern_finds_one(parts: list[str]) -> None:
    body = "".join(parts).encode()
    found = _DECLARED.match(body)
    assert _find_declared(body) == (found[1].decode().lower() if found else "")


@pytest.mark.parametrize(
    ("place", "marked"),
    [
        ("<channel>", "<!--@--><channel>"),
        ("<channel>", "<?pi @?><channel>"),
        ("<channel>", "<strange@name/><channel>"),
        ("</rss>", "</rss><!--@-->"),
        ("</rss>", "</rss>@"),
        ("World", "@"),
        ("domain='x'", "domain='@'"),
        ("Є", "@"),
    ],
)
@pytest.mark.parametrize(
    "octets", [b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80", b"\xe2\x82", b"\xf4\x90\x80\x80", b"\x80"]
)
def test_no_feed_is_read_quickly_whose_utf_8_is_broken(place: str, marked: str, octets: bytes) -> None:
    assert place in USUAL["rss"]
    head, tail = USUAL["rss"].replace(place, marked).replace("al@", "al").encode().split(b"@")
    assert read_quickly(FeedText(head + octets + tail, URL, "front")) is None


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_what_is_read_quickly_was_whole_utf_8(data: st.DataObject) -> None:
    body = USUAL[data.draw(st.sampled_from(sorted(USUAL)))].encode()
    at = data.draw(st.integers(0, len(body)))
    octets = data.draw(st.binary(min_size=1, max_size=4))
    broken = body[:at] + octets + body[at + data.draw(st.integers(0, 4)) :]
    if read_quickly(FeedText(broken, URL, "front")) is not None:
        broken.decode()


@given(st.datetimes(datetime(1990, 1, 1), datetime(2027, 1, 1)), st.integers(-12, 14), st.sampled_from([0, 30, 45]))
def test_dates_by_the_book_are_what_feedparser_makes_of_them(moment: datetime, hours: int, minutes: int) -> None:
    from feedparser.datetimes import _parse_date

    sign = "-" if hours < 0 else "+"
    for shape in (
        "%a, %d %b %Y %H:%M:%S {0}{1:02}{2:02}",
        "%d %b %Y %H:%M {0}{1:02}{2:02}",
        "%Y-%m-%dT%H:%M:%S.%fZ",
    ):
        _check_date(moment.strftime(shape.format(sign, abs(hours), minutes)), _parse_date)
    for shape in ("%Y-%m-%dT%H:%M{0}{1:02}:{2:02}", "%a, %d %b %Y %H:%M:%S EDT", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"):
        _check_date(moment.strftime(shape.format(sign, abs(hours), minutes)), _parse_date)


def _check_date(text: str, ask: object) -> None:
    assert callable(ask)
    assert read_moment(text) == tuple(ask(text)[:6]), text


@given(
    st.text(alphabet="ahtp:/.?#&=;%~@-+ \n[]\\0", max_size=12), st.sampled_from(["https://", "http://e.org", ""])
)
def test_addresses_are_resolved_as_feedparser_does(tail: str, head: str) -> None:
    from feedparser.urls import _urljoin

    assert resolve(URL, head + tail) == _urljoin(URL, head + tail)


def test_names_and_namespaces_are_those_of_the_feedparser_at_hand() -> None:
    from feedparser.html import _cp1252
    from feedparser.mixin import _FeedParserMixin as Mixin

    methods = {name.split("_", 2)[2].lower() for name in dir(Mixin) if name.startswith(("_start_", "_end_"))}
    theirs = {uri.lower(): prefix.lower() for uri, prefix in Mixin.namespaces.items()}
    active = {name.partition("_")[0] for name in HANDLED if "_" in name} | {"rdf"}
    assert methods - HANDLED == HANDLED - methods == set()
    assert theirs.items() >= NAMESPACES.items()
    assert {uri for uri, prefix in theirs.items() if prefix in active} <= NAMESPACES.keys()
    assert set(theirs.values()) - {""} == PREFIXES
    assert _cp1252 == {**WINDOWS}
    assert not any(uri.startswith("https:") for uri in theirs)


def test_an_entry_that_stayed_as_it_is_is_not_finished_again() -> None:
    finished = Finished()
    draft = Draft(URL, guid="1", url="/a", headline="A", body="<p onclick='x'>b</p>")
    first = finished.finish(draft, "front")
    assert (
        finished.finish(Draft(URL, guid="1", url="/a", headline="A", body="<p onclick='x'>b</p>"), "front") is first
    )
    assert finished.finish(draft, "other") != first
    assert (
        finished.finish(
            Draft(URL, guid="1", url="/a", headline="B", published_at=datetime(2026, 1, 1, tzinfo=UTC)), "front"
        )
        != first
    )


def test_only_so_many_bytes_of_finished_entries_are_kept() -> None:
    finished = Finished(most=3000)
    drafts = [Draft(URL, url=f"/{number}", headline="A") for number in range(30)]
    first = finished.finish(drafts[0], "front")
    for draft in drafts:
        finished.finish(draft, "front")
    assert finished.finish(drafts[0], "front") is not first
    assert Finished(most=0).finish(drafts[0], "front") == first
