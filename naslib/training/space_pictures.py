"""Pictures of search spaces: their cells with what is to be chosen on each edge, and a table of their decisions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.choices import ChoiceGraph
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity, Zero

from .cell_layout import CellEdge, DrawnCell, cells_of, graphs_in_scope, node_labels
from .chain_picture import boxes_of, draw_chain
from .pictures import colours_of, draw_cell, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Cells of more nodes are drawn as tables only: on paper they are knots
_MOST_NODES = 24
# As many candidates are named on an edge, more are counted
_NAMED = 2
# inches
_LINE, _CHAR, _GAP, _MARGIN, _WIDEST = 0.3, 0.072, 0.08, 0.2, 9.0
# As many candidates of a decision, and rows of a table, are drawn
_MOST_CANDIDATES, _MOST_ROWS = 24, 40
_KINDS = {"op": "#e3eaf6", "inputs": "#dcebdc", "value": "#f3e3c8"}
_CHOSEN = "#f0b95a"


class Row(NamedTuple):
    """Decisions that are alike: their names, kind, how many are chosen, and candidates as they are written."""

    name: str
    kind: str
    rule: str
    candidates: tuple[str, ...]
    chosen: tuple[str, ...] = ()


def draw_choices(architecture: Graph, folder: Path) -> list[Path]:
    """Draw what an architecture without cells has chosen, `decisions.svg` and `.png`: a table, the chosen set off.

    Args:
        architecture: A discrete architecture.
        folder: Where the pictures go.

    Returns:
        The files; none of an architecture with cells (`draw_cells` draws these), or that is known by no decisions.
    """
    rows = chosen_rows(architecture)
    return save_figure(draw_rows(rows), folder / "decisions") if rows else []


def chosen_rows(architecture: Graph) -> list[Row]:
    """Return a row for each decision of an architecture without cells, with what was chosen; none of another one."""
    space = architecture._decision_space
    if space is None or cells_of(architecture):
        return []
    code = architecture.get_code()
    choices = space.choices(code)
    rows = []
    for row, decision in zip(rows_of(space.active(code), joined=False), space.active(code), strict=True):
        picked = choices[decision.name] if decision.kind == "inputs" else (choices[decision.name],)
        more = () if picked else ("none",)  # of any subset, the empty one
        chosen = tuple(map(_written, picked)) or more
        rows.append(row._replace(candidates=(*row.candidates, *more), chosen=chosen))
    return rows


def draw_space(space: Graph, folder: Path, name: str) -> list[Path]:
    """Draw a search space: its kinds of cells, `<name>_<cell>`, its chain of layers and the table of its decisions.

    The chain, `<name>_chain`, is there where the network is one; the decisions are `<name>_decisions`.

    Args:
        space: A space in which nothing is decided yet.
        folder: Where the pictures go, `.svg` and `.png` of each.
        name: What their names begin with.

    Returns:
        The files.

    Raises:
        UnsupportedBySpaceError: If there is nothing to choose.
    """
    graph = space.clone()
    graph.compile()
    cells = kinds_of_cells(graph)
    colours = colours_of(cells)
    files: list[Path] = []
    for cell in cells:
        files += save_figure(draw_cell(cell, colours), folder / f"{name}_{cell.name}")
    boxes = boxes_of(graph)
    if boxes:
        files += save_figure(draw_chain(boxes), folder / f"{name}_chain")
    rows = rows_of(graph.decision_space.decisions)
    return files + save_figure(draw_rows(rows), folder / f"{name}_decisions")


def kinds_of_cells(graph: Graph) -> list[DrawnCell]:
    """Return the cells of a space that are drawn: of cells that are numbered, the largest that can be stands for all.

    Args:
        graph: A space, compiled, in which nothing is decided yet.
    """
    kinds: dict[str, DrawnCell] = {}
    for cell in _cells(graph):
        kind = _without_numbers(cell.name)
        if 2 < len(cell.nodes) <= _MOST_NODES and (kind not in kinds or len(cell.edges) > len(kinds[kind].edges)):
            kinds[kind] = cell
    return list(kinds.values())


def rows_of(decisions: Sequence[Decision], joined: bool = True) -> list[Row]:
    """Return the rows of the table of decisions.

    Args:
        decisions: The decisions.
        joined: Whether those that differ in numbers of their names alone become one row.
    """
    groups: dict[Any, list[Decision]] = {}
    for decision in decisions:
        groups.setdefault(_likeness(decision) if joined else decision.name, []).append(decision)
    found = []
    for group in groups.values():
        first, last = group[0], group[-1]
        name = first.name if len(group) == 1 else f"{first.name} ... {last.name}  ({len(group)})"
        chosen = "any of" if first.n_chosen is None else f"{first.n_chosen} of"
        texts = tuple(map(_written, first.candidates[:_MOST_CANDIDATES]))
        more = len(first.candidates) - len(texts)
        found.append(Row(name, first.kind, chosen, (*texts, f"and {more} more") if more else texts))
    return found


def _likeness(decision: Decision) -> tuple[Any, ...]:
    return _without_numbers(decision.name), decision.kind, decision.n_chosen, decision.candidates


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "#", name)


def _written(candidate: Any) -> str:
    text = str(candidate)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _cells(graph: Graph) -> Iterator[DrawnCell]:
    """Yield the kinds of cells that have something to choose; numbers in their names make no kind."""
    seen = set()
    for nested in graphs_in_scope(graph):
        if isinstance(nested, ChoiceGraph):  # one edge, or one node: the table says it
            continue
        edges = tuple(
            _describe(u, v, data) for u, v, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2])
        )
        chooses = any(edge.kind == "op" for edge in edges)
        combines = [node for node, data in nested.nodes(data=True) if isinstance(data.get("comb_op"), list)]
        if not chooses and not combines:
            continue
        name = nested.name or "cell"
        key = (re.sub(r"\d+", "#", name), tuple(nested.nodes), edges)
        if key not in seen:
            seen.add(key)
            marks = {node: f"{node}\n1 of {len(nested.nodes[node]['comb_op'])}" for node in combines}
            yield DrawnCell(name, tuple(sorted(nested.nodes)), edges, {**marks, **node_labels(nested)})


def _describe(u: int, v: int, data: Any) -> CellEdge:
    op = data.op
    if isinstance(op, list | tuple):
        names = [op_name(candidate) for candidate in op]
        return CellEdge(u, v, " | ".join(names) if len(names) <= _NAMED else f"{len(names)} operations", "op")
    if isinstance(op, Zero):
        return CellEdge(u, v, "none", "zero")
    return CellEdge(u, v, "" if isinstance(op, Identity | Graph) else op_name(op), "fixed")


def draw_rows(rows: Sequence[Row]) -> Figure:
    """Return the table of decisions; what is chosen is set off."""
    from matplotlib.figure import Figure

    shown = list(rows[:_MOST_ROWS])
    names = [row.name for row in shown]
    if len(rows) > len(shown):
        names.append(f"and {len(rows) - len(shown)} more rows")
    left = _MARGIN + max(len(name) for name in names) * _CHAR + 0.3
    right = left + 0.65
    places = [list(_place_chips(row.candidates, right)) for row in shown]
    width = max([x + w for chips in places for x, w, _, _ in chips] + [right]) + _MARGIN
    heights = [(1 + max(line for _, _, line, _ in chips)) * _LINE + _GAP for chips in places]
    height = sum(heights) + (len(names) - len(shown)) * _LINE + 2 * _MARGIN
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    top = _MARGIN
    for row, chips, tall in zip(shown, places, heights, strict=True):
        axes.text(_MARGIN, top + _LINE / 2, row.name, fontsize=8, va="center", family="DejaVu Sans Mono")
        axes.text(left, top + _LINE / 2, row.rule, fontsize=8, va="center", color="#666666")
        for x, w, line, text in chips:
            colour = _CHOSEN if text in row.chosen else "#ffffff" if row.chosen else _KINDS[row.kind]
            _draw_chip(axes, (x, top + line * _LINE), w, text, colour)
        top += tall
    for name in names[len(shown) :]:
        axes.text(_MARGIN, top + _LINE / 2, name, fontsize=8, va="center", color="#666666")
    return figure


def _place_chips(candidates: Sequence[str], left: float) -> Iterator[tuple[float, float, int, str]]:
    """Yield left end, width and line of each candidate's box, and what it says."""
    x, line = left, 0
    for text in candidates:
        width = len(text) * _CHAR + 0.16
        if x > left and x + width > left + _WIDEST:
            x, line = left, line + 1
        yield x, width, line, text
        x += width + _GAP


def _draw_chip(axes: Axes, at: tuple[float, float], width: float, text: str, colour: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = at
    box = FancyBboxPatch(
        (x + 0.03, y + 0.06),
        width - 0.06,
        _LINE - 0.12,
        boxstyle="round,pad=0.03",
        facecolor=colour,
        edgecolor="#777777",
        linewidth=0.7,
    )
    axes.add_patch(box)
    axes.text(x + width / 2, y + _LINE / 2, text, fontsize=8, ha="center", va="center", family="DejaVu Sans Mono")
