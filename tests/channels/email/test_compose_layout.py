"""MJML: compiled with Jinja2 kept, and mistakes told with their line."""

import pytest

from distributor.channels.email.layout import compile_template
from distributor.core.errors import TemplateError


def wrap(inside: str) -> str:
    opening = "<mjml>\n<mj-body>\n<mj-section>\n<mj-column>"
    return f"{opening}\n{inside}\n</mj-column>\n</mj-section>\n</mj-body>\n</mjml>\n"


@pytest.mark.parametrize(
    "tag",
    [
        "{{ post.headline }}",
        "{% if a < b and b > c %}yes{% endif %}",
        '{{ "<b>" ~ x|replace("<", "&lt;") }}',
        "{%- for x in y -%}{{ x }}{%- endfor -%}",
        '{{ {"a": 1}["a"] }}',
    ],
)
def test_jinja_stays_as_it_was_in_text_raw_and_attributes(tag: str) -> None:
    assert tag in compile_template("e.mjml", wrap(f"<mj-text>{tag}</mj-text>"))
    assert tag in compile_template("e.mjml", wrap(f"<mj-raw>{tag}</mj-raw>"))
    quoted = tag.replace('"', "'")
    assert f'alt="{quoted}"' in compile_template("e.mjml", wrap(f'<mj-image src="x" alt="{quoted}" />'))


def test_jinja_before_and_after_the_layout_stays_there() -> None:
    compiled = compile_template("e.mjml", "{% set a = 1 %}\n" + wrap("") + "{% set b = 2 %}")
    assert compiled.startswith("{% set a = 1 %}\n<!doctype html>")
    assert compiled.endswith("{% set b = 2 %}")


def test_comments_of_jinja_never_reach_the_letter() -> None:
    assert "secret" not in compile_template("e.mjml", wrap("<mj-text>{# secret < #}x</mj-text>"))


def test_words_of_every_language_survive() -> None:
    words = 'alt="Україна — مرحبا “x”"'
    assert words in compile_template("e.mjml", wrap(f'<mj-image src="x" {words} />'))


def test_nothing_is_fetched_for_fonts() -> None:
    compiled = compile_template("e.mjml", wrap('<mj-text font-family="Ubuntu, Roboto">x</mj-text>'))
    assert "fonts.googleapis.com" not in compiled


@pytest.mark.parametrize("name", ["each.subject.txt", "_part.html", "_style.css"])
def test_other_templates_stay_as_they_are(name: str) -> None:
    assert compile_template(name, "<p>{{ x }}") == "<p>{{ x }}"


def test_a_part_in_plain_html_may_be_called_mjml() -> None:
    assert compile_template("_part.mjml", "<p>{{ x }}</p>") == "<p>{{ x }}</p>"


@pytest.mark.parametrize(
    ("inside", "line", "words"),
    [
        ("<mj-text>\n<p>a<p>b</p></mj-text>", 6, "</mj-text> stands where </p> is due"),
        ("<mj-text>a < b</mj-text>", 5, "this < begins no tag"),
        ("\n\n<mj-txet>x</mj-txet>", 7, "there is no MJML tag <mj-txet>"),
        ("<mj-text align=left>x</mj-text>", 5, "an attribute of <mj-text>"),
        ("<mj-text><p {% if x %}class='a'{% endif %}>x</p></mj-text>", 5, "Jinja2 belongs inside the quotes"),
        ("{% if\n x %}\n<mj-text>x</mj-texd>", 7, "there is no MJML tag <mj-texd>"),
        ("</mj-column></mj-column>", 5, "</mj-column> stands where </mj-section> is due"),
        ("<mj-raw>" + "<div>" * 200, 5, "nested more than 100 deep"),
        ("<mj-raw>" + "<div>" * 100_000, 5, "nested more than 100 deep"),
    ],
)
def test_mistakes_have_a_line(inside: str, line: int, words: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compile_template("templates/email/each.mjml", wrap(inside))
    assert words in str(caught.value)
    assert caught.value.line == line
    assert caught.value.template == "templates/email/each.mjml"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("<mj-section></mj-section>", "has no <mjml>"),
        ("<mjml><mj-body></mjml>", "</mjml> stands where </mj-body> is due"),
        (
            "<mjml><mj-head><mj-style>a < b</mj-style></mj-head><mj-body></mj-body></mjml>",
            "MJML does not accept it",
        ),
    ],
)
def test_a_broken_frame_is_told(source: str, words: str) -> None:
    with pytest.raises(TemplateError, match=r"^e\.mjml:.*"):
        compile_template("e.mjml", source)
    with pytest.raises(TemplateError) as caught:
        compile_template("e.mjml", source)
    assert words in str(caught.value)
