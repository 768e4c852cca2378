"""HierarchicalNetwork: the network that is trained from scratch for an architecture of three levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.combine import channel_concat
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger

from .genotype import PUBLISHED, Edge, Hierarchy, HierarchySizes, as_hierarchy, motif_name
from .macro import HierarchicalMacro, build
from .primitives import make

logger = get_logger(__name__)
MERGES = ("concat", "project")


class HierarchicalNetwork(Graph):
    """The network of a genotype, with affine BN, of the edges alone that lie on a way from the input to the output.

    Where there is no such way, cells give zeros.

    Args:
        genotype: The tables, as `as_hierarchy` reads them.
        sizes: Of the genotype.
        n_classes: Number of classes, or of values.
        in_channels: Channels of the images.
        cells_per_stage: Cells in each of the three stages.
        channels: Channels of the first stage, and of its convolutions.
        merge: What a node does with several inputs: `"concat"`, as the paper has it (convolutions bring the channels
            back to those of the stage, other operations keep them all), or `"project"`: a 1x1 convolution does so
            behind every concatenation, as in the search network.

    Raises:
        ArchitectureError: If the genotype is invalid.
        ConfigError: If a size is not positive, or the merge unknown.
    """

    def __init__(
        self,
        genotype: Any,
        sizes: HierarchySizes = PUBLISHED,
        n_classes: int = 10,
        in_channels: int = 3,
        cells_per_stage: int = 2,
        channels: int = 64,
        merge: str = "concat",
    ) -> None:
        super().__init__("makrograph")
        if merge not in MERGES:
            raise ConfigError(f"merge is {' or '.join(MERGES)}, not {merge!r}")
        hierarchy = as_hierarchy(genotype, sizes)
        self.sizes = sizes
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.cells_per_stage = cells_per_stage
        self.channels = channels
        self.merge = merge
        maker = _Maker(hierarchy, sizes, merge)
        build(self, HierarchicalMacro(cells_per_stage, channels, in_channels, n_classes, affine=True), maker)


def on_the_way(table: Mapping[Edge, str], nodes: int) -> list[Edge]:
    """Return the edges that lie on a way from node 1 to the last, in order; none where there is no way."""
    forward, backward = {1}, {nodes}
    for i, j in sorted(table):
        if i in forward:
            forward.add(j)
    for i, j in sorted(table, reverse=True):
        if j in backward:
            backward.add(i)
    return [(i, j) for i, j in sorted(table) if i in forward and j in backward]


class _Maker:
    """Make the cells of an architecture: `(channels of the input, of the stage)` to a graph, and its channels."""

    def __init__(self, hierarchy: Hierarchy, sizes: HierarchySizes, merge: str) -> None:
        self.sizes, self.merge = sizes, merge
        nodes = sizes.motif_nodes
        self.motifs = {
            motif_name(number): {edge: table[edge] for edge in on_the_way(table, nodes)}
            for number, table in enumerate(hierarchy.motifs)
        }
        # a motif without a way through it is no edge of the cell
        leading = {edge: name for edge, name in hierarchy.cell.items() if self.motifs[name]}
        self.cell = {edge: leading[edge] for edge in on_the_way(leading, sizes.cell_nodes)}
        if not self.cell:
            logger.warning("nothing leads from the input of this cell to its output: the network gives a constant")

    def __call__(self, C_in: int, C: int) -> tuple[Graph, int]:
        if self.cell:
            return self._graph("cell", self.cell, C_in, C)
        graph = Graph(name="cell", scope="all")
        graph.add_edge(1, self.sizes.cell_nodes, EdgeData({"op": ops.Zero(1)}))
        return graph, C_in

    def _graph(self, name: str, table: Mapping[Edge, str], C_in: int, C: int) -> tuple[Graph, int]:
        graph = Graph(name=name, scope="all")
        last = self.sizes.cell_nodes if name == "cell" else self.sizes.motif_nodes
        there = sorted({node for edge in table for node in edge})
        graph.add_nodes_from(there)
        widths = {1: C_in}
        for node in there[1:]:
            entering = [edge for edge in table if edge[1] == node]
            width = 0
            for i, j in sorted(entering):
                op, gives = self._op(table[i, j], widths[i], C)
                graph.add_edge(i, j, EdgeData({"op": op}))
                width += gives
            widths[node] = width
            if len(entering) > 1:
                project = self.merge == "project"
                graph.nodes[node]["comb_op"] = Projection(width, C) if project else channel_concat
                widths[node] = C if project else width
        return graph, widths[last]

    def _op(self, name: str, C_in: int, C: int) -> tuple[nn.Module, int]:
        if name in self.motifs:
            return self._graph(name, self.motifs[name], C_in, C)
        op, gives = make(name, C_in, C, search=False)
        return (op if isinstance(op, ops.Identity) else ops.DropPath(op)), gives


class Projection(ops.AbstractPrimitive):
    """Combine the inputs of a node: concatenate the channels, then a 1x1 convolution and BN.

    Args:
        C_in: Channels of all inputs together.
        C_out: Number of output channels.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, affine: bool = True) -> None:
        super().__init__(locals())
        self.conv = nn.Conv2d(C_in, C_out, 1, bias=False)
        self.bn = nn.BatchNorm2d(C_out, affine=affine)

    def forward(self, x: Any, edge_data: Any = None) -> Any:
        """Combine a list of tensors.

        `(n, c_i, h, w)` each to `(n, C_out, h, w)`.
        """
        return self.bn(self.conv(channel_concat(x)))
