"""Operations of the recurrent cell on states `(n, hidden)`, and dropout whose mask stays for a whole sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.ops_words import row_dropout_mask
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive
from naslib.search_spaces.core.shared_work import SharedWork
from naslib.search_spaces.core.types import EdgeLike

# In the order of the authors' code, after `none`
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}
# Weights of the cell are drawn from U(-.04, .04)
CELL_RANGE = 0.04


class StateDropout(nn.Module):
    """Drop the same channels of a row's states in all steps of a sequence.

    The mask stays until the next sequence begins, so that what a backward computes again sees the same.

    Args:
        probability: In [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability
        self.mask: Tensor | None = None

    def begin(self, state: Tensor) -> None:
        """Draw the mask of a sequence, none in evaluation.

        Args:
            state: `(n, hidden)`.
        """
        dropping = self.training and self.probability
        mask = row_dropout_mask(state, state.shape, self.probability) if dropping else None
        if mask is not None or self.mask is not None:
            self.mask = mask

    def forward(self, state: Tensor) -> Tensor:
        """Return `(n, hidden)`."""
        return state if self.mask is None else state * self.mask

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "mask": None}

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"probability={self.probability}"


class Gates(nn.Module):
    """Halves of `(s * mask) W`: how much of a state is replaced (through a sigmoid), and by what.

    All operations into one node share a W, whatever their predecessor.

    Args:
        hidden: Size of states.
        dropout: Of states.
        inputs: Size of what is read, the state's if 0.
    """

    def __init__(self, hidden: int, dropout: StateDropout, inputs: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs or hidden, 2 * hidden))
        self.dropout = dropout
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights from U(-.04, .04), as the authors do."""
        nn.init.uniform_(self.weight, -CELL_RANGE, CELL_RANGE)

    def forward(self, state: Tensor, dropped: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the gate and what goes through the activation, both `(n, hidden)`.

        Args:
            state: `(n, inputs)`.
            dropped: The same after dropout, where it has been computed.
        """
        halves = (self.dropout(state) if dropped is None else dropped) @ self.weight
        gate, inner = halves.chunk(2, dim=-1)
        return gate.sigmoid(), inner


class Highway(AbstractPrimitive):
    """Replace a part of a state: `s + c (f(h) - s)` with `(c, h)` from `Gates` ([Liu2019darts] and code).

    Args:
        activation: f, a key of `ACTIVATIONS`.
        gates: Shared with the other operations into the node.
    """

    def __init__(self, activation: str, gates: Gates) -> None:
        super().__init__({"activation": activation, "gates": gates})
        self.activation = activation
        self.gates = gates

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the next state.

        `(n, hidden)` in and out.
        """
        return self._replaced(x, *self.gates(x))

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Return the next state, with gates that other operations of the edge have computed.

        `(n, hidden)` in and out, the weight is a scalar.
        """
        if work.passes.share:
            dropout, key = self.gates.dropout, ("gates", id(self.gates))
            if key not in work.results:
                of_dropout = ("dropout", id(dropout))
                if of_dropout not in work.results:
                    work.results[of_dropout] = dropout(x)
                work.results[key] = self.gates(x, work.results[of_dropout])
            output = self._replaced(x, *work.results[key])
        else:
            output = self(x)
        return output if weight is None else output * weight

    def _replaced(self, state: Tensor, gate: Tensor, inner: Tensor) -> Tensor:
        return state + gate * (ACTIVATIONS[self.activation](inner) - state)

    @property
    def get_op_name(self) -> str:
        """The name of the activation, as in genotypes."""
        return self.activation


class NormedSum(AbstractCombOp):
    """Add up what enters a node, then normalise it; also where it is one tensor.

    Args:
        norm: The batch norm that all nodes of a cell share.
    """

    COMBINES_ONE: ClassVar[bool] = True

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return `(n, hidden)`."""
        total = tensors[0]
        for tensor in tensors[1:]:
            total = total + tensor
        return self.norm(total)
