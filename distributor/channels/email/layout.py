"""MJML to HTML, with Jinja2 kept: layout first, words later, so that no story can break the layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from distributor.core.errors import TemplateError

#: MRML recurses; far deeper than any letter it ends the whole process.
DEEPEST_NESTING = 100

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_ROOT = re.compile(r"<mjml\b.*</mjml\s*>", re.DOTALL)
# ASCII, because MRML writes some attributes as Rust writes strings for debugging.
_STAND_IN = re.compile("jinja2tag([0-9]+)x")
_MARKUP = re.compile(
    r"""(?P<comment><!--.*?-->)
    |<(?P<end>/?)(?P<name>[a-zA-Z][\w:-]*)(?P<attributes>(?:[^<>"']|"[^"]*"|'[^']*')*)>
    |(?P<stray><)""",
    re.DOTALL | re.VERBOSE,
)
_ATTRIBUTES = re.compile(r"""(?:\s+(?!jinja2tag)[^\s"'<>/=]+(?:\s*=\s*(?:"[^"]*"|'[^']*'))?)*\s*/?""")
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
_RAW = {"mj-style": "</mj-style>", "style": "</style>"}
# fmt: off
_MJ_TAGS = frozenset((
    "mj-accordion", "mj-accordion-element", "mj-accordion-text", "mj-accordion-title", "mj-all", "mj-attributes",
    "mj-body", "mj-breakpoint", "mj-button", "mj-carousel", "mj-carousel-image", "mj-class", "mj-column",
    "mj-divider", "mj-font", "mj-group", "mj-head", "mj-hero", "mj-image", "mj-navbar", "mj-navbar-link",
    "mj-preview", "mj-raw", "mj-section", "mj-social", "mj-social-element", "mj-spacer", "mj-style", "mj-table",
    "mj-text", "mj-title", "mj-wrapper",
))
# fmt: on


@dataclass(frozen=True)
class Mistake:
    """What is wrong in a layout, and at which character."""

    words: str
    at: int


def compile_template(name: str, source: str) -> str:
    """The HTML of an MJML layout with every Jinja2 tag in its place; other templates as they are.

    Jinja2 may stand in text, in <mj-raw> and in quoted attributes, also before and after <mjml>. Raises
    TemplateError with the line.
    """
    root = _ROOT.search(source)
    if not name.endswith(".mjml"):
        return source
    if root is None:
        if "<mj" in source:
            raise TemplateError("has no <mjml> ... </mjml> around it", name, 1)
        return source
    tags: list[str] = []
    bare = _take_out_jinja(root[0], tags)
    mistake = find_mistake(bare)
    if mistake:
        line = source.count("\n", 0, root.start()) + bare.count("\n", 0, mistake.at) + 1
        raise TemplateError(mistake.words, name, line)
    compiled = _STAND_IN.sub(lambda found: tags[int(found[1])], _translate(name, bare))
    return source[: root.start()] + compiled + source[root.end() :]


def find_mistake(source: str) -> Mistake | None:
    """The first thing in a layout that MRML would refuse without saying where, or pass over in silence."""
    open_tags: list[tuple[str, int]] = []
    for tag in _walk_tags(source):
        mistake = _check_tag(tag, open_tags)
        if mistake:
            return mistake
    if open_tags:
        name, at = open_tags[-1]
        return Mistake(f"<{name}> is never closed", at)
    return None


def _walk_tags(source: str) -> Iterator[re.Match[str]]:
    at = 0
    while found := _MARKUP.search(source, at):
        yield found
        at = found.end()
        closing = "" if found["end"] else _RAW.get(found["name"] or "", "")
        if closing:
            # What stands in a style element is CSS, where < and > mean something else.
            at = max(source.find(closing, at), at)


def _check_tag(tag: re.Match[str], open_tags: list[tuple[str, int]]) -> Mistake | None:
    name = tag["name"]
    if tag["comment"]:
        return None
    if tag["stray"]:
        return Mistake("this < begins no tag; write &lt; for the sign itself", tag.start())
    if name.startswith("mj-") and name not in _MJ_TAGS:
        return Mistake(f"there is no MJML tag <{name}>", tag.start())
    if tag["end"]:
        return _close_tag(name, tag.start(), open_tags)
    if not _ATTRIBUTES.fullmatch(tag["attributes"]):
        return Mistake(
            f'an attribute of <{name}> is not of the form name="value"; Jinja2 belongs inside the quotes',
            tag.start(),
        )
    if name not in _VOID and not tag["attributes"].endswith("/"):
        open_tags.append((name, tag.start()))
    if len(open_tags) > DEEPEST_NESTING:
        return Mistake(f"tags are nested more than {DEEPEST_NESTING} deep", tag.start())
    return None


def _close_tag(name: str, at: int, open_tags: list[tuple[str, int]]) -> Mistake | None:
    if not open_tags:
        return Mistake(f"</{name}> closes nothing", at)
    opened, _ = open_tags.pop()
    return None if opened == name else Mistake(f"</{name}> stands where </{opened}> is due", at)


def _take_out_jinja(source: str, tags: list[str]) -> str:
    """The layout alone; line breaks stay where they were, so that mistakes keep their lines."""

    def take(found: re.Match[str]) -> str:
        tags.append(found[0])
        return f"jinja2tag{len(tags) - 1}x" + "\n" * found[0].count("\n")

    source = _STAND_IN.sub(lambda found: found[0].replace("2", "&#50;"), source)
    source = _JINJA_COMMENT.sub(lambda found: "\n" * found[0].count("\n"), source)
    return _JINJA.sub(take, source)


def _translate(name: str, source: str) -> str:
    from mjml import mjml2html

    try:
        return str(mjml2html(source, fonts={}))
    except ValueError as error:
        raise TemplateError(f"MJML does not accept it: {error}", name) from error
