"""Text from outside, made safe to store and to set in any template."""

from __future__ import annotations

import html
import re
import unicodedata

# C0 and C1 controls (PostgreSQL refuses NUL), lone surrogates, direction overrides, the private-use area (the
# marks of personal slots live there: core/message.py), interlinear marks and non-characters. Tab and line
# breaks stay.
_UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\u202d\u202e\ue000-\uf8ff\ufdd0-\ufdef\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
_LINE_BREAK = re.compile("\r\n|[\r\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")
_INLINE_TAGS = (
    "a|abbr|acronym|b|bdi|bdo|big|br|cite|code|del|dfn|div|em|font|h[1-6]|hr|i|img|ins|kbd|li|mark|nobr|ol|p|q|s|samp|"
    "script|small|span|strike|strong|style|sub|sup|time|tt|u|ul|var|wbr"
)
_EMBEDS = "applet|embed|frame|frameset|iframe|link|meta|object|svg|video"
_TITLE_TAG = re.compile(
    rf"<(script|style)\b[^<>]*>.*?</\1>|</?(?:{_INLINE_TAGS})(?:\s[^<>]*)?/?>|<(?:{_EMBEDS})\s[^<>]*>|</(?:{_EMBEDS})>",
    re.IGNORECASE | re.DOTALL,
)
_LONGEST_TITLE = 10_000
_ANY_TAG = re.compile(r"""<[a-zA-Z/](?:[^<>"']|"[^"]*"|'[^']*')*>""")
_BLOCK_TAG = re.compile(
    r"<(?:/(?:p|div|li|h[1-6]|blockquote|figure|figcaption|tr|table|ul|ol|pre|dd|dt|td|th)|br|hr)\b[^<>]*>",
    re.IGNORECASE,
)


def strip_controls(text: str) -> str:
    """The text without characters that databases, XML or a reader's screen cannot bear; line breaks become \\n."""
    return _UNWANTED.sub("", _LINE_BREAK.sub("\n", text))


def make_storable(text: str) -> str:
    """As `strip_controls`, at nearly no cost where there is nothing to strip: for each reader's answer."""
    return text if text.isprintable() else strip_controls(text)


def clean_text(text: str) -> str:
    """One line of plain text: no controls, composed characters (NFC), single spaces, none at the ends."""
    return _SPACES.sub(" ", unicodedata.normalize("NFC", strip_controls(text))).strip()


def clean_title(text: str) -> str:
    """A headline or name that may carry HTML, as one line of plain text: tags out, entities read once.

    Only the tags that people put into headlines are taken for markup, so "if a < b" and "List<String>" stay. At
    most the first 10,000 characters are read.
    """
    return clean_text(html.unescape(_TITLE_TAG.sub("", text[:_LONGEST_TITLE])))


def plain_text(markup: str) -> str:
    """The words of an HTML fragment as one line, blocks parted by a space: for hashes and summaries."""
    return clean_text(html.unescape(_ANY_TAG.sub("", _BLOCK_TAG.sub(" ", _drop_comments(markup)))))


def _drop_comments(markup: str) -> str:
    """Without a regular expression: "<!--" a hundred thousand times would take it minutes."""
    kept, at = [], 0
    while (start := markup.find("<!--", at)) >= 0:
        kept.append(markup[at:start])
        end = markup.find("-->", start)
        at = end + 3 if end >= 0 else start + 4
        if end < 0:
            break
    return "".join([*kept, markup[at:]])
