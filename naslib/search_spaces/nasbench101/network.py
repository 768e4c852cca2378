"""The network of NAS-Bench-101: how many channels the vertices of a cell have, and the modules of a cell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.ops_base import AbstractCombOp, AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike

from .primitives import ConvBNReLU, operation

STACKS, MODULES = 3, 3
STEM_CHANNELS = 128


def vertex_channels(dag: LabelledDag, C_in: int, C_out: int) -> list[int]:
    """Return the channels of every vertex of a pruned cell ([Ying2019nasbench101] and code).

    The vertices that enter the output share its channels evenly, the first ones taking what is left over; another one
    has as many as the widest that it enters.

    Args:
        dag: The cell.
        C_in: Channels of its input.
        C_out: Channels of its output.

    Raises:
        ValueError: If the output has fewer channels than vertices enter it.
    """
    last = dag.size - 1
    entering = [v for v in dag.sources(last) if v != 0]
    channels = [C_in, *[0] * (last - 1), C_out]
    if len(entering) > C_out:
        raise ValueError(f"{len(entering)} vertices enter the output of a cell, which has {C_out} channels")
    for position, v in enumerate(entering):
        channels[v] = C_out // len(entering) + (position < C_out % len(entering))
    for v in reversed(range(1, last)):
        if v not in entering:
            channels[v] = max(channels[w] for w in dag.targets(v))
    return channels


class SumTruncated(AbstractCombOp):
    """Add what enters a vertex, as many channels of each as the vertex has.

    Args:
        channels: Of the vertex.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the sum.

        `(n, c_i, h, w)`, `c_i` at least `channels`, to `(n, channels, h, w)`.
        """
        total = tensors[0][:, : self.channels]
        for tensor in tensors[1:]:
            total = total + tensor[:, : self.channels]
        return total


class ConcatAndAdd(AbstractCombOp):
    """Concatenate what the vertices give, and add the projected input of the cell where it enters the output.

    Args:
        adds_input: Whether the first tensor is the projected input.
    """

    def __init__(self, adds_input: bool) -> None:
        super().__init__()
        self.adds_input = adds_input

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the output of the cell.

        `(n, c_i, h, w)` to `(n, sum of c_i, h, w)`, without the projected input in the sum.
        """
        parts = tensors[1:] if self.adds_input else tensors
        joined = torch.cat(list(parts), dim=1) if len(parts) > 1 else parts[0]
        return tensors[0] + joined if self.adds_input else joined


class Truncated(AbstractPrimitive):
    """Apply an operation to the first channels of what comes in.

    Args:
        op: The operation.
        channels: How many it reads.
    """

    def __init__(self, op: nn.Module, channels: int) -> None:
        super().__init__(locals())
        self.op, self.channels = op, channels

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return what the operation gives.

        `(n, c, h, w)`, `c` at least `channels`, to `(n, c', h, w)`.
        """
        return self.op(x[:, : self.channels])

    def get_embedded_ops(self) -> list[nn.Module]:
        """Return the operation."""
        return [self.op]


def make_cell(dag: LabelledDag, C_in: int, C_out: int) -> Graph:
    """Return the module of a pruned cell.

    Its nodes are those of the cell from 1, and for every inner vertex v one that adds what enters it, `v + size - 1`.

    Args:
        dag: The cell.
        C_in: Channels of its input.
        C_out: Channels of its output.
    """
    channels, last = vertex_channels(dag, C_in, C_out), dag.size - 1
    cell = Graph(name="cell")
    node = {0: 1} | {v: 2 * v + 1 for v in range(1, last)} | {last: 2 * last}
    cell.add_nodes_from([1, *(n for v in range(1, last) for n in (2 * v, 2 * v + 1)), 2 * last])
    for v in range(1, last):
        for u in dag.sources(v):
            op = ConvBNReLU(C_in, channels[v], 1) if u == 0 else None
            cell.add_edge(node[u], 2 * v, EdgeData({"op": op}) if op is not None else EdgeData())
        applied = operation(dag.labels[v - 1], channels[v])
        cell.add_edge(2 * v, 2 * v + 1, EdgeData({"op": Truncated(applied, channels[v])}))
        cell.nodes[2 * v]["comb_op"] = SumTruncated(channels[v])
    for v in dag.sources(last):
        op = ConvBNReLU(C_in, C_out, 1) if v == 0 else None
        cell.add_edge(node[v], node[last], EdgeData({"op": op}) if op is not None else EdgeData())
    cell.nodes[node[last]]["comb_op"] = ConcatAndAdd(bool(dag.matrix[0][last]))
    return cell


def count_parameters(dag: LabelledDag, n_classes: int = 10, channels: int = STEM_CHANNELS, in_channels: int = 3) -> int:
    """Return the number of parameters of the network of a pruned cell, in closed form.

    Args:
        dag: The cell.
        n_classes: Number of classes.
        channels: Of the stem and the first stack; the others have twice and four times as many.
        in_channels: Channels of the images.
    """
    total, width = _conv(9, in_channels, channels), channels
    for stack in range(STACKS):
        before, width = width, channels * 2**stack
        total += _count_cell(dag, before, width) + (MODULES - 1) * _count_cell(dag, width, width)
    return total + (width + 1) * n_classes


def _count_cell(dag: LabelledDag, C_in: int, C_out: int) -> int:
    channels, last = vertex_channels(dag, C_in, C_out), dag.size - 1
    total = sum(_conv(1, C_in, channels[v]) for v in dag.targets(0))
    for v in range(1, last):
        area = (9, 1, 0)[dag.labels[v - 1]]
        total += _conv(area, channels[v], channels[v]) if area else 0
    return total


def _conv(area: int, C_in: int, C_out: int) -> int:
    return area * C_in * C_out + 2 * C_out
