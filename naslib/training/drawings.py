"""Drawings of spaces, architectures and networks, to be written as SVG, PNG or DOT."""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from naslib.errors import ConfigError
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity, Zero
from naslib.utils.files import atomic_write, atomic_write_text

from .cell_layout import CellEdge, DrawnCell
from .chain_picture import boxes_of, draw_chain
from .dot_text import dot_of_boxes, dot_of_cell, dot_of_found, dot_of_rows
from .found_chain import chain_of, draw_found_chain, steps_of
from .pictures import colours_of, draw_cell, figure_bytes, named_cells
from .space_pictures import chosen_rows, draw_rows, kinds_of_cells, rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png", "dot")
# Resolution of what graphviz draws as pixels; it is ours, too
_DPI = 150
_SECONDS = 120


@dataclass(frozen=True)
class Drawing:
    """A drawing.

    Attributes:
        name: What it is of, a part of a file's name.
        figure: Returns it as a figure, in the layout of naslib.
        dot: Returns it in the language DOT.
        laid_out: Whether a program that lays out graphs has anything to do; a chain or a table has a layout.
    """

    name: str
    figure: Callable[[], Figure]
    dot: Callable[[], str]
    laid_out: bool = True


def drawings_of_space(space: Graph) -> list[Drawing]:
    """Return the cells of a space with what can stand on each edge, its chain of layers, and the table of decisions.

    Args:
        space: A space in which nothing is decided yet; it is not changed.

    Raises:
        UnsupportedBySpaceError: If there is nothing to choose.
    """
    graph = space.clone()
    graph.compile()
    cells = kinds_of_cells(graph)
    colours = colours_of(cells)
    found = [_of_cell(cell.name, cell, colours) for cell in cells]
    boxes = boxes_of(graph)
    if boxes:
        drawn, text = functools.partial(draw_chain, boxes), functools.partial(dot_of_boxes, boxes)
        found.append(Drawing("chain", drawn, text, laid_out=False))
    rows = rows_of(graph.decision_space.decisions)
    table, text = functools.partial(draw_rows, rows), functools.partial(dot_of_rows, rows)
    return [*found, Drawing("decisions", table, text, laid_out=False)]


def drawings_of_architecture(architecture: Graph) -> list[Drawing]:
    """Return the cells of a discrete architecture, or its chain, or the table of what was chosen; else its network.

    Args:
        architecture: A discrete architecture.
    """
    chain = chain_of(architecture)
    if chain is not None:
        drawn, text = functools.partial(draw_found_chain, chain), functools.partial(dot_of_found, chain)
        return [Drawing("chain", drawn, text, laid_out=False)]
    cells = named_cells(architecture)
    colours = colours_of(list(cells.values()))
    found = [_of_cell(name, cell, colours) for name, cell in cells.items()]
    rows = chosen_rows(architecture)
    if rows:
        table, text = functools.partial(draw_rows, rows), functools.partial(dot_of_rows, rows)
        found.append(Drawing("decisions", table, text, laid_out=False))
    steps = [] if found else steps_of(architecture)
    if steps:
        drawn, text = functools.partial(draw_found_chain, steps), functools.partial(dot_of_found, steps)
        return [Drawing("network", drawn, text, laid_out=False)]
    return found or [_of_cell("network", _network(architecture), {}, boxes=True)]


def drawings_of_supernet(space: Graph) -> list[Drawing]:
    """Return the outermost graph of a space: which parts its network has, and what passes between them.

    Of a network that is a chain these are its layers, in rows; those that are alike stand there once.

    Args:
        space: A space in which nothing is decided yet; it is not changed.

    Returns:
        One drawing; none of a space whose graph is empty until an architecture is built in it.
    """
    graph = space.clone()
    graph.compile()
    if not graph.nodes:
        return []
    boxes = boxes_of(graph)
    if boxes:
        drawn, text = functools.partial(draw_chain, boxes), functools.partial(dot_of_boxes, boxes)
        return [Drawing("network", drawn, text, laid_out=False)]
    return [_of_cell("network", _network(graph), {}, boxes=True)]


def _of_cell(name: str, cell: DrawnCell, colours: dict[str, str], boxes: bool = False) -> Drawing:
    figure = functools.partial(draw_cell, cell, colours)
    return Drawing(name, figure, functools.partial(dot_of_cell, cell, colours, boxes))


def _network(graph: Graph) -> DrawnCell:
    """Return the outermost graph as a cell whose nodes and edges are named after what is nested in them."""
    edges = []
    for source, target, data in sorted(graph.edges(data=True), key=lambda edge: edge[:2]):
        kind = "op" if isinstance(data.op, list | tuple) else "zero" if isinstance(data.op, Zero) else "fixed"
        edges.append(CellEdge(source, target, _written(data.op), kind))
    labels = {}
    for node, data in graph.nodes(data=True):
        nested = data.get("subgraph")
        label = data.get("label") or (nested.name if nested is not None else "")
        if label:
            labels[node] = f"{node}\n{label}"
    return DrawnCell(graph.get_type(), tuple(sorted(graph.nodes)), tuple(edges), labels)


def _written(op: object) -> str:
    if isinstance(op, list | tuple):
        return f"{len(op)} operations"
    if isinstance(op, Graph):
        return str(op.name or "graph")
    return "" if isinstance(op, Identity) else op_name(op)


def graphviz() -> str | None:
    """Return where the program `dot` of graphviz is, None where it is not."""
    return shutil.which("dot")


def write_drawing(drawing: Drawing, path: Path, kind: str, program: str | None = None) -> None:
    """Write a drawing, whole or not at all; the same bytes each time.

    Args:
        drawing: What to write.
        path: The file; what is there is replaced.
        kind: `"svg"`, `"png"` or `"dot"`.
        program: The `dot` that lays out what needs it; None for the layout of naslib.

    Raises:
        ConfigError: If the program fails, or the kind is none of these.
    """
    if kind not in FORMATS:
        raise ConfigError(f"a drawing is written as {', '.join(FORMATS)}, not as {kind!r}")
    if kind == "dot":
        atomic_write_text(path, drawing.dot())
        return
    content = _laid_out(drawing.dot(), kind, program) if program and drawing.laid_out else None
    data = content if content is not None else figure_bytes(drawing.figure(), kind)
    atomic_write(path, lambda file: file.write(data))


def _laid_out(text: str, kind: str, program: str) -> bytes:
    """Return what graphviz makes of a text.

    Raises:
        ConfigError: If it cannot.
    """
    options = [f"-T{kind}", f"-Gdpi={_DPI}"] if kind == "png" else [f"-T{kind}"]
    try:
        done = subprocess.run([program, *options], input=text.encode(), capture_output=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"graphviz's {program} did not draw: {error}; --layout own draws without it") from error
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip().split("\n")[0]
        raise ConfigError(f"graphviz's {program} did not draw: {said}; --layout own draws without it")
    return done.stdout
