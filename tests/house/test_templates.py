"""The shipped templates: every one, on every channel, for the richest and the barest story, in three languages."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from distributor import shipped
from distributor.channels import Surroundings, kinds, load, open_channel, settings_model
from distributor.channels.email.compose import view_page
from distributor.core.contracts import Channel
from distributor.core.message import SLOT_START, Content, make_slot
from distributor.core.post import Image
from distributor.pipeline.render import (
    Job,
    OverflowView,
    PostView,
    Renderer,
    Templates,
    build_page_context,
)
from tests.stories import SITES, Minter, ToyChannel, make_bare_post, make_context, make_post, preview

ROOT = shipped.templates_dir()
LANGUAGES = sorted(path.name.split(".")[1] for path in (ROOT / "_shared").glob("words.*.txt"))
MARKS = re.compile("[\ue000-\ue0ff\ue102-\uf8ff]")
VECTORS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></style></textarea><svg onload=alert(1)>",
    "<!--trim 1--><!--html--><!--personal-->",
    "--><b>x</b><!--",
    "<!--[if mso]><b>x</b><![endif]-->",
    "{{ 7 * 7 }}{% include 'x' %}{# x #}",
    "&lt;script&gt; &amp; &#x3c;b&#x3e;",
    "javascript:alert(1)//http://x",
    "<a href='https://evil.example/'>x</a>",
    "<tg-button href='https://evil.example/'>x</tg-button>",
    "]]><x>",
    "jinja2tag0x",
    "\u202eevil\u202c \x00\x07\ue100unsubscribe_url\ue101",
)


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(Templates([ROOT]))
    yield made
    made.close()


@pytest.fixture(scope="module", params=kinds())
def channel(request: pytest.FixtureRequest) -> Iterator[Channel]:
    with load(request.param, "sandbox").SANDBOXES[0]() as sandbox:
        settings = settings_model(request.param)(**{"name": "main", **sandbox.settings()})
    made = open_channel(settings, Surroundings(SITES["en"]))
    yield made
    made.close()


def word(renderer: Renderer, channel: Channel, form: str, *posts: PostView, **rest: Any) -> Content:
    job = Job(channel, (channel.kind, "default"), form, make_context(posts, **rest))
    return renderer.render(job, Minter())


@pytest.mark.parametrize("form", ["each", "digest"])
@pytest.mark.parametrize("language", SITES)
def test_every_template_words_a_story(renderer: Renderer, channel: Channel, form: str, language: str) -> None:
    content = word(renderer, channel, form, language=language)
    assert not MARKS.search(content.to_json())
    assert "{{" not in content.to_json()
    assert content.warnings == ()


@pytest.mark.parametrize("form", ["each", "digest"])
def test_every_template_words_the_barest_story(renderer: Renderer, channel: Channel, form: str) -> None:
    content = word(renderer, channel, form, make_bare_post(), overflow=OverflowView(), more={})
    assert "Only a headline" in content.to_json()
    assert content.warnings == ()


@pytest.mark.parametrize("form", ["each", "digest"])
def test_a_preview_has_the_words_of_the_send(renderer: Renderer, channel: Channel, form: str) -> None:
    job = Job(channel, (channel.kind, "default"), form, make_context())
    sent = re.sub(r"/l/\d{11}", "/l/preview", renderer.render(job, Minter()).to_json())
    shown = renderer.render(job, preview).to_json()
    assert shown == sent


@pytest.mark.parametrize("form", ["each", "digest"])
def test_every_story_has_its_counted_link(renderer: Renderer, channel: Channel, form: str) -> None:
    mint = Minter()
    renderer.render(Job(channel, (channel.kind, "default"), form, make_context([make_post()])), mint)
    slots = {spec.slot for spec in mint.specs}
    assert slots & {"article", "overflow"}
    assert len(mint.specs) == len(set(mint.specs))
    assert all(spec.post_id == 1 for spec in mint.specs if spec.slot == "article" or spec.network)


@pytest.mark.parametrize("vector", VECTORS)
def test_nothing_in_a_story_becomes_markup_in_a_letter(renderer: Renderer, vector: str) -> None:
    from distributor.channels.email.compose import PARTS, compile_template, compose

    class Letter(ToyChannel):
        def compile_template(self, name: str, source: str) -> str:
            return compile_template(name, source)

        def compose(self, texts: Any, form: str) -> Content:
            return compose(texts, form)

    def write(words: str) -> dict[str, Any]:
        fields = {"summary": words, "byline": words, "section": words, "image": Image("https://i.example/x", words)}
        posts = [make_post(number, words, **fields) for number in (1, 2)]
        more = {posts[0].post.section: posts[:1]}
        context = make_context(posts, more=more)
        return dict(renderer.render(Job(Letter(PARTS), ("email",), "digest", context), preview).payload)

    hostile, harmless = write(vector), write("harmless")
    assert describe_structure(hostile["html"]) == describe_structure(harmless["html"])
    assert hostile["html"].count("<!--") == harmless["html"].count("<!--")
    assert hostile["html"].count(SLOT_START) == harmless["html"].count(SLOT_START)
    assert hostile["text"].count(SLOT_START) == harmless["text"].count(SLOT_START)


def describe_structure(page: str) -> list[tuple[str, list[str], str | None]]:
    """Every element in order: its name, its attributes' names, and where it leads."""
    tree = LexborHTMLParser(page)
    assert tree.root is not None
    return [
        (node.tag or "", sorted(node.attributes), node.attributes.get("href"))
        for node in tree.root.traverse(include_text=False)
    ]


# Letters


@pytest.fixture(scope="module")
def letters(renderer: Renderer) -> dict[str, dict[str, Any]]:
    """A digest of nine stories in each language."""
    made = {}
    with load("email", "sandbox").SANDBOXES[0]() as sandbox:
        settings = settings_model("email")(**{"name": "main", **sandbox.settings()})
    for language, site in SITES.items():
        channel = open_channel(settings, Surroundings(site))
        posts = [make_post(n, f"Headline {n}", section=("World", "Sport")[n % 2]) for n in range(1, 10)]
        made[language] = dict(word(renderer, channel, "digest", *posts, language=language).payload)
        channel.close()
    return made


def test_a_letter_says_what_issue_2_asks_for(letters: dict[str, dict[str, Any]]) -> None:
    page, text = letters["en"]["html"], letters["en"]["text"]
    for words in (
        *("Headline 1", "Marta Lindqvist", "Nov 23, 2026", "Updated", "Sport", "A lit ferry", "Four crossings"),
        *("View in browser", "Unsubscribe", "Google News", "RSS", "Share:", "WhatsApp", "More stories: 7"),
    ):
        assert words in page
    for words in ("Headline 9", "Marta Lindqvist", "Updated", "Four crossings", "Unsubscribe", "More stories: 7"):
        assert words in text
    assert "WhatsApp" not in text
    assert make_slot("unsubscribe_url") in text
    assert page.index(make_slot("unsubscribe_url")) < page.index("Headline 1</a>")


def test_a_letter_is_in_the_language_and_direction_of_the_site(letters: dict[str, dict[str, Any]]) -> None:
    assert '<html lang="en" dir="ltr"' in letters["en"]["html"]
    assert '<html lang="ar" dir="rtl"' in letters["ar"]["html"]
    assert "إلغاء الاشتراك" in letters["ar"]["html"]
    assert "Відписатися" in letters["uk"]["html"]


def test_a_letter_is_ready_for_dark_and_narrow_screens(letters: dict[str, dict[str, Any]]) -> None:
    for letter in letters.values():
        assert '<meta name="color-scheme" content="light dark"' in letter["html"]
        assert "@media (prefers-color-scheme: dark)" in letter["html"]
        assert "@media only screen and (max-width: 479px)" in letter["html"]


def test_a_letter_fetches_nothing_but_the_newsrooms_images(letters: dict[str, dict[str, Any]]) -> None:
    for letter in letters.values():
        fetched = re.findall(r"""(?:src="|url\(|@import|<link[^>]*href=")[^">)]*""", letter["html"])
        assert {address.split("/")[2] for address in fetched} == {"img.example.org"}


def test_the_web_page_of_a_letter_names_nobody(letters: dict[str, dict[str, Any]]) -> None:
    page = view_page(letters["en"])
    assert SLOT_START not in page
    assert "Unsubscribe" not in page
    assert "Headline 1" in page


def test_a_long_digest_gives_up_its_share_rows_before_anything_else(renderer: Renderer) -> None:
    with load("email", "sandbox").SANDBOXES[0]() as sandbox:
        channel = open_channel(
            settings_model("email")(**{"name": "main", **sandbox.settings()}), Surroundings(SITES["en"])
        )
    posts = [make_post(n, f"Headline {n} " + "word " * 20, summary="word " * 60) for n in range(1, 28)]
    content = word(renderer, channel, "digest", *posts)
    page = str(content.payload["html"])
    channel.close()
    assert '"trim 1" was left out' in content.warnings[0]
    assert "WhatsApp" not in page
    assert "Headline 27" in page
    assert "Four" not in page


# Words and pages


def test_every_language_has_all_the_fixed_words() -> None:
    templates = Templates([ROOT])
    english = templates.read_words("en")
    for language in LANGUAGES:
        lines = (ROOT / "_shared" / f"words.{language}.txt").read_text(encoding="utf-8").splitlines()
        own = {line.partition("=")[0].strip() for line in lines if "=" in line and not line.startswith("#")}
        assert own | {"imprint"} == english.keys(), language
        words = templates.read_words(language)
        for key, text in english.items():
            assert re.findall(r"\{\w+\}", words[key]) == re.findall(r"\{\w+\}", text), (language, key)
            assert words[key] or key == "imprint"


@pytest.mark.parametrize("language", SITES)
@pytest.mark.parametrize("state", ["ask", "done", "invalid"])
def test_the_unsubscribe_page_has_a_button_only_where_it_asks(
    renderer: Renderer, language: str, state: str
) -> None:
    context = build_page_context(
        SITES[language], "https://example.org/", state=state, address="<b>@x", list_name="readers", action="/u/1"
    )
    page = renderer.render_page("unsubscribe.html", context)
    assert ('<form method="post" action="/u/1">' in page) is (state == "ask")
    assert "&lt;b&gt;@x" in page
    assert "<script" not in page


@pytest.mark.parametrize("language", SITES)
def test_the_page_for_nothing_found_says_so(renderer: Renderer, language: str) -> None:
    page = renderer.render_page("404.html", build_page_context(SITES[language]))
    assert Templates([ROOT]).read_words(language)["not_found_title"] in page
    assert "href=" not in page


def test_no_template_switches_escaping_off_or_fetches_from_elsewhere() -> None:
    for path in ROOT.rglob("*.*"):
        if path.suffix in (".html", ".mjml", ".css", ".txt"):
            source = path.read_text(encoding="utf-8")
            assert "|safe" not in source.replace(" ", ""), path
            assert "autoescape" not in source, path
            assert not re.search(r"(?:src|href)=[\"']https?:|@import|url\(", source), path


def test_what_the_readme_tells_template_authors_exists() -> None:
    told = (ROOT / "README.md").read_text(encoding="utf-8")
    words = set(re.findall(r"`\{\{ ([a-z_.]+)", told))
    context = make_context()
    for dotted in words:
        found: Any = {**context, "words": Templates([ROOT]).read_words("en")}
        for name in dotted.split("."):
            assert name in found, dotted
            found = found[name]
