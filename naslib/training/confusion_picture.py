"""The picture of a confusion matrix: which classes are taken for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from naslib.utils.text import shorten

from .pictures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

STEM = "confusion_matrix"
# Up to so many classes have their counts in the cells, and their names at the axes; of more every n-th has its number
_WITH_COUNTS, _WITH_NAMES = 20, 120
_LONGEST_NAME = 18
# From white to dark blue: lightness alone tells the shares apart, also in grey and for any kind of colour vision
_COLOURS = "Blues"


def confusion_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a confusion matrix that are in a folder."""
    found = [folder / f"{STEM}.{kind}" for kind in ("svg", "png")]
    return [path for path in found if path.is_file()]


def draw_confusion(folder: Path, summary: Mapping[str, Any]) -> list[Path]:
    """Draw the confusion matrix of a summary to `confusion_matrix.svg` and `.png`.

    Args:
        folder: Where to.
        summary: What `summary.json` holds.

    Returns:
        The files; none where there are no classes, or too many for a matrix.
    """
    matrix = summary.get("confusion_matrix")
    if not matrix:
        return []
    return save_figure(confusion_figure(matrix, summary["class_names"]), folder / STEM)


def confusion_figure(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> Figure:
    """Return the picture: a row per true class, a column per predicted one, coloured by the share of the row.

    Args:
        matrix: Counts.
        names: Of the classes.
    """
    from matplotlib.colors import Normalize, PowerNorm
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    counts = np.asarray(matrix, dtype=np.float64)
    k, totals = len(counts), counts.sum(axis=1, keepdims=True)
    shares = np.divide(100 * counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = float(np.clip(0.42 * k, 3.4, 8.4)) if k <= _WITH_COUNTS else float(np.clip(0.16 * k, 6.0, 15.0))
    figure = Figure(figsize=(side + 1.6, side + 1.0), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08))
    axes = figure.add_subplot()
    # few mistakes among many classes would be invisible if lightness were the share itself
    norm = Normalize(0, 100) if k <= _WITH_COUNTS else PowerNorm(0.5, 0, 100)
    image = axes.imshow(shares, cmap=_COLOURS, norm=norm, interpolation="nearest")
    bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.02)
    size = 10 if k <= _WITH_COUNTS else 10 + side / 3
    bar.set_label("% of the true class", fontsize=size)
    axes.set_xlabel("predicted class", fontsize=size)
    axes.set_ylabel("true class", fontsize=size)
    right = counts.trace() / counts.sum() if counts.sum() else 0.0
    axes.set_title(f"test: {100 * right:.2f} % of {int(counts.sum()):,} right", fontsize=size)
    _name_classes(axes, names)
    if k <= _WITH_COUNTS:
        _write_counts(axes, counts, shares)
    return figure


def _name_classes(axes: Axes, names: Sequence[str]) -> None:
    k = len(names)
    if k <= _WITH_NAMES:
        ticks, size = list(range(k)), 9.0 if k <= _WITH_COUNTS else max(5.0, 9.0 - k / 20)
        labels = [
            shorten(" ".join(name.split()), _LONGEST_NAME).replace("$", r"\$") for name in names
        ]  # no mathematics
    else:
        step = -(-k // 40)
        ticks, size = list(range(0, k, step)), 6.0
        labels = [str(number) for number in ticks]
    longest = max(map(len, labels), default=0)
    axes.set_xticks(ticks, labels, fontsize=size, rotation=90 if k > _WITH_COUNTS or longest > 3 else 0)
    axes.set_yticks(ticks, labels, fontsize=size)
    axes.tick_params(length=2)


def _write_counts(axes: Axes, counts: NDArray[np.float64], shares: NDArray[np.float64]) -> None:
    for (row, column), count in np.ndenumerate(counts):
        if count:
            text = short_count(int(count))
            colour = "white" if shares[row, column] > 55 else "#1a1a1a"
            size = 9.0 if len(text) <= 3 else 7.5 if len(text) == 4 else 6.5
            axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


def short_count(count: int) -> str:
    """Return a count in at most five characters: `9999`, `118k`, `2.5M`, `137M`."""
    if count < 10_000:
        return str(count)
    for unit, size in (("k", 10**3), ("M", 10**6), ("G", 10**9)):
        if count < 1000 * size or unit == "G":
            return f"{count / size:.1f}{unit}" if count < 10 * size else f"{count // size}{unit}"
    return str(count)
