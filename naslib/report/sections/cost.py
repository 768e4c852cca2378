"""Section: what the search cost."""

from __future__ import annotations

import math
from typing import Any

from ..amounts import counted, duration, finite, number
from ..blocks import Note, Plots, Section, Table, TableCell, Tiles
from ..charts.lines import Series, line_chart
from ..reading import SavedRun


def cost(run: SavedRun) -> Section:
    """Return the section of the cost."""
    search, evaluation, total = (finite(run.summary.get(f"{key}_seconds")) for key in ("search", "evaluation", "total"))
    if search is None and run.search.get("runtime"):
        search = math.fsum(value or 0 for value in run.search["runtime"])
    if evaluation is None and run.retraining:
        evaluation = math.fsum(finite(row.get("seconds")) or 0 for row in run.retraining)
    if run.mode == "query" and not evaluation:
        evaluation = None  # a benchmark was asked: nothing was trained
    blocks: list[Any] = [_phases(search, evaluation, total)]
    device = run.environment.get("device") or run.summary.get("device") or "not recorded"
    tiles = [("device", str(device), str(run.environment.get("cpu") or ""))]
    threads = finite(run.environment.get("threads"))
    if threads is not None:
        tiles.append(("threads", number(threads), str(run.environment.get("threads_reason") or "")))
    if run.trials:
        tiles += _of_trials(run)
    elif search and run.searched:
        tiles.append(("an epoch of the search", duration(search / run.searched), ""))
    if evaluation and run.retraining:
        tiles.append(("an epoch of the retraining", duration(evaluation / len(run.retraining)), ""))
    size = finite(run.summary.get("search_params_millions"))
    if size:
        tiles.append(("network of the search", f"{number(size)} M", "parameters"))
    blocks.append(Tiles(tiles))
    blocks += _per_epoch(run)
    blocks.append(_rate(run))
    return Section("cost", "What it cost", [block for block in blocks if block is not None])


def _phases(search: float | None, evaluation: float | None, total: float | None) -> Any:
    known = [("search", search), ("retraining and test", evaluation)]
    if total is not None:
        rest = total - (search or 0) - (evaluation or 0)
        known.append(("everything else (loading, building, pictures)", max(0.0, rest)))
    named = [(name, seconds) for name, seconds in known if seconds is not None]
    if not named:
        return Note("No times are recorded.")
    all_of_it = math.fsum(seconds for _, seconds in named) or 1.0
    rows: list[list[TableCell | str]] = [
        [
            name,
            TableCell(duration(seconds), seconds, seconds / all_of_it),
            TableCell(f"{100 * seconds / all_of_it:.1f} %", seconds),
        ]
        for name, seconds in named
    ]
    rows.append(["in all", TableCell(duration(all_of_it), all_of_it), TableCell("100 %", all_of_it)])
    return Table("Time by phase, on the clock", ("phase", "time", "share"), rows, frozenset((1, 2)))


def _of_trials(run: SavedRun) -> list[tuple[str, str, str]]:
    over = [trial for trial in run.trials if trial.state.is_over]
    seconds = math.fsum(trial.seconds for trial in over)
    is_simulated = str(run.trials.about.get("evaluator", "")).lower().startswith("table")
    what = "what their trainings took, as the table says; nothing was trained here" if is_simulated else "of evaluation"
    tiles = [("evaluations", f"{len(over):,}", f"{duration(seconds)} {what}")]
    epochs = sum(trial.epochs for trial in over)
    if epochs:
        tiles.append(("epochs trained", f"{epochs:,}", "over all evaluations"))
    return tiles


def _per_epoch(run: SavedRun) -> list[Any]:
    charts = []
    runtime = [] if run.is_black_box else run.search.get("runtime", [])
    if len(runtime) > 2:
        chart = line_chart(
            "Seconds of each epoch of the search",
            "epoch",
            "seconds",
            range(1, len(runtime) + 1),
            [Series("search", runtime)],
        )
        charts.append(("Search", chart, ""))
    rows = [finite(row.get("seconds")) for row in run.retraining]
    if len([value for value in rows if value is not None]) > 2:
        chart = line_chart(
            "Seconds of each epoch of the retraining", "epoch", "seconds", range(1, len(rows) + 1),
            [Series("retraining", rows)],
            first_style=1,
        )  # fmt: skip
        charts.append(("Retraining", chart, ""))
    return [Plots("Seconds of an epoch", charts)] if charts else []


def _rate(run: SavedRun) -> Any:
    """Return how many items passed in a second, where the records say how many there are."""
    counts = finite(run.summary.get("train_items"))
    seconds = [finite(row.get("seconds")) for row in run.retraining]
    known = [value for value in seconds if value]
    if counts and known:
        rate = counts / (math.fsum(known) / len(known))
        return Note(
            f"The retraining took in {number(rate, 3)} items per second, on average over "
            f"{counted(len(known), 'epoch')}."
        )
    return Note("How many images or items passed in a second is unknown: runs do not record how many an epoch has.")
