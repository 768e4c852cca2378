"""Pictures of a comparison: anytime curves with bands, and the diagram of critical differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.training.pictures import COLOURS, save_figure

from .curves import Curve, band
from .ranking import Comparison

_DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
_POINTS = 400
_SIZE = (7.2, 4.4)  # inches


def draw_curves(curves: Mapping[str, Sequence[Curve]], value: str, spent: str, path: Path) -> list[Path]:
    """Draw the mean of the best value so far of each method, with its 95 % confidence band.

    Args:
        curves: One per seed, by method, the best method first.
        value: What the values are, for the axis.
        spent: What is spent, for the axis.
        path: The file without suffix.

    Returns:
        The files.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, NullFormatter

    drawn = {method: [curve for curve in found if len(curve.spent)] for method, found in curves.items()}
    drawn = {method: found for method, found in drawn.items() if found}
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    end = max(curve.end for found in drawn.values() for curve in found)
    first = min(max(float(curve.spent[0]) for curve in found) for found in drawn.values())
    points = np.geomspace(max(first, end * 1e-6), end, _POINTS)
    lows = []
    for place, (method, found) in enumerate(drawn.items()):
        mean, low, high = band(np.stack([curve.at(points) for curve in found]))
        colour, dash = COLOURS[place % len(COLOURS)], _DASHES[place // len(COLOURS) % len(_DASHES)]
        axes.plot(points, mean, color=colour, linestyle=dash, label=method, linewidth=1.6)
        axes.fill_between(points, low, high, color=colour, alpha=0.15, linewidth=0)
        lows.append((mean[np.isfinite(mean)], low, high))
    _close_in(axes, lows)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:,.0f}" if at >= 1 else f"{at:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(spent)
    axes.set_ylabel(value)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=9)
    return save_figure(figure, path)


def _close_in(axes: Any, bands: Sequence[tuple[Any, Any, Any]]) -> None:
    """Leave out the steep beginning, so that the ends can be told apart: show from the median of all means on."""
    means = np.concatenate([mean for mean, _, _ in bands])
    ends = np.array([mean[-1] for mean, _, _ in bands if len(mean)])
    best, usual = ends.max(), float(np.quantile(means, 0.15))
    rising = best >= usual
    low = min(usual, float(ends.min())) if rising else float(ends.min())
    high = float(best) if rising else max(float(np.quantile(means, 0.85)), float(ends.max()))
    room = 0.08 * (high - low) or 0.5
    axes.set_ylim(low - room, high + room)


def draw_ranks(comparison: Comparison, path: Path) -> list[Path]:
    """Draw the mean ranks on a line, with a bar over methods that do not differ at 5 % by Nemenyi's test.

    Args:
        comparison: At least three methods and two seeds.
        path: The file without suffix.

    Returns:
        The files.
    """
    from matplotlib.figure import Figure

    ranks, apart = comparison.ranks(), comparison.critical_difference()
    order = sorted(ranks, key=lambda method: ranks[method])
    bars = _alike([ranks[method] for method in order], apart or 0.0)
    height = 1.1 + 0.26 * (len(order) // 2 + 1) + 0.12 * len(bars)
    figure = Figure(figsize=(7.2, height), layout="constrained")
    axes = figure.add_subplot()
    k = len(order)
    axes.set_xlim(0.2, k + 0.8)
    axes.set_ylim(-0.7 - 0.18 * len(bars) - 0.32 * ((k + 1) // 2), 0.75)  # room for the numbers below the title
    axes.hlines(0, 1, k, color="black", linewidth=1)
    for tick in range(1, k + 1):
        axes.vlines(tick, 0, 0.12, color="black", linewidth=1)
        axes.text(tick, 0.2, str(tick), ha="center", va="bottom", fontsize=9)
    start = -0.25 - 0.18 * len(bars)
    for place, method in enumerate(order):
        is_left = place < (k + 1) // 2
        level = start - 0.32 * (place if is_left else k - 1 - place)
        side = 0.7 if is_left else k + 0.3
        colour = COLOURS[comparison.methods.index(method) % len(COLOURS)]
        axes.plot([ranks[method], ranks[method], side], [0, level, level], color=colour, linewidth=1.2)
        text = f"{method} ({ranks[method]:.2f})"
        axes.text(
            side,
            level,
            f"{text} " if is_left else f" {text}",
            ha="right" if is_left else "left",
            va="center",
            fontsize=9,
        )
    for place, (low, high) in enumerate(bars):
        level = -0.15 - 0.18 * place
        axes.hlines(level, low - 0.03, high + 0.03, color="#444444", linewidth=3)
    axes.set_title(
        f"mean rank over the seeds (1 is the best); joined methods do not differ at 5 % (CD {apart:.2f})", fontsize=9
    )
    axes.axis("off")
    return save_figure(figure, path)


def _alike(ranks: Sequence[float], apart: float) -> list[tuple[float, float]]:
    """Return the ends of the longest stretches of ascending ranks that are less than `apart` wide."""
    stretches: list[tuple[int, int]] = []
    for first in range(len(ranks)):
        last = max(index for index in range(first, len(ranks)) if ranks[index] - ranks[first] < apart or index == first)
        if last > first and not any(a <= first and last <= b for a, b in stretches):
            stretches.append((first, last))
    return [(ranks[a], ranks[b]) for a, b in stretches]
