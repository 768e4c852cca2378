"""Small multiples: one small chart per decision, all on the same axes, so that they can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from ..amounts import DASH, number
from .lines import Chart, path
from .palette import style
from .scales import AxisScale, evenly, round_ticks
from .svg import element, picture, text

WIDTH, HEIGHT = 240.0, 128.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 8.0, 8.0, 20.0
# Epochs that are drawn of each
LIMIT = 60


def top_of(shares: Iterable[float]) -> float:
    """Return where the axis of shares ends: the least of 0.2, 0.25, 0.5 and 1 that is not below any of them."""
    largest = max(shares, default=1.0)
    return next((top for top in (0.2, 0.25, 0.5) if largest <= top), 1.0)


def share_chart(
    title: str, names: Sequence[str], rows: Sequence[Sequence[float]], numbers: Mapping[str, int], top: float = 1.0
) -> Chart:
    """Draw shares of candidates over the epochs.

    Args:
        title: Name of the picture.
        names: Of the candidates.
        rows: `(epochs + 1, candidates)` shares; the first row is from before the search.
        numbers: The number of each candidate's colour, the same in all charts.
        top: Where the axis ends, the same in all charts; it begins at 0.
    """
    kept = evenly(len(rows), LIMIT)
    last = max(1, len(rows) - 1)
    x, y = AxisScale(0.0, float(last), _LEFT, WIDTH - _RIGHT), AxisScale(0.0, top, HEIGHT - _BOTTOM, _TOP)
    drawn = []
    for tick in (0.0, top / 2, top):
        drawn.append(element("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y(tick), y2=y(tick), class_="grid"))
        drawn.append(text(number(tick), _LEFT - 4, y(tick) + 3, text_anchor="end"))
    for tick in (t for t in round_ticks(0, last, 4) if t.is_integer()):
        drawn.append(text(number(tick, 6), x(tick), HEIGHT - 6, text_anchor="middle"))
    styles = [style(numbers.get(name, index)) for index, name in enumerate(names)]
    for column, classes in enumerate(styles):
        points = [(x(float(index)), rows[index][column]) for index in kept]
        if len(points) == 1:
            drawn.append(element("circle", cx=points[0][0], cy=y(points[0][1]), r=2.5, class_=f"dot {classes}"))
        else:
            drawn.append(element("path", d=path(points, y), class_=f"line {classes}"))
    drawn.append(element("line", x1=0, x2=0, y1=_TOP, y2=HEIGHT - _BOTTOM, class_="cursor"))
    shown = [[f"{rows[index][column]:.3f}" for index in kept] for column in range(len(names))]
    data = {
        "x": [round(x(float(i)), 1) for i in kept],
        "label": [str(i) for i in kept],
        "name": "epoch",
        "values": shown,
    }
    legend = [
        (classes, name, column[-1] if column else DASH)
        for classes, name, column in zip(styles, names, shown, strict=True)
    ]
    table = [[str(i), *(column[at] for column in shown)] for at, i in enumerate(kept)]
    note = f"{len(kept)} of {len(rows)} epochs are drawn." if len(kept) < len(rows) else ""
    svg = picture(title, _describe(names, rows), WIDTH, HEIGHT, *drawn)
    return Chart(svg, legend, json.dumps(data, separators=(",", ":")), note, "epoch", table)


def _describe(names: Sequence[str], rows: Sequence[Sequence[float]]) -> str:
    if not rows:
        return "Nothing was recorded."
    order = sorted(range(len(names)), key=lambda column: -rows[-1][column])
    ends = [f"{names[c]} from {rows[0][c]:.3f} to {rows[-1][c]:.3f}" for c in order[:4]]
    more = f", and {len(names) - 4} others" if len(names) > 4 else ""
    return f"Share of each candidate over {len(rows) - 1} epochs: {'; '.join(ends)}{more}."
