"""Search spaces that cost nothing: mixtures of small linear layers, with and without batch norm."""

from __future__ import annotations

import torch
from torch import nn

from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import (
    AbstractPrimitive,
    DilConv,
    Identity,
    ReLUConvBN,
    Sequential,
    Stem,
    Zero,
)


def _candidates(width: int, batch_norm: bool) -> list[nn.Module]:
    def layer() -> nn.Module:
        parts = [nn.Linear(width, width), *([nn.BatchNorm1d(width, affine=False)] if batch_norm else []), nn.Tanh()]
        return nn.Sequential(*parts)

    return [layer(), layer(), nn.Identity()]


def mlp_space(width: int = 6, classes: int = 3, *, batch_norm: bool = False, shared_cells: bool = True) -> Graph:
    """Return linear -> cell -> cell -> linear; the two cells are copies, so each decision is shared by two edges."""
    cell = Graph(name="cell", scope="cell")
    cell.add_nodes_from([1, 2, 3])
    cell.add_edges_densly()
    graph = Graph(name="macro")
    graph.add_nodes_from([1, 2, 3, 4, 5])
    graph.add_edge(1, 2, op=nn.Linear(width, width))
    graph.add_edge(2, 3, EdgeData({"op": cell}))
    graph.add_edge(3, 4, EdgeData({"op": cell.copy()}))
    graph.add_edge(4, 5, op=nn.Linear(width, classes))
    graph.update_edges(
        lambda edge: edge.data.set("op", _candidates(width, batch_norm)), scope="cell", private_edge_data=True
    )
    graph.OPTIMIZER_SCOPE = "cell"
    return graph


def batch(n: int = 8, width: int = 6, classes: int = 3, seed: int = 0, dtype: torch.dtype = torch.float64):
    """Return a random batch for `mlp_space`."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, width, generator=generator, dtype=torch.float64).to(dtype)
    return x, torch.randint(classes, (n,), generator=generator)


def mlp_by_hand(optimizer, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return the logits of an adapted `mlp_space`, written out, with all candidates mixed by one row per decision."""
    macro = optimizer.graph
    row_of = {id(data.alpha): rows[index] for index, data in enumerate(optimizer.decisions)}

    def edge(cell: Graph, u: int, v: int, value: torch.Tensor) -> torch.Tensor:
        data = cell.edges[u, v]
        return sum(w * op(value) for w, op in zip(row_of[id(data.alpha)], data.op.primitives, strict=True))

    x = macro.edges[1, 2].op(x)
    for node in (2, 3):
        cell = macro.edges[node, node + 1].op
        x = edge(cell, 1, 3, x) + edge(cell, 2, 3, edge(cell, 1, 2, x))
    return macro.edges[4, 5].op(x)


def mlp_by_copy(optimizer, x: torch.Tensor, rows: dict) -> torch.Tensor:
    """Return the logits of an adapted `mlp_space`, written out, with weights of their own for every copy of the cell.

    Args:
        optimizer: The optimizer.
        x: `(n, width)`.
        rows: `(n_ops,)` by copy (0, 1) and index of the decision.
    """
    macro = optimizer.graph
    index_of = {id(data.alpha): index for index, data in enumerate(optimizer.decisions)}
    x = macro.edges[1, 2].op(x)
    for copy, node in enumerate((2, 3)):
        cell = macro.edges[node, node + 1].op

        def edge(u: int, v: int, value: torch.Tensor, cell=cell, copy=copy) -> torch.Tensor:
            data = cell.edges[u, v]
            weights = rows[copy, index_of[id(data.alpha)]]
            return sum(w * op(value) for w, op in zip(weights, data.op.primitives, strict=True))

        x = edge(1, 3, x) + edge(2, 3, edge(1, 2, x))
    return macro.edges[4, 5].op(x)


class ConvSpace(Graph):
    """Stem -> cell -> cell -> pool and linear, on images; two copies of one normal cell with three decisions.

    The first candidates are `"plain"` convolutions, `"smooth"` ones, or one of them `"depthwise"`.
    """

    QUERYABLE = False
    ALLOWS_ZERO = True
    OPTIMIZER_SCOPE = "cell"

    def __init__(self, channels: int = 4, classes: int = 3, in_channels: int = 2, kind: str = "plain") -> None:
        super().__init__()
        self.name = "macro"
        cell = Graph(name="cell", scope="cell")
        cell.add_nodes_from([1, 2, 3])
        cell.add_edges_densly()
        self.add_nodes_from([1, 2, 3, 4, 5])
        self.add_edge(1, 2, op=Stem(C_out=channels, C_in=in_channels))
        self.add_edge(2, 3, EdgeData({"op": cell}))
        self.add_edge(3, 4, EdgeData({"op": cell.copy()}))
        self.add_edge(4, 5, op=Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)))
        self.update_edges(
            lambda edge: edge.data.set("op", _image_candidates(channels, kind)), scope="cell", private_edge_data=True
        )


class TanhConvBN(AbstractPrimitive):
    """Tanh, convolution and batch norm: smooth, where differences of gradients are to be compared with derivatives."""

    def __init__(self, C_in: int, C_out: int, kernel_size: int = 1, affine: bool = False, **kwargs) -> None:
        super().__init__(locals())
        convolution = nn.Conv2d(C_in, C_out, kernel_size, padding=kernel_size // 2, bias=False)
        self.op = nn.Sequential(nn.Tanh(), convolution, nn.BatchNorm2d(C_out, affine=affine))

    def forward(self, x: torch.Tensor, edge_data: EdgeData | None = None) -> torch.Tensor:
        """Return the output."""
        return self.op(x)

    def get_embedded_ops(self) -> None:
        """Return None: there are none."""


def _image_candidates(channels: int, kind: str) -> list[nn.Module]:
    layer = TanhConvBN if kind == "smooth" else ReLUConvBN
    first = layer(channels, channels, kernel_size=3, affine=False)
    if kind == "depthwise":
        first = DilConv(channels, channels, kernel_size=3, stride=1, padding=2, dilation=2, affine=False)
    return [first, layer(channels, channels, kernel_size=1, affine=False), Identity(), Zero(stride=1)]


def images(n: int = 6, size: int = 8, channels: int = 2, classes: int = 3, seed: int = 0, dtype=torch.float64):
    """Return a random batch for `ConvSpace`."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, channels, size, size, generator=generator, dtype=torch.float64).to(dtype)
    return x, torch.randint(classes, (n,), generator=generator)
