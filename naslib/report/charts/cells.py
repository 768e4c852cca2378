"""Pictures of cells and of chains of layers, in the colours of the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from naslib.training.cell_layout import (
    NODE_RADIUS,
    DrawnCell,
    PlacedEdge,
    Point,
    curve,
    extent_of,
    place_edges,
    place_nodes,
)
from naslib.training.found_chain import ChainBox

from .palette import style
from .svg import clean, element, new_id, picture, text

# Pixels of an inch of the layout
_INCH = 74.0
# Boxes in a row of a chain, and their sizes
_COLUMNS, _WIDE, _TALL, _GAP, _ROW, _EDGE = 5, 138.0, 34.0, 26.0, 94.0, 16.0
_CHARACTERS = 22


def numbers_of(cells: Sequence[DrawnCell]) -> dict[str, int]:
    """Return a number for each operation on an edge under search: its colour."""
    labels = sorted({edge.label for cell in cells for edge in cell.edges if edge.kind == "op"})
    return {label: index for index, label in enumerate(labels)}


def cell_picture(cell: DrawnCell, numbers: Mapping[str, int]) -> str:
    """Draw a cell: nodes from left to right, and on each edge its operation.

    Args:
        cell: The cell.
        numbers: The number of each operation's colour.
    """
    positions = place_nodes(cell)
    edges = place_edges(cell, positions)
    left, low, right, high = extent_of(edges, positions, above=0.45)

    def at(point: Point) -> Point:
        return (point[0] - left) * _INCH, (high - point[1]) * _INCH

    arrow = new_id("arrow")
    head = element("path", d="M0 0L8 3.5L0 7Z", class_="head")
    marker = element(
        "marker", head, id=arrow, viewBox="0 0 8 7", refX=7.5, refY=3.5, markerWidth=8, markerHeight=7, orient="auto",
        markerUnits="userSpaceOnUse",
    )  # fmt: skip
    lines = [_edge_line(edge, positions, at, numbers, arrow) for edge in edges]
    labels = [_edge_label(edge, at, numbers) for edge in edges if edge.edge.label]
    nodes = [_node(cell, node, at(place)) for node, place in positions.items()]
    name = cell.name.replace("_", " ")
    size = (right - left) * _INCH, (high - low) * _INCH
    return picture(name, cell_in_words(cell), *size, element("defs", marker), *lines, *labels, *nodes, class_="drawing")


def cell_in_words(cell: DrawnCell) -> str:
    """Return what each node of a cell is made of."""
    sentences = []
    for node in cell.nodes:
        entering = [edge for edge in cell.edges if edge.target == node and edge.kind != "zero"]
        if entering:
            parts = [
                f"{edge.label} of {_called(cell, edge.source)}" if edge.label else _called(cell, edge.source)
                for edge in entering
            ]
            sentences.append(f"{_called(cell, node)} is made of {', '.join(parts)}.")
    return " ".join(sentences) or "Nothing passes through the cell."


def _called(cell: DrawnCell, node: int) -> str:
    label = cell.labels.get(node)
    return f"node {node}" if label is None else " ".join(label.replace("{", "").replace("}", "").split())


def _edge_line(
    placed: PlacedEdge, positions: Mapping[int, Point], at: object, numbers: Mapping[str, int], arrow: str
) -> str:
    points = curve(positions[placed.edge.source], positions[placed.edge.target], placed.bend, 61).tolist()
    ends = positions[placed.edge.source], positions[placed.edge.target]
    outside = [p for p in points if all(_distance(p, end) > NODE_RADIUS * 1.05 for end in ends)] or points
    places = [at((p[0], p[1])) for p in outside]  # type: ignore[operator]
    middle = places[len(places) // 2]
    # the control point such that the curve passes through the middle of what is left of it
    control = [2 * middle[i] - (places[0][i] + places[-1][i]) / 2 for i in (0, 1)]
    start, bend, end = (f"{x:.1f} {y:.1f}" for x, y in (places[0], control, places[-1]))
    d = f"M{start}Q{bend} {end}"
    kind = placed.edge.kind
    colour = f" {style(numbers.get(placed.edge.label, 0)).split()[0]}" if kind == "op" else ""
    return element("path", d=d, class_=f"edge {kind}{colour}", marker_end=f"url(#{arrow})")


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def _edge_label(placed: PlacedEdge, at: object, numbers: Mapping[str, int]) -> str:
    x, y = at(placed.label_at)  # type: ignore[operator]
    kind = placed.edge.kind
    colour = f" {style(numbers.get(placed.edge.label, 0)).split()[0]}" if kind == "op" else ""
    return text(placed.edge.label, x, y + 3.5, class_=f"on-edge {kind}{colour}", text_anchor="middle")


def _node(cell: DrawnCell, node: int, place: Point) -> str:
    kind = "input" if node in cell.inputs else "output" if node in cell.outputs else "inner"
    label = cell.labels.get(node, str(node)).replace("{", "").replace("}", "")
    size = "small" if len(label) > 3 or "\n" in label else "usual"
    lines = label.split("\n")[:3]
    words = [
        text(
            line,
            place[0],
            place[1] + 3.5 + (index - (len(lines) - 1) / 2) * 9,
            class_=f"in-node {size}",
            text_anchor="middle",
        )
        for index, line in enumerate(lines)
    ]
    return element("circle", cx=place[0], cy=place[1], r=NODE_RADIUS * _INCH, class_=f"node {kind}") + "".join(words)


def chain_picture(boxes: Sequence[ChainBox]) -> str:
    """Draw a chain of layers as boxes in rows, from left to right.

    Above a box is its layer, below it the channels that it gives, `/2` where it halves the image; a dashed box passes
    on what it gets, an arc is a shortcut.

    Args:
        boxes: The layers.
    """
    columns = min(_COLUMNS, len(boxes))
    rows = -(-len(boxes) // columns)
    width, height = 2 * _EDGE + columns * _WIDE + (columns - 1) * _GAP, 2 * _EDGE + rows * _ROW
    labels = sorted({box.label for box in boxes if box.kind == "op"})
    drawn = []
    for index, box in enumerate(boxes):
        row, column = divmod(index, columns)
        left, top = _EDGE + column * (_WIDE + _GAP), _EDGE + row * _ROW + 28
        number = labels.index(box.label) if box.kind == "op" else -1
        drawn.append(_box(box, left, top, number))
        if index + 1 < len(boxes):
            drawn.append(_link(left, top, column + 1 == columns))
    words = "; ".join(
        f"{box.name or 'fixed'}: {box.label}" + (f", {box.channels} channels" if box.channels else "") for box in boxes
    )
    return picture("the layers, in order", words, width, height, *drawn, class_="drawing")


def _box(box: ChainBox, left: float, top: float, number: int) -> str:
    middle = left + _WIDE / 2
    colour = f" {style(number).split()[0]}" if number >= 0 else ""
    label = box.label if len(box.label) <= _CHARACTERS else f"{box.label[: _CHARACTERS - 1]}…"
    below = ("" if box.channels is None else str(box.channels)) + (f" /{box.stride}" if box.stride > 1 else "")
    parts = [
        element(
            "rect", element("title", escape(clean(box.label))), x=left, y=top, width=_WIDE, height=_TALL, rx=5,
            class_=f"box {box.kind}{colour}",
        ),
        text(label, middle, top + _TALL / 2 + 3.5, text_anchor="middle", class_="in-box"),
        text(box.name.replace("_", " "), middle, top - 14, text_anchor="middle", class_="faint"),
        text(below, middle, top + _TALL + 14, text_anchor="middle", class_="faint"),
    ]  # fmt: skip
    if box.has_shortcut:
        side = top + _TALL / 2
        d = f"M{left - 6:.1f} {side:.1f}Q{middle:.1f} {top - 34:.1f} {left + _WIDE + 6:.1f} {side:.1f}"
        parts.insert(0, element("path", d=d, class_="edge fixed"))
    return "".join(parts)


def _link(left: float, top: float, ends_row: bool) -> str:
    x, y = left + _WIDE, top + _TALL / 2
    if not ends_row:
        return element("path", d=f"M{x:.1f} {y:.1f}h{_GAP - 5:.1f}m-5 -4l5 4l-5 4", class_="link")
    turn, below = top + _TALL + 22, top + _ROW + _TALL / 2
    d = f"M{x:.1f} {y:.1f}h{_EDGE / 2:.1f}V{turn:.1f}H{_EDGE / 2:.1f}V{below:.1f}h{_EDGE / 2 - 2:.1f}m-5 -4l5 4l-5 4"
    return element("path", d=d, class_="link")
