"""DrawnCell layout: where the nodes, edges and labels of a small DAG go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, Identity, Zero

Point = tuple[float, float]

# Distances in inches, which the figure keeps.
LAYER, ROW = 1.9, 1.25
NODE_RADIUS = 0.24
LABEL_HEIGHT, LABEL_WIDTH_PER_CHAR = 0.2, 0.082
_BENDS = (0.0, 0.18, -0.18, 0.34, -0.34, 0.5, -0.5, 0.7, -0.7)
_PLACES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73)


@dataclass(frozen=True)
class CellEdge:
    """An edge to draw.

    Attributes:
        source: Node.
        target: Node.
        label: Name of the op; "" for a fixed edge that passes its input on.
        kind: "op", "zero" (nothing passes) or "fixed" (not under search).
    """

    source: int
    target: int
    label: str
    kind: str


@dataclass(frozen=True)
class DrawnCell:
    """A kind of cell.

    Attributes:
        name: Of its graph.
        nodes: In order.
        edges: What passes between them.
        labels: What is written on a node instead of its number, in short lines.
    """

    name: str
    nodes: tuple[int, ...]
    edges: tuple[CellEdge, ...]
    labels: Mapping[int, str] = field(default_factory=dict, compare=False, hash=False)

    @property
    def inputs(self) -> tuple[int, ...]:
        """The nodes that no edge enters."""
        return tuple(node for node in self.nodes if all(edge.target != node for edge in self.edges))

    @property
    def outputs(self) -> tuple[int, ...]:
        """The nodes that no edge leaves."""
        return tuple(node for node in self.nodes if all(edge.source != node for edge in self.edges))


@dataclass(frozen=True)
class PlacedEdge:
    """An edge with its bend (the control point's offset by length), the centre of its label and how far it reaches."""

    edge: CellEdge
    bend: float
    label_at: Point
    lowest: float
    highest: float
    leftmost: float
    rightmost: float


def cells_of(architecture: Graph) -> list[DrawnCell]:
    """Return the kinds of cells in a discrete architecture: the distinct graphs in its scope."""
    found: dict[tuple[tuple[int, ...], tuple[CellEdge, ...]], DrawnCell] = {}
    for graph in graphs_in_scope(architecture):
        ordered = sorted(graph.edges(data=True), key=lambda edge: edge[:2])
        edges = tuple(_describe(u, v, data) for u, v, data in ordered if _has_effect(graph, u, v))
        if any(edge.kind != "fixed" for edge in edges):
            nodes = tuple(sorted(graph.nodes))
            cell = DrawnCell(graph.name or "cell", nodes, edges, node_labels(graph))
            found.setdefault((nodes, edges), cell)
    return list(found.values())


def graphs_in_scope(graph: Graph) -> list[Graph]:
    """Return the graph and those nested in it, as far as they are searched."""
    scope = graph.OPTIMIZER_SCOPE
    scopes = {scope} if isinstance(scope, str) else set(scope)
    return [nested for nested in graph.nested_graphs() if "all" in scopes or nested.scope in scopes]


def node_labels(graph: Graph) -> dict[int, str]:
    """Return what stands on the nodes: their entry `label`, and the field's names in a cell that reads two cells.

    Those are `c_{k-2}` and `c_{k-1}` for the inputs of the k-th cell and `c_k` for what it gives.
    """
    labels = {node: str(data["label"]) for node, data in graph.nodes(data=True) if "label" in data}
    sources = sorted(node for node in graph.nodes if not graph.in_degree(node))
    sinks = [node for node in graph.nodes if not graph.out_degree(node)]
    if not labels and len(sources) == 2 and len(sinks) == 1:
        return {sources[0]: "c_{k-2}", sources[1]: "c_{k-1}", sinks[0]: "c_{k}"}
    return labels


def _has_effect(graph: Graph, u: int, v: int) -> bool:
    """Say whether what the edge carries enters the value of its target."""
    combine = graph.nodes[v].get("comb_op")
    if not isinstance(combine, AbstractCombOp):
        return True
    sources = sorted(graph.predecessors(v))
    return sources.index(u) in combine.used_inputs(len(sources))


def _describe(u: int, v: int, data: object) -> CellEdge:
    op, fixed = data.op, data.is_final() or isinstance(data.op, Graph)  # type: ignore[attr-defined]
    if isinstance(op, Zero):
        return CellEdge(u, v, "none", "zero")
    if fixed:
        return CellEdge(u, v, "" if isinstance(op, Identity | Graph) else op_name(op), "fixed")
    return CellEdge(u, v, op_name(op), "op")


def place_nodes(cell: DrawnCell) -> dict[int, Point]:
    """Return where nodes go: columns by the longest path from an input, rows ordered as the numbers are."""
    dag = nx.DiGraph()
    dag.add_nodes_from(cell.nodes)
    dag.add_edges_from((edge.source, edge.target) for edge in cell.edges)
    layer: dict[int, int] = {}
    for node in nx.lexicographical_topological_sort(dag):
        layer[node] = max((layer[source] + 1 for source in dag.predecessors(node)), default=0)
    columns: dict[int, list[int]] = {}
    for node in cell.nodes:
        columns.setdefault(layer[node], []).append(node)
    return {
        node: (column * LAYER, -(row - (len(members) - 1) / 2) * ROW)
        for column, members in columns.items()
        for row, node in enumerate(members)
    }


def curve(a: Point, b: Point, bend: float, samples: int = 41) -> NDArray[np.float64]:
    """Return `(samples, 2)` points of the quadratic Bezier curve from `a` to `b`."""
    start, end = np.array(a), np.array(b)
    difference = end - start
    control = (start + end) / 2 + bend * np.array([-difference[1], difference[0]])
    t = np.linspace(0, 1, samples)[:, None]
    return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end


def place_edges(cell: DrawnCell, positions: Mapping[int, Point]) -> list[PlacedEdge]:
    """Return bends and label places that keep curves off nodes and labels off each other (greedy, shortest first)."""
    placed: list[PlacedEdge] = []
    boxes: list[tuple[float, float, float, float]] = []
    curves: list[NDArray[np.float64]] = []
    for edge in sorted(cell.edges, key=lambda e: (_length(e, positions), e.source, e.target)):
        best: tuple[float, PlacedEdge, tuple[float, float, float, float], NDArray[np.float64]] | None = None
        for bend in _BENDS:
            points = curve(positions[edge.source], positions[edge.target], bend)
            base = _hits_nodes(points, edge, positions) * 100.0 + _crossings(points, curves) * 0.4 + abs(bend) * 2
            for place in _PLACES if edge.label else (0.5,):
                at = points[round(place * (len(points) - 1))]
                box = _box(at, edge.label)
                cost = base + _overlaps(box, boxes) * 20.0 + _covers_nodes(box, positions) * 30.0 + abs(place - 0.5)
                cost += 5.0 * sum(_inside(box, other) for other in curves)
                if best is None or cost < best[0]:
                    best = (cost, _placed(edge, bend, at, points), box, points)
        if best is not None:
            placed.append(best[1])
            curves.append(best[3])
            if edge.label:
                boxes.append(best[2])
    return placed


def extent_of(
    edges: Sequence[PlacedEdge], positions: Mapping[int, Point], above: float = 0.4
) -> tuple[float, float, float, float]:
    """Return left, lowest, right and highest place of a drawing with its margins, in inches.

    Args:
        edges: Where its edges are.
        positions: Where its nodes are.
        above: The margin above and below.
    """
    heights = [y for _, y in positions.values()]
    low = min([edge.lowest for edge in edges] + heights) - above
    high = max([edge.highest for edge in edges] + heights) + above
    left = min([edge.leftmost for edge in edges] + [-0.4]) - 0.2
    right = max([edge.rightmost for edge in edges] + [x + 0.4 for x, _ in positions.values()]) + 0.2
    return left, low, right, high


def _placed(edge: CellEdge, bend: float, at: NDArray[np.float64], points: NDArray[np.float64]) -> PlacedEdge:
    half_label = len(edge.label) * LABEL_WIDTH_PER_CHAR / 2
    (left, low), (right, high) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    x, y = float(at[0]), float(at[1])
    return PlacedEdge(edge, bend, (x, y), low, high, min(left, x - half_label), max(right, x + half_label))


def _length(edge: CellEdge, positions: Mapping[int, Point]) -> float:
    (x0, y0), (x1, y1) = positions[edge.source], positions[edge.target]
    return float(np.hypot(x1 - x0, y1 - y0))


def _hits_nodes(points: NDArray[np.float64], edge: CellEdge, positions: Mapping[int, Point]) -> int:
    others = [at for node, at in positions.items() if node not in (edge.source, edge.target)]
    return sum(bool((np.hypot(*(points - np.array(at)).T) < NODE_RADIUS * 1.3).any()) for at in others)


def _crossings(points: NDArray[np.float64], curves: Sequence[NDArray[np.float64]]) -> int:
    inner = points[6:-6]
    return sum(bool((np.hypot(*(inner[:, None] - other[None, 6:-6]).T) < 0.06).any()) for other in curves)


def _box(at: NDArray[np.float64], label: str) -> tuple[float, float, float, float]:
    half_width, half_height = max(len(label), 1) * LABEL_WIDTH_PER_CHAR / 2, LABEL_HEIGHT / 2
    return at[0] - half_width, at[1] - half_height, at[0] + half_width, at[1] + half_height


def _overlaps(box: tuple[float, float, float, float], boxes: Sequence[tuple[float, float, float, float]]) -> int:
    return sum(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in boxes)


def _covers_nodes(box: tuple[float, float, float, float], positions: Mapping[int, Point]) -> int:
    r = NODE_RADIUS
    return sum(box[0] - r < x < box[2] + r and box[1] - r < y < box[3] + r for x, y in positions.values())


def _inside(box: tuple[float, float, float, float], points: NDArray[np.float64]) -> bool:
    x, y = points.T
    return bool(((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])).any())
