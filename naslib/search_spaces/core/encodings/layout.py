"""Cells: the graphs whose edges, inputs and vertices the decisions of a space are about, for batches of codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..decisions import Decision
from ..schema import DecisionSpace
from .fixed_edges import FixedEdges

# State of an edge: it is not there, it passes on what comes, or it has operation `state - 1` of its cell
ABSENT, WIRE = -1, 0
# Operations that pass nothing on
ZEROS = frozenset({"zero", "none"})
_PLACE = re.compile(r"(?P<cell>.+)/(?:(?P<u>\d+)-(?P<v>\d+)|(?P<node>\d+)(?P<at>:\w+)?)(?: \(\d+\))?")
_NODE = re.compile(r"node_(\d+)")
_POSITIONS = re.compile(r"\d+(?:\+\d+)*")


@dataclass(frozen=True)
class LayoutEdge:
    """An edge that architectures can have.

    Attributes:
        source: Position of the node that it leaves.
        target: Position of the node that it enters, larger than `source`.
        genes: Where in a code it is decided; none where every architecture has it.
        states: The state by gene, the last entry for a gene of -1; with several genes the largest counts.
        is_vertex: Whether its operation is that of a vertex, between its entry and its exit.
    """

    source: int
    target: int
    genes: tuple[int, ...]
    states: tuple[int, ...]
    is_vertex: bool = False

    @property
    def is_op(self) -> bool:
        """Whether it can carry an operation."""
        return max(self.states, default=WIRE) > WIRE


@dataclass(frozen=True)
class CellLayout:
    """One cell of a space: an acyclic graph with an operation on some of its edges.

    A vertex with an operation is an edge from its entry to its exit. Where several nodes are the end of the cell, one
    more node gathers them.

    Attributes:
        name: Of the graph; empty for the decisions that are on no cell, in a chain.
        ops: Names of the operations, in the order in which the decisions have them.
        n_nodes: Number of nodes, in topological order.
        inputs: Positions of the nodes that nothing enters.
        output: Position of the node that nothing leaves.
        edges: Sorted by target and source.
        values: For each decision of a chain its gene, and the number by gene, the last entry for a gene of -1: the
            value where it is one, else the index.
    """

    name: str
    ops: tuple[str, ...]
    n_nodes: int
    inputs: tuple[int, ...]
    output: int
    edges: tuple[LayoutEdge, ...]
    values: tuple[tuple[int, tuple[float, ...]], ...] = ()

    @property
    def zeros(self) -> tuple[int, ...]:
        """Which operations pass nothing on."""
        return tuple(index for index, op in enumerate(self.ops) if op.lower() in ZEROS)

    @property
    def slots(self) -> tuple[int, ...]:
        """Which edges can carry an operation."""
        return tuple(index for index, edge in enumerate(self.edges) if edge.is_op)

    def states(self, genes: np.ndarray) -> np.ndarray:
        """Return the state of each edge, `(n, edges)` int16, in codes of the decision space `(n, n_genes)`."""
        found = np.zeros((len(genes), len(self.edges)), dtype=np.int16)
        for column, edge in enumerate(self.edges):
            if edge.genes:
                table = np.array(edge.states, dtype=np.int16)
                found[:, column] = table[genes[:, edge.genes[0]]]
                for gene in edge.genes[1:]:
                    np.maximum(found[:, column], table[genes[:, gene]], out=found[:, column])
        return found


def cells_of(space: DecisionSpace, fixed: FixedEdges | None = None) -> tuple[CellLayout, ...]:
    """Return the cells of a space, in the order of their first decisions, then what is decided in no cell as a chain.

    Args:
        space: The decisions. Those of a cell are called `cell/1-3` (the operation on an edge), `cell/4` (which nodes a
            node reads) and `cell/4:op` (the operation of a node), as graphs call them.
        fixed: By cell the edges without a decision; without them a cell ends in all nodes that no decision leaves.
    """
    frozen = tuple(sorted((name, tuple(edges)) for name, edges in (fixed or {}).items()))
    return _cells(space.decisions, tuple(space.genes(d.name).start for d in space.decisions), frozen)


@lru_cache(maxsize=64)
def _cells(
    decisions: tuple[Decision, ...], starts: tuple[int, ...], fixed: tuple[tuple[str, tuple[tuple[int, int], ...]], ...]
) -> tuple[CellLayout, ...]:
    by_cell: dict[str, list[tuple[re.Match[str], Decision, int]]] = {}
    loose: list[tuple[Decision, int]] = []
    edges_of = dict(fixed)
    for decision, start in zip(decisions, starts, strict=True):
        match = _PLACE.fullmatch(decision.name)
        if match is None or decision.kind == "value":
            loose.append((decision, start))
        else:
            by_cell.setdefault(match["cell"], []).append((match, decision, start))
    found = []
    for name, members in by_cell.items():
        if len(members) < 2:
            loose += [(decision, start) for _, decision, start in members]
        else:
            found.append(_Builder(name, members, edges_of.get(name, ())).cell())
    if loose:
        found.append(_chain(sorted(loose, key=lambda item: item[1])))
    return tuple(found)


class _Builder:
    """Collects nodes and edges of one cell; a node has an entry (node, 0) and an exit (node, 1)."""

    def __init__(
        self, name: str, members: Sequence[tuple[re.Match[str], Decision, int]], fixed: Iterable[tuple[int, int]]
    ) -> None:
        self.name = name
        self.ops: dict[str, int] = {}
        self.edges: list[tuple[tuple[int, int], tuple[int, int], tuple[int, ...], tuple[int, ...]]] = []
        self.fixed = set(fixed)
        on_edges = {(int(m["u"]), int(m["v"])) for m, _, _ in members if m["u"]}
        self.split = {int(m["node"]) for m, d, _ in members if m["node"] and m["at"] and not self._selects(d)}
        for match, decision, start in members:
            if match["u"]:
                self._put((int(match["u"]), 1), (int(match["v"]), 0), (start,), self._op_states(decision))
            elif decision.kind == "inputs":
                self._put_inputs(int(match["node"]), decision, start, on_edges)
            elif self._selects(decision):
                self._put_selection(int(match["node"]), decision, start, on_edges)
            else:
                node = int(match["node"])
                self._put((node, 0), (node, 1), (start,), self._op_states(decision))
        for u, v in sorted(self.fixed - on_edges):
            self._put((u, 1), (v, 0), (), ())

    @staticmethod
    def _selects(decision: Decision) -> bool:
        """Say whether a combination is a choice of inputs: `node_3`, or positions among them such as `0+2`."""
        return decision.name.endswith(":comb_op") and all(
            _NODE.fullmatch(str(c)) or _POSITIONS.fullmatch(str(c)) for c in decision.candidates
        )

    def _op_states(self, decision: Decision) -> tuple[int, ...]:
        numbers = [self.ops.setdefault(str(op), len(self.ops)) for op in decision.candidates]
        return (*(number + 1 for number in numbers), ABSENT)

    def _put(
        self, source: tuple[int, int], target: tuple[int, int], genes: tuple[int, ...], states: tuple[int, ...]
    ) -> None:
        ends = [end if end[0] in self.split else (end[0], 0) for end in (source, target)]
        self.edges.append((ends[0], ends[1], genes, states))

    def _put_inputs(self, node: int, decision: Decision, start: int, on_edges: set[tuple[int, int]]) -> None:
        genes: tuple[int, ...]
        states: tuple[int, ...]
        for index, source in enumerate(decision.candidates):
            if (int(source), node) in on_edges:  # its operation is decided where it is chosen
                continue
            self.fixed.discard((int(source), node))
            if decision.n_chosen is None:
                genes, states = (start + index,), (ABSENT, WIRE, ABSENT)
            else:
                genes = tuple(range(start, start + decision.n_chosen))
                states = (*(WIRE if i == index else ABSENT for i in range(len(decision.candidates))), ABSENT)
            self._put((int(source), 1), (node, 0), genes, states)

    def _put_selection(self, node: int, decision: Decision, start: int, on_edges: set[tuple[int, int]]) -> None:
        entering = sorted({u for u, v in self.fixed | on_edges if v == node})
        taken = []
        for candidate in map(str, decision.candidates):
            named = _NODE.fullmatch(candidate)
            places = [int(place) for place in candidate.split("+")] if not named else []
            taken.append({int(named[1])} if named else {entering[p] for p in places if p < len(entering)})
        for source in sorted(set().union(*taken)):
            if (source, node) not in on_edges:
                self.fixed.discard((source, node))
                states = (*(WIRE if source in sources else ABSENT for sources in taken), ABSENT)
                self._put((source, 1), (node, 0), (start,), states)

    def cell(self) -> CellLayout:
        """Return the cell."""
        nodes = _in_order({end for edge in self.edges for end in edge[:2]}, [edge[:2] for edge in self.edges])
        position = {node: index for index, node in enumerate(nodes)}
        edges = [
            LayoutEdge(position[u], position[v], genes, states, is_vertex=u[0] == v[0])
            for u, v, genes, states in self.edges
        ]
        last = sorted(set(range(len(nodes))) - {edge.source for edge in edges})
        first = sorted(set(range(len(nodes))) - {edge.target for edge in edges})
        n_nodes = len(nodes)
        if len(last) > 1:
            edges += [LayoutEdge(node, n_nodes, (), ()) for node in last]
            last, n_nodes = [n_nodes], n_nodes + 1
        edges.sort(key=lambda edge: (edge.target, edge.source))
        return CellLayout(self.name, tuple(self.ops), n_nodes, tuple(first), last[0], tuple(edges))


def _in_order(
    nodes: set[tuple[int, int]], edges: Sequence[tuple[tuple[int, int], tuple[int, int]]]
) -> list[tuple[int, int]]:
    """Return nodes such that every edge leads to a later one; otherwise ascending."""
    entering: Mapping[tuple[int, int], set[tuple[int, int]]] = {node: set() for node in nodes}
    for u, v in edges:
        entering[v].add(u)
    order: list[tuple[int, int]] = []
    left = sorted(nodes)
    while left:
        node = next((node for node in left if entering[node] <= set(order)), left[0])
        order.append(node)
        left.remove(node)
    return order


def _chain(loose: Sequence[tuple[Decision, int]]) -> CellLayout:
    """Return decisions one after the other; those that an architecture does not make are passed by."""
    ops: dict[str, int] = {}
    edges: list[LayoutEdge] = []
    values: list[tuple[int, tuple[float, ...]]] = []
    for decision, start in loose:
        group = re.sub(r"\d+", "", decision.name.rpartition("/")[2]) + "=" if decision.kind != "op" else ""
        states = [ops.setdefault(f"{group}{candidate}", len(ops)) + 1 for candidate in decision.candidates]
        for number in range(decision.n_genes):
            gene, place = start + number, len(edges)
            if decision.n_chosen is None:  # a bit each
                edges.append(LayoutEdge(place, place + 1, (gene,), (WIRE, states[number], WIRE)))
                values.append((gene, (0.0, 1.0, 0.0)))
            else:
                edges.append(LayoutEdge(place, place + 1, (gene,), (*states, WIRE)))
                values.append((gene, (*_numbers(decision), 0.0)))
    return CellLayout("", tuple(ops), len(edges) + 1, (0,), len(edges), tuple(edges), tuple(values))


def _numbers(decision: Decision) -> list[float]:
    """Return what stands for the candidates of a decision: their values, or 1, 2 ... where these are no numbers."""
    if decision.kind == "value" and all(isinstance(c, int | float) for c in decision.candidates):
        return [float(candidate) for candidate in decision.candidates]
    return [float(index) for index in range(1, len(decision.candidates) + 1)]
