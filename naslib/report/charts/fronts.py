"""Fronts of several searches over each other, in two objectives, with what most of the searches attain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from naslib.history.fronts import attained, staircase

from ..amounts import counted, number
from .palette import style
from .scales import AxisScale, fitted
from .scatter import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, axes, mark
from .svg import element, picture

# Beyond so many members in all, they have no marks
LIMIT = 2000


@dataclass(frozen=True)
class FrontsOfGroup:
    """The fronts of the runs of a group.

    Attributes:
        name: What the group is.
        number: Of its colour.
        fronts: `(k, 2)` merits per run, x first: larger is better in both.
        names: What each run is.
    """

    name: str
    number: int
    fronts: Sequence[NDArray[np.float64]]
    names: Sequence[str]


def front_chart(
    title: str,
    x_name: str,
    y_name: str,
    groups: Sequence[FrontsOfGroup],
    reference: tuple[float, float],
    maximize: tuple[bool, bool],
) -> str:
    """Draw the edge of what each front dominates above a point, and of several runs what half of them attain.

    Args:
        title: Name of the picture.
        x_name: What x is, with its unit.
        y_name: What y is.
        groups: The fronts.
        reference: Merits of the point, x first.
        maximize: Whether more is better, of x and of y.
    """
    signs = np.array([1.0 if largest else -1.0 for largest in maximize])
    point = np.array(reference) * signs
    edges = [staircase(front, reference) * signs for group in groups for front in group.fronts]
    everything = np.concatenate([*edges, point[None, :]])
    x = fitted(everything[:, 0].tolist(), LEFT, WIDTH - RIGHT)
    y = fitted(everything[:, 1].tolist(), HEIGHT - BOTTOM, TOP)
    drawn = axes(x, y, x_name, y_name, maximize)
    marks: list[str] = []
    for group in groups:
        look = style(group.number)
        if len(group.fronts) > 1:
            quarter, most = (staircase(attained(group.fronts, share), reference) * signs for share in (0.25, 0.75))
            area = np.concatenate([quarter, most[::-1]])
            drawn.append(element("path", d=f"{_path(area, x, y)}Z", class_=f"band {look}"))
        alone = "line" if len(group.fronts) == 1 else "one-front"
        for front, name in zip(group.fronts, group.names, strict=True):
            drawn.append(element("path", d=_path(staircase(front, reference) * signs, x, y), class_=f"{alone} {look}"))
            for member in attained([front], 1.0):
                if (member > reference).all():
                    at = member * signs
                    words = f"{name}: {number(at[0])}, {number(at[1])}"
                    marks.append(mark(x(at[0]), y(at[1]), Point(at[0], at[1], words, group.number)))
        if len(group.fronts) > 1:
            half = staircase(attained(group.fronts, 0.5), reference) * signs
            drawn.append(element("path", d=_path(half, x, y), class_=f"line {look}"))
    across, up = x(point[0]), y(point[1])
    cross = f"M{across - 5:.1f} {up:.1f}h10M{across:.1f} {up - 5:.1f}v10"
    drawn.append(element("path", d=cross, class_="reference"))
    drawn += marks if len(marks) <= LIMIT else []
    return picture(title, _describe(x_name, y_name, groups, point), WIDTH, HEIGHT, *drawn)


def _path(line: NDArray[np.float64], x: AxisScale, y: AxisScale) -> str:
    return "".join(f"{'L' if place else 'M'}{x(a):.1f} {y(b):.1f}" for place, (a, b) in enumerate(line.tolist()))


def _describe(x_name: str, y_name: str, groups: Sequence[FrontsOfGroup], point: NDArray[np.float64]) -> str:
    words = [f"Fronts of {y_name} against {x_name}, above {number(point[1])} and {number(point[0])}."]
    for group in groups:
        sizes = sum(len(front) for front in group.fronts)
        words.append(f"{group.name}: {counted(len(group.fronts), 'run')}, {counted(sizes, 'member')} in all.")
    return " ".join(words)
