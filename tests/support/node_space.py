"""A small space with a choice of combinations at a node of a cell that is there twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.combine import channel_maxout
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, Identity, ReLUConvBN, Zero


class Gated(AbstractCombOp):
    """A combination with weights, which reads the edges that enter: `w(first) + others`, the convolution 1x1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.w = nn.Conv2d(channels, channels, 1)

    def forward(self, tensors: list[Tensor], edges_data: Sequence[Any]) -> Tensor:
        """Combine."""
        assert len(edges_data) == len(tensors)
        return self.w(tensors[0]) + sum(tensors[1:])


def product(tensors: list[Tensor]) -> Tensor:
    """Multiply, in place: the plan keeps what others read."""
    for tensor in tensors[1:]:
        tensors[0].mul_(tensor)
    return tensors[0]


def cell_of(channels: int) -> Graph:
    """Return the cell: node 3 adds, node 4 has a choice."""
    cell = Graph(name="cell", scope="cell")
    cell.add_nodes_from([1, 2, 3, 4])
    cell.add_edges_from([(1, 2), (1, 3), (2, 3), (2, 4), (3, 4)])
    cell.nodes[4]["comb_op"] = [sum, channel_maxout, product, Gated(channels)]
    return cell


class NodeSpace(Graph):
    """Stem -> two copies of a cell -> pool and linear, on images."""

    OPTIMIZER_SCOPE = "cell"

    def __init__(self, channels: int = 4, classes: int = 3, in_channels: int = 2) -> None:
        super().__init__()
        self.name = "macro"
        self.channels, self.classes, self.in_channels = channels, classes, in_channels
        cell = cell_of(channels)
        self.add_nodes_from(range(1, 6))
        self.add_edge(1, 2, op=nn.Conv2d(in_channels, channels, 3, padding=1))
        self.add_edge(2, 3, EdgeData({"op": cell}))
        self.add_edge(3, 4, EdgeData({"op": cell.copy()}))
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
        self.add_edge(4, 5, op=head)
        for nested in self.nested_graphs():
            if nested.scope == "cell":
                for u, v in ((1, 2), (1, 3), (2, 3)):
                    nested.edges[u, v].set(
                        "op", [ReLUConvBN(channels, channels, 3, affine=False), Identity(), Zero(stride=1)]
                    )


def combined(name: str, first: Tensor, second: Tensor, gate: nn.Module) -> Tensor:
    """Return what a candidate of `NodeSpace` makes of two tensors, written out."""
    by_name = {
        "sum": lambda: first + second,
        "channel_maxout": lambda: torch.maximum(first, second),
        "product": lambda: first * second,
        "Gated": lambda: gate(first) + second,
    }
    return by_name[name]()
