"""Combinations of what enters a node: functions of a list of tensors, ordered by source index."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .ops_base import AbstractCombOp
from .types import EdgeLike


def channel_concat(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors concatenated along the channels.

    `(n, c_i, h, w)` to `(n, sum of c_i, h, w)`.
    """
    return torch.cat(list(tensors), dim=1)


def channel_maxout(tensors: Sequence[Tensor]) -> Tensor:
    """Return the elementwise maximum of the tensors.

    All have one shape, which stays.
    """
    return torch.stack(list(tensors), dim=0).amax(dim=0)


def mean(tensors: Sequence[Tensor]) -> Tensor:
    """Return the elementwise mean of the tensors.

    All have one shape, which stays.
    """
    return torch.stack(list(tensors), dim=0).mean(dim=0)


class Select(AbstractCombOp):
    """Pass on one of the tensors that enter a node, and none of the others.

    A list of them as a node's `comb_op`, `selections(sources)`, is the choice of one input.

    Args:
        index: Which one, by source index.
        source: The node that it comes from, for the name.
    """

    def __init__(self, index: int, source: int) -> None:
        super().__init__()
        self.index, self.source = index, source

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the tensor.

        Of any shape, which stays.
        """
        return tensors[self.index]

    def used_inputs(self, count: int) -> Sequence[int]:
        """Return the index."""
        return (self.index,)

    @property
    def get_op_name(self) -> str:
        """`node_3`, where it passes on what comes from node 3."""
        return f"node_{self.source}"


def selections(sources: Sequence[int]) -> list[AbstractCombOp]:
    """Return the candidates of a node that takes one of its inputs: a `Select` for each.

    Args:
        sources: The nodes from which edges enter, ascending.
    """
    return [Select(index, source) for index, source in enumerate(sources)]
