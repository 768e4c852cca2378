"""Pictures: the found cells, and the architecture parameters over the epochs."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from naslib.errors import CheckpointError
from naslib.search_spaces.core.graph import Graph
from naslib.utils.files import atomic_write
from naslib.utils.log import get_logger

from .cell_layout import NODE_RADIUS, DrawnCell, PlacedEdge, cells_of, extent_of, place_edges, place_nodes
from .checkpoint import load_verified
from .found_chain import chain_of, draw_found_chain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

logger = get_logger(__name__)

COLOURS = (
    "#1f5fa8",
    "#b3541e",
    "#2f7d4f",
    "#7a4fa3",
    "#a83248",
    "#5a5a5a",
    "#8a6d1d",
    "#1f7f8c",
    "#3b3bb3",
    "#994d80",
)
_COLUMNS = 6
# inches
_TITLE = 0.35


def draw_cells(architecture: Graph, folder: Path) -> list[Path]:
    """Draw the kinds of cells of a discrete architecture to `cell_<name>.svg` and `.png`; a chain to `chain.svg`.

    Returns:
        The files.
    """
    chain = chain_of(architecture)
    if chain is not None:
        return save_figure(draw_found_chain(chain), folder / "chain")
    cells = named_cells(architecture)
    colours = colours_of(list(cells.values()))
    files: list[Path] = []
    for name, cell in cells.items():
        files += save_figure(draw_cell(cell, colours), folder / name)
    return files


def named_cells(architecture: Graph) -> dict[str, DrawnCell]:
    """Return the kinds of cells of a discrete architecture by the names of their pictures, `normal_cell`, `cell_2`."""
    found: dict[str, DrawnCell] = {}
    names: dict[str, int] = {}
    for cell in cells_of(architecture):
        names[cell.name] = names.get(cell.name, 0) + 1
        suffix = f"_{names[cell.name]}" if names[cell.name] > 1 else ""
        stem = cell.name if cell.name.startswith("cell") or cell.name.endswith("cell") else f"cell_{cell.name}"
        found[f"{stem}{suffix}"] = cell
    return found


def colours_of(cells: Sequence[DrawnCell]) -> dict[str, str]:
    """Return a colour for each label of an edge under search."""
    labels = sorted({edge.label for cell in cells for edge in cell.edges if edge.kind == "op"})
    return {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}


def draw_cell(cell: DrawnCell, colours: dict[str, str]) -> Figure:
    """Return the picture of a cell, the edges in the colours of their labels."""
    from matplotlib.figure import Figure

    positions = place_nodes(cell)
    edges = place_edges(cell, positions)
    leftmost, lowest, rightmost, highest = extent_of(edges, positions)
    width, height = rightmost - leftmost, highest - lowest
    figure = Figure(figsize=(width, height + _TITLE))
    axes = figure.add_axes((0, 0, 1, height / (height + _TITLE)))
    axes.set_xlim(leftmost, rightmost)
    axes.set_ylim(lowest, highest)
    axes.axis("off")
    figure.suptitle(cell.name.replace("_", " "), y=1 - 0.08 / (height + _TITLE), va="top", fontsize=11)
    for edge in edges:
        _draw_edge(axes, edge, positions, colours)
    for node, at in positions.items():
        face = "#dcebdc" if node in cell.inputs else "#f3e3c8" if node in cell.outputs else "#e8ecf4"
        _draw_node(axes, cell.labels.get(node, str(node)), at, face)
    return figure


def _draw_node(axes: Axes, label: str, at: tuple[float, float], face: str) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle(at, NODE_RADIUS, facecolor=face, edgecolor="#333333", linewidth=1.1, zorder=3))
    size = 6.5 if "\n" in label else 10 if len(label) <= 3 else 8
    axes.text(*at, label, ha="center", va="center", fontsize=size, zorder=4)


def _draw_edge(
    axes: Axes, placed: PlacedEdge, positions: dict[int, tuple[float, float]], colours: dict[str, str]
) -> None:
    from matplotlib.patches import FancyArrowPatch

    edge = placed.edge
    colour = colours.get(edge.label, "#9a9a9a") if edge.kind == "op" else "#b5b5b5"
    arrow = FancyArrowPatch(
        positions[edge.source],
        positions[edge.target],
        # a positive radius of matplotlib bends to the right of the direction, ours to the left
        connectionstyle=f"arc3,rad={-placed.bend}",
        arrowstyle="-|>",
        mutation_scale=11,
        shrinkA=NODE_RADIUS * 72,
        shrinkB=NODE_RADIUS * 72,
        linewidth=1.5 if edge.kind == "op" else 1.0,
        linestyle="--" if edge.kind == "zero" else "-",
        color=colour,
        zorder=1,
    )
    axes.add_patch(arrow)
    if edge.label:
        box = {"boxstyle": "round,pad=0.14", "facecolor": "white", "edgecolor": "none", "alpha": 0.92}
        axes.text(*placed.label_at, edge.label, ha="center", va="center", fontsize=8, color=colour, bbox=box, zorder=2)


def draw_arch_weights(folder: Path) -> list[Path]:
    """Draw the softmax of the recorded architecture parameters (`arch_weights.pt`) to `arch_weights.svg` and `.png`.

    Returns:
        The files; none where nothing was recorded, or where the record is damaged (that is warned of).
    """
    path = folder / "arch_weights.pt"
    if not path.is_file():
        return []
    try:
        record = load_verified(path)
    except CheckpointError as error:
        logger.warning("no picture of the architecture parameters over time: %s", error)
        return []
    if not any(map(len, record["series"])):  # no decisions, or a search of no epochs
        return []
    return save_figure(_draw_series(record["decisions"], record["series"]), folder / "arch_weights")


def _draw_series(decisions: Sequence[dict[str, Any]], series: Sequence[torch.Tensor]) -> Figure:
    from matplotlib.figure import Figure

    columns = min(_COLUMNS, len(series))
    rows = -(-len(series) // columns)
    ops = list(dict.fromkeys(op for decision in decisions for op in decision["ops"]))
    figure = Figure(figsize=(2.3 * columns + 0.4, 1.75 * rows + 0.9), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for place in axes.flat[len(series) :]:
        place.axis("off")
    for place, decision, values in zip(axes.flat, decisions, series, strict=False):
        weights = torch.softmax(values.double().reshape(values.shape[0], -1), dim=1)
        for op, line in zip(decision["ops"], weights.unbind(1), strict=False):
            place.plot(range(len(line)), line.tolist(), color=f"C{ops.index(op) % 10}", linewidth=1.1, label=op)
        former = f"{decision['graph']}/{decision['edge'][0]}-{decision['edge'][1]}"  # of runs without names
        place.set_title(decision.get("name", former), fontsize=7)
        place.tick_params(labelsize=6)
    axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    figure.supxlabel("epochs", fontsize=8)
    figure.supylabel("softmax of the architecture parameters", fontsize=8)
    handles = {
        label: handle for place in axes.flat for handle, label in zip(*place.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=min(len(handles), 4 if columns < 4 else 8),
        fontsize=7,
    )
    return figure


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure to `<stem>.svg` and `<stem>.png`, each whole or not at all, the same bytes each time."""
    files = []
    for kind in ("svg", "png"):
        path = stem.with_name(f"{stem.name}.{kind}")
        atomic_write(path, functools.partial(_write, figure_bytes(figure, kind)))
        files.append(path)
    return files


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """Return a figure as a file of a kind, `svg` or `png`; the same bytes each time."""
    import matplotlib

    options: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": 150}
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "naslib"}):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def _write(data: bytes, file: BinaryIO) -> None:
    file.write(data)
