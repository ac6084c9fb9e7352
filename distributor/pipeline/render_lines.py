"""Which line of a template's source a line of its compiled form comes from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict, deque
from dataclasses import dataclass

_TAG = re.compile(r"(\{\{|\{%)([-+]?)(.*?)(\}\}|%\})", re.DOTALL)


@dataclass(frozen=True)
class LineMap:
    """Compiled lines where tags begin, ascending, and the source line of each."""

    compiled: tuple[int, ...] = ()
    source: tuple[int, ...] = ()

    def find_line(self, compiled_line: int | None) -> int | None:
        """The source line; a line without a tag belongs to the tag before it. None when it cannot be told."""
        if compiled_line is None or not self.compiled:
            return None
        return self.source[max(bisect_right(self.compiled, compiled_line) - 1, 0)]


def map_lines(source: str, compiled: str) -> tuple[str, LineMap]:
    """The compiled text with a line break inside each Jinja tag, and what its lines mean.

    A compiler such as MJML puts a whole template on a few long lines. Space inside a tag means nothing to
    Jinja, so that a line for each tag costs nothing and makes its error messages exact.
    """
    known: dict[str, deque[int]] = defaultdict(deque)
    for found in _TAG.finditer(source):
        known[found[0]].append(source.count("\n", 0, found.start()) + 1)
    pieces: list[str] = []
    pairs: list[tuple[int, int]] = []
    line, end = 1, 0
    for found in _TAG.finditer(compiled):
        before = compiled[end : found.start()] + found[1] + found[2] + "\n"
        line += before.count("\n")
        lines = known.get(found[0])
        if lines:
            # The compiler may print one tag twice, in the title and in a label: the last line stays for those.
            pairs.append((line, lines.popleft() if len(lines) > 1 else lines[0]))
        pieces += [before, found[3], found[4]]
        line += found[3].count("\n")
        end = found.end()
    text = "".join([*pieces, compiled[end:]])
    return text, LineMap(tuple(at for at, _ in pairs), tuple(at for _, at in pairs))
