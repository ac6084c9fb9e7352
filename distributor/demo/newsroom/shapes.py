"""Shapes as the stretches of columns that they cover."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import ceil, floor, sin, sqrt, tau
from random import Random

from distributor.demo.newsroom.canvas import Stretch

Point = tuple[float, float]


def disc(x: float, y: float, radius: float) -> Iterator[Stretch]:
    for column in range(floor(x - radius), ceil(x + radius) + 1):
        inside = radius * radius - (column + 0.5 - x) ** 2
        if inside > 0:
            half = sqrt(inside)
            yield column, y - half, y + half


def box(left: float, top: float, width: float, height: float) -> Iterator[Stretch]:
    for column in range(round(left), round(left + width)):
        yield column, top, top + height


def polygon(*points: Point) -> Iterator[Stretch]:
    """A convex one, its corners in order."""
    edges = list(zip(points, (*points[1:], points[0]), strict=True))
    for column in range(floor(min(x for x, _ in points)), ceil(max(x for x, _ in points)) + 1):
        middle = column + 0.5
        hits = [
            y1 + (y2 - y1) * (middle - x1) / (x2 - x1)
            for (x1, y1), (x2, y2) in edges
            if x1 != x2 and min(x1, x2) <= middle <= max(x1, x2)
        ]
        if len(hits) >= 2:
            yield column, min(hits), max(hits)


def below(line: Callable[[float], float], width: int, bottom: float) -> Iterator[Stretch]:
    """Everything under a line that gives the height at each x."""
    for column in range(width):
        yield column, line(column), bottom


def band(line: Callable[[float], float], width: int, thickness: float) -> Iterator[Stretch]:
    for column in range(width):
        top = line(column)
        yield column, top, top + thickness


def roll(dice: Random, level: float, size: float, length: float) -> Callable[[float], float]:
    """A soft line of hills or waves around a level: three waves of different length on top of each other."""
    parts = [(size / n, tau * n / (length * dice.uniform(0.8, 1.25)), dice.uniform(0, tau)) for n in (1, 2.3, 4.1)]

    def line(x: float) -> float:
        return level + sum(height * sin(pace * x + start) for height, pace, start in parts)

    return line


def roofs(dice: Random, width: int, ground: float, lowest: float, highest: float) -> Iterator[Sequence[Point]]:
    """Houses side by side, each as the corners of its outline: gables, flat roofs, towers."""
    x = -20.0
    while x < width:
        wide, tall = dice.uniform(46, 120), dice.uniform(lowest, highest)
        top, kind = ground - tall, dice.random()
        if kind < 0.55:
            peak = top - dice.uniform(0.3, 0.6) * wide
            yield (x, ground), (x, top), (x + wide / 2, peak), (x + wide, top), (x + wide, ground)
        elif kind < 0.9:
            yield (x, ground), (x, top), (x + wide, top), (x + wide, ground)
        else:
            thin = wide * 0.42
            spire = top - 1.2 * tall * 0.5
            yield (x, ground), (x, top), (x + thin / 2, spire), (x + thin, top), (x + thin, ground)
            wide = thin
        x += wide + dice.choice((0, 0, 3, 14))
