"""NAS-Bench-1Shot1: the one-shot relaxation of three parts of NAS-Bench-101."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.stated_codec import StatedCodec
from naslib.search_spaces.core.statement import StatementMixin, state

from .cells import N_GENES, VERTICES, canonical_code
from .graph import NasBench101SearchSpace
from .network import MODULES, STACKS, STEM_CHANNELS
from .one_shot_cell import (
    COUNTS_LOOSE_ENDS,
    PARENTS,
    LooseVertices,
    dag_of_decisions,
    decisions_of_dag,
    fill,
    make_one_shot_cell,
)
from .primitives import ConvBNReLU
from .spellings import read_spec, write


class OneShotCodec(StatedCodec):
    """Code architectures as NAS-Bench-101 does, in 26 ints, with the vertices that nothing reads.

    Args:
        space: The decisions.
        sub_space: 1, 2 or 3.
    """

    def __init__(self, space: DecisionSpace, sub_space: int) -> None:
        super().__init__("nasbench1shot1", space)
        self.sub_space = sub_space

    def to_decisions(self, code: Code) -> Code:
        """Return which earlier vertices each vertex reads, and its operation, as indices."""
        vertices = len(PARENTS[self.sub_space]) + 1
        dag = LabelledDag.of_code(code, VERTICES)
        if vertices < VERTICES:  # the output is the last of seven, and vertex 5 is not there
            kept = [*range(vertices - 1), VERTICES - 1]
            if any(dag.matrix[u][v] for u, v in _pairs_outside(kept)):
                raise ArchitectureError(
                    f"a cell of sub-space {self.sub_space} of nasbench1shot1 has {vertices} vertices"
                )
            dag = LabelledDag([[dag.matrix[u][v] for v in kept] for u in kept], dag.labels[: vertices - 2])
        return decisions_of_dag(self.decision_space, dag, self.sub_space)

    def from_decisions(self, decided: Code) -> Code:
        """Return the cell in 26 ints."""
        return dag_of_decisions(self.decision_space, decided, self.sub_space).code(VERTICES)

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture: 26 ints, matrix and operations, or a code of the decisions.

        Raises:
            ArchitectureError: If it is none of this sub-space.
        """
        if isinstance(spec, list | tuple) and len(spec) == self.decision_space.n_genes:
            return self.from_decisions(super().canonical(spec))
        if isinstance(spec, dict) and set(spec) <= set(self.decision_space.names):
            return self.from_decisions(super().canonical(spec))
        found = read_spec(spec)
        if isinstance(found, LabelledDag):
            return self.from_decisions(decisions_of_dag(self.decision_space, found, self.sub_space))
        if len(found) != N_GENES:
            return self.from_decisions(super().canonical(spec))
        return self.from_decisions(self.to_decisions(found))

    def genotype(self, code: Code) -> dict[str, Any]:
        """Return matrix and operations, vertices that nothing reads included."""
        return write(dag_of_decisions(self.decision_space, self.to_decisions(code), self.sub_space))

    def from_graph(self, graph: StatementMixin) -> Code:
        """Read the code off a discrete graph."""
        return self.from_decisions(self.decision_space.canonical(super().from_graph(graph)))

    def apply(self, graph: StatementMixin, code: Code) -> None:
        """Put the operations on the edges and the readings at the nodes, in place."""
        super().apply(graph, self.to_decisions(code))


def _pairs_outside(kept: list[int]) -> list[tuple[int, int]]:
    return [(u, v) for v in range(VERTICES) for u in range(v) if u not in kept or v not in kept]


class NasBench1Shot1SearchSpace(Graph):
    """Three parts of NAS-Bench-101 that have a supernet ([Zela2020nasbench1shot1]): vertices read so many earlier ones.

    Three stacks of cells with C, 2C and 4C channels at every vertex. A vertex chooses a set of earlier ones, whose sum
    it reads, and one of three operations; the output concatenates all vertices, zeros for those that it does not read,
    and adds the projected input where it reads that. The architectures are cells of NAS-Bench-101: the table answers
    for them, and `evaluation_network` is its network.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        search_space: Which of the three: 6,240, 29,160 or 363,648 architectures.
        channels: Channels C of the vertices in the first stack.
        cells_per_stack: Number of cells in each stack.
        task: What it is for.

    Raises:
        ConfigError: If there is no such sub-space, no head for the task, or a size is not positive.
    """

    OPTIMIZER_SCOPE = ["stack_1", "stack_2", "stack_3"]
    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        search_space: int = 1,
        channels: int = 16,
        cells_per_stack: int = MODULES,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        if task not in self.TASKS:
            raise ConfigError(f"nasbench1shot1 has no head for {task}, only for {', '.join(self.TASKS)}")
        if search_space not in PARENTS:
            raise ConfigError(
                f"search_space of nasbench1shot1 is one of {', '.join(map(str, PARENTS))}, not {search_space}"
            )
        if min(channels, cells_per_stack) < 1:
            raise ConfigError(f"channels and cells_per_stack must be at least 1, not {channels} and {cells_per_stack}")
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.search_space, self.channels, self.cells_per_stack = search_space, channels, cells_per_stack
        vertices = len(PARENTS[search_space]) - 1
        cell = make_one_shot_cell(search_space)
        chain: list[nn.Module] = [ConvBNReLU(in_channels, channels, 3)]
        before = width = channels
        for stack in range(STACKS):
            width = channels * 2**stack
            if stack:
                chain.append(ops.Sequential(nn.MaxPool2d(2, stride=2, ceil_mode=True)))
            for _ in range(cells_per_stack):
                copy = cell.copy().set_scope(self.OPTIMIZER_SCOPE[stack])
                fill(copy, search_space, before, width)
                chain.append(copy)
                before = vertices * width
        chain.append(ops.Sequential(ops.ReLUConvBN(before, width, 1, affine=False), ops.PooledHead(width, n_classes)))
        self.add_nodes_from(range(1, len(chain) + 2))
        for source, op in enumerate(chain, start=1):
            self.add_edge(source, source + 1, EdgeData({"op": op}))

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State the operation of every vertex, and what it reads; loose ends count as the paper counts them."""
        stated = state(self, scope)
        return stated if COUNTS_LOOSE_ENDS[self.search_space] else LooseVertices(stated.decisions, self.search_space)

    def _codec(self) -> OneShotCodec:
        return OneShotCodec(self.decision_space, self.search_space)

    def get_type(self) -> str:
        """Return the name of the space."""
        return "nasbench1shot1"

    def cell_code(self) -> Code:
        """Return the code that the cell has in `nasbench101`, without loose ends, the same for all isomorphic ones."""
        return canonical_code(LabelledDag.of_code(self.get_code(), VERTICES))

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture: that of NAS-Bench-101, weights fresh.

        Args:
            cells: Nine, the only number that there is.
            channels: Of its stem; 128 if None.
            auxiliary: Nothing: there is no auxiliary head.

        Raises:
            UnsupportedBySpaceError: If another number of cells is asked for.
        """
        if cells not in (None, STACKS * MODULES):
            raise UnsupportedBySpaceError(
                f"evaluation.cells={cells}: networks of NAS-Bench-101 have {STACKS * MODULES} cells"
            )
        network = NasBench101SearchSpace(self.n_classes, self.in_channels, channels or STEM_CHANNELS, self.task)
        network.set_spec(self.cell_code())
        network.parse()
        return Graph.evaluation_network(network, auxiliary=auxiliary)
