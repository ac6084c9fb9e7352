"""A canvas that is painted column by column, and the PNG file it becomes. Standard library only."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from math import floor

Colour = tuple[int, int, int]
#: A column and the stretch of it to paint, in pixels from the top; fractions soften the edge.
Stretch = tuple[int, float, float]


def read_colour(text: str) -> Colour:
    """ "8c1c13" -> (140, 28, 19)."""
    return int(text[0:2], 16), int(text[2:4], 16), int(text[4:6], 16)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour, the rest of the first."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


class Canvas:
    """`columns` holds one bytearray of RGB triples for each column, top to bottom."""

    def __init__(self, width: int, height: int, top: Colour, bottom: Colour) -> None:
        self.width = width
        self.height = height
        column = self.make_strip(top, bottom)
        self.columns = [bytearray(column) for _ in range(width)]

    def make_strip(self, top: Colour, bottom: Colour) -> bytes:
        """A whole column that fades from one colour into the other."""
        steps = max(self.height - 1, 1)
        return b"".join(bytes(mix(top, bottom, y / steps)) for y in range(self.height))

    def paint(self, stretches: Iterable[Stretch], colour: Colour, alpha: float = 1.0) -> None:
        tables = [_blend_table(part, alpha) for part in colour]
        for x, top, bottom in stretches:
            if 0 <= x < self.width and bottom > top:
                self._paint_one(self.columns[x], top, bottom, colour, alpha, tables)

    def _paint_one(
        self, column: bytearray, top: float, bottom: float, colour: Colour, alpha: float, tables: list[bytes]
    ) -> None:
        top, bottom = max(top, 0.0), min(bottom, float(self.height))
        first, last = -floor(-top), floor(bottom)
        if first > last:
            self._soften(column, floor(top), colour, alpha * max(bottom - top, 0.0))
            return
        if alpha >= 1.0:
            column[3 * first : 3 * last] = bytes(colour) * (last - first)
        else:
            for channel, table in enumerate(tables):
                place = slice(3 * first + channel, 3 * last, 3)
                column[place] = column[place].translate(table)
        self._soften(column, first - 1, colour, alpha * (first - top))
        self._soften(column, last, colour, alpha * (bottom - last))

    def _soften(self, column: bytearray, y: int, colour: Colour, share: float) -> None:
        if 0 <= y < self.height and share > 0:
            place = slice(3 * y, 3 * y + 3)
            red, green, blue = column[place]
            column[place] = bytes(mix((red, green, blue), colour, share))

    def write_png(self) -> bytes:
        """The picture as a PNG file, 8 bits RGB."""
        whole = b"".join(self.columns)
        step = 3 * self.height
        rows = bytearray()
        row = bytearray(3 * self.width)
        for y in range(self.height):
            for channel in range(3):
                row[channel::3] = whole[3 * y + channel :: step]
            rows += b"\0" + row
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(rows), 6)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_make_chunk(kind, data) for kind, data in chunks)


def _make_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _blend_table(part: int, alpha: float) -> bytes:
    return bytes(round(old + (part - old) * alpha) for old in range(256))
