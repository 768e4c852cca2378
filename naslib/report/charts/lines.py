"""Line charts: series over a common axis, with bands, gaps where nothing is known, and a cursor that a script moves."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..amounts import DASH, finite, listed, number
from .palette import style
from .scales import AxisScale, fitted, thin, tick_labels
from .svg import element, picture, text

# Size of the coordinates, and what the axes take of it
WIDTH, HEIGHT = 440.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 22.0, 38.0
# Positions that are drawn of a series without thinning
LIMIT = 240


@dataclass(frozen=True)
class Series:
    """A line.

    Attributes:
        name: What it is.
        values: One per position; None, NaN and infinities are gaps.
        low: Lower end of a band around it, or ().
        high: Upper end.
        is_dots: Whether it is drawn as dots, which no line joins.
    """

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    is_dots: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart that was drawn, and what its cursor needs.

    Attributes:
        svg: The picture.
        legend: Classes and name of each series, with its last value as text.
        data: JSON for the cursor: places of the positions, their names, values of each series as text.
        note: What was left out, "" for nothing.
        x_name: What the positions are.
        table: Rows of a table with the same numbers: a position, then a value per series.
    """

    svg: str
    legend: list[tuple[str, str, str]]
    data: str
    note: str
    x_name: str
    table: list[list[str]]


def line_chart(
    title: str,
    x_name: str,
    y_name: str,
    x: Sequence[float],
    series: Sequence[Series],
    *,
    is_step: bool = False,
    first_style: int = 0,
    styles: Sequence[int] = (),
) -> Chart:
    """Draw series over common positions.

    Args:
        title: Name of the picture.
        x_name: What the positions are, `epoch`.
        y_name: What the values are, with their unit.
        x: `(n,)` ascending positions.
        series: Lines of n values each; shorter ones end early.
        is_step: Whether a value holds until the next one, as a best value so far does.
        first_style: Number of the first line's colour.
        styles: Numbers of all lines' colours instead.
    """
    looks = [style(i) for i in (styles or range(first_style, first_style + len(series)))]
    columns = [_padded(one.values, len(x)) for one in series]
    bounds = [(_padded(one.low, len(x)), _padded(one.high, len(x))) for one in series]
    kept = thin(columns, LIMIT)
    all_values = [value for column in columns for value in column]
    all_values += [value for pair in bounds for column in pair for value in column]
    y_scale = fitted(all_values, HEIGHT - _BOTTOM, _TOP, may_be_log=True)
    x_scale = AxisScale(*_ends(x), _LEFT, WIDTH - _RIGHT)
    places = [x_scale(x[index]) for index in kept]
    drawn = [*_axes(x_scale, y_scale, x_name, y_name, all(float(at).is_integer() for at in x))]
    for number_of, (column, (low, high)) in enumerate(zip(columns, bounds, strict=True)):
        classes = looks[number_of]
        drawn += _band(places, [low[i] for i in kept], [high[i] for i in kept], y_scale, classes, is_step)
        if series[number_of].is_dots:
            drawn += _dots(places, [column[i] for i in kept], y_scale, classes)
        else:
            drawn += _line(places, [column[i] for i in kept], y_scale, classes, is_step)
    drawn.append(element("line", x1=0, x2=0, y1=_TOP, y2=HEIGHT - _BOTTOM, class_="cursor"))
    missing = sum(1 for one in series for value in one.values if value is not None and finite(value) is None)
    notes = [f"{missing} values that are NaN or infinite are gaps." if missing else ""]
    notes += _same(series, columns)
    notes += [
        f"{len(kept)} of {len(x)} positions are drawn, the least and largest of each stretch."
        if len(kept) < len(x)
        else ""
    ]
    rows = [
        [number(x[i], 12 if float(x[i]).is_integer() else 4), *(_shown(column[i]) for column in columns)] for i in kept
    ]
    data = {
        "x": [round(at, 1) for at in places],
        "label": [row[0] for row in rows],
        "name": x_name,
        "values": [list(column) for column in zip(*(row[1:] for row in rows), strict=True)],
    }
    looks = [f"{look} dots" if one.is_dots else look for look, one in zip(looks, series, strict=True)]
    legend = [(look, one.name, _last(column)) for look, one, column in zip(looks, series, columns, strict=True)]
    svg = picture(title, describe(x_name, y_name, x, series), WIDTH, HEIGHT, *drawn)
    return Chart(svg, legend, json.dumps(data, separators=(",", ":")), " ".join(filter(None, notes)), x_name, rows)


def _same(series: Sequence[Series], columns: Sequence[Sequence[float | None]]) -> list[str]:
    """Return a sentence for lines that lie on each other, of which the last is seen."""
    by_values: dict[tuple[float | None, ...], list[str]] = {}
    for one, column in zip(series, columns, strict=True):
        by_values.setdefault(tuple(column), []).append(one.name)
    alike = [names for names in by_values.values() if len(names) > 1]
    return [f"{listed(names)} are the same, so that one line is seen." for names in alike if any(columns[0])]


def describe(x_name: str, y_name: str, x: Sequence[float], series: Sequence[Series]) -> str:
    """Return a line chart in words: per line where it begins and ends, its least and its largest value."""
    parts = [f"{y_name} over {x_name}."]
    for one in series:
        known = [(value, x[index]) for index, value in enumerate(one.values[: len(x)]) if finite(value) is not None]
        if not known:
            parts.append(f"{one.name}: no values.")
            continue
        numbers = [value for value, _ in known if value is not None]
        parts.append(
            f"{one.name}: from {number(known[0][0])} at {number(known[0][1])} to {number(known[-1][0])} at "
            f"{number(known[-1][1])}; least {number(min(numbers))}, largest {number(max(numbers))}."
        )
    return " ".join(parts)


def _padded(values: Sequence[float | None], length: int) -> list[float | None]:
    found = [finite(value) for value in values[:length]]
    return found + [None] * (length - len(found))


def _ends(x: Sequence[float]) -> tuple[float, float]:
    if not x:
        return 0.0, 1.0
    return (min(x), max(x)) if max(x) > min(x) else (x[0] - 0.5, x[0] + 0.5)


def _axes(x: AxisScale, y: AxisScale, x_name: str, y_name: str, whole: bool) -> list[str]:
    bottom = HEIGHT - _BOTTOM
    drawn = []
    ticks = y.ticks(5)
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        at = y(tick)
        drawn.append(element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=at, y2=at, class_="grid"))
        drawn.append(text(label, _LEFT - 6, at + 3.5, text_anchor="end"))
    ticks = [tick for tick in x.ticks(6) if not whole or float(tick).is_integer()]
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        drawn.append(element("line", x1=x(tick), x2=x(tick), y1=bottom, y2=bottom + 4, class_="axis"))
        drawn.append(text(label, x(tick), bottom + 15, text_anchor="middle"))
    drawn.append(element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="axis"))
    drawn.append(text(x_name, (_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, text_anchor="middle", class_="name"))
    scale = " (logarithmic)" if y.is_log else ""
    drawn.append(text(f"{y_name}{scale}", 4, 12, class_="name"))
    return drawn


def _stretches(places: Sequence[float], values: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Return the runs of known values, `(place, value)` each."""
    found: list[list[tuple[float, float]]] = [[]]
    for place, value in zip(places, values, strict=True):
        if value is None:
            found.append([])
        else:
            found[-1].append((place, value))
    return [stretch for stretch in found if stretch]


def _line(
    places: Sequence[float], values: Sequence[float | None], y: AxisScale, classes: str, is_step: bool = False
) -> list[str]:
    drawn = []
    for stretch in _stretches(places, values):
        if len(stretch) == 1:
            drawn.append(element("circle", cx=stretch[0][0], cy=y(stretch[0][1]), r=3, class_=f"dot {classes}"))
            continue
        drawn.append(element("path", d=path(stretch, y, is_step), class_=f"line {classes}"))
    return drawn


def _dots(places: Sequence[float], values: Sequence[float | None], y: AxisScale, classes: str) -> list[str]:
    known = [(place, value) for place, value in zip(places, values, strict=True) if value is not None]
    return [element("circle", cx=place, cy=y(value), r=1.8, class_=f"dot {classes}") for place, value in known]


def path(points: Sequence[tuple[float, float]], y: AxisScale, is_step: bool = False) -> str:
    """Return the `d` of a path through places and values; as steps where a value holds until the next."""
    parts = []
    for index, (place, value) in enumerate(points):
        if is_step and index:
            parts.append(f"H{place:.1f}V{y(value):.1f}")
        else:
            parts.append(f"{'L' if index else 'M'}{place:.1f} {y(value):.1f}")
    return "".join(parts)


def _band(
    places: Sequence[float],
    low: Sequence[float | None],
    high: Sequence[float | None],
    y: AxisScale,
    classes: str,
    is_step: bool = False,
) -> list[str]:
    both = [None if a is None or b is None else (a, b) for a, b in zip(low, high, strict=True)]
    drawn: list[str] = []
    stretch: list[tuple[float, float, float]] = []
    for place, pair in [*zip(places, both, strict=True), (0.0, None)]:
        if pair is not None:
            stretch.append((place, *pair))
            continue
        if len(stretch) > 1:
            upper = path([(at, top) for at, _, top in stretch], y, is_step)
            back = path([(at, bottom) for at, bottom, _ in stretch], y, is_step)
            drawn.append(element("path", d=f"{upper}{_reversed(back)}Z", class_=f"band {classes}"))
        stretch = []
    return drawn


def _reversed(d: str) -> str:
    """Return a path of points and steps from its end to its start, as a continuation of another one."""
    points: list[tuple[str, str]] = []
    for part in re.findall(r"[MLHV][^MLHV]+", d):
        if part[0] in "ML":
            x, y = part[1:].split()
        else:
            x, y = (part[1:], points[-1][1]) if part[0] == "H" else (points[-1][0], part[1:])
        points.append((x, y))
    return "".join(f"L{x} {y}" for x, y in reversed(points))


def _shown(value: float | None) -> str:
    return DASH if value is None else number(value)


def _last(column: Sequence[float | None]) -> str:
    return _shown(next((value for value in reversed(column) if value is not None), None))
