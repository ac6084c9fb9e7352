"""Scenes of a harbour town, each a function of brush and colours."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from distributor.demo.newsroom.brush import HEIGHT, WIDTH, Brush, Colours
from distributor.demo.newsroom.canvas import Canvas, mix
from distributor.demo.newsroom.shapes import Point, below, box, disc, polygon, roll, roofs


def draw_boats(brush: Brush) -> None:
    canvas, colours, dice = brush.canvas, brush.colours, brush.dice
    brush.glow(dice.uniform(240, 960), 215, 74)
    brush.sea(360)
    for index in range(3):
        size = (0.55, 0.8, 1.25)[index]
        x, y = dice.uniform(120, 330) + 340 * index, (404, 446, 520)[index]
        _sail(canvas, colours, x, y, size)
    line = roll(dice, 590, 9, 700)
    canvas.paint(below(line, WIDTH, HEIGHT), colours.near)


def _sail(canvas: Canvas, colours: Colours, x: float, y: float, size: float) -> None:
    cloth = mix(colours.light, colours.low, 0.15)
    canvas.paint(polygon((x, y - 190 * size), (x, y - 18 * size), (x + 96 * size, y - 18 * size)), cloth)
    dim = mix(cloth, colours.far, 0.35)
    canvas.paint(
        polygon((x - 7 * size, y - 160 * size), (x - 7 * size, y - 18 * size), (x - 66 * size, y - 18 * size)), dim
    )
    hull = (
        (x - 78 * size, y - 10 * size),
        (x + 104 * size, y - 10 * size),
        (x + 74 * size, y + 16 * size),
        (x - 52 * size, y + 16 * size),
    )
    canvas.paint(polygon(*hull), colours.near)


def draw_sun(brush: Brush) -> None:
    canvas, colours, _dice = brush.canvas, brush.colours, brush.dice
    brush.glow(600, 320, 205)
    for step in range(5):
        y, thick = 356.0 + 30 * step, 4.0 + 3 * step
        inside = ((x, y, y + thick) for x, top, low in disc(600, 320, 205) if top < y and low > y + thick)
        canvas.paint(inside, mix(colours.high, colours.low, 0.55))
    brush.sea(500, 4)


def draw_hills(brush: Brush) -> None:
    canvas, colours, dice = brush.canvas, brush.colours, brush.dice
    brush.glow(dice.uniform(700, 960), 170, 62)
    for layer in range(7):
        share = layer / 6
        line = roll(dice, 270 + 310 * share, 62 - 26 * share, 760 - 180 * share)
        canvas.paint(below(line, WIDTH, HEIGHT), colours.at(share))


def draw_skyline(brush: Brush) -> None:
    _town(brush, lit=0.34)


def draw_dark_town(brush: Brush) -> None:
    """Nobody has light but a few with candles."""
    _town(brush, lit=0.015)


def _town(brush: Brush, lit: float) -> None:
    canvas, colours, dice = brush.canvas, brush.colours, brush.dice
    brush.glow(dice.uniform(200, 1000), 230, 70)
    for layer in range(3):
        share = (0.12, 0.5, 0.9)[layer]
        low, high = ((150, 270), (90, 190), (40, 120))[layer]
        for outline in roofs(dice, WIDTH, 540, low, high):
            canvas.paint(polygon(*outline), colours.at(share))
            if layer:
                _windows(brush, lit, outline[1], outline[-2], 540)
    canvas.paint(box(0, 538, WIDTH, HEIGHT), colours.near)
    brush.shine(600, 545, 900)


def _windows(brush: Brush, lit: float, left: Point, right: Point, ground: float) -> None:
    y = left[1] + 14
    while y < ground - 22:
        x = left[0] + 11
        while x < right[0] - 14:
            if brush.dice.random() < lit:
                brush.canvas.paint(box(x, y, 8, 12), brush.colours.light, 0.9)
            x += 20
        y += 28


def draw_moon(brush: Brush) -> None:
    canvas, colours, _dice = brush.canvas, brush.colours, brush.dice
    brush.stars(330)
    brush.glow(860, 170, 66)
    brush.sea(380)
    brush.shine(860, 385, 190)
    hull = (250, 392), (640, 392), (604, 430), (286, 430)
    canvas.paint(polygon(*hull), colours.near)
    canvas.paint(box(300, 340, 270, 54), mix(colours.near, colours.far, 0.5))
    canvas.paint(box(340, 304, 150, 38), mix(colours.near, colours.far, 0.35))
    canvas.paint(box(520, 288, 26, 54), colours.near)
    for x in range(312, 556, 22):
        canvas.paint(box(x, 354, 12, 16), colours.light)
    for x in range(350, 480, 22):
        canvas.paint(box(x, 314, 12, 12), colours.light, 0.85)
    brush.shine(440, 432, 250)


def draw_lighthouse(brush: Brush) -> None:
    canvas, colours, dice = brush.canvas, brush.colours, brush.dice
    brush.stars(260)
    lamp_x, lamp_y = 380.0, 190.0
    for spread, alpha in ((150, 0.10), (100, 0.14), (52, 0.22)):
        canvas.paint(
            polygon((lamp_x, lamp_y), (1290, 190 - spread), (1290, 190 + spread * 1.3)), colours.light, alpha
        )
        canvas.paint(
            polygon((lamp_x, lamp_y), (-90, 190 - spread * 0.6), (-90, 190 + spread * 0.7)), colours.light, alpha
        )
    brush.sea(440)
    rock = roll(dice, 0, 7, 300)
    canvas.paint(below(lambda x: 496 + rock(x) + max(0.0, x - 330) ** 2 / 700, WIDTH, HEIGHT), colours.near)
    _tower(canvas, colours, lamp_x, lamp_y)
    brush.glow(lamp_x, lamp_y, 17)


def _tower(canvas: Canvas, colours: Colours, x: float, top: float) -> None:
    wall = mix(colours.light, colours.low, 0.3)
    for step in range(6):
        upper, lower = 36 + 5.4 * step, 36 + 5.4 * (step + 1)
        y = top + 30 + 50 * step
        fill = wall if step % 2 == 0 else mix(colours.far, colours.near, 0.45)
        canvas.paint(polygon((x - upper, y), (x + upper, y), (x + lower, y + 51), (x - lower, y + 51)), fill)
    canvas.paint(box(x - 50, top + 24, 100, 9), colours.near)
    canvas.paint(box(x - 26, top - 24, 52, 50), mix(colours.near, colours.light, 0.25))
    canvas.paint(polygon((x - 36, top - 22), (x + 36, top - 22), (x, top - 58)), colours.near)


def draw_depths(brush: Brush) -> None:
    canvas, colours, dice = brush.canvas, brush.colours, brush.dice
    canvas.paint(box(0, 0, WIDTH, HEIGHT), colours.far, 0.55)
    for step in range(7):
        canvas.paint(box(0, 120 + 80 * step, WIDTH, HEIGHT), colours.near, 0.17)
    for index in range(6):
        x, lean = 90 + 200 * index + dice.uniform(-40, 40), dice.uniform(150, 300)
        wide = dice.uniform(40, 110)
        canvas.paint(
            polygon((x, -5), (x + wide, -5), (x + wide * 2 - lean, 640), (x - lean, 640)), colours.light, 0.10
        )
    for _ in range(90):
        _blade(canvas, colours, dice)
    for _ in range(30):
        x, y = dice.uniform(60, 1140), dice.uniform(60, 420)
        canvas.paint(disc(x, y, dice.uniform(2, 7)), colours.light, 0.35)


def _blade(canvas: Canvas, colours: Colours, dice: Random) -> None:
    x, height, wide, lean = (
        dice.uniform(-10, 1210),
        dice.uniform(90, 300),
        dice.uniform(7, 15),
        dice.uniform(-50, 50),
    )
    fill = mix(colours.at(dice.uniform(0.15, 1.0)), colours.high, 0.12)
    middle = (x + lean * 0.25, HEIGHT - height * 0.55)
    canvas.paint(polygon((x, 640), (x + wide, 640), (middle[0] + wide, middle[1]), middle), fill)
    canvas.paint(polygon(middle, (middle[0] + wide, middle[1]), (x + lean + wide / 2, HEIGHT - height)), fill)


def draw_lanterns(brush: Brush) -> None:
    canvas, colours, dice = brush.canvas, brush.colours, brush.dice
    brush.stars(240)
    for outline in roofs(dice, WIDTH, 330, 40, 130):
        canvas.paint(polygon(*outline), colours.at(0.55))
    canvas.paint(box(0, 328, WIDTH, HEIGHT), colours.at(0.35))
    brush.sea(360, 5)
    warm = mix(colours.light, (240, 120, 40), 0.45)
    for index in range(26):
        y = 372 + 9.2 * index
        size = 7 + (y - 360) / 11
        x = dice.uniform(30, 1170)
        for step in range(6, 0, -1):
            canvas.paint(disc(x, y, size * (1 + 0.5 * step)), warm, 0.05)
        canvas.paint(box(x - size * 0.55, y - size, size * 1.1, size * 1.7), warm)
        canvas.paint(box(x - size * 0.3, y - size * 0.6, size * 0.6, size), colours.light)
        canvas.paint(box(x - size * 0.4, y + size, size * 0.8, size * 1.2), warm, 0.3)


def draw_stage(brush: Brush) -> None:
    canvas, colours, _dice = brush.canvas, brush.colours, brush.dice
    canvas.paint(box(0, 0, WIDTH, HEIGHT), colours.near, 0.82)
    for index in range(4):
        x = 150 + 300 * index
        canvas.paint(polygon((x, -8), (x + 20, -8), (x + 210, 560), (x - 190, 560)), colours.light, 0.12)
    for x in range(-30, WIDTH, 60):
        canvas.paint(box(x, 0, 26, 470), colours.far, 0.16)
    canvas.paint(box(0, 470, WIDTH, 160), colours.at(0.55))
    for index in range(4):
        x = 150 + 300 * index
        canvas.paint(_oval(x + 8, 545, 175, 38), colours.light, 0.42)
    for index, radius in enumerate((44, 92, 58, 112)):
        x, y = 158 + 300 * index, 545 - radius
        canvas.paint(disc(x, y, radius), mix(colours.far, colours.light, 0.15 * index))
        canvas.paint(disc(x, y, radius * 0.66), colours.near)
        canvas.paint(disc(x, y, radius * 0.56), mix(colours.far, colours.light, 0.55))


def _oval(x: float, y: float, wide: float, tall: float) -> list[tuple[int, float, float]]:
    scale = tall / wide
    return [(column, y + (top - y) * scale, y + (low - y) * scale) for column, top, low in disc(x, y, wide)]


def draw_bridge(brush: Brush) -> None:
    canvas, colours, dice = brush.canvas, brush.colours, brush.dice
    brush.glow(600, 330, 120)
    for outline in roofs(dice, WIDTH, 420, 30, 90):
        canvas.paint(polygon(*outline), colours.at(0.35))
    brush.sea(430)
    for side in (-1, 1):
        pier = 600 + side * 330
        edge = 600 + side * 640
        canvas.paint(box(min(pier, edge), 396, abs(edge - pier), 26), colours.near)
        tip = (600 + side * 96, 130)
        deck = (pier, 392), (pier, 422), (tip[0] - side * 4, tip[1] + 16), (tip[0], tip[1] - 6)
        canvas.paint(polygon(*deck), colours.near)
        canvas.paint(box(pier - 44, 300, 88, 290), colours.near)
        canvas.paint(polygon((pier - 58, 304), (pier + 58, 304), (pier, 252)), colours.near)
        for y in (330, 362):
            canvas.paint(box(pier - 9, y, 18, 20), colours.light)
    brush.shine(600, 446, 260)


SCENES: dict[str, Callable[[Brush], None]] = {
    "boats": draw_boats,
    "sun": draw_sun,
    "hills": draw_hills,
    "skyline": draw_skyline,
    "dark": draw_dark_town,
    "moon": draw_moon,
    "lighthouse": draw_lighthouse,
    "depths": draw_depths,
    "lanterns": draw_lanterns,
    "stage": draw_stage,
    "bridge": draw_bridge,
}
