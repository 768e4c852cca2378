"""The hierarchical search space."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._ops_by_name import op_name
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.statement import state

from .codec import CELL, HierarchicalCodec
from .genotype import HierarchySizes, edges, motif_name
from .macro import HierarchicalMacro, build
from .network import HierarchicalNetwork
from .primitives import NAMES, OPERATIONS, make

EVALUATION_CELLS_PER_STAGE = 2
EVALUATION_CHANNELS = 64


class HierarchicalSearchSpace(Graph):
    """The space of [Liu2018hierarchical]: a cell whose edges are motifs, whose edges are operations.

    There are six motifs of four nodes, every edge of which has one of six operations or none; and a cell of five nodes,
    every edge of which has one of the motifs or none. All uses of a motif, in all cells, share its decisions and have
    weights of their own. In the search network a node concatenates what enters it, and a 1x1 convolution brings it
    back to the channels of the stage: `none` gives zeros there, so that the rest reads its slice of that convolution.

    Args:
        n_classes: Number of classes, or of values.
        in_channels: Channels of the images.
        channels: Channels of the first of three stages; each further one has twice as many.
        cells_per_stage: Cells in each stage.
        motifs: Number of motifs of the second level.
        motif_nodes: Nodes of each.
        cell_nodes: Nodes of the cell.
        task: What it is for.

    Raises:
        ConfigError: If a size is too small, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = "all"
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: int = 16,
        cells_per_stage: int = 1,
        motifs: int = 6,
        motif_nodes: int = 4,
        cell_nodes: int = 5,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        least = {"motifs": (motifs, 1), "motif_nodes": (motif_nodes, 2), "cell_nodes": (cell_nodes, 2)}
        problems = [
            f"{name} must be at least {low}, not {value}" for name, (value, low) in least.items() if value < low
        ]
        if task not in self.TASKS:
            problems.append(f"hierarchical has no head for {task}, only for {', '.join(self.TASKS)}")
        if problems:
            raise ConfigError(problems)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.channels = channels
        self.cells_per_stage = cells_per_stage
        self.motifs = motifs
        self.motif_nodes = motif_nodes
        self.cell_nodes = cell_nodes
        self.task = task
        sizes = HierarchySizes(motifs, motif_nodes, cell_nodes)
        build(
            self, HierarchicalMacro(cells_per_stage, channels, in_channels, n_classes, affine=False), _CellMaker(sizes)
        )
        self.codec = HierarchicalCodec(self.present_decisions(), sizes)

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State the motif on every edge of the cell, and the operation on every edge of the motifs."""
        return state(self, scope, names=_name)

    def evaluation_network(  # type: ignore[override]  # the arguments are the space's
        self, cells_per_stage: int | None = None, channels: int | None = None, merge: str = "concat"
    ) -> HierarchicalNetwork:
        """Return the network that is retrained for this architecture: fresh weights, affine BN, drop-path.

        Args:
            cells_per_stage: Cells in each stage, 2 if None.
            channels: Channels of the first stage, 64 if None.
            merge: `"concat"`, as in the paper, or `"project"`: see `HierarchicalNetwork`.

        Raises:
            ArchitectureError: If this graph is not discrete.
        """
        network = HierarchicalNetwork(
            self.genotype(),
            HierarchySizes(self.motifs, self.motif_nodes, self.cell_nodes),
            n_classes=self.n_classes,
            in_channels=self.in_channels,
            cells_per_stage=EVALUATION_CELLS_PER_STAGE if cells_per_stage is None else cells_per_stage,
            channels=EVALUATION_CHANNELS if channels is None else channels,
            merge=merge,
        )
        network.codec, network._code = self.codec, self.get_code()
        network.parse()
        return network.take_given(self)


def _name(op: Any) -> str:
    return op.name if isinstance(op, Graph) else NAMES[op_name(op)]


class _CellMaker:
    """Make cells whose edges share their decisions with those of all cells, and motifs that do so with their uses."""

    def __init__(self, sizes: HierarchySizes) -> None:
        self.sizes = sizes
        self.cell = _empty(CELL, sizes.cell_nodes)
        self.motifs = [_empty(motif_name(number), sizes.motif_nodes) for number in range(sizes.motifs)]
        self.candidates: dict[int, list[nn.Module]] = {}

    def __call__(self, C_in: int, C: int) -> tuple[Graph, int]:
        cell = self.cell.copy()
        for _, _, data in cell.edges(data=True):
            data.set("op", [ops.Zero(1), *(self._motif(motif, C) for motif in self.motifs)])
        _merge(cell, C)
        return cell, C

    def _motif(self, template: Graph, C: int) -> Graph:
        motif = template.copy()
        for _, _, data in motif.edges(data=True):
            data.set("op", self._operations(C))
        _merge(motif, C)
        return motif

    def _operations(self, C: int) -> list[nn.Module]:
        if C not in self.candidates:
            self.candidates[C] = [make(name, C, C, search=True)[0] for name in OPERATIONS]
        fresh = copy.deepcopy(self.candidates[C])
        for op in fresh:
            for module in op.modules():
                if isinstance(module, nn.Conv2d):
                    module.reset_parameters()
        return fresh


def _empty(name: str, nodes: int) -> Graph:
    graph = Graph(name=name, scope="all")
    graph.add_nodes_from(range(1, nodes + 1))
    graph.add_edges_from(edges(nodes))
    return graph


def _merge(graph: Graph, C: int) -> None:
    """Let every node that several edges enter concatenate them, and project."""
    for node in graph.nodes:
        if graph.in_degree(node) > 1:
            graph.nodes[node]["comb_op"] = ops.Concat1x1(graph.in_degree(node), C, affine=False)
