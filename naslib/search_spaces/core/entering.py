"""What a combination gets: the tensors that enter a node, with the data of their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from naslib.errors import GraphError

from .types import EdgeLike


@dataclass(slots=True)
class Entering:
    """What a combination gets: the tensors that enter a node, ordered by source index, with the data of their edges.

    Attributes:
        tensors: Of any shape.
        edges: As many.
        first: Name and shape of the output of the candidate that was computed first from these tensors.
        ran: What the node's decision ran, the last entry being what holds: a row of weights, a `Draw`, an index.
    """

    tensors: tuple[Tensor, ...]
    edges: Sequence[EdgeLike]
    first: list[tuple[str, torch.Size]] = field(default_factory=list)
    ran: list[Any] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """The device of the tensors."""
        return self.tensors[0].device

    @property
    def dtype(self) -> torch.dtype:
        """The type of the tensors."""
        return self.tensors[0].dtype

    def detach(self) -> Entering:
        """Return the same without history."""
        return self.holding([tensor.detach() for tensor in self.tensors])

    def holding(self, tensors: Sequence[Tensor]) -> Entering:
        """Return the same with other tensors.

        Each has the shape of the one in its place, `(n, c, h, w)` or any other.
        """
        return Entering(tuple(tensors), self.edges, self.first)

    def check(self, name: str, output: Tensor) -> None:
        """Raise `GraphError` unless the output of a candidate has the shape of those before, `(n, c, h, w)` or other.

        Raises:
            GraphError: If it has another; the plan adds at which node.
        """
        if not self.first:
            self.first.append((name, output.shape))
        elif output.shape != self.first[0][1]:
            other, shape = self.first[0]
            raise GraphError(
                f"the candidates of a comb_op must return one shape: {other} returns {tuple(shape)}, {name} "
                f"{tuple(output.shape)}"
            )
