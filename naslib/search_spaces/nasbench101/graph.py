"""The search space of NAS-Bench-101."""

from __future__ import annotations

from torch import nn

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.undecided import Undecided

from .cells import VERTICES
from .codec import NasBench101Codec
from .decisions import CELLS
from .network import MODULES, STACKS, STEM_CHANNELS, make_cell
from .primitives import ConvBNReLU

_SMALLEST = VERTICES - 2  # channels that every vertex into the output gets one of


class NasBench101SearchSpace(Graph):
    """The cell space of NAS-Bench-101 ([Ying2019nasbench101]): 423,624 cells of up to 7 vertices and 9 edges.

    A stem of 128 channels, three stacks of three cells with C, 2C and 4C channels, a max-pooling of stride 2 between
    stacks, and a classifier. The makrograph is a chain whose edges carry them; the cells are built by `set_spec`.

    The channels of a vertex depend on which vertices enter the output, so that no supernet has all cells: the
    one-shot relaxation of parts of the space is `nasbench1shot1`.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        channels: Channels C of the stem and of the first stack.
        task: What it is for.

    Raises:
        ConfigError: If there is no head for the task, or too few channels.
    """

    OPTIMIZER_SCOPE = ["cells"]
    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)
    NO_SUPERNET = (
        "the channels of its vertices depend on which of them enter the output (nasbench1shot1 is its relaxation)"
    )

    codec = NasBench101Codec()

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: int = STEM_CHANNELS,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        if task not in self.TASKS:
            raise ConfigError(f"nasbench101 has no head for {task}, only for {', '.join(self.TASKS)}")
        if channels < _SMALLEST:
            raise ConfigError(
                f"nasbench101 needs at least {_SMALLEST} channels, one for each vertex into the output; not {channels}"
            )
        self.n_classes, self.in_channels, self.channels, self.task = n_classes, in_channels, channels, task
        self._cells: list[tuple[int, int, int]] = []  # source node, channels in and out
        chain: list[nn.Module] = [ConvBNReLU(in_channels, channels, 3)]
        before = channels
        for stack in range(STACKS):
            if stack:
                chain.append(ops.Sequential(nn.MaxPool2d(2, stride=2, ceil_mode=True)))
            for _ in range(MODULES):
                self._cells.append((len(chain) + 1, before, channels * 2**stack))
                chain.append(Undecided("nasbench101"))
                before = channels * 2**stack
        chain.append(ops.PooledHead(before, n_classes))
        self.add_nodes_from(range(1, len(chain) + 2))
        for source, op in enumerate(chain, start=1):
            self.add_edge(source, source + 1, EdgeData({"op": op}))

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State which earlier vertices each vertex reads, and its operation."""
        return CELLS

    def put_cell(self, dag: LabelledDag) -> None:
        """Put a pruned cell in all its places."""
        for source, C_in, C_out in self._cells:
            self.edges[source, source + 1].set("op", make_cell(dag, C_in, C_out).set_scope("cells"))

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture: the benchmark's, weights fresh.

        Args:
            cells: Nine, the only number that there is.
            channels: Of the stem; those of this graph if None.
            auxiliary: Nothing: there is no auxiliary head.

        Raises:
            UnsupportedBySpaceError: If a size is given that the benchmark's networks do not have.
        """
        if cells not in (None, STACKS * MODULES):
            raise UnsupportedBySpaceError(
                f"evaluation.cells={cells}: networks of NAS-Bench-101 have {STACKS * MODULES} cells"
            )
        fresh = type(self)(self.n_classes, self.in_channels, channels or self.channels, self.task)
        fresh.set_spec(self.get_code())
        fresh.parse()
        return Graph.evaluation_network(fresh.take_given(self), auxiliary=auxiliary)
