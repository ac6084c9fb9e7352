"""Rendered parts -> one letter: subject, preheader, HTML that mail programs show, and the same as plain text.

A template may put marks around what is to go first or stay apart; they are comments:

    <!--trim 1--> ... <!--/trim-->          left out, lowest number first, when the letter gets too large
    <!--html--> ... <!--/html-->            not in the plain-text part (share rows, decoration)
    <!--text ... -->                        only in the plain-text part; <hr> parts it with "* * *"
    <!--personal--> ... <!--/personal-->    not on the page behind "view in browser"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from html import escape
from typing import Any

from distributor.channels.email.layout import compile_template
from distributor.core.errors import Unsupported
from distributor.core.markup import to_plain_text
from distributor.core.message import SLOT_END, SLOT_START, Content
from distributor.core.text import FIT_END, FIT_START, cut_text
from distributor.core.text_clean import strip_controls

__all__ = ["PARTS", "compile_template", "compose", "encoded_size", "view_page"]

#: The first line of the subject part is the subject, the rest is the preheader: what inboxes show beside it.
PARTS: Mapping[str, tuple[str, str]] = {
    "each": ("each.subject.txt", "each.mjml"),
    "digest": ("digest.subject.txt", "digest.mjml"),
}

#: Gmail shows about this much of a letter and hides the rest behind a link (facts/api-facts.md 4.2).
CLIPPED_FROM = 102 * 1024
NEAR_CLIP = 90 * 1024
LONGEST_SUBJECT = 200
LONGEST_PREHEADER = 160
DEEPEST_NESTING = 500

#: Room for the personal values: the address of the unsubscribe page stands in a letter two or three times.
_ROOM_FOR_SLOT = 100
_PERSONAL = re.compile(r"<!--personal-->.*?<!--/personal-->", re.DOTALL)
_HTML_ONLY = re.compile(r"<!--html-->.*?<!--/html-->", re.DOTALL)
_TEXT_ONLY = re.compile(r"<!--text\s(.*?)-->", re.DOTALL)
_TRIM = re.compile(r"<!--trim ([1-9])-->(.*?)<!--/trim-->", re.DOTALL)
_MARKS = re.compile(r"<!--/?(?:html|trim(?: [1-9])?)-->|<!--text\s.*?-->", re.DOTALL)
_WIDE_SPACES = re.compile("[ \u00a0]+")
_BODY = re.compile(r"<body\b[^>]*>")
_SLOT = re.compile(f"{SLOT_START}[a-z_]+{SLOT_END}")
_IMAGE = re.compile(r"<img\b[^>]*>")
_ALT = re.compile(r"""\balt\s*=\s*(?:"[^"]|'[^'])""")
_TAG = re.compile(r"<(/?)([a-zA-Z][\w-]*)[^<>]*>")
_OPENING_TAG = re.compile(r"""<[a-zA-Z][\w:-]*(?:\s+[^\s="'<>/]+(?:="[^"]*")?)*\s*/?>""")
_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
_INDENTATION = re.compile(r"(<pre\b.*?</pre>)|[ \t]*\n\s*", re.DOTALL)
_PLAIN_BYTES = bytes((*range(32, 61), *range(62, 127), 10))
#: Invisible characters that keep inboxes from filling the preview up with whatever comes next.
_FILLER = "&#847;&zwnj;&nbsp;" * 40
_HIDDEN = (
    "display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;mso-hide:all"
)


def compose(texts: Mapping[str, str], form: str, *, language: str = "en") -> Content:
    """The frozen letter: subject, preheader, html, text, language. Personal slots are still in html and text.

    Too large for Gmail, the letter loses what its template marked with trim, with a warning for each step.
    Raises Unsupported when that is not enough, when there is no subject, or when tags are nested too deep.
    """
    subject_part, html_part = PARTS[form]
    subject, preheader = _read_heading(texts[subject_part])
    page = _put_preheader(_inline_styles(_drop_fit_marks(texts[html_part])), preheader)
    page, warnings = _shrink(page)
    text = _write_text(page)
    warnings += _find_missing_alts(page)
    payload = {
        "subject": subject,
        "preheader": preheader,
        "html": _squeeze(_MARKS.sub("", page)),
        "text": text,
        "language": language,
    }
    return Content(payload, tuple(warnings))


def view_page(payload: Mapping[str, Any]) -> str:
    """The letter as a web page, without anything personal."""
    page = _PERSONAL.sub("", str(payload["html"]))
    return _SLOT.sub("", page)


def encoded_size(page: str) -> int:
    """Bytes of the HTML as it travels (quoted-printable), with room for the personal values."""
    data = page.encode("utf-8", "surrogatepass")
    size = len(data) + 2 * len(data.translate(None, _PLAIN_BYTES))
    # A line is broken every 75 characters, with three bytes.
    return size + size // 75 * 3 + len(_SLOT.findall(page)) * _ROOM_FOR_SLOT


def _read_heading(text: str) -> tuple[str, str]:
    lines = [_clean_line(line) for line in text.strip().splitlines()]
    if not lines or not lines[0]:
        raise Unsupported("the subject is empty: a letter needs one")
    preheader = " ".join(line for line in lines[1:] if line)
    return _cut(lines[0], LONGEST_SUBJECT), _cut(preheader, LONGEST_PREHEADER)


def _clean_line(line: str) -> str:
    pieces = re.split(f"({_SLOT.pattern})", line)
    pieces[::2] = [strip_controls(piece) for piece in pieces[::2]]
    return " ".join("".join(pieces).split())


def _cut(line: str, limit: int) -> str:
    """A line with a personal slot stays whole: its length is each reader's own."""
    return line if SLOT_START in line else cut_text(line, limit)


def _inline_styles(page: str) -> str:
    if _nests_too_deep(page):
        raise Unsupported(f"tags are nested more than {DEEPEST_NESTING} deep: is one in a loop never closed?")
    return _OPENING_TAG.sub(_escape_attributes, str(_inliner().inline(page)))


def _escape_attributes(tag: re.Match[str]) -> str:
    """HTML allows < and > in attributes and css-inline writes them; there they could pass for our marks."""
    return "<" + tag[0][1:-1].replace("<", "&lt;").replace(">", "&gt;") + ">"


@cache
def _inliner() -> Any:
    from css_inline import CSSInliner

    return CSSInliner(load_remote_stylesheets=False, keep_at_rules=True, remove_inlined_selectors=True)


def _nests_too_deep(page: str) -> bool:
    """css-inline recurses; far deeper than any letter it would end the whole process."""
    depth = 0
    for tag in _TAG.finditer(page):
        if tag[2].lower() not in _VOID:
            depth = max(depth - 1, 0) if tag[1] else depth + 1
        if depth > DEEPEST_NESTING:
            return True
    return False


def _put_preheader(page: str, preheader: str) -> str:
    if not preheader:
        return page
    hidden = f'<!--html--><div style="{_HIDDEN}">{escape(preheader)}{_FILLER}</div><!--/html-->'
    return _BODY.sub(lambda body: body[0] + hidden, page, count=1)


def _shrink(page: str) -> tuple[str, list[str]]:
    warnings = []
    size = _final_size(page)
    for level in sorted({found[1] for found in _TRIM.finditer(page)}):
        if size < CLIPPED_FROM:
            break
        page = _TRIM.sub(lambda found, level=level: "" if found[1] == level else found[0], page)  # type: ignore[misc]
        trimmed, size = size, _final_size(page)
        warnings.append(
            f"the letter had {_in_kb(trimmed)} where Gmail shows {_in_kb(CLIPPED_FROM)}: what its template marks "
            f'"trim {level}" was left out'
        )
    if size >= CLIPPED_FROM:
        raise Unsupported(
            f"the letter has {_in_kb(size)} and Gmail hides what comes after {_in_kb(CLIPPED_FROM)}: "
            "send fewer stories at a time (max_items)"
        )
    if size >= NEAR_CLIP:
        warnings.append(f"the letter has {_in_kb(size)}; Gmail hides what comes after {_in_kb(CLIPPED_FROM)}")
    return page, warnings


def _final_size(page: str) -> int:
    return encoded_size(_squeeze(_MARKS.sub("", page)))


def _in_kb(size: int) -> str:
    return f"{-(-size // 1024)} KB"


def _squeeze(page: str) -> str:
    """Without the template's indentation; <pre> keeps its own."""
    return _INDENTATION.sub(lambda found: found[1] or "\n", page)


def _write_text(page: str) -> str:
    """The same words from the same walk, each address under or after what it belongs to."""
    told = _TEXT_ONLY.sub(lambda found: found[1], _HTML_ONLY.sub("", page))
    return _WIDE_SPACES.sub(" ", to_plain_text(told, "inline"))


def _find_missing_alts(page: str) -> list[str]:
    missing = sum(1 for image in _IMAGE.finditer(page) if not _ALT.search(image[0]))
    if not missing:
        return []
    return [
        f"{missing} image{'s have' if missing > 1 else ' has'} no alternative text for readers who do not see it"
    ]


def _drop_fit_marks(text: str) -> str:
    return text.replace(FIT_START, "").replace(FIT_END, "")
