"""A space whose parent module calls one cell several times, beside a copy of the cell that the plan inlines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import watching_weights
from naslib.search_spaces.core.graph import EdgeData, Graph
from naslib.search_spaces.core.primitives import Identity, ReLUConvBN, Sequential, Stem, Zero

CALLS = 6
# Calls of an operation of a decision in one forward: the recurrent cell and its copy
CALLS_IN_ALL = CALLS + 1


class Recurrent(nn.Module):
    """Call one cell on its own output."""

    def __init__(self, cell: Graph) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        """Return the state after all calls."""
        for _ in range(CALLS):
            x = torch.tanh(self.cell(x))
        return x


class CalledCells(Graph):
    """Stem -> body (a recurrent cell of three decisions, then a copy of the cell) -> pool and linear, on images."""

    OPTIMIZER_SCOPE = "cell"
    ALLOWS_ZERO = True

    def __init__(self, width: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.name = "macro"
        cell = Graph(name="cell", scope="cell")
        cell.add_nodes_from([1, 2, 3])
        cell.add_edges_densly()
        body = Graph(name="body", scope="body")
        body.add_nodes_from([1, 2, 3])
        body.add_edge(1, 2, op=Recurrent(cell))
        body.add_edge(2, 3, EdgeData({"op": cell.copy()}))
        self.add_nodes_from([1, 2, 3, 4])
        self.add_node(3, subgraph=body)
        self.add_edge(1, 2, op=Stem(C_in=2, C_out=width))
        self.add_edge(2, 3)
        self.add_edge(3, 4, op=Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes)))
        self.update_edges(lambda edge: edge.data.set("op", _ops(width)), scope="cell", private_edge_data=True)


def _ops(width: int) -> list[nn.Module]:
    def layer() -> nn.Module:
        return ReLUConvBN(width, width, kernel_size=1, affine=False)

    return [layer(), Identity(), Zero(stride=1), layer()]


@contextmanager
def recording(optimizer: Any) -> Iterator[list[dict[str, list[tuple]]]]:
    """Collect what operations run, by forward and decision, what the backward computes again included.

    A forward begins where the optimizer takes a sample, and where `begin` is called for one outside of a step.
    """
    forwards: list[dict[str, list[tuple]]] = []
    sampling = optimizer.sampling

    def begin() -> Any:
        forwards.append({})
        return sampling()

    def note(op: Any, weights: Any) -> Any:
        row = weights if isinstance(weights, Tensor) else weights.weights
        on = () if isinstance(weights, Tensor) else weights.on
        forwards[-1].setdefault(op.decision, []).append((on, tuple(row.detach().tolist())))
        return weights

    optimizer.sampling = begin
    try:
        with watching_weights([data.op for data in mixed_edges(optimizer.graph, "cell")], note):
            yield forwards
    finally:
        del optimizer.sampling
