"""The one-shot cell of NAS-Bench-1Shot1: every vertex chooses which earlier ones it reads, and its operation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.code_classes import CodeClasses
from naslib.search_spaces.core.decisions import Code, Decision
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.ops_base import AbstractCombOp
from naslib.search_spaces.core.types import EdgeLike

from .cells import OPS
from .primitives import ConvBNReLU, operation

# How many earlier vertices each one reads, the output last ([Zela2020nasbench1shot1], table 1)
PARENTS = {1: (1, 2, 2, 2, 2), 2: (1, 1, 2, 2, 3), 3: (1, 1, 1, 2, 2, 2)}
# Where it counts the operation of a vertex that nothing reads: 29,160 has them, 6,240 and 363,648 have not
COUNTS_LOOSE_ENDS = {1: False, 2: True, 3: False}


def wirings(sub_space: int) -> list[list[tuple[int, ...]]]:
    """Return for each vertex from 1, the output last, the sets of earlier ones that it can read; 0 is the input."""
    return [list(combinations(range(v), count)) for v, count in enumerate(PARENTS[sub_space], start=1)]


class Reading(AbstractCombOp):
    """Add some of the inputs of a vertex.

    Args:
        parents: Which of them: 0 is the projected input of the cell, v the vertex v.
    """

    def __init__(self, parents: Sequence[int]) -> None:
        super().__init__()
        self.parents = tuple(parents)

    @property
    def get_op_name(self) -> str:
        """The parents, as `0+2`."""
        return "+".join(map(str, self.parents))

    def used_inputs(self, count: int) -> Sequence[int]:
        """Return the parents."""
        return self.parents

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the sum.

        `(n, c, h, w)` each, which stays.
        """
        total = tensors[self.parents[0]]
        for parent in self.parents[1:]:
            total = total + tensors[parent]
        return total


class Joining(Reading):
    """Concatenate what the vertices give, zeros for those that are not read; add the projected input where it is.

    Args:
        parents: See `Reading`; at least one vertex.
        vertices: How many vertices there are.
    """

    def __init__(self, parents: Sequence[int], vertices: int) -> None:
        super().__init__(parents)
        self.vertices = vertices

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the output of the cell.

        `(n, k c, h, w)` of the projected input and `(n, c, h, w)` of each of the k vertices, to `(n, k c, h, w)`.
        """
        nothing = torch.zeros_like(tensors[self.parents[-1]])
        joined = torch.cat([tensors[v] if v in self.parents else nothing for v in range(1, self.vertices + 1)], dim=1)
        return tensors[0] + joined if 0 in self.parents else joined


def reading_node(vertex: int) -> int:
    """Return the node of the cell at which a vertex, or the output, combines what it reads."""
    return 2 * vertex


def make_one_shot_cell(sub_space: int) -> Graph:
    """Return a cell without operations: node 1 is its input, and vertex v reads at node 2 v and gives at 2 v + 1."""
    vertices = len(PARENTS[sub_space]) - 1
    cell = Graph(name="cell")
    cell.add_nodes_from(range(1, 2 * vertices + 3))
    for v, ways in enumerate(wirings(sub_space), start=1):
        node = reading_node(v)
        cell.add_edge(1, node)
        for u in range(1, v):
            cell.add_edge(2 * u + 1, node, EdgeData().finalize())
        if v <= vertices:
            cell.add_edge(node, node + 1)
        if v > 1:
            readings = [Reading(parents) if v <= vertices else Joining(parents, vertices) for parents in ways]
            cell.nodes[node]["comb_op"] = readings if len(readings) > 1 else readings[0]
    return cell


def fill(cell: Graph, sub_space: int, C_in: int, channels: int) -> None:
    """Put operations, and projections of the input, into a cell of `channels` at every vertex."""
    vertices = len(PARENTS[sub_space]) - 1
    for v in range(1, vertices + 2):
        node, width = reading_node(v), channels * (1 if v <= vertices else vertices)
        cell.edges[1, node].set("op", ConvBNReLU(C_in, width, 1))
        cell.edges[1, node].finalize()
        if v <= vertices:
            ops = [operation(label, channels) for label in range(len(OPS))]
            cell.edges[node, node + 1].set("op", ops)


class LooseVertices(CodeClasses):
    """Decisions of a sub-space in which the operation of a vertex that nothing reads makes no difference.

    Args:
        decisions: As the cell states them.
        sub_space: 1, 2 or 3.
    """

    def __init__(self, decisions: Sequence[Decision], sub_space: int) -> None:
        super().__init__(decisions)
        self.sub_space = sub_space

    def size(self) -> int:
        """Return the number of architectures: of each wiring, as many as the vertices that are read have operations."""
        total = 0
        for wired in product(*wirings(self.sub_space)):
            read = {parent for parents in wired for parent in parents if parent}
            total += len(OPS) ** len(read)
        return total

    def _loose(self, code: Code) -> list[int]:
        """Return the genes of the operations of vertices that nothing reads."""
        wired = wiring_of(self, code, self.sub_space)
        read = {parent for parents in wired for parent in parents}
        return [self.genes(operation_name(v)).start for v in range(1, len(wired)) if v not in read]

    def representative(self, code: Code) -> Code:
        """Return the code in which those operations are the first."""
        loose = self._loose(code)
        return tuple(0 if gene in loose else value for gene, value in enumerate(code))

    def members(self, code: Code) -> Iterable[Code]:
        """Yield the codes with all operations there."""
        loose = self._loose(code)
        for values in product(range(len(OPS)), repeat=len(loose)):
            genes = [*code]
            for gene, value in zip(loose, values, strict=True):
                genes[gene] = value
            yield tuple(genes)

    def __reduce__(self) -> tuple[Any, ...]:
        return LooseVertices, (self.decisions, self.sub_space)


def operation_name(vertex: int) -> str:
    """Return the name of the decision on the operation of a vertex."""
    return f"cell/{reading_node(vertex)}-{reading_node(vertex) + 1}"


def wiring_of(space: Any, code: Code, sub_space: int) -> list[tuple[int, ...]]:
    """Return for each vertex from 1, the output last, which earlier ones it reads by a code of the decisions."""
    found = []
    for v, ways in enumerate(wirings(sub_space), start=1):
        name = f"cell/{reading_node(v)}:comb_op"
        found.append(ways[code[space.genes(name).start] if len(ways) > 1 else 0])
    return found


def dag_of_decisions(space: Any, code: Code, sub_space: int) -> LabelledDag:
    """Return the cell of a code of the decisions, loose ends included."""
    wired = wiring_of(space, code, sub_space)
    size = len(wired) + 1
    matrix = [[int(v > 0 and u in wired[v - 1]) for v in range(size)] for u in range(size)]
    return LabelledDag(matrix, [code[space.genes(operation_name(v)).start] for v in range(1, size - 1)])


def decisions_of_dag(space: Any, dag: LabelledDag, sub_space: int) -> Code:
    """Return the code of the decisions of a cell with loose ends.

    Raises:
        ArchitectureError: If a vertex reads another number of earlier ones than the sub-space says.
    """
    ways = wirings(sub_space)
    if dag.size != len(ways) + 1:
        raise ArchitectureError(
            f"a cell of sub-space {sub_space} of nasbench1shot1 has {len(ways) + 1} vertices, not {dag.size}"
        )
    genes = [0] * space.n_genes
    for v, choices in enumerate(ways, start=1):
        parents = tuple(dag.sources(v))
        if parents not in choices:
            what = "its output" if v == len(ways) else f"vertex {v}"
            raise ArchitectureError(
                f"in sub-space {sub_space} of nasbench1shot1 {what} reads {len(choices[0])} earlier vertices, not "
                f"{list(parents)}"
            )
        if len(choices) > 1:
            genes[space.genes(f"cell/{reading_node(v)}:comb_op").start] = choices.index(parents)
        if v < len(ways):
            genes[space.genes(operation_name(v)).start] = dag.labels[v - 1]
    return space.canonical(genes)
