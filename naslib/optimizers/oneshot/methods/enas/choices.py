"""What a discrete architecture of a graph consists of: which edges a node keeps, and which operations they may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import networkx as nx
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.primitives import MixedOp, Zero


@dataclass(frozen=True)
class Node:
    """A node with edges under search.

    Attributes:
        index: In its graph.
        decisions: Of the edges into it, by source; indices into `OneShotOptimizer.architectural_weights`.
        sources: Where these edges come from.
        n_kept: How many of them a discrete architecture keeps.
    """

    index: int
    decisions: tuple[int, ...]
    sources: tuple[int, ...]
    n_kept: int

    @property
    def chooses_inputs(self) -> bool:
        """Whether some edges are dropped."""
        return self.n_kept < len(self.decisions)


@dataclass(frozen=True)
class Cell:
    """A graph with decisions; of several copies the first.

    Attributes:
        inputs: Sources that have no decision of their own.
        nodes: In topological order.
    """

    inputs: tuple[int, ...]
    nodes: tuple[Node, ...]

    @property
    def chooses_inputs(self) -> bool:
        """Whether a node of it drops edges."""
        return any(node.chooses_inputs for node in self.nodes)


@dataclass(frozen=True)
class Choices:
    """All discrete architectures of a supernet. A *code* has one entry per decision: an operation, or `NO_EDGE`.

    Attributes:
        cells: The cells.
        allowed: By decision, the operations that the space may select.
        widths: By decision, the number of candidates.
        zeros: By decision, the candidate `Zero`; None where there is none.
    """

    cells: tuple[Cell, ...]
    allowed: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]
    zeros: tuple[int | None, ...]

    def scores(self, code: Sequence[int]) -> list[Tensor]:
        """Return per decision, `(n_ops,)`, the scores from which the space derives exactly this architecture."""
        return [_one_hot(width, op) for width, op in zip(self.widths, code, strict=True)]

    def gates(self, code: Sequence[int]) -> list[Tensor]:
        """Return per decision, `(n_ops,)`, a one-hot of the operation that runs.

        On edges that are not kept it is `Zero`; where there is none the gates are 0.
        """
        gates = []
        for width, op, zero in zip(self.widths, code, self.zeros, strict=True):
            gates.append(_one_hot(width, zero if op == NO_EDGE and zero is not None else op))
        return gates


class _Place(NamedTuple):
    """Where a decision is first."""

    cell: Graph
    source: int
    target: int


def _one_hot(width: int, index: int) -> Tensor:
    row = torch.zeros(width)
    if index != NO_EDGE:
        row[index] = 1.0
    return row


def choices_of(graph: Graph, scope: Scope) -> Choices:
    """Return the discrete architectures of an adapted supernet, by asking a clone of it.

    An operation is allowed if `select_primitive` selects it when it has the largest score. How many edges a node keeps
    is seen from `prepare_discretization`, whose rule must be that the edges with the largest scores stay.

    Raises:
        ConfigError: If the space discretizes by another rule.
    """
    probe = graph.clone()
    decisions = decisions_in(probe, scope)
    places = _places(probe, scope, decisions)
    allowed = tuple(_selectable(probe, data) for data in decisions)
    for data, place, ops in zip(decisions, places, allowed, strict=True):
        data.set("op_weights", torch.zeros(_width(data)), shared=True)
        data.op_weights[ops[0]] = 1.0 + place.source
    probe.prepare_discretization()
    cells = {id(place.cell): place.cell for place in places}.values()
    zeros = [next((k for k, op in enumerate(_candidates(d)) if isinstance(op, Zero)), None) for d in decisions]
    return Choices(
        tuple(_cell(cell, places) for cell in cells),
        allowed,
        tuple(_width(data) for data in decisions),
        tuple(zeros),
    )


def _candidates(data: EdgeData) -> list[nn.Module]:
    op: Any = data.op
    return op.primitives


def _width(data: EdgeData) -> int:
    return len(_candidates(data))


def _selectable(graph: Graph, data: EdgeData) -> tuple[int, ...]:
    found = []
    for index in range(_width(data)):
        data.set("op_weights", _one_hot(_width(data), index), shared=True)
        if graph.select_primitive(data) == index:
            found.append(index)
    if not found:
        raise ConfigError("the space selects none of its operations when it has the largest score")
    return tuple(found)


def _places(graph: Graph, scope: Scope, decisions: Sequence[EdgeData]) -> list[_Place]:
    """Return where each decision is first."""
    first: dict[int, _Place] = {}
    for cell in graph._graphs_in_scope(scope):
        for source, target, data in sorted(cell.edges(data=True), key=lambda edge: edge[:2]):
            if not data.is_final() and isinstance(data.op, MixedOp) and data.has("alpha"):
                first.setdefault(id(data.alpha), _Place(cell, source, target))
    return [first[id(data.alpha)] for data in decisions]


def _cell(cell: Graph, places: Sequence[_Place]) -> Cell:
    """Return the nodes of a graph that the space has discretized."""
    by_target: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        if place.cell is cell:
            by_target.setdefault(place.target, []).append(number)
    nodes = []
    for target in nx.lexicographical_topological_sort(cell):
        if target in by_target:
            numbers = sorted(by_target[target], key=lambda number: places[number].source)
            nodes.append(_node(cell, target, numbers, tuple(places[number].source for number in numbers)))
    own = {node.index for node in nodes}
    inputs = sorted({source for node in nodes for source in node.sources} - own)
    return Cell(tuple(inputs), tuple(nodes))


def _node(cell: Graph, index: int, numbers: Sequence[int], sources: tuple[int, ...]) -> Node:
    kept = [source for source in sources if (source, index) in cell.edges]
    if not kept or tuple(kept) != sources[-len(kept) :]:
        raise ConfigError(
            f"of the edges from {sources} into node {index} of {cell.name!r}, with scores that rise with the source, "
            f"the space keeps those from {tuple(kept)}: enas needs a space that keeps the edges with the largest scores"
        )
    return Node(index, tuple(numbers), sources, len(kept))
