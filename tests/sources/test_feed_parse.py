"""From the bytes of a feed to posts: fields, encodings, oddities, attacks."""

import json
import re
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.errors import SourceError
from distributor.core.post import Image, Post, post_from_json, post_to_json
from distributor.core.text_clean import clean_title
from distributor.sources.feed.parse import FeedText, read_drafts, read_feed

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEN = datetime(2026, 11, 23, 10, tzinfo=UTC)
URL = "https://example.org/news/feed/"
DATA = Path(__file__).parents[3] / "shared" / "data" / "feeds"


def read(body: bytes | str, content_type: str = "application/xml", **about: object) -> list[Post]:
    data = body if isinstance(body, bytes) else body.encode()
    return read_feed(FeedText(data, URL, "front", content_type, **about), NOW)[0]  # type: ignore[arg-type]


def rss(items: str, channel: str = "") -> str:
    names = " ".join(
        f'xmlns:{prefix}="{address}"'
        for prefix, address in {
            "dc": "http://purl.org/dc/elements/1.1/",
            "content": "http://purl.org/rss/1.0/modules/content/",
            "media": "http://search.yahoo.com/mrss/",
            "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
        }.items()
    )
    return f'<rss version="2.0" {names}><channel><title>Example</title>{channel}{items}</channel></rss>'


def item(inside: str) -> str:
    return rss(f"<item><link>https://example.org/a</link><title>Title</title>{inside}</item>")


FIELDS = [
    *("headline", "summary", "body_html", "byline", "section", "tags", "language", "published_at", "image"),
]
WORDPRESS_ITEM = """<item><title>Fish &amp;#038; &lt;b&gt;chips&lt;/b&gt; &amp;#8211; again</title>
<link>https://example.org/2026/fish/?utm_source=rss</link><dc:creator><![CDATA[By Olena Kovalenko]]></dc:creator>
<pubDate>Mon, 23 Nov 2026 10:00:00 +0000</pubDate><category><![CDATA[Uncategorized]]></category>
<category><![CDATA[Food &amp; Drink]]></category><category><![CDATA[chips]]></category>
<guid isPermaLink="false">https://example.org/?p=7</guid>
<description><![CDATA[<p>Oil is up. [&#8230;]</p>
<p>The post <a href="x">Fish</a> appeared first on <a href="y">E</a>.</p>]]></description>
<content:encoded><![CDATA[<p onclick="x()">Oil is <a href="/oil">up</a>.<script>x</script>]]>
<![CDATA[<img src="/fish.jpg" width="800"></p>]]></content:encoded>
</item>"""


def test_a_wordpress_item_is_read_whole() -> None:
    [post] = read(rss(WORDPRESS_ITEM, "<language>en-US</language>"))
    assert post == Post(
        source="front",
        guid="https://example.org/?p=7",
        url="https://example.org/2026/fish/?utm_source=rss",
        headline="Fish & chips – again",
        summary="Oil is up.",
        body_html='<p>Oil is <a href="https://example.org/oil" rel="noopener noreferrer">up</a>.\n'
        '<img src="https://example.org/fish.jpg" width="800"></p>',
        byline="Olena Kovalenko",
        section="Food & Drink",
        tags=("chips",),
        language="en-US",
        published_at=TEN,
        image=Image("https://example.org/fish.jpg", "", 800),
        provenance=dict.fromkeys(FIELDS, "feed"),
    )


def test_atom_tells_when_a_story_was_updated() -> None:
    [post] = read(
        "<feed xmlns='http://www.w3.org/2005/Atom' xml:base='https://cdn.example.org/x/' xml:lang='uk'><entry>"
        "<id>tag:1</id><title type='html'>AT&amp;amp;T &lt;i&gt;up&lt;/i&gt;</title><link href='../story'/>"
        "<author><name>Олена</name>"
        "<email>o@example.org</email></author><author><name>Jo</name></author><category term='w' label='World'/>"
        "<published>2026-11-23T10:00:00Z</published><updated>2026-11-23T13:00:00+02:00</updated>"
        "<content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'><p>One</p></div></content></entry></feed>"
    )
    assert (post.headline, post.url, post.byline) == ("AT&T up", "https://cdn.example.org/story", "Олена, Jo")
    assert (post.published_at, post.updated_at) == (TEN, TEN + timedelta(hours=1))
    assert (post.section, post.language, post.body_html, post.summary) == ("World", "uk", "<p>One</p>", "One")


def test_rdf_is_read_and_its_only_date_is_the_publication() -> None:
    [post] = read(
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><item rdf:about="https://example.org/a"><title>T</title>'
        "<link>https://example.org/a</link><dc:date>2026-11-23T10:00:00Z</dc:date></item></rdf:RDF>"
    )
    assert (post.published_at, post.updated_at) == (TEN, None)


JSON_FEED = {
    "version": "https://jsonfeed.org/version/1.1",
    "language": "en",
    "items": [
        {
            "id": 7,
            "url": "/a",
            "title": "A &amp; B",
            "content_html": "<p>Hi <img src='i.png'></p>",
            "summary": "Hi <there>",
            "date_published": "2026-11-23T12:00:00+02:00",
            "date_modified": "2026-11-23T11:00:00Z",
            "authors": [{"name": "Jo"}, "x", {"url": "y"}],
            "tags": ["World", 3, "b"],
            "image": "https://example.org/i.jpg",
        },
        {"title": "without an id", "url": "https://example.org/b"},
        "no item",
        {"id": "x", "external_url": "https://other.example/c", "content_text": "Para <one>\n\nPara two"},
    ],
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_feed_is_read_by_its_own_rules(encoding: str) -> None:
    first, second = read(json.dumps(JSON_FEED, ensure_ascii=False).encode(encoding), "application/json")
    assert (first.guid, first.url, first.headline, first.summary) == (
        "7",
        "https://example.org/a",
        "A & B",
        "Hi <there>",
    )
    assert (first.published_at, first.updated_at) == (TEN, TEN + timedelta(hours=1))
    assert (first.byline, first.section, first.tags) == ("Jo", "World", ("b",))
    assert 'src="https://example.org/news/feed/i.png"' in first.body_html
    assert (second.url, second.headline) == ("https://other.example/c", "Para <one> Para two")
    assert second.body_html == "<p>Para &lt;one&gt;</p><p>Para two</p>"


def test_raw_line_breaks_in_json_texts_are_forgiven() -> None:
    body = json.dumps(JSON_FEED).replace("A &amp; B", "A\n&amp;\tB")
    assert read(body)[0].headline == "A & B"


NO_FEEDS = {
    "nothing": (b"", "empty page"),
    "blanks": (b" \r\n\0", "empty page"),
    "a challenge": (
        b"<!DOCTYPE html><html><head><title>Just a moment...</title>",
        r"a web page \('Just a moment\.\.\.'\)",
    ),
    "a page after a comment": (b"\xef\xbb\xbf<!-- a --><!-- b -->\n<HTML lang=en><body>x", "a web page"),
    "a page as xhtml": (b'<?xml version="1.0"?><!DOCTYPE html PUBLIC "x" "y"><html xmlns="z"/>', "a web page"),
    "a sitemap": (b'<?xml version="1.0"?><urlset><url><loc>x</loc></url></urlset>', "neither RSS"),
    "words": (b"Internal error", "neither RSS"),
    "a picture": (bytes(range(256)) * 50, "neither RSS"),
    "another JSON": (b'{"error": "no"}', "not a JSON Feed"),
    "broken JSON": (b'{"version": "https://jsonfeed.org/version/1', "cannot be read as JSON"),
    "deep JSON": (b"[" * 100_000, "cannot be read as JSON"),
    "JSON with a huge number": (b'{"version": ' + b"9" * 10_000 + b"}", "cannot be read as JSON"),
}


@pytest.mark.parametrize("name", NO_FEEDS)
def test_what_is_no_feed_is_an_error_and_not_an_empty_feed(name: str) -> None:
    body, reason = NO_FEEDS[name]
    with pytest.raises(SourceError, match=reason):
        read(body)


def test_an_empty_feed_is_an_empty_feed() -> None:
    assert read(rss("")) == []
    assert read(b'{"version":"https://jsonfeed.org/version/1","items":[]}') == []


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HARMFUL = {
    "billion laughs": f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>'
    + rss("<item><title>&l9;</title></item>"),
    "a file": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + rss("<item><title>&x;</title></item>"),
    "a parameter": '<!DOCTYPE r [<!entity % x SYSTEM "http://169.254.169.254/">%x;]>' + rss(""),
    "depth": rss("<a>" * 2000),
}


@pytest.mark.parametrize("name", HARMFUL)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_feeds_built_to_do_harm_are_refused(name: str, encoding: str) -> None:
    with pytest.raises(SourceError, match=r"entities|nests"):
        read(HARMFUL[name].encode(encoding))


def test_the_word_entity_in_a_story_is_no_attack() -> None:
    assert read(item("<description><![CDATA[How <!ENTITY works]]></description>"))
    assert read('<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://x/rss.dtd">' + item(""))


def test_only_the_first_entries_of_a_huge_feed_are_read() -> None:
    body = rss(
        "".join(f"<item><title>T{n}</title><link>https://example.org/{n}</link></item>" for n in range(3000))
    )
    posts, note = read_feed(FeedText(body.encode(), URL, "front", max_items=500), NOW)
    assert len(posts) == 500 and note == "the feed has 3,000 entries; only the first 500 were read"


def test_an_entry_that_leads_nowhere_is_left_out_and_counted() -> None:
    items = "<item><title>No link</title></item><item><title>T</title><link>javascript:alert(1)</link></item>"
    posts, note = read_feed(FeedText(rss(items).encode(), URL, "front"), NOW)
    assert (posts, note) == ([], "2 entries without a link or a headline were left out")


@pytest.mark.parametrize(
    ("inside", "headline"),
    [
        (
            "<title></title><description>The first words are used. And more.</description>",
            "The first words are used. And more.",
        ),
        ("<title>5 &lt; 6 &amp; rising</title>", "5 < 6 & rising"),
        ("<title>a&#0;b&#xE100;&#x202E;c</title>", "abc"),
        ("<title><![CDATA[<h1>Big</h1>]]></title>", "Big"),
        (f"<title>{'long ' * 500}</title>", None),
    ],
)
def test_headlines_are_one_line_of_plain_text(inside: str, headline: str | None) -> None:
    [post] = read(rss(f"<item><link>https://example.org/a</link>{inside}</item>"))
    assert post.headline == headline or (headline is None and len(post.headline) <= 500)


@pytest.mark.parametrize(
    ("inside", "url"),
    [
        ("<link>https://example.org/a b</link>", "https://example.org/a%20b"),
        ("<link>/a</link>", "https://example.org/a"),
        ("<guid>https://example.org/permalink</guid>", "https://example.org/permalink"),
        (
            "<link>https://feeds.example/~r/1</link><feedburner:origLink>https://example.org/a</feedburner:origLink>",
            "https://example.org/a",
        ),
        ('<enclosure url="https://example.org/talk.mp3" type="audio/mpeg"/>', "https://example.org/talk.mp3"),
    ],
)
def test_a_link_is_found_where_feeds_hide_it(inside: str, url: str) -> None:
    [post] = read(rss(f"<item><title>T</title>{inside}</item>"))
    assert post.url == url


@pytest.mark.parametrize(
    ("inside", "byline"),
    [
        ("<author>jo@example.org (Jo Doe)</author>", "Jo Doe"),
        ("<author>jo@example.org</author>", ""),
        ("<dc:creator>admin</dc:creator>", ""),
        ("<dc:creator>By Jo &amp;amp; Al</dc:creator>", "Jo & Al"),
        ("<dc:creator>https://example.org/jo</dc:creator>", ""),
    ],
)
def test_bylines_are_names(inside: str, byline: str) -> None:
    assert read(item(inside))[0].byline == byline


@pytest.mark.parametrize(
    ("inside", "picture"),
    [
        (
            '<media:content url="/a.jpg" medium="image" width="300"/>'
            '<media:content url="/b.jpg" medium="image" width="900"/>',
            "b.jpg",
        ),
        ('<media:group><media:content url="/a.jpg" type="image/jpeg"/></media:group>', "a.jpg"),
        ('<media:content url="/a.mp4" type="video/mp4"/><enclosure url="/b.png" type="image/png"/>', "b.png"),
        ('<media:thumbnail url="/t.jpg" width="75"/><description>&lt;img src="/c.jpg"&gt;x</description>', "c.jpg"),
        ('<media:thumbnail url="/t.jpg"/>', "t.jpg"),
        ('<media:content url="javascript:x" medium="image"/>', None),
    ],
)
def test_the_lead_image_is_the_largest_that_is_offered(inside: str, picture: str | None) -> None:
    image = read(item(inside))[0].image
    assert (image and image.url) == (picture and f"https://example.org/{picture}")


@pytest.mark.parametrize(
    "date",
    [
        "0000-00-00 00:00:00",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "2099-01-01T00:00:00Z",
        "soon",
        "Mon, 31 Feb 2026 10:00:00 GMT",
        "",
    ],
)
def test_dates_that_cannot_be_true_leave_a_post_without_a_date(date: str) -> None:
    [post] = read(item(f"<pubDate>{date}</pubDate>"))
    assert post.published_at is None


def test_a_section_from_the_settings_stands_in() -> None:
    assert read(item(""), section="World")[0].section == "World"
    assert read(item("<category>Cities</category>"), section="World")[0].section == "Cities"


def test_a_long_description_is_the_story_and_its_beginning_the_summary() -> None:
    [post] = read(item(f"<description>{'A sentence of the story. ' * 100}</description>"))
    assert len(post.summary) <= 600 and post.summary.endswith("story.") and len(post.body_html) > 2000


ENCODINGS = {
    "utf-8": ("Київ і café", "utf-8"),
    "windows-1251": ("Київ", "windows-1251"),
    "koi8-u": ("Київ", "koi8-u"),
    "iso-8859-1": ("café", "iso-8859-1"),
    "shift_jis": ("東京", "shift_jis"),
    "gb18030": ("北京", "gb18030"),
    "utf-16": ("Київ", "utf-16"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_declared_encodings_are_read(name: str) -> None:
    text, encoding = ENCODINGS[name]
    body = f'<?xml version="1.0" encoding="{encoding}"?>' + item("").replace("Title", text)
    assert read(body.encode(encoding))[0].headline == text


@pytest.mark.parametrize(
    ("text", "encoding", "declared", "header"),
    [
        ("“café”", "windows-1252", "", "application/xml"),
        ("“café”", "windows-1252", "iso-8859-1", "application/xml"),
        ("“café”", "windows-1252", "utf-8", "application/xml"),
        ("Київ", "utf-8", "", "text/xml"),
        ("Київ", "utf-8", "", "text/plain"),
        ("Київ", "windows-1251", "utf-8", "application/rss+xml; charset=windows-1251"),
    ],
)
def test_wrongly_declared_encodings_are_guessed(text: str, encoding: str, declared: str, header: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    assert read((head + item("").replace("Title", text)).encode(encoding), header)[0].headline == text


@pytest.mark.parametrize(
    "body",
    [
        "<br />\n<b>Notice</b>: Undefined index in <b>/feed.php</b><br />\n" + item(""),
        item("").replace("Title", "Title & more &nbsp; &bogus; <br> <unclosed"),
        item("").removesuffix("</channel></rss>"),
        item("").replace("</item>", ""),
        item("<x:y>undeclared</x:y>"),
        "\n\n  <?xml version='1.0'?>" + item(""),
        item("<title attr='x'>Title</title><pubDate a='b'/><guid x='y'/><category/><dc:creator z='1'/>"),
        item("").replace("Title", "Title \x00\x08\x1b"),
        item("<description><![CDATA[never closed"),
    ],
)
def test_broken_feeds_still_give_their_story(body: str) -> None:
    posts = read(body)
    assert posts and posts[0].headline.startswith("Title") and posts[0].url == "https://example.org/a"


PIECES = """
<rss version='2.0'> <channel> <item> </item> <title> </title> <link> https://e.example/a <guid> <![CDATA[ ]]> &
&amp; <feed xmlns='http://www.w3.org/2005/Atom'> <entry> <id> <updated>2026 <media:content/> < > " ' <!-- --> <? ?>
<author> a@b.c <div xmlns='http://www.w3.org/1999/xhtml'> <content type='xhtml'> é &#x110000; &#xD800; &#0;
"""
pieces = st.sampled_from([*PIECES.split(), "\x00", "\x1b"])


@given(st.lists(pieces | st.text(max_size=8), max_size=40).map("".join))
def test_any_text_is_read_or_refused(body: str) -> None:
    try:
        posts = read(body.encode("utf-8", "surrogatepass"))
    except SourceError:
        return
    for post in posts:
        assert post_from_json(post_to_json(post)) == post
        assert post.url.startswith(("http://", "https://")) and post.headline and "\x00" not in post.headline


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    body = item("").encode()
    for data in (noise, body[:80] + noise + body[80:]):
        try:
            read(data)
        except SourceError:
            continue


def unpack(name: str) -> Iterator[tuple[str, bytes]]:
    if not (DATA / name).exists():
        pytest.skip(f"the shared test data are not here: {name}")
    with tarfile.open(DATA / name) as archive:
        for member in archive:
            file = archive.extractfile(member)
            if file and member.name.endswith((".xml", ".json", ".html")):
                yield member.name, file.read()


def content_type_of(body: bytes) -> str:
    found = re.search(rb"Content-type:\s*([^\r\n]+)", body[:2000], re.IGNORECASE)
    return found[1].decode("latin-1").strip() if found else "application/xml"


def test_feedparsers_own_fixtures_all_go_through() -> None:
    read_count, refused = 0, []
    for name, body in unpack("feedparser-tests.tar.gz"):
        try:
            read(body, content_type_of(body))
            read_count += 1
        except SourceError:
            refused.append(name)
    assert read_count >= 2090
    assert len(refused) <= 16, refused


def test_titles_of_feedparsers_fixtures_are_as_expected_there() -> None:
    """Sanitising is ours and base addresses do not matter in a headline, so both are compared as plain text."""
    expectation = re.compile(rb"Expect:\s+(?:not bozo and )?entries\[0\]\['title'\] == u?'([^'\\]*)'\s*\n")
    wrong, count = [], 0
    for name, body in unpack("feedparser-tests.tar.gz"):
        found = expectation.search(body)
        if found and b"applet" not in body and b"frame" not in body and b"blink" not in body:
            drafts = read_drafts(FeedText(body, URL, "front", content_type_of(body)), NOW)
            count += 1
            if clean_title(drafts[0].headline) != clean_title(found[1].decode()):
                wrong.append((name, drafts[0].headline, found[1].decode()))
    assert count >= 60
    assert not wrong


def test_feeds_in_many_encodings_keep_their_letters() -> None:
    for name, body in unpack("miniflux-testdata.tar.gz"):
        if name.endswith(".html") or "/encoding/" in name:
            continue
        posts = read(body)
        assert posts, name
        assert "�" not in "".join(post.headline for post in posts), name
