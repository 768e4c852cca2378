"""What a comparison leaves: tables as CSV and Markdown, curves, pictures."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from naslib.utils.files import atomic_write_text

from .curves import Curve
from .fronts import Fronts
from .pictures import draw_curves, draw_ranks
from .ranking import Comparison
from .runs import RunResult


def markdown_table(comparison: Comparison, results: Sequence[RunResult], score: str) -> str:
    """Return the table of a comparison, with what stands below it.

    Args:
        comparison: The scores.
        results: The runs behind them.
        score: What the scores are, with their unit.
    """
    by_method = {method: [run for run in results if run.method == method] for method in comparison.scores}
    lines = [
        f"| method | seeds | {score}: mean ± std | median | worst to best | found by the search | mean rank "
        "| p against the best | evaluations | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in comparison.rows():
        runs = by_method[row.method]
        values = [run.value for run in runs if run.value is not None]
        found = f"{sum(values) / len(values):.3f}" if values else ""
        p = "" if row.p is None else (f"{row.p:.3f}" if row.p >= 0.001 else "< .001")
        count, seconds = (
            sum(column) / len(runs) for column in ([r.evaluations for r in runs], [r.seconds for r in runs])
        )
        lines.append(
            f"| {row.method} | {row.seeds} | {row.mean:.3f} ± {row.std:.3f} | {row.median:.3f} | {row.worst:.3f} to "
            f"{row.best:.3f} | {found} | {row.rank:.2f} | {p} | {count:,.0f} | {seconds:,.0f} |"
        )
    return "\n".join([*lines, "", *_remarks(comparison)]) + "\n"


def _remarks(comparison: Comparison) -> list[str]:
    remarks = [
        "`p`: Wilcoxon's signed-rank test, paired by seed, against the method with the best mean, adjusted by Holm. "
        "Seconds are those of the evaluations, simulated ones where a table answers."
    ]
    friedman, apart = comparison.friedman(), comparison.critical_difference()
    if friedman is not None and apart is not None:
        remarks.append(
            f"Friedman's test of equal ranks: p {friedman:.3g}. Mean ranks that are {apart:.2f} apart differ at 5 % "
            "(Nemenyi)."
        )
    if not {"rs", "random_search"} & {*comparison.scores}:
        remarks.append("Random search is not among the methods; a comparison says little without it.")
    return remarks


def write_runs(results: Sequence[RunResult], path: Path, fronts: Fronts | None = None) -> Path:
    """Write one row per run and return the file.

    Args:
        results: The runs.
        path: The file.
        fronts: Of searches for several objectives: adds a column with the hypervolumes.
    """
    heads = ["method", "seed", "score", "value", "evaluations", "seconds", "params_millions", "folder"]
    rows: list[list[object]] = [
        [run.method, run.seed, run.score, run.value, run.evaluations, run.seconds, run.params, str(run.folder)]
        for run in results
    ]
    if fronts is not None:
        heads.append("hypervolume")
        for run, row in zip(results, rows, strict=True):
            row.append(fronts.volumes.get(run.method, {}).get(run.seed))
    return _write(path, heads, rows)


def write_curves(curves: Mapping[str, Mapping[int, Curve]], path: Path) -> Path:
    """Write one row per change of a best value, of `curves[method][seed]`, and return the file."""
    rows = [
        [method, seed, spent, best]
        for method, by_seed in curves.items()
        for seed, curve in by_seed.items()
        for spent, best in zip(curve.spent.tolist(), curve.best.tolist(), strict=True)
    ]
    return _write(path, ["method", "seed", "spent", "best"], rows)


def draw(
    comparison: Comparison, curves: Mapping[str, Mapping[int, Curve]], value: str, spent: str, folder: Path, name: str
) -> list[Path]:
    """Draw the curves, as `name`; return the files, none where no method has a curve.

    Args:
        comparison: Says the order of the methods.
        curves: By method and seed.
        value: What the values are.
        spent: What is spent.
        folder: Where.
        name: Of the files.
    """
    found = {method: list(curves.get(method, {}).values()) for method in comparison.methods}
    if not any(len(curve.spent) for curves_of in found.values() for curve in curves_of):
        return []
    return draw_curves(found, value, spent, folder / name)


def draw_rank_diagram(comparison: Comparison, folder: Path) -> list[Path]:
    """Draw the diagram of critical differences where it says something: for three methods and two seeds or more."""
    return draw_ranks(comparison, folder / "ranks") if comparison.critical_difference() is not None else []


def _write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    atomic_write_text(path, text.getvalue())
    return path
