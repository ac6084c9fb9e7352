"""Words set one after another with their formatting: collapses white space, breaks lines, begins list items."""

from __future__ import annotations

import re
from dataclasses import dataclass

from distributor.core.rich import Entity, Rich, make_rich
from distributor.core.text import FIT_END, FIT_START

_SPACES = re.compile(r"[ \t\n\r\f]+")
_MARKS = re.compile(f"([{FIT_START}{FIT_END}])")
_STYLES = ("bold", "italic", "underline", "strike")
_SOLID = ("code", "pre")
_SPLITTING = (*_SOLID, "quote")
_CELL_GAP = " | "


@dataclass(eq=False, slots=True)
class Open:
    """Formatting that is not closed yet; it starts with the first words after it."""

    kind: str
    url: str | None = None
    language: str | None = None
    start: int | None = None


class Words:
    """Takes words and formatting in reading order; its entities never overlap in a way Telegram forbids."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._size = 0
        self._newlines = 0
        self._has_space = False
        self._lead: list[str] = []
        self._has_bullet = False
        self._indent = ""
        self._in_cell = False
        self._is_first_cell = True
        self._raw: str | None = None
        self._raw_depth = 0
        self._open: dict[str, Open] = {}
        self._spans: list[Entity] = []

    def finish(self) -> Rich:
        return make_rich("".join(self._out), self._spans)

    def add(self, text: str) -> None:
        """Words as they stand in HTML; soft hyphens are left out, the markers of the fit filter kept."""
        for part in _MARKS.split(text.replace("\xad", "")):
            if part == FIT_START:
                self._lead.append(part)
            elif part == FIT_END:
                self._end_flexible()
            elif self._raw is not None:
                self._add_raw(part)
            elif part:
                self._add_collapsed(part)

    def add_closing(self, mark: str) -> None:
        self._has_space = False
        self._put(mark)

    def add_break(self) -> None:
        """A <br>; more than two leave no more than one empty line."""
        if self._raw is not None:
            self._add_raw("\n")
        elif self._in_cell:
            self._has_space = True
        elif self._size:
            self._newlines = min(self._newlines + 1, 2)

    def break_line(self, count: int) -> None:
        """At least `count` line breaks before the next words; within a table cell a space."""
        if self._in_cell:
            self._has_space = True
        elif self._size:
            self._newlines = max(self._newlines, count)

    def begin_item(self, bullet: str, depth: int) -> None:
        self._drop_lead()
        self._lead.append("  " * (depth - 1) + bullet)
        self._has_bullet = True
        self._indent = "  " * depth

    def end_item(self, depth: int) -> None:
        self._drop_lead()
        self._indent = "  " * depth if depth else ""

    def begin_row(self) -> None:
        self._drop_lead()
        self._is_first_cell = True

    def begin_cell(self) -> None:
        self._in_cell = True
        if not self._is_first_cell:
            self._lead.append(_CELL_GAP)
        self._is_first_cell = False

    def end_cell(self) -> None:
        self._in_cell = False
        self._has_space = False

    def begin_raw(self) -> None:
        """From here white space counts (a <pre>)."""
        self._raw = "" if self._raw is None else self._raw
        self._raw_depth += 1

    def end_raw(self) -> None:
        self._raw_depth -= 1
        if not self._raw_depth:
            self._raw = None

    def is_open(self, kind: str) -> bool:
        return kind in self._open

    def open(self, kind: str, *, url: str | None = None, language: str | None = None) -> Open | None:
        """Begin formatting; None where it may not be: twice the same, within code, code or a quote in a link."""
        solid = next((self._open[kind] for kind in _SOLID if kind in self._open), None)
        if kind in self._open or (solid and kind != "link") or (kind in _SPLITTING and "link" in self._open):
            return None
        if solid:
            # A link is worth more than the look of the code around it.
            del self._open[solid.kind]
        if kind in _SPLITTING:
            self._pause_styles()
        self._open[kind] = opened = Open(kind, url, language)
        return opened

    def close(self, opened: Open) -> None:
        if self._open.get(opened.kind) is opened:
            if opened.kind == "quote":
                self._pause_styles()
            self._pause(opened.kind)
            del self._open[opened.kind]

    def _pause_styles(self) -> None:
        """Bold and the like are split where code or a quote begins, and go on with the next words that allow it."""
        for style in _STYLES:
            self._pause(style)

    def _pause(self, kind: str) -> None:
        opened = self._open.get(kind)
        if opened and opened.start is not None:
            length = self._size - opened.start
            self._spans.append(Entity(kind, opened.start, length, opened.url, opened.language))
            opened.start = None

    def _add_collapsed(self, text: str) -> None:
        words = _SPACES.sub(" ", text)
        self._has_space = self._has_space or words[0] == " "
        if words != " ":
            self._put(words.strip(" "))
            self._has_space = words[-1] == " "

    def _add_raw(self, text: str) -> None:
        """White space at the end waits: it counts only when words follow."""
        text = (self._raw or "") + text
        words = text.rstrip()
        self._raw = text[len(words) :]
        if words:
            if not self._size:
                words = words.lstrip()
            self._put(words.lstrip("\n") if self._newlines else words)

    def _put(self, words: str) -> None:
        is_line_start = bool(self._newlines) or not self._size
        if is_line_start:
            self._emit("\n" * self._newlines)
        elif self._has_space and _CELL_GAP not in self._lead:
            self._emit(" ")
        self._start("quote")
        self._emit(self._make_lead(is_line_start))
        for kind in self._open:
            self._start(kind)
        self._emit(words)
        self._lead = []
        self._newlines = 0
        self._has_space = self._has_bullet = False

    def _make_lead(self, is_line_start: bool) -> str:
        """What comes before the first words of a line, an item or a cell; the text itself begins with no space."""
        lead = "".join(self._lead)
        if not is_line_start:
            return lead
        if not self._size or _CELL_GAP in self._lead:
            return "".join(mark.lstrip(" ") for mark in self._lead)
        return lead if self._has_bullet else self._indent + lead

    def _start(self, kind: str) -> None:
        opened = self._open.get(kind)
        is_paused = kind in _STYLES and any(solid in self._open for solid in _SOLID)
        if opened and opened.start is None and not is_paused:
            opened.start = self._size

    def _emit(self, text: str) -> None:
        if text:
            self._out.append(text)
            self._size += len(text)

    def _end_flexible(self) -> None:
        if FIT_START in self._lead:
            del self._lead[len(self._lead) - 1 - self._lead[::-1].index(FIT_START)]
        elif self._size:
            self._emit(FIT_END)

    def _drop_lead(self) -> None:
        """A bullet or a gap whose words never came."""
        self._lead = [mark for mark in self._lead if mark == FIT_START]
        self._has_bullet = False
