"""The picture of the fronts of several searches: fronts, what most seeds attain, and hypervolume over evaluations."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslib.history import Objective
from naslib.history.fronts import attained, staircase
from naslib.training.pictures import COLOURS, save_figure

from .curves import band
from .fronts import Fronts

_POINTS = 400
_PANEL = (5.4, 4.2)  # inches
# Beyond so many points in all, the members of fronts have no marks
_MARKED = 2000


def draw_fronts(fronts: Fronts, path: Path) -> list[Path]:
    """Draw the fronts in each pair of objectives, and the hypervolume over evaluations.

    A thin line is the front of one seed; a thick one is what half of the seeds attain, and the area around it lies
    between what a quarter and what three quarters of them attain. Lines are the edge of what a front dominates above
    the reference point. With more than two objectives a pair shows what the front is in these two.

    Args:
        fronts: The searches.
        path: The file without suffix.

    Returns:
        The files.
    """
    from matplotlib.figure import Figure

    pairs = list(itertools.combinations(range(len(fronts.objectives)), 2))
    count = len(pairs) + 1
    columns = 2 if count in (2, 4) else min(count, 3)
    rows = -(-count // columns)
    figure = Figure(figsize=(_PANEL[0] * columns, _PANEL[1] * rows), layout="constrained")
    methods = [row.method for row in fronts.rows()]
    for place, pair in enumerate(pairs):
        _draw_pair(figure.add_subplot(rows, columns, place + 1), fronts, methods, pair)
    axes = figure.add_subplot(rows, columns, count)
    _draw_volumes(axes, fronts, methods)
    return save_figure(figure, path)


def _draw_pair(axes: Any, fronts: Fronts, methods: list[str], pair: tuple[int, int]) -> None:
    """Draw the fronts in two objectives: the first of the two upwards."""
    upward, sideways = pair
    reference = fronts.reference[sideways], fronts.reference[upward]
    across, up = fronts.objectives[sideways], fronts.objectives[upward]
    seen = [front[:, [sideways, upward]] for method in methods for front in fronts.last(method)]
    marks = sum(len(front) for front in seen) <= _MARKED
    for number, method in enumerate(methods):
        colour = COLOURS[number % len(COLOURS)]
        shown = [front[:, [sideways, upward]] for front in fronts.last(method)]
        thin = {"color": colour, "linewidth": 0.7, "alpha": 0.45 if len(shown) > 1 else 1.0}
        for front in shown:
            line = _in_units(staircase(front, reference), across, up)
            axes.plot(line[:, 0], line[:, 1], **thin)
            if marks:
                members = _in_units(attained([front[(front > reference).all(1)]], 1.0), across, up)
                axes.plot(members[:, 0], members[:, 1], ".", **thin, markersize=4)
        if len(shown) > 1:
            quarter, half, most = (staircase(attained(shown, share), reference) for share in (0.25, 0.5, 0.75))
            area = _in_units(np.concatenate([quarter, most[::-1]]), across, up)
            axes.fill(area[:, 0], area[:, 1], color=colour, alpha=0.16, linewidth=0)
            line = _in_units(half, across, up)
            axes.plot(line[:, 0], line[:, 1], color=colour, linewidth=2.0)
    point = _in_units(np.array([reference]), across, up)
    axes.plot(point[:, 0], point[:, 1], "+", color="black", markersize=9)
    axes.set_xlabel(across.in_words)
    axes.set_ylabel(up.in_words)
    axes.grid(alpha=0.3)
    is_several = any(len(fronts.growths[method]) > 1 for method in methods)
    axes.set_title("thick: attained by half of the seeds, area: quartiles" if is_several else "fronts", fontsize=9)


def _in_units(merits: NDArray[np.float64], across: Objective, up: Objective) -> NDArray[np.float64]:
    """Return merits `(n, 2)` as values of two objectives."""
    return merits * [1.0 if objective.maximize else -1.0 for objective in (across, up)]


def _draw_volumes(axes: Any, fronts: Fronts, methods: list[str]) -> None:
    """Draw the hypervolume over evaluations: thin lines for seeds, their mean and its confidence band."""
    for number, method in enumerate(methods):
        colour = COLOURS[number % len(COLOURS)]
        curves = fronts.curves(method)
        end = max(curve.end for curve in curves)
        points = np.linspace(0.0, end, min(_POINTS, int(end) + 1))
        values = np.stack([curve.at(points) for curve in curves])
        if len(curves) > 1:
            for row in values:
                axes.plot(points, row, color=colour, linewidth=0.6, alpha=0.4)
        mean, low, high = band(values)
        axes.plot(points, mean, color=colour, linewidth=1.8, label=f"{method} ({len(curves)})")
        axes.fill_between(points, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("evaluations")
    axes.set_ylabel("hypervolume above +")
    axes.set_ylim(bottom=0.0)
    axes.grid(alpha=0.3)
    is_several = any(len(by_seed) > 1 for by_seed in fronts.growths.values())
    axes.set_title("mean over the seeds with its 95 % interval" if is_several else "hypervolume", fontsize=9)
    axes.legend(frameon=False, fontsize=9, title="method (seeds)", title_fontsize=8, loc="lower right")
