"""Rich text becomes what the Bot API takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.channels.telegram.entities import (
    CAPTION_LIMIT,
    MAX_ENTITIES,
    RAW_LIMIT_BYTES,
    TEXT_LIMIT,
    make_entities,
    safe_length,
    telegram_length,
)
from distributor.core.markup import read_markup
from distributor.core.rich import Entity, Rich, clip_rich

FAMILY = "👨‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("html", "entity"),
    [
        ("<b>x</b>", {"type": "bold"}),
        ("<i>x</i>", {"type": "italic"}),
        ("<u>x</u>", {"type": "underline"}),
        ("<s>x</s>", {"type": "strikethrough"}),
        ("<code>x</code>", {"type": "code"}),
        ("<pre>x</pre>", {"type": "pre"}),
        ('<pre class="lang-sql">x</pre>', {"type": "pre", "language": "sql"}),
        ("<blockquote>x</blockquote>", {"type": "blockquote"}),
        ('<a href="https://example.org/">x</a>', {"type": "text_link", "url": "https://example.org/"}),
    ],
)
def test_a_format_has_the_name_telegram_gives_it(html: str, entity: dict[str, str]) -> None:
    assert make_entities(read_markup(html)) == [{**entity, "offset": 0, "length": 1}]


def test_offsets_are_utf_16_units() -> None:
    assert make_entities(read_markup("😀 <b>x</b>")) == [{"type": "bold", "offset": 3, "length": 1}]


def test_entities_come_in_reading_order_outer_first() -> None:
    html = '<p>a <b>b <a href="https://a.example">c</a></b></p><p><i>d</i></p>'
    assert [entity["type"] for entity in make_entities(read_markup(html))] == ["bold", "text_link", "italic"]


def test_beyond_a_hundred_the_links_stay() -> None:
    html = "".join(f'<p><b>b{n}</b> <a href="https://a.example/{n}">l{n}</a></p>' for n in range(80))
    entities = make_entities(read_markup(html))
    assert len(entities) == MAX_ENTITIES
    assert sum(entity["type"] == "text_link" for entity in entities) == 80
    assert [entity["offset"] for entity in entities] == sorted(entity["offset"] for entity in entities)
    bold = [entity for entity in entities if entity["type"] == "bold"]
    assert bold == [{"type": "bold", "offset": e["offset"], "length": 2 + (n > 9)} for n, e in enumerate(bold)]


def test_even_links_end_at_a_hundred() -> None:
    entities = tuple(Entity("link", n, 1, url="https://a.example") for n in range(150))
    assert [entity["offset"] for entity in make_entities(Rich("x" * 150, entities))] == list(range(100))


def test_the_server_counts_code_points_and_clients_units() -> None:
    assert (telegram_length("a😀é"), safe_length("a😀é")) == (3, 4)
    assert (telegram_length(FAMILY), safe_length(FAMILY)) == (7, 11)
    assert (telegram_length("שלום"), safe_length("שלום")) == (4, 4)


@given(st.text())
def test_safe_is_never_less_than_the_server_counts(text: str) -> None:
    assert telegram_length(text) <= safe_length(text) <= 2 * telegram_length(text)
    assert safe_length(text) == len(text.encode("utf-16-le", "surrogatepass")) // 2


@pytest.mark.parametrize("letter", ["a", "я", "日", "😀"])
@pytest.mark.parametrize("limit", [TEXT_LIMIT, CAPTION_LIMIT])
def test_a_text_within_the_safe_limit_is_within_the_raw_one(letter: str, limit: int) -> None:
    clipped = clip_rich(read_markup(f"<p><b>{letter * 5000}</b></p>"), limit, safe_length)
    assert limit - 2 <= safe_length(clipped.text) <= limit
    assert len(clipped.text.encode()) <= RAW_LIMIT_BYTES
    [entity] = make_entities(clipped)
    assert entity["length"] == safe_length(clipped.text) - 1
