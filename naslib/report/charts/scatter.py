"""Scatter plots: points of several groups, with what no other point beats as a line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from ..amounts import finite, number
from .palette import style
from .scales import AxisScale, fitted, tick_labels
from .svg import clean, element, picture, text

WIDTH, HEIGHT = 440.0, 280.0
# What the axes take on each side
LEFT, RIGHT, TOP, BOTTOM = 56.0, 14.0, 24.0, 40.0
# Shapes of the groups, beside their colours
_SHAPES = ("circle", "square", "triangle", "diamond")
# As many points are drawn
LIMIT = 2000


@dataclass(frozen=True)
class Point:
    """A point.

    Attributes:
        x: Value on the horizontal axis.
        y: Value on the vertical axis.
        label: What it is, shown by the browser where the pointer rests.
        group: Number of its group, for colour and shape.
        is_on_front: Whether no other point is as good in both and better in one.
    """

    x: float
    y: float
    label: str
    group: int = 0
    is_on_front: bool = False


def front_of(values: Sequence[tuple[float, float]], maximize: tuple[bool, bool]) -> list[bool]:
    """Return which of `(x, y)` no other one beats: as good in both and better in one.

    Args:
        values: The pairs.
        maximize: Whether more is better, of x and of y.
    """
    signed = [(x if maximize[0] else -x, y if maximize[1] else -y) for x, y in values]
    order = sorted(range(len(signed)), key=lambda i: (-signed[i][0], -signed[i][1]))
    found = [False] * len(signed)
    best, at_best = float("-inf"), float("-inf")
    for i in order:
        x, y = signed[i]
        if y > best or (y == best and x == at_best):
            found[i] = True
            best, at_best = y, x
    return found


def scatter(title: str, x_name: str, y_name: str, points: Sequence[Point], maximize: tuple[bool, bool]) -> str:
    """Draw points; those on the front are filled and joined by steps.

    Args:
        title: Name of the picture.
        x_name: What x is, with its unit.
        y_name: What y is.
        points: The points; those with values that are not finite are left out.
        maximize: Whether more is better, of x and of y.
    """
    known = [point for point in points if finite(point.x) is not None and finite(point.y) is not None]
    shown = known
    if len(known) > LIMIT:
        front = [point for point in known if point.is_on_front]
        others = [point for point in known if not point.is_on_front]
        step = -(-len(others) // max(1, LIMIT - len(front)))
        shown = [*others[::step], *front]
    x = fitted([point.x for point in known], LEFT, WIDTH - RIGHT, may_be_log=True)
    y = fitted([point.y for point in known], HEIGHT - BOTTOM, TOP)
    drawn = axes(x, y, x_name, y_name, maximize)
    members = sorted({(point.x, point.y) for point in known if point.is_on_front})
    if len(members) > 1:
        drawn.append(element("path", d=_steps(members, x, y, maximize), class_="front"))
    for point in sorted(shown, key=lambda p: p.is_on_front):
        drawn.append(mark(x(point.x), y(point.y), point))
    return picture(title, _describe(x_name, y_name, known), WIDTH, HEIGHT, *drawn)


def axes(x: AxisScale, y: AxisScale, x_name: str, y_name: str, maximize: tuple[bool, bool]) -> list[str]:
    """Return grid, ticks and names of two scales.

    Args:
        x: The horizontal scale.
        y: The vertical one.
        x_name: What x is, with its unit.
        y_name: What y is.
        maximize: Whether more is better, of x and of y.
    """
    drawn = []
    ticks = y.ticks(5)
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        drawn.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(tick), y2=y(tick), class_="grid"))
        drawn.append(text(label, LEFT - 6, y(tick) + 3.5, text_anchor="end"))
    ticks = x.ticks(5)
    bottom = HEIGHT - BOTTOM
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        drawn.append(element("line", x1=x(tick), x2=x(tick), y1=bottom, y2=bottom + 4, class_="axis"))
        drawn.append(text(label, x(tick), bottom + 15, text_anchor="middle"))
    drawn.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=bottom, y2=bottom, class_="axis"))
    better = [f"{'more' if largest else 'less'} is better" for largest in maximize]
    scale = ", logarithmic" if x.is_log else ""
    drawn.append(
        text(f"{x_name} ({better[0]}{scale})", (LEFT + WIDTH) / 2, HEIGHT - 6, text_anchor="middle", class_="name")
    )
    drawn.append(text(f"{y_name} ({better[1]})", 4, 13, class_="name"))
    return drawn


def _steps(members: Sequence[tuple[float, float]], x: object, y: object, maximize: tuple[bool, bool]) -> str:
    """Return the edge of what the front beats: between two members, the worse value of each."""
    parts: list[str] = []
    for (x0, y0), (x1, y1) in itertools.pairwise(members):
        corner = (min(x0, x1) if maximize[0] else max(x0, x1), min(y0, y1) if maximize[1] else max(y0, y1))
        for at in ((x0, y0), corner, (x1, y1)):
            parts.append(f"{'L' if parts else 'M'}{x(at[0]):.1f} {y(at[1]):.1f}")  # type: ignore[operator]
    return "".join(parts)


def mark(x: float, y: float, point: Point) -> str:
    """Return the mark of a point at a place: its group's shape, filled on the front."""
    classes = f"mark {style(point.group)}{' on-front' if point.is_on_front else ''}"
    title = element("title", escape(clean(point.label)))
    shape = _SHAPES[point.group % len(_SHAPES)]
    r = 4.5 if point.is_on_front else 3.5
    if shape == "circle":
        return element("circle", title, cx=x, cy=y, r=r, class_=classes)
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "triangle": ((0, -1.2), (1.2, 1), (-1.2, 1)),
        "diamond": ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0)),
    }[shape]
    points = " ".join(f"{x + dx * r:.1f},{y + dy * r:.1f}" for dx, dy in corners)
    return element("polygon", title, points=points, class_=classes)


def _describe(x_name: str, y_name: str, points: Sequence[Point]) -> str:
    if not points:
        return "There are no points."
    front = [point for point in points if point.is_on_front]
    first = sorted(front, key=lambda point: point.x)[:8]
    named = "; ".join(f"{point.label}: {number(point.x)}, {number(point.y)}" for point in first)
    words = f"{len(points)} points of {y_name} against {x_name}."
    return f"{words} {len(front)} of them no other point beats in both: {named}."
