"""Section: parameters, multiply-accumulates and latency by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..amounts import DASH, TIMES, WITHIN, amount, counted, number
from ..blocks import Folded, Note, Section, Table, TableCell, Text, Tiles
from ..measuring import MeasuredLayer, MeasuredNetwork, measure
from ..reading import SavedRun
from ..state import RunStage, stage_of

# Of more layers the parts of the network are listed first, and so many of them
_ROWS, _MOST = 60, 400


def layers(run: SavedRun, is_measured: bool) -> Section | None:
    """Return the section of the layers.

    Args:
        run: The run.
        is_measured: Whether to measure.
    """
    if not run.network_record:
        if stage_of(run) is not RunStage.FINISHED:
            return None
        why = (
            "a benchmark was asked, and no network was built"
            if run.mode == "query"
            else "the run has no eval/network.json"
        )
        return Section("layers", "Size and time by layer", [Note(f"Nothing was measured: {why}.")])
    if not is_measured:
        return Section(
            "layers", "Size and time by layer", [Note("Nothing was measured: the page was written with --no-measure.")]
        )
    found, why = measure(run)
    if found is None:
        return Section("layers", "Size and time by layer", [Note(f"Nothing could be measured: {why}.")])
    return Section("layers", "Size and time by layer", _blocks(found))


def _blocks(found: MeasuredNetwork) -> list[Any]:
    shape = TIMES.join(map(str, found.input_shape))
    intro = (
        f"Measured where this page was written, on the CPU with {counted(found.threads, 'thread')}, for one input of "
        f"{shape}: the median of a few forwards. Other machines, batches and threads have other times; sizes are "
        "the same everywhere. Multiply-accumulates are those of convolutions and linear layers."
    )
    tiles = [
        (
            "one input",
            f"{number(found.milliseconds, 3)} ms",
            f"{number(1000 / found.milliseconds, 3)} inputs per second, one by one",
        ),
        ("parameters", f"{found.params:,}", ""),
        ("multiply-accumulates", amount(round(found.macs * 1e6)), ""),
    ]
    intro_blocks: list[Any] = [Text(intro), Tiles(tiles)]
    if len(found.layers) <= _ROWS:
        return [*intro_blocks, _table(found.layers, "Layers in the order in which they run first")]
    whole = _table(found.layers[:_MOST], "Layers in the order in which they run first")
    more = [Note(f"{_MOST} of {counted(len(found.layers), 'layer')} are listed.")] if len(found.layers) > _MOST else []
    parts = _table(by_part(found.layers), "Parts of the network in the order in which they run first")
    return [*intro_blocks, parts, Folded(f"All {counted(len(found.layers), 'layer')}", [whole, *more])]


def by_part(layers: Sequence[MeasuredLayer]) -> list[MeasuredLayer]:
    """Return the layers of each part of a network as one: what its place begins with, with their sums.

    Args:
        layers: Layers, in order.
    """
    parts: dict[str, list[MeasuredLayer]] = {}
    for layer in layers:
        parts.setdefault(layer.name.split(WITHIN)[0], []).append(layer)
    return [
        MeasuredLayer(
            name, counted(len(inner), "layer") if len(inner) > 1 else inner[0].kind, inner[-1].shape,
            sum(layer.params for layer in inner), math.fsum(layer.macs for layer in inner),
            math.fsum(layer.milliseconds or 0.0 for layer in inner),
        )
        for name, inner in parts.items()
    ]  # fmt: skip


def _table(layers: Sequence[MeasuredLayer], title: str) -> Table:
    most_params = max((layer.params for layer in layers), default=0) or 1
    most_macs = max((layer.macs for layer in layers), default=0) or 1
    most_time = max((layer.milliseconds or 0 for layer in layers), default=0) or 1
    rows: list[list[TableCell | str]] = []
    for place, layer in enumerate(layers):
        took = layer.milliseconds or 0.0
        rows.append(
            [
                TableCell(layer.name, place),
                layer.kind,
                layer.shape or DASH,
                TableCell(f"{layer.params:,}", layer.params, layer.params / most_params),
                TableCell(number(layer.macs, 3), layer.macs, layer.macs / most_macs),
                TableCell(number(took, 3), took, took / most_time),
            ]
        )
    columns = ("layer", "kind", "gives", "parameters", "M mult.-acc.", "ms")
    caption = f"{title}; the bar is the share of the largest"
    return Table(caption, columns, rows, frozenset((3, 4, 5)), is_sortable=True)
