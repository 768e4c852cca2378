"""Section: curves of search and retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..amounts import counted, finite, plain
from ..blocks import Heading, Note, Plots, Section
from ..charts.lines import Series, line_chart
from ..reading import SavedRun
from ..state import RunStage, stage_of

# Names of series of scores that people read
_NAMES = {"acc": "accuracy"}
_SPLITS = ("train", "valid", "test")
_PERCENT = ("acc", "accuracy", "top5", "mean_iou")


def curves(run: SavedRun) -> Section:
    """Return the section of the curves of search and retraining."""
    blocks: list[Any] = []
    searched = {} if run.is_black_box else run.search
    groups = grouped(searched)
    if groups:
        length = run.searched
        blocks.append(Heading(f"Search: {counted(length, 'epoch')}"))
        blocks += _charts(groups, range(1, length + 1), "Search")
    elif not run.is_black_box and run.summary.get("architecture") != "given":
        blocks.append(Note("Of the search no epoch is recorded."))
    rows = run.retraining
    if rows:
        series = rows_to_series(rows)
        epochs = [int(finite(row.get("epoch")) or 0) + 1 for row in rows]
        if sorted(set(epochs)) != epochs:
            epochs = list(range(1, len(rows) + 1))
        blocks.append(Heading(f"Retraining: {counted(len(rows), 'epoch')}"))
        blocks += _charts(grouped(series), epochs, "Retraining")
    else:
        blocks.append(Note(_why_none(run)))
    return Section("curves", "Curves of search and retraining", blocks)


def _why_none(run: SavedRun) -> str:
    if run.mode == "query":
        return "There is no retraining: a benchmark was asked instead."
    if run.mode in ("keep", "supernet"):
        return "There is no retraining: the network was tested with the weights of the search."
    if stage_of(run) is RunStage.FINISHED:
        return "Of the retraining no epoch is recorded."
    return "The run has not come to its retraining."


def rows_to_series(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[float | None]]:
    """Return the series in rows of epochs by name, those without any number left out."""
    names = dict.fromkeys(key for row in rows for key in row if key not in ("epoch", "averaged"))
    series = {str(name): [finite(row.get(name)) for row in rows] for name in names}
    return {name: values for name, values in series.items() if any(value is not None for value in values)}


def grouped(series: Mapping[str, Sequence[float | None]]) -> dict[str, dict[str, Sequence[float | None]]]:
    """Return series by what they measure, then by split: `{"loss": {"train": ..., "valid": ...}}`.

    Times and sizes are left out; the learning rate stands alone.
    """
    found: dict[str, dict[str, Sequence[float | None]]] = {}
    for name, values in series.items():
        split, _, measure = name.partition("_")
        if split in _SPLITS and measure and measure != "time":
            found.setdefault(measure, {})[split] = values
        elif name == "learning_rate":
            found[name] = {name: values}
    order = {"loss": 0, "learning_rate": 2}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], 1)))


def _charts(groups: Mapping[str, Mapping[str, Sequence[float | None]]], epochs: Sequence[int], what: str) -> list[Any]:
    charts = []
    for measure, by_split in groups.items():
        name = plain(_NAMES.get(measure, measure))
        unit = " in %" if measure in _PERCENT else ""
        lines = [Series(plain(split), values) for split, values in by_split.items()]
        charts.append((f"{name.capitalize()}", line_chart(f"{what}: {name}", "epoch", name + unit, epochs, lines), ""))
    return [Plots(what, charts)] if charts else []
