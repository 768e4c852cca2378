"""Concatenations of a part of what enters a node."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .combine import channel_concat
from .ops_base import AbstractCombOp
from .types import EdgeLike


class ConcatOfSome(AbstractCombOp):
    """Concatenate some of what enters a node along the channels; the rest has no further effect.

    Nodes whose output is not taken keep their edge, so that none becomes an output of the network by itself.

    Args:
        positions: Which of the inputs, ordered by source index, make the output.
    """

    def __init__(self, positions: Sequence[int]) -> None:
        super().__init__(channel_concat)
        self.positions = tuple(positions)

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the chosen tensors, concatenated.

        `(n, c, h, w)` each; the channels add up.
        """
        return channel_concat([tensors[position] for position in self.positions])

    def used_inputs(self, count: int) -> Sequence[int]:
        """Return the chosen positions."""
        return self.positions

    def extra_repr(self) -> str:
        """Name the inputs."""
        return f"positions={self.positions}"


class ConcatWithZeros(AbstractCombOp):
    """Concatenate some of what enters a node along the channels, with zeros in the places of the rest.

    What reads it with weights reads a slice of them by that: the one that belongs to what is there.

    Args:
        positions: Which of the inputs, ordered by source index, are there.
        ignored: How many of the first inputs have no place at all.
        beyond: Places after those of the inputs, with zeros like the last of these.
    """

    def __init__(self, positions: Sequence[int], ignored: int = 0, beyond: int = 0) -> None:
        super().__init__(channel_concat)
        self.positions = tuple(positions)
        self.ignored = ignored
        self.beyond = beyond

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the concatenation.

        `(n, c, h, w)` each; the channels of all but the ignored ones add up.
        """
        there = [
            tensor if position in self.positions else torch.zeros_like(tensor)
            for position, tensor in enumerate(tensors)
            if position >= self.ignored
        ]
        return channel_concat([*there, *[torch.zeros_like(there[-1])] * self.beyond])

    def used_inputs(self, count: int) -> Sequence[int]:
        """Return all but the ignored positions: zeros have the shape of what they stand for."""
        return range(self.ignored, count)

    def extra_repr(self) -> str:
        """Name the inputs."""
        return f"positions={self.positions}, ignored={self.ignored}, beyond={self.beyond}"
