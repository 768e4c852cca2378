"""The picture of a found architecture that is a chain: a box for each layer, with what was chosen for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import nn

from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Identity, Zero

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Fewer layers under search are no chain worth a picture of its own
_FEWEST = 3
# inches
_TALL, _GAP, _ROW, _MARGIN, _CHAR = 0.42, 0.3, 1.15, 0.3, 0.083
_NARROWEST = 0.9
# Boxes in a row
_COLUMNS = 7
_FIXED = "#eeeeee"
_FACES = ("#d7e3f4", "#dcebdc", "#f3e3c8", "#ead9ef", "#f4d9dc", "#d5ecec", "#ece8c6", "#e3dccf", "#d9d9f2", "#e6efd2")


@dataclass(frozen=True)
class ChainBox:
    """A step of a chain.

    Attributes:
        name: Of its layer, `layer_03`; empty for a step that is not under search.
        label: Name of what stands there.
        kind: "op", "zero" (nothing passes but the shortcut) or "fixed" (not under search).
        channels: That it returns; None where it does not say.
        stride: Of both spatial dimensions.
        has_shortcut: Whether its input is added to what it gives.
    """

    name: str
    label: str
    kind: str
    channels: int | None
    stride: int
    has_shortcut: bool


def chain_of(graph: Graph) -> list[ChainBox] | None:
    """Return the steps of a discrete architecture that is a chain; None where it is none.

    Each node has one successor, and at least three edges are layers: graphs of a single edge that was under search,
    beside which there may be a shortcut.
    """
    order = sorted(graph.nodes)
    if [*graph.edges] and sorted(graph.edges) != list(itertools.pairwise(order)):
        return None
    boxes = []
    for source, target in itertools.pairwise(order):
        op = graph.edges[source, target].op
        if not isinstance(op, Graph):
            boxes.append(_box("", op, "fixed", False))
            continue
        searched = [data for _, _, data in op.edges(data=True) if not data.is_final()]
        if len(searched) != 1 or len(op) > 3 or isinstance(searched[0].op, list):
            return None
        is_layer = op.scope is not None and op.scope in graph.OPTIMIZER_SCOPE
        boxes.append(_box(op.name or "", searched[0].op, "op" if is_layer else "fixed", len(op) == 3))
    return boxes if sum(box.kind != "fixed" for box in boxes) >= _FEWEST else None


def steps_of(graph: Graph) -> list[ChainBox]:
    """Return a box for every edge of a network whose nodes follow one another; none of another one."""
    order = sorted(graph.nodes)
    if sorted(graph.edges) != list(itertools.pairwise(order)):
        return []
    ops = [graph.edges[edge].op for edge in itertools.pairwise(order)]
    inside = _layers_in(ops[0]) if len(ops) == 1 else []
    return inside or [replace(_box("", op, "fixed", False), label=_name_of(op)) for op in ops]


def _layers_in(module: Any) -> list[ChainBox]:
    """Return the layers of a module that is one Sequential: those with weights of their own, and pooling."""
    while isinstance(module, nn.Module) and not isinstance(module, nn.Sequential):
        children = list(module.children())
        if len(children) != 1:
            return []
        module = children[0]
    found = []
    for layer in module if isinstance(module, nn.Sequential) else ():
        kind = type(layer).__name__
        size, stride = getattr(layer, "kernel_size", None), getattr(layer, "stride", 1)
        channels = getattr(layer, "out_channels", getattr(layer, "out_features", None))
        if channels is not None or "Pool" in kind:
            sides = size if isinstance(size, tuple) else (size, size) if size else ()
            label = " ".join(filter(None, [kind, "x".join(map(str, sides))]))
            found.append(ChainBox("", label, "op", channels, stride[0] if isinstance(stride, tuple) else stride, False))
    return found


def _name_of(op: Any) -> str:
    return str(op.name or "graph") if isinstance(op, Graph) else op_name(op)


def _box(name: str, op: Any, kind: str, has_shortcut: bool) -> ChainBox:
    if kind == "op" and isinstance(op, Zero | Identity):
        kind = "zero"
    channels, stride = _shape(op)
    return ChainBox(name if kind != "fixed" else "", op_name(op), kind, channels, stride, has_shortcut)


def _shape(op: Any) -> tuple[int | None, int]:
    """Return the channels that an operation gives, and its stride, as the arguments of its constructor tell."""
    blocks = op.get_embedded_ops() if hasattr(op, "get_embedded_ops") else None
    if blocks:
        shapes = [_shape(block) for block in blocks]
        stride = 1
        for _, one in shapes:
            stride *= one
        return shapes[-1][0], stride
    arguments = getattr(op, "init_params", {})
    channels, stride = arguments.get("C_out"), arguments.get("stride", 1)
    return (int(channels) if channels is not None else None), (int(stride) if isinstance(stride, int) else 1)


def draw_found_chain(boxes: Sequence[ChainBox]) -> Figure:
    """Return the picture of a chain.

    A box has the name of what stands there, in a colour for each name, dashed where a layer is left out; above it its
    layer, below it the channels that it gives, and `/2` where it halves the image. An arc is a shortcut.

    Args:
        boxes: Its steps.
    """
    from matplotlib.figure import Figure

    wide = max(_NARROWEST, *(len(text) * _CHAR + 0.2 for box in boxes for text in (box.label, box.name)))
    columns = min(_COLUMNS, len(boxes))
    rows = -(-len(boxes) // columns)
    width = 2 * _MARGIN + columns * wide + (columns - 1) * _GAP
    height = 2 * _MARGIN + rows * _ROW
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    faces = _faces(boxes)
    for index, box in enumerate(boxes):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * (wide + _GAP), _MARGIN + row * _ROW + 0.36
        _draw_box(axes, box, (left, top), wide, faces)
        if index + 1 < len(boxes):
            _draw_link(axes, (left, top), wide, column + 1 == columns)
    return figure


def _faces(boxes: Sequence[ChainBox]) -> dict[str, str]:
    labels = sorted({box.label for box in boxes if box.kind == "op"})
    return {label: _FACES[index % len(_FACES)] for index, label in enumerate(labels)}


def _draw_box(axes: Axes, box: ChainBox, at: tuple[float, float], wide: float, faces: dict[str, str]) -> None:
    from matplotlib.patches import Arc, FancyBboxPatch

    left, top = at
    middle = left + wide / 2
    axes.add_patch(
        FancyBboxPatch(
            (left + 0.03, top + 0.03),
            wide - 0.06,
            _TALL - 0.06,
            boxstyle="round,pad=0.03",
            facecolor=faces.get(box.label, _FIXED) if box.kind == "op" else _FIXED if box.kind == "fixed" else "white",
            edgecolor="#555555" if box.kind != "fixed" else "#aaaaaa",
            linestyle="--" if box.kind == "zero" else "-",
            linewidth=1.0,
        )
    )
    axes.text(middle, top + _TALL / 2, box.label, ha="center", va="center", fontsize=8)
    if box.has_shortcut:
        axes.add_patch(Arc((middle, top), wide + 0.12, 0.34, theta1=180, theta2=360, color="#999999", linewidth=1.0))
    name = box.name.replace("_", " ")
    axes.text(middle, top - 0.24, name, ha="center", va="center", fontsize=7, color="#666666")
    below = "" if box.channels is None else str(box.channels)
    below += f"  /{box.stride}" if box.stride > 1 else ""
    axes.text(middle, top + _TALL + 0.12, below, ha="center", va="center", fontsize=7, color="#666666")


def _draw_link(axes: Axes, at: tuple[float, float], wide: float, ends_row: bool) -> None:
    """Draw an arrow to the next box: to the right, or to the first box of the next row."""
    left, top = at
    start = left + wide, top + _TALL / 2
    if not ends_row:
        _arrow(axes, start, (start[0] + _GAP, start[1]))
        return
    right, turn, below = start[0] + _MARGIN / 2, top + _TALL + 0.26, top + _ROW + _TALL / 2
    first = _MARGIN / 2
    axes.plot([start[0], right, right, first, first], [start[1], start[1], turn, turn, below], color="#777777", lw=1.0)
    _arrow(axes, (first, below), (_MARGIN, below))


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    from matplotlib.patches import FancyArrowPatch

    axes.add_patch(
        FancyArrowPatch(
            start, end, shrinkA=0, shrinkB=0, arrowstyle="-|>", mutation_scale=9, color="#777777", linewidth=1.0
        )
    )
