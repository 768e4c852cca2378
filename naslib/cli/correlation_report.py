"""The table and the picture of `naslib correlate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from naslib.training.pictures import save_figure
from naslib.utils.files import atomic_write_text

MEASURES = ("spearman", "kendall_tau_b", "ndcg_k")
_COLOURS = {"proxy": "#1f5fa8", "predictor": "#b3541e"}
_ALWAYS = ("params", "flops")


def report(folder: Path, title: str, k: int, names: Sequence[str], runs: Sequence[Mapping[str, str]]) -> str:
    """Return the table in Markdown, and leave it and a picture in the folder.

    Args:
        folder: Where `table.md` and `correlations.png` go.
        title: What was correlated.
        k: Of nDCG@k.
        names: The rows.
        runs: One per row and seed, with `row`, `kind` and the measures.
    """
    values = {name: _of(name, runs) for name in names}
    order = [
        *(name for name in _ALWAYS if name in names),
        *sorted((n for n in names if n not in _ALWAYS), key=lambda n: -_mean(values[n], 0)),
    ]
    lines = [
        title,
        "",
        f"| | Spearman | Kendall tau-b | nDCG@{k} |",
        "|---|---|---|---|",
        *(f"| {name} | {' | '.join(_cell(values[name], place) for place in range(len(MEASURES)))} |" for name in order),
        "",
        "Mean and standard deviation over the seeds; params and flops are always there, to be better than.",
    ]
    text = "\n".join(lines) + "\n"
    atomic_write_text(folder / "table.md", text)
    kinds = {row["row"]: row["kind"] for row in runs}
    _draw(folder / "correlations", title, [(name, values[name][:, 0], kinds[name]) for name in order])
    return text


def _of(name: str, runs: Sequence[Mapping[str, str]]) -> np.ndarray:
    """Return the measures of a row, `(seeds, measures)`."""
    return np.asarray([[float(row[measure]) for measure in MEASURES] for row in runs if row["row"] == name])


def _mean(values: np.ndarray, place: int) -> float:
    mean = float(values[:, place].mean())
    return mean if np.isfinite(mean) else -1.0


def _cell(values: np.ndarray, place: int) -> str:
    column = values[:, place]
    if not np.isfinite(column).all():
        return f"not defined in {int((~np.isfinite(column)).sum())} of {len(column)} seeds"
    spread = f" ± {column.std(ddof=1):.3f}" if len(column) > 1 else ""
    return f"{column.mean():.3f}{spread}"


def _draw(stem: Path, title: str, rows: Sequence[tuple[str, np.ndarray, str]]) -> None:
    """Draw the Spearman correlations, one bar a row, and a dot for each seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for place, (_, values, kind) in enumerate(rows):
        good = values[np.isfinite(values)]
        if len(good):
            axes.barh(place, good.mean(), color=_COLOURS[kind], height=0.6)
            axes.plot(good, [place] * len(good), ".", color="black", markersize=4)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axes.invert_yaxis()
    axes.set_xlabel("Spearman correlation (dots: seeds)")
    axes.set_title(title, fontsize=8)
    save_figure(figure, stem)
