"""The picture of a network that is a chain: a box for each of its layers, with what is to be chosen in it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.elastic import Value
from naslib.search_spaces.core.elastic.network import values_in
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.node_choices import choices_at

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# inches
_LINE, _CHAR, _GAP, _MARGIN, _PAD = 0.19, 0.066, 0.32, 0.2, 0.1
_PER_ROW, _MOST_LINES, _MOST_CHARS = 7, 9, 34
_FACES = {True: "#e3eaf6", False: "#f1f1f1"}


class Box(NamedTuple):
    """A layer, or several that are alike: its name, whether something is to be chosen in it, and what."""

    title: str
    searched: bool
    lines: tuple[str, ...]


def boxes_of(graph: Graph) -> list[Box]:
    """Return the layers of a chain from the input to the output, those that are alike joined; none of another graph.

    Args:
        graph: A space, compiled, in which nothing is decided yet.
    """
    if any(graph.in_degree(node) > 1 or graph.out_degree(node) > 1 for node in graph.nodes) or len(graph.edges) < 3:
        return []
    ordered = sorted(graph.edges(data=True), key=lambda edge: edge[:2])
    layers: list[Box] = []
    for _, target, data in ordered:
        nested = graph.nodes[target].get("subgraph")
        layers.append(_box(data.op))
        if nested is not None:
            layers.append(_box(nested))
    if not any(box.searched for box in layers):
        return []
    found = []
    for (title, searched, lines), alike in itertools.groupby(layers):
        number = len(list(alike))
        found.append(Box(f"{title}  x{number}" if number > 1 else title, searched, lines))
    return found


def _box(op: Any) -> Box:
    if isinstance(op, list | tuple):
        return Box("one of", True, _cut([_short(op_name(candidate)) for candidate in op]))
    if isinstance(op, Graph):
        lists = [data.op for _, _, data in op.edges(data=True) if isinstance(data.op, list | tuple)]
        chosen = bool(lists) or any(True for _ in choices_at(op))
        if len(lists) == 1:
            return _box(lists[0])
        inside = sum(1 for nested in op.nested_graphs() for *_, data in nested.edges(data=True) if _is_list(data.op))
        name = _short(str(op.name or "cell").rstrip("0123456789_"))
        return Box(name, chosen or inside > 0, (f"{inside} edges to decide",) if inside else ())
    values = values_in(op) if isinstance(op, nn.Module) else ()
    return Box(_short(op_name(op)), bool(values), _cut([_written(value) for value in values]))


def _is_list(op: Any) -> bool:
    return isinstance(op, list | tuple)


def _written(value: Value) -> str:
    return _short(f"{value.label}: {', '.join(map(str, value.values))}")


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 3]}..."


def _cut(lines: list[str]) -> tuple[str, ...]:
    if len(lines) <= _MOST_LINES:
        return tuple(lines)
    return (*lines[: _MOST_LINES - 1], f"and {len(lines) - _MOST_LINES + 1} more")


def draw_chain(boxes: list[Box]) -> Figure:
    """Return the picture of a chain, in rows that are read from left to right."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    rows = [boxes[start : start + _PER_ROW] for start in range(0, len(boxes), _PER_ROW)]
    widths = [[_width(box) for box in row] for row in rows]
    heights = [max(_LINE * (1 + len(box.lines)) + 2 * _PAD for box in row) for row in rows]
    width = max(sum(row) + _GAP * (len(row) - 1) for row in widths) + 2 * _MARGIN
    height = sum(heights) + _GAP * (len(rows) - 1) + 2 * _MARGIN
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    top, last = _MARGIN, None
    for row, row_widths, tall in zip(rows, widths, heights, strict=True):
        left = _MARGIN
        for box, wide in zip(row, row_widths, strict=True):
            own = _LINE * (1 + len(box.lines)) + 2 * _PAD
            y = top + (tall - own) / 2
            axes.add_patch(
                FancyBboxPatch(
                    (left + 0.03, y + 0.03),
                    wide - 0.06,
                    own - 0.06,
                    boxstyle="round,pad=0.03",
                    facecolor=_FACES[box.searched],
                    edgecolor="#555555",
                    linewidth=0.9,
                )
            )
            weight = "bold" if box.searched else "normal"
            axes.text(
                left + wide / 2, y + _PAD + _LINE / 2, box.title, fontsize=8, ha="center", va="center", weight=weight
            )
            for number, line in enumerate(box.lines, 1):
                at = y + _PAD + _LINE * (number + 0.5)
                axes.text(left + wide / 2, at, line, fontsize=7, ha="center", va="center", color="#1f5fa8")
            middle = (left, top + tall / 2)
            if last is not None and last[0] < left:
                axes.add_patch(FancyArrowPatch(last, middle, arrowstyle="-|>", mutation_scale=9, color="#555555"))
            elif last is not None:  # the row before goes on here
                axes.text(left - 0.02, middle[1], "...", fontsize=9, ha="right", va="center", color="#555555")
            last = (left + wide, top + tall / 2)
            left += wide + _GAP
        top += tall + _GAP
    return figure


def _width(box: Box) -> float:
    return max(len(line) for line in (f" {box.title} ", *box.lines)) * _CHAR + 2 * _PAD
