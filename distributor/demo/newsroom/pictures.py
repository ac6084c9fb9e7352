"""The pictures of the sample newsroom, drawn by code: a scene in a set of colours, the same for each story."""

from __future__ import annotations

from functools import lru_cache
from random import Random

from distributor.demo.newsroom.brush import HEIGHT, WIDTH, Brush, Colours
from distributor.demo.newsroom.canvas import Canvas
from distributor.demo.newsroom.scenes import SCENES
from distributor.demo.newsroom.stories import Picture

__all__ = ["COLOURS", "HEIGHT", "SCENES", "WIDTH", "draw"]

#: Sky high and low, light, far, near.
COLOURS = {
    "dawn": Colours.read("7fa6b8 f6dcc0 fff3d6 d9a98f 2f3b4a"),
    "sea": Colours.read("9fcfc4 eef3df fff7d9 6fb3a8 0f4a4f"),
    "amber": Colours.read("e9a04b fbe3b0 fff6dc d97b3a 5b2a24"),
    "dusk": Colours.read("4a3f78 f2a7a0 ffe3b5 8a6aa0 241b3d"),
    "frost": Colours.read("a9c7e0 f4f7fb ffffff a3bdd6 2d4a6b"),
    "night": Colours.read("0d1b33 2f5b7c ffe9b0 1f4260 07101f"),
    "brick": Colours.read("f1c7a3 f8ead6 fff4d8 d07a55 5a1f1c"),
    "alarm": Colours.read("5a0f14 e8623a ffd9a0 9c2a20 1d0709"),
}


@lru_cache(maxsize=64)
def draw(slug: str, picture: Picture) -> bytes:
    """A PNG of 1200 x 630. About a quarter of a second for a new one."""
    colours = COLOURS[picture.colours]
    canvas = Canvas(WIDTH, HEIGHT, colours.high, colours.low)
    SCENES[picture.scene](Brush(canvas, colours, Random(slug)))
    return canvas.write_png()
