"""Words: which template is taken, what it may say, how links become addresses, and what an editor is told."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from distributor.core.errors import TemplateError
from distributor.core.links import SHARE_NETWORKS
from distributor.core.message import make_slot
from distributor.pipeline.render import Job, LinkSpec, Renderer, Templates
from tests.stories import Minter, ToyChannel, make_context, make_post, preview

Put = Callable[[str, str], None]


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("render")
    return folder / "own" / "templates", folder / "shipped" / "templates"


@pytest.fixture(scope="module")
def renderer(roots: tuple[Path, Path]) -> Iterator[Renderer]:
    made = Renderer(Templates(roots))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def put(roots: tuple[Path, Path]) -> Put:
    """Writes a template into the newsroom's folder ("own/...") or the shipped one; all others are gone."""
    for root in roots:
        for file in root.rglob("*.*"):
            file.unlink()

    def write(name: str, text: str) -> None:
        where, _, rest = name.partition("/")
        path = roots[where == "shipped"] / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    write("shipped/_shared/words.en.txt", "read = Read the story\nshare = Share\n")
    write("shipped/default/each.txt", "{{ post.headline }}")
    return write


def word(renderer: Renderer, part: str = "each.txt", mint: Any = preview, **context: Any) -> str:
    job = Job(ToyChannel({"each": (part,)}), ("letter", "toy"), "each", make_context(**context))
    return renderer.render_texts(job, mint)[part].strip()


# Which template


def test_the_newsrooms_own_template_hides_the_shipped_one(renderer: Renderer, put: Put) -> None:
    put("shipped/toy/each.txt", "shipped")
    assert word(renderer) == "shipped"
    put("own/toy/each.txt", "own")
    assert word(renderer) == "own"


def test_the_more_special_folder_goes_before_the_newsrooms_general_one(renderer: Renderer, put: Put) -> None:
    put("own/default/each.txt", "own default")
    put("shipped/toy/each.txt", "shipped toy")
    assert word(renderer) == "shipped toy"
    put("shipped/letter/each.txt", "shipped letter")
    assert word(renderer) == "shipped letter"


def test_a_channel_without_a_folder_is_served_by_default(renderer: Renderer) -> None:
    assert word(renderer) == "River towns reopen their night ferries"


def test_default_words_are_escaped_where_a_channel_wants_markup(renderer: Renderer, put: Put) -> None:
    put("shipped/default/each.txt", "{{ post.headline }}\n{{ post.link }}")
    text = word(
        renderer, "each.html", lambda _: "https://go.example.org/?a=1&b=2", posts=[make_post(1, "A <b> & c")]
    )
    assert text == "A &lt;b&gt; &amp; c\nhttps://go.example.org/?a=1&amp;b=2"


def test_a_missing_template_is_named_with_the_folders_looked_in(renderer: Renderer) -> None:
    job = Job(ToyChannel({"other": ("other.txt",)}), ("letter", "toy"), "other", make_context())
    with pytest.raises(TemplateError, match=r"other\.txt: .* letter, toy, default"):
        renderer.render_texts(job, preview)


def test_a_form_that_a_channel_lacks_is_refused(renderer: Renderer) -> None:
    job = Job(ToyChannel(), ("toy",), "poster", make_context())
    with pytest.raises(TemplateError, match="no form 'poster'; it has each, digest"):
        renderer.render(job, preview)


def test_templates_include_import_and_extend_one_another_across_folders(renderer: Renderer, put: Put) -> None:
    put("shipped/default/_frame.txt", "[{% block main %}{% endblock %}]")
    put("shipped/toy/_words.txt", "{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}")
    put("own/letter/_end.txt", "by {{ post.byline }}")
    put(
        "own/letter/each.txt",
        '{% extends "_frame.txt" %}{% import "_words.txt" as w %}'
        '{% block main %}{{ w.twice("ab") }} {% include "_end.txt" %}{% endblock %}',
    )
    assert word(renderer) == "[abab by Marta Lindqvist]"


def test_a_newsrooms_template_can_add_to_the_shipped_one(renderer: Renderer, put: Put) -> None:
    put("shipped/toy/each.txt", "{% block main %}shipped{% endblock %}")
    put(
        "own/toy/each.txt",
        '{% extends "shipped/toy/each.txt" %}{% block main %}{{ super() }}, and more{% endblock %}',
    )
    assert word(renderer) == "shipped, and more"


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd", "a/../../b.txt", ".hidden", "a\\b", ""])
def test_includes_never_leave_the_template_folders(renderer: Renderer, roots: Any, put: Put, name: str) -> None:
    put("own/toy/each.txt", f"{{% include {name!r} %}}")
    (roots[0].parent / "secret.txt").write_text("secret")
    with pytest.raises(TemplateError, match=r"each\.txt:1: there is no template"):
        word(renderer)


def test_an_edited_template_counts_at_once(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "first")
    assert word(renderer) == "first"
    put("own/toy/each.txt", "other")
    assert word(renderer) == "other"


# What it may say


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ post.published|datetime('medium') }}", "Nov 23, 2026, 6:30\u00a0AM"),
        ("{{ post.updated|time }}", "7:30\u00a0AM"),
        ("{{ edition.date|date }}", "November 23, 2026"),
        ("{{ edition.date|date('EEE d.M.') }}", "Mon 23.11."),
        ("{{ post.published|datetime }}", "November 23, 2026, 6:30\u00a0AM"),
        ("{{ post.published|datetime('HH:mm') }}", "06:30"),
        ("{{ ''|date }}{{ ''|time }}{{ ''|datetime }}", ""),
        ("{{ post.tags|map('hashtag')|join(' ') }}", "#NightFerries #River"),
        ("{{ '2026'|hashtag }}{{ '!?'|hashtag }}", ""),
        ("{{ 'नमस्ते दुनिया'|hashtag }}", "#नमस्तेदुनिया"),
        ("{{ post.body_html|plain }}", "Four crossings will run."),
        ("{{ 'One two three four'|cut(10) }}", "One two…"),
        ("{{ post.headline|fit }}", "\ue000River towns reopen their night ferries\ue001"),
        ("{{ words.read }} {{ words.share }}", "Read the story Share"),
        ("{{ sections|map(attribute='name')|join('/') }}", "Region/"),
        ("{{ more[0].headline }} {{ overflow.count }}", "Ferry bakers 7"),
        ("{{ site.dir }} {{ post.dir }} {{ site.follow|length }}", "ltr ltr 4"),
        ("{{ '-' * 5 }} {{ 7 % 4 }} {{ 2 ** 8 }}", "----- 3 256"),
        ("{% for key, value in post.share.items() %}{{ key }} {% endfor %}", " ".join(SHARE_NETWORKS)),
    ],
)
def test_templates_say(renderer: Renderer, put: Put, template: str, expected: str) -> None:
    put("own/toy/each.txt", template)
    assert word(renderer) == expected


def test_dates_speak_the_language_and_keep_the_clock_of_each_site(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "{{ edition.date|datetime }}")
    assert word(renderer, language="uk") == "23 листопада 2026\u00a0р., 07:30"
    assert word(renderer, language="ar") == "23 نوفمبر 2026، 8:30 ص"
    assert word(renderer, language="en") == "November 23, 2026, 7:30\u00a0AM"


def test_personal_slots_pass_through(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.html", '<a href="{{ unsubscribe_url }}">{{ recipient.name }} {{ recipient.address }}</a>')
    expected = f'<a href="{make_slot("unsubscribe_url")}">{make_slot("name")} {make_slot("address")}</a>'
    assert word(renderer, "each.html") == expected


def test_story_text_is_escaped_and_sanitised_bodies_are_not(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.html", "{{ post.headline }} {{ post.summary|fit }} {{ post.body_html }}")
    text = word(renderer, "each.html", posts=[make_post(1, "<script>", summary="<b>", body_html="<p>x</p>")])
    assert text == "&lt;script&gt; \ue000&lt;b&gt;\ue001 <p>x</p>"


def test_text_templates_are_not_escaped(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "{{ post.headline }}")
    assert word(renderer, posts=[make_post(1, 'Q&A: "5 < 6"')]) == 'Q&A: "5 < 6"'


def test_the_fixed_words_fall_back_to_english_and_the_newsroom_changes_them(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "{{ words.read }} / {{ words.share }}")
    put("shipped/_shared/words.uk.txt", "# Ukrainian\n\nread = Читати далі\n")
    put("own/_shared/words.uk.txt", "read = До статті\n")
    assert word(renderer, language="uk") == "До статті / Share"


def test_a_line_of_the_fixed_words_that_says_nothing_is_reported(renderer: Renderer, put: Put) -> None:
    put("own/_shared/words.en.txt", "read = Read\nshare: Share\n")
    with pytest.raises(
        TemplateError, match=r"templates/_shared/words\.en\.txt:2: is not a line of the form word = text"
    ):
        word(renderer)


# Links


def test_only_links_that_are_used_are_minted_and_each_once(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.html", '<a href="{{ post.link }}">{{ post.link }}</a> {{ post.share.x }}')
    put("own/toy/each.txt", "{{ post.link }} {{ track('https://example.org/?a=1&b=2', 'banner') }}")
    mint = Minter()
    job = Job(ToyChannel(), ("toy",), "each", make_context([make_post(1, "Head & shoulders")]))
    texts = renderer.render_texts(job, mint)
    assert mint.specs == [
        LinkSpec("article", "https://example.org/1", 1),
        LinkSpec("share_x", "https://example.org/1", 1, "x", "Head & shoulders"),
        LinkSpec("banner", "https://example.org/?a=1&b=2"),
    ]
    first, second, third = (f"https://go.example.org/l/{n:011d}" for n in (1, 2, 3))
    assert texts == {"each.html": f'<a href="{first}">{first}</a> {second}', "each.txt": f"{first} {third}"}


def test_addresses_are_escaped_in_markup_and_whole_in_text(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.html", '<a href="{{ post.link }}">')
    put("own/toy/each.txt", "{{ post.link }}")
    address = 'https://x.com/intent?a=1&b="2"'
    job = Job(ToyChannel(), ("toy",), "each", make_context())
    texts = renderer.render_texts(job, lambda _: address)
    assert texts["each.html"] == '<a href="https://x.com/intent?a=1&amp;b=&quot;2&quot;">'
    assert texts["each.txt"] == address


def test_a_link_inside_another_address_is_encoded_after_minting(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "https://share.example.net/?t={{ ('Read: ' ~ post.link)|urlencode }}")
    assert word(renderer) == "https://share.example.net/?t=Read%3A%20https%3A%2F%2Fgo.example.org%2Fl%2Fpreview"


def test_a_cut_link_is_an_error_and_never_half_an_address(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "{{ ('Read more: ' ~ post.link)[:40] }}")
    with pytest.raises(TemplateError, match=r"each\.txt: a filter has cut a tracked link"):
        word(renderer)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("track('javascript:alert(1)', 'a')", "only http and https"),
        ("track('/relative', 'a')", "only http and https"),
        ("track('https://example.org/', 'A slot!')", "short name"),
        ("track('https://example.org/')", "missing 1 required"),
    ],
)
def test_track_refuses_what_cannot_be_counted(renderer: Renderer, put: Put, call: str, reason: str) -> None:
    put("own/toy/each.txt", f"\n{{{{ {call} }}}}")
    with pytest.raises(TemplateError, match=rf"each\.txt:2: .*{reason}"):
        word(renderer)


def test_a_preview_says_the_same_words_as_the_send(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "{{ post.headline }} {{ post.link }} {{ post.share.copy }}")
    sent = word(renderer, mint=Minter())
    assert word(renderer) == sent.replace("00000000001", "preview").replace("00000000002", "preview")
    assert word(renderer, mint=Minter()) == sent


# What an editor is told


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("\n\n{{ post.headlin }}", 3, "there is no word 'headlin' here; did you mean 'headline'"),
        ("{{ post.headline }}\n{{ edtion.date }}", 2, "'edtion' is undefined"),
        ("a\n{% if %}", 2, "Expected an expression"),
        ("a\nb\n{% for x in posts %}", 3, "Unexpected end of template"),
        ("\n{{ post.headline|shout }}", 2, "No filter named 'shout'"),
        ("\n{{ 1 / 0 }}", 2, "division by zero"),
        ("\n{{ post.image.url.nothing }}", 2, "has no attribute 'nothing'"),
        ("\n{% include '_gone.txt' %}", 2, "there is no template '_gone.txt'"),
        ("\n{{ post.published|date('yyyy', 3) }}", 2, "positional arguments"),
        ("\n{{ 'x'|date }}", 2, "Invalid isoformat string"),
    ],
)
def test_mistakes_are_named_with_template_and_line(
    renderer: Renderer, put: Put, template: str, line: int, words: str
) -> None:
    put("own/toy/each.txt", template)
    with pytest.raises(TemplateError) as caught:
        word(renderer)
    assert caught.value.template == "templates/toy/each.txt"
    assert caught.value.line == line
    assert words in str(caught.value)


def test_a_mistake_in_an_included_part_names_that_part(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "\n\n{% include '_part.txt' %}")
    put("own/toy/_part.txt", "fine\n{{ post.nothing }}")
    with pytest.raises(TemplateError, match=r"^templates/toy/_part\.txt:2: there is no word 'nothing'"):
        word(renderer)


def test_a_shipped_template_is_named_as_shipped(renderer: Renderer, put: Put) -> None:
    put("shipped/toy/each.txt", "{{ nothing }}")
    with pytest.raises(TemplateError, match=r"^shipped templates/toy/each\.txt:1: "):
        word(renderer)


def test_compiled_layouts_keep_the_lines_of_their_source(renderer: Renderer, put: Put) -> None:
    class Compiling(ToyChannel):
        def compile_template(self, name: str, source: str) -> str:
            return " ".join(source.split()) if name.endswith(".html") else source

    put(
        "own/toy/each.html",
        "<p>\n{{ post.headline }}\n\n<b>{{ post.byline }}</b>\n{{ post.headline }}{{ post.typo }}",
    )
    job = Job(Compiling({"each": ("each.html",)}), ("toy",), "each", make_context())
    with pytest.raises(TemplateError, match=r"each\.html:5: there is no word 'typo'"):
        renderer.render_texts(job, preview)


def test_a_template_that_is_not_utf8_is_named_with_its_line(renderer: Renderer, roots: Any, put: Put) -> None:
    put("own/toy/each.txt", "")
    (roots[0] / "toy/each.txt").write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(TemplateError, match=r"each\.txt:2: is not UTF-8"):
        word(renderer)


def test_a_huge_template_is_refused_unread(renderer: Renderer, put: Put) -> None:
    put("own/toy/each.txt", "x" * (256 * 1024 + 1))
    with pytest.raises(TemplateError, match="larger than 256 KB"):
        word(renderer)
