"""Codec of recurrent cells: a flat tuple of (state, operation) pairs, one per node."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.decisions import MASKED, Decision
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.encodings import FixedEdges
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import Call, plain, read_literal, shortened
from naslib.search_spaces.core.primitives import MixedOp
from naslib.search_spaces.core.schema import DecisionSpace

from .genotype import OPS, RecurrentGenotype, as_genotype, is_genotype, to_json

CELL = "recurrent_cell"


class RecurrentCodec(Codec[Graph]):
    """Code recurrent cells as `2 * nodes` ints: the state that a node reads (0 is the input's), and its operation.

    Operations are numbered in the order of `OPS`. The output of the cell is not coded: it is the space's.

    Args:
        nodes: Number of nodes of a cell.
        concat: The nodes whose mean is its output; all if None.
    """

    name = "darts_rnn"

    def __init__(self, nodes: int = 8, concat: Sequence[int] | None = None) -> None:
        self.nodes = nodes
        self.concat = list(range(1, nodes + 1)) if concat is None else sorted(concat)

    @property
    def decision_space(self) -> DecisionSpace:
        """One input per node, and the operation on it."""
        return _decisions(self.nodes)

    def fixed_edges(self) -> FixedEdges:
        """From the nodes whose mean is the output to that."""
        return {CELL: tuple((node + 1, self.nodes + 2) for node in self.concat)}

    def to_decisions(self, code: Code) -> Code:
        """Return the code of the decision space that stands for `code`."""
        space = self.decision_space
        genes = [MASKED] * space.n_genes
        for node, source, op in self._nodes(self._checked(code)):
            if node > 1:
                genes[space.genes(f"{CELL}/{node + 1}").start] = source
            genes[space.genes(f"{CELL}/{source + 1}-{node + 1}").start] = op
        return tuple(genes)

    def from_decisions(self, decided: Code) -> Code:
        """Return the code that a code of the decision space stands for."""
        space = self.decision_space
        code: list[int] = []
        for node in range(1, self.nodes + 1):
            source = decided[space.genes(f"{CELL}/{node + 1}").start] if node > 1 else 0
            code += (source, decided[space.genes(f"{CELL}/{source + 1}-{node + 1}").start])
        return tuple(code)

    def canonical(self, spec: Any) -> Code:
        """Return the code of a code or a genotype, each as value or as text.

        Raises:
            ArchitectureError: If it is no cell of this space.
        """
        if isinstance(spec, str):
            try:
                spec = read_literal(spec)
            except ValueError as error:
                raise ArchitectureError(f"cannot read a recurrent cell from {shortened(spec)}: {error}") from error
        if not is_genotype(spec):
            return self._checked(spec)
        genotype = as_genotype(spec)
        if len(genotype.recurrent) != self.nodes:
            raise ArchitectureError(
                f"the genotype has {len(genotype.recurrent)} nodes, the cells of this space {self.nodes}: "
                f"search_space_args={{nodes: {len(genotype.recurrent)}}}"
            )
        if list(genotype.concat) != self.concat:
            raise ArchitectureError(
                f"the output of the genotype is the mean of the nodes {list(genotype.concat)}, that of this space of "
                f"{self.concat}: search_space_args={{concat: {list(genotype.concat)}}}"
            )
        return tuple(value for op, source in genotype.recurrent for value in (source, OPS.index(op)))

    def to_genotype(self, code: Code) -> RecurrentGenotype:
        """Return the genotype of a code."""
        return RecurrentGenotype([(OPS[op], source) for _, source, op in self._nodes(code)], list(self.concat))

    def genotype(self, code: Code) -> dict[str, list[Any]]:
        """Return the genotype as lists, to be written as JSON."""
        return to_json(self.to_genotype(code))

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discretized graph.

        Raises:
            ArchitectureError: If a node has not exactly one input with one of the operations.
        """
        cell = recurrent_cell(graph)
        code: list[int] = []
        for node in range(1, self.nodes + 1):
            sources = sorted(cell.predecessors(node + 1))
            if len(sources) != 1:
                raise ArchitectureError(
                    f"node {node + 1} of {CELL} has {len(sources)} inputs, a discrete cell one: set an architecture, "
                    "or let an optimizer find one"
                )
            op = cell.edges[sources[0], node + 1].op
            if isinstance(op, list | MixedOp):
                raise ArchitectureError(f"the operation into node {node + 1} of {CELL} is not decided yet")
            if op_name(op) not in OPS:
                raise ArchitectureError(f"node {node + 1} of {CELL} has {op_name(op)}, expected {', '.join(OPS)}")
            code += (sources[0] - 1, OPS.index(op_name(op)))
        return tuple(code)

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the operations that `code` names on the edges of the cell, and remove the other edges."""
        cell = recurrent_cell(graph)
        for node, chosen, op in self._nodes(code):
            for source in sorted(cell.predecessors(node + 1)):
                if source != chosen + 1:
                    cell.remove_edge(source, node + 1)
                    continue
                data: EdgeData = cell.edges[source, node + 1]
                candidates = list(data.op)
                data.set("primitives", candidates)
                data.set("op", next(candidate for candidate in candidates if op_name(candidate) == OPS[op]))

    def _nodes(self, code: Code) -> list[tuple[int, int, int]]:
        """Return (node from 1, state, operation) for all nodes."""
        return [(index + 1, code[2 * index], code[2 * index + 1]) for index in range(self.nodes)]

    def _checked(self, spec: Any) -> Code:
        values = plain(spec)
        code = tuple(values) if isinstance(values, list | tuple) else ()
        right = len(code) == 2 * self.nodes and all(type(value) is int for value in code)
        if not right or not all(0 <= s < node and 0 <= op < len(OPS) for node, s, op in self._nodes(code)):
            raise ArchitectureError(
                f"not a recurrent cell of {self.nodes} nodes, a genotype or {2 * self.nodes} ints (state, operation, "
                f"...) with states before the node and operations 0 to {len(OPS) - 1}: {shortened(spec)}"
            )
        return code


def recurrent_cell(graph: Graph) -> Graph:
    """Return the recurrent cell of a graph.

    Raises:
        ArchitectureError: If it has none.
    """
    for nested in graph.nested_graphs():
        if nested.name == CELL and isinstance(nested, Graph):
            return nested
    raise ArchitectureError(f"the graph {graph.name!r} has no cell called {CELL!r}")


def shape_of(spec: Any) -> tuple[int, list[int] | None] | None:
    """Return number of nodes and output of an architecture, None where it says nothing of them.

    Raises:
        ArchitectureError: If `spec` has the form of a genotype, and is invalid.
    """
    if isinstance(spec, str):
        try:
            spec = read_literal(spec)
        except ValueError:
            return None
    if isinstance(spec, Call) or is_genotype(spec):
        genotype = as_genotype(spec)
        return len(genotype.recurrent), list(genotype.concat)
    values = plain(spec)
    if not isinstance(values, list) or not values or len(values) % 2:
        return None
    return len(values) // 2, None


@lru_cache
def _decisions(nodes: int) -> DecisionSpace:
    """Return the decisions of a cell, as its graph states them."""
    inputs = [Decision(f"{CELL}/{target}", "inputs", tuple(range(1, target)), 1) for target in range(3, nodes + 2)]
    operations = [
        Decision(
            f"{CELL}/{source}-{target}",
            "op",
            OPS,
            condition=(f"{CELL}/{target}", source - 1) if target > 2 else None,
        )
        for source in range(1, nodes + 1)
        for target in range(source + 1, nodes + 2)
    ]
    return DecisionSpace([*inputs, *operations])
