"""Section: what the architecture costs, where a weight-sharing search paid for it or had a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..amounts import finite, number
from ..blocks import Note, Plots, Section, Tiles
from ..charts.lines import Series, line_chart
from ..reading import SavedRun


def target(run: SavedRun) -> Section | None:
    """Return the section of the part `cost`, None for a run without it."""
    parts = run.summary.get("parts")
    told = parts.get("cost") if isinstance(parts, Mapping) else None
    if not isinstance(told, Mapping):
        return None
    epochs_told = told.get("history")
    chosen = told["found"] if isinstance(told.get("found"), Mapping) else {}
    history = [entry for entry in (*(epochs_told if isinstance(epochs_told, list) else ()), chosen) if entry]
    history = [entry for entry in history if isinstance(entry, Mapping)]
    if not history:
        return None
    metric, unit = str(told.get("metric")), str(told.get("unit"))
    wanted, found = finite(told.get("target")), finite(chosen.get("architecture"))
    tiles = [(f"{metric} of the architecture", "not chosen" if found is None else f"{number(found)} {unit}", "")]
    blocks: list[Any] = []
    if wanted is not None:
        tiles.append(
            ("target", f"{number(wanted)} {unit}", "at most" if told.get("one_sided") else "met from both sides")
        )
        if found is not None and wanted:
            tiles.append(("off the target", f"{100 * (found / wanted - 1):+.1f} %", _verdict(told)))
    blocks.append(Tiles(tiles))
    epochs = [finite(entry.get("epoch")) or 0.0 for entry in history]
    lines = [
        Series("expected", [finite(entry.get("expected")) for entry in history]),
        Series("architecture", [finite(entry.get("architecture")) for entry in history]),
    ]
    if wanted is not None:
        lines.append(Series("target", [finite(entry.get("target")) for entry in history]))
    if len(history) > 1:
        title = f"{metric} after each epoch of the search"
        blocks.append(Plots(title, [(metric, line_chart(title, "epoch", f"{metric}, {unit}", epochs, lines), "")]))
    if wanted is not None:
        blocks.append(
            Note(
                "The expectation is over the probabilities of all candidates; the target is that of the architecture. "
                "The last point is what was chosen after the search, within the target where any architecture is."
            )
        )
    return Section("target", "Cost of the architecture", blocks)


def _verdict(told: Mapping[str, Any]) -> str:
    if told.get("met") is None:
        return ""
    return "met" if told["met"] else "not met"
