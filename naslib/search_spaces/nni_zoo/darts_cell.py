"""DartsCell: the cell of DARTS as NNI's search-space zoo has it, without the operation `none`."""

from __future__ import annotations

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as core_ops
from naslib.search_spaces.core.combine import channel_concat
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .darts_ops import DilConv, FactorizedReduce, PoolBN, SepConv, StdConv

# Nodes: the two inputs, what they are brought to the cell's channels as, then the intermediate ones, then the output
INPUTS, PREPROCESSED, FIRST = (1, 2), (3, 4), 5


def candidates(channels: int, stride: int) -> list[nn.Module]:
    """Return the seven operations of an edge; their BN has neither weight nor bias.

    Args:
        channels: Of input and output.
        stride: 1, or 2 where an input of a reduction cell enters.
    """
    return [
        PoolBN("max", channels, 3, stride, 1, affine=False),
        PoolBN("avg", channels, 3, stride, 1, affine=False),
        core_ops.Identity() if stride == 1 else FactorizedReduce(channels, channels, affine=False),
        SepConv(channels, channels, 3, stride, 1, affine=False),
        SepConv(channels, channels, 5, stride, 2, affine=False),
        DilConv(channels, channels, 3, stride, 2, 2, affine=False),
        DilConv(channels, channels, 5, stride, 4, 2, affine=False),
    ]


class DartsCell(Graph):
    """A cell whose nodes take two of the earlier ones, an operation on each ([Liu2019darts], in NNI's form).

    Called with the outputs of the two cells before, `cell(s0, s1)`, it gives `(n, n_nodes * channels, h / s, w / s)`,
    s being 2 in a reduction cell: the intermediate nodes concatenated. Each is the sum of two edges, chosen among those
    from all earlier nodes, with one of seven operations on each.

    It is a graph: it stands in anyone's module or graph, and is a search space by itself. Cells that are to be alike
    share their decisions by `decide_like`.

    Args:
        n_nodes: Intermediate nodes.
        channels_pp: Channels of the output of the cell before the previous one.
        channels_p: Channels of the output of the previous cell.
        channels: Channels of a node.
        reduction_p: Whether the previous cell halves the image, and the one before it does not see that.
        reduction: Whether this one does.

    Raises:
        ConfigError: If a number is not positive.
    """

    KEPT_EDGES = 2

    def __init__(
        self, n_nodes: int, channels_pp: int, channels_p: int, channels: int, reduction_p: bool, reduction: bool
    ) -> None:
        super().__init__("reduction_cell" if reduction else "normal_cell")
        sizes = {"n_nodes": n_nodes, "channels_pp": channels_pp, "channels_p": channels_p, "channels": channels}
        if problems := [f"{name} must be at least 1, not {value}" for name, value in sizes.items() if value < 1]:
            raise ConfigError(problems)
        self.n_nodes = n_nodes
        self.channels_pp, self.channels_p, self.channels = channels_pp, channels_p, channels
        self.reduction_p, self.reduction = reduction_p, reduction
        output = FIRST + n_nodes
        self.add_nodes_from(range(1, output + 1))
        older: nn.Module
        if reduction_p:
            older = FactorizedReduce(channels_pp, channels, affine=False)
        else:
            older = StdConv(channels_pp, channels, 1, 1, 0, affine=False)
        newer = StdConv(channels_p, channels, 1, 1, 0, affine=False)
        for source, target, op in zip(INPUTS, PREPROCESSED, (older, newer), strict=True):
            self.add_edge(source, target, EdgeData({"op": op}).finalize())
        for node in range(FIRST, output):
            for source in (*PREPROCESSED, *range(FIRST, node)):
                stride = 2 if reduction and source in PREPROCESSED else 1
                self.add_edge(source, node)
                self.edges[source, node].set("op", candidates(channels, stride))
            self.add_edge(node, output, EdgeData().finalize())
        self.nodes[output]["comb_op"] = channel_concat
        self.set_input(INPUTS)
