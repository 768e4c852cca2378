"""A small space with sizes, operations, entangled candidates, and a size that only one candidate has."""

from __future__ import annotations

from torch import nn

from naslib.search_spaces.core.elastic import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    ElasticLinear,
    ElasticSequential,
    Value,
    entangle,
)
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import Identity, ReLUConvBN, Sequential


def _block(width: Value, kernel: Value | int) -> nn.Module:
    return nn.Sequential(nn.ReLU(), ElasticConv2d(width, width, kernel, bias=False), ElasticBatchNorm2d(width))


class ElasticSpace(Graph):
    """Stem -> chain of blocks -> two copies of a cell -> pool and linear, on images.

    Sizes: the width of stem and chain, the length of the chain, the kernel of its last block, and in the cell the
    kernel of one candidate. The cell has one decision among convolutions that share weights, that candidate, and the
    identity.
    """

    QUERYABLE = False
    OPTIMIZER_SCOPE = "cell"

    def __init__(self, channels: int = 4, classes: int = 3, in_channels: int = 2, mix: str = "weights") -> None:
        super().__init__()
        self.name = "macro"
        self.channels, self.classes, self.in_channels, self.mix = channels, classes, in_channels, mix
        width, depth = Value((2, 4), "width"), Value((1, 2), "depth")
        last, kernel = Value((1, 3), "last_kernel"), Value((3, 5, 1), "cell_kernel")
        cell = Graph(name="cell", scope="cell")
        cell.add_nodes_from([1, 2])
        cell.add_edge(1, 2)
        self.add_nodes_from(range(1, 7))
        self.add_edge(1, 2, op=Sequential(ElasticConv2d(in_channels, width, 3, mix=mix), ElasticBatchNorm2d(width)))
        self.add_edge(2, 3, op=ElasticSequential([_block(width, 3), _block(width, last)], depth))
        self.add_edge(3, 4, op=Sequential(ElasticConv2d(width, channels, 1, mix=mix)))
        self.add_edge(4, 5, EdgeData({"op": cell}))
        self.add_edge(5, 6, EdgeData({"op": cell.copy()}))
        self.add_node(7)
        self.add_edge(6, 7, op=Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), ElasticLinear(channels, classes)))
        self.update_edges(
            lambda edge: edge.data.set("op", _candidates(channels, kernel, mix)), scope="cell", private_edge_data=True
        )


def _candidates(channels: int, kernel: Value, mix: str) -> list[nn.Module]:
    convolutions = [ReLUConvBN(channels, channels, size, affine=False) for size in (1, 3)]
    elastic = nn.Sequential(nn.ReLU(), ElasticConv2d(channels, channels, kernel, mix=mix))
    return [*entangle(convolutions, mix), elastic, Identity()]
