"""What every picture is painted with: its colours, its own dice, and the things that stand in many of them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from distributor.demo.newsroom.canvas import Canvas, Colour, mix, read_colour
from distributor.demo.newsroom.shapes import band, below, box, disc, roll

WIDTH, HEIGHT = 1200, 630


@dataclass(frozen=True, slots=True)
class Colours:
    """`high` and `low` of the sky, its `light` (sun, moon, lamps), `far` to `near` for what lies before it."""

    high: Colour
    low: Colour
    light: Colour
    far: Colour
    near: Colour

    @classmethod
    def read(cls, line: str) -> Colours:
        """Five colours in the order of the fields: "7fa6b8 f6dcc0 ..."."""
        return cls(*map(read_colour, line.split()))

    def at(self, share: float) -> Colour:
        """Between far (0) and near (1)."""
        return mix(self.far, self.near, share)


@dataclass(frozen=True, slots=True)
class Brush:
    """A canvas with its colours and dice."""

    canvas: Canvas
    colours: Colours
    dice: Random

    def glow(self, x: float, y: float, radius: float) -> None:
        """A sun, a moon or a lamp with its halo."""
        for step in range(10, 0, -1):
            self.canvas.paint(disc(x, y, radius * (1 + 0.28 * step)), self.colours.light, 0.035)
        self.canvas.paint(disc(x, y, radius), self.colours.light)

    def sea(self, level: float, layers: int = 6) -> None:
        """Waves before waves, from a horizon down."""
        for layer in range(layers):
            share = layer / (layers - 1)
            height = level + (HEIGHT - level) * share * 0.85
            line = roll(self.dice, height, 4 + 11 * share, 260 + 420 * share)
            self.canvas.paint(below(line, WIDTH, HEIGHT), self.colours.at(0.12 + 0.8 * share))
            self.canvas.paint(band(line, WIDTH, 1.5 + 1.5 * share), self.colours.light, 0.28)

    def shine(self, x: float, level: float, wide: float) -> None:
        """Light on the water, broken into strokes."""
        y = level + 8.0
        while y < HEIGHT:
            length = self.dice.uniform(0.3, 1.0) * wide * (0.6 + (y - level) / HEIGHT)
            left = x - length / 2 + self.dice.uniform(-12, 12)
            self.canvas.paint(box(left, y, length, 3.2), self.colours.light, 0.5)
            y += self.dice.uniform(11, 20)

    def stars(self, lowest: float) -> None:
        for _ in range(90):
            x, y = self.dice.uniform(0, WIDTH), self.dice.uniform(0, lowest)
            self.canvas.paint(disc(x, y, self.dice.uniform(0.8, 2.3)), self.colours.light, 0.8)
