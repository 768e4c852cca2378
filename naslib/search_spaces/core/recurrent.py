"""A recurrent layer that calls its cell word by word, and remembers the states that a batch ended with."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.errors import GraphError
from naslib.utils.passage import held_memory

from .ops_base import AbstractPrimitive
from .ops_words import SequenceDropout
from .types import EdgeLike

# From a word and the states to the next states
Step = Callable[[Tensor, Sequence[Tensor]], Sequence[Tensor]]


class WordByWordLayer(AbstractPrimitive):
    """Go through a sequence word by word; the output is the first state after each.

    It begins with the states that the batch before ended with, if they are remembered, else with zeros.

    Args:
        arguments: Of the subclass's constructor.
        key: Under which the states are remembered, one for each layer of a network.
        hidden: Size of states.
        n_states: How many states there are.
        dropout: Share of the outputs' channels that are dropped in training, the same at all positions of a row.
    """

    def __init__(self, arguments: Mapping[str, Any], key: str, hidden: int, n_states: int, dropout: float) -> None:
        super().__init__(arguments)
        self.key, self.hidden, self.n_states = key, hidden, n_states
        self.dropout = SequenceDropout(dropout)

    @abstractmethod
    def begin(self) -> Step:
        """Return what computes the next states, `(n, hidden)` each, of a word `(n, inputs)` and the states."""

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the first state after each word.

        `(n, t, inputs)` to `(n, t, hidden)`.

        Raises:
            GraphError: If the remembered states are of another number of rows, or of another size.
        """
        memory = held_memory()
        joined = memory.before.get(self.key) if memory is not None else None
        shape = (x.shape[0], self.n_states * self.hidden)
        if joined is None:
            joined = x.new_zeros(shape)
        elif tuple(joined.shape) != shape:
            raise GraphError(
                f"the remembered states have the shape {tuple(joined.shape)}, and the batch needs {shape}: batches "
                "that go on must have the same number of rows, and be read by one network"
            )
        states: Sequence[Tensor] = joined.to(x.dtype).chunk(self.n_states, dim=-1)
        step = self.begin()
        outputs = []
        for word in x.unbind(1):
            states = step(word, states)
            outputs.append(states[0])
        if memory is not None:
            memory.after[self.key] = torch.cat(list(states), dim=-1).detach()
        return self.dropout(torch.stack(outputs, dim=1))
