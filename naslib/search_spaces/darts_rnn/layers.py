"""The layer around the recurrent cell: steps over time."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_words import SequenceDropout
from naslib.search_spaces.core.primitives import AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike
from naslib.utils.passage import held_memory

from .mixture import CellMixture
from .primitives import Gates, StateDropout

# By what name a network remembers its state
_STATE = "recurrent"


class RecurrentLayer(AbstractPrimitive):
    """Go through a sequence step by step: `s_0` from input and state, then the cell.

    `s_0 = s + c (tanh(h) - s)` with `(c, h)` from `[x, s] W_0`, and the cell gives the next state, which is the output
    as well. It begins with the state that the batch before ended with, if that is remembered, else with zeros.

    Args:
        cell: The cell, one node in and one out.
        hidden: Size of inputs and states.
        dropout_input: Share of the input's channels that are dropped in training, the same in all steps.
        dropout: Of states, shared with the cell.
        norm: What normalises `s_0`, the batch norm of the cell; None for nothing.
    """

    def __init__(
        self, cell: Graph, hidden: int, dropout_input: float, dropout: StateDropout, norm: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.dropout = dropout
        self.dropout_input = SequenceDropout(dropout_input)
        self.gates = Gates(hidden, dropout, 2 * hidden)
        self.norm = norm
        self.cell = cell

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the states after each step.

        `(n, t, hidden)` in and out.

        Raises:
            GraphError: If the remembered state is of another number of rows, or of another size.
        """
        memory = held_memory()
        state = memory.before.get(_STATE) if memory is not None else None
        shape = (x.shape[0], self.hidden)
        if state is None:
            state = x.new_zeros(shape)
        elif tuple(state.shape) != shape:
            raise GraphError(
                f"the remembered state has the shape {tuple(state.shape)}, and the batch needs {shape}: batches "
                "that go on must have the same number of rows, and be read by one network"
            )
        self.dropout.begin(state)
        cell = CellMixture.of(self.cell) or self.cell  # once for all steps
        states = []
        for step in self.dropout_input(x).unbind(1):
            state = self._step(step, state.to(x.dtype), cell)
            states.append(state)
        if memory is not None:
            memory.after[_STATE] = state.detach()
        return torch.stack(states, dim=1)

    def _step(self, x: Tensor, state: Tensor, cell: Callable[[Tensor], Tensor]) -> Tensor:
        both = torch.cat([x, self.dropout(state)], dim=-1)
        gate, inner = self.gates(both, both)
        first = state + gate * (inner.tanh() - state)
        return cell(first if self.norm is None else self.norm(first))
