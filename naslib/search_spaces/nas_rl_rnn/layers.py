"""The recurrent cell of a tree, and the layer that calls it word by word."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.ops_words import SequenceDropout
from naslib.search_spaces.core.types import EdgeLike
from naslib.utils.passage import held_memory

from .decisions import children
from .genotype import Labelled, TreeCell

_COMBINED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"add": torch.add, "elem_mult": torch.mul}
_ACTIVATED: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
}
# All matrices begin in +- this, as those of the other recurrent spaces
CELL_RANGE = 0.04


class UndecidedTree(AbstractPrimitive):
    """Stand where a recurrent layer will be: a forward is an error."""

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Raise `GraphError`, whatever the shape `(n, t, hidden)`."""
        raise GraphError("no architecture is set on this nas_rl_rnn: use set_spec or sample_random_architecture")


class TreeStep(nn.Module):
    """Compute the next states of a cell ([Zoph2017nasrl], section 3.4).

    Leaf i is `f_i(W_i x o_i U_i h)`, with o_i a sum or a product by elements; a node above combines its two children
    likewise, without weights. Into the value of one node enters the state of the cell, `a' = f(a o c)`; the value of
    one node before its activation is the next state of the cell; the root is the next state h.

    Args:
        cell: What to compute.
        inputs: Size of the input.
        hidden: Size of both states.
    """

    def __init__(self, cell: TreeCell, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell = cell
        self.base = (len(cell.nodes) + 1) // 2
        self.below = children(self.base)
        self.of_input = nn.Parameter(torch.empty(self.base * hidden, inputs))
        self.of_state = nn.Parameter(torch.empty(self.base * hidden, hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights from U(-.04, .04)."""
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -CELL_RANGE, CELL_RANGE)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next h and c.

        `(n, inputs)`, `(n, hidden)` and `(n, hidden)` to twice `(n, hidden)`.
        """
        leaves = zip(
            (x @ self.of_input.T).chunk(self.base, -1), (h @ self.of_state.T).chunk(self.base, -1), strict=True
        )
        values: list[Tensor] = []
        following = c
        pairs = [*leaves]
        for node, labels in enumerate(self.cell.nodes):
            first, second = pairs[node] if node < self.base else (values[i] for i in self.below[node - self.base])
            before = _COMBINED[labels[0]](first, second)
            if node == self.cell.cell_out:
                following = before
            value = _ACTIVATED[labels[1]](before)
            if node == self.cell.cell_in:
                value = _joined(self.cell.inject, value, c)
            values.append(value)
        return values[-1], following


def _joined(labels: Labelled, first: Tensor, second: Tensor) -> Tensor:
    return _ACTIVATED[labels[1]](_COMBINED[labels[0]](first, second))


class TreeLayer(AbstractPrimitive):
    """Go through a sequence word by word; the output is the state h after each.

    It begins with the states that the batch before ended with, if they are remembered, else with zeros.

    Args:
        cell: Of the layer.
        inputs: Size of the vectors.
        hidden: Size of states.
        number: Of the layer in its network.
        dropout: Share of the outputs' channels that are dropped in training, the same at all positions of a row.
    """

    def __init__(self, cell: TreeCell, inputs: int, hidden: int, number: int = 0, dropout: float = 0.0) -> None:
        super().__init__(locals())
        self.hidden = hidden
        self.key = f"tree_{number}"
        self.step = TreeStep(cell, inputs, hidden)
        self.dropout = SequenceDropout(dropout)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the state after each word.

        `(n, t, inputs)` to `(n, t, hidden)`.

        Raises:
            GraphError: If the remembered states are of another number of rows, or of another size.
        """
        memory = held_memory()
        joined = memory.before.get(self.key) if memory is not None else None
        shape = (x.shape[0], 2 * self.hidden)
        if joined is None:
            joined = x.new_zeros(shape)
        elif tuple(joined.shape) != shape:
            raise GraphError(
                f"the remembered states have the shape {tuple(joined.shape)}, and the batch needs {shape}: batches "
                "that go on must have the same number of rows, and be read by one network"
            )
        h, c = joined.to(x.dtype).chunk(2, dim=-1)
        outputs = []
        for word in x.unbind(1):
            h, c = self.step(word, h, c)
            outputs.append(h)
        if memory is not None:
            memory.after[self.key] = torch.cat([h, c], dim=-1).detach()
        return self.dropout(torch.stack(outputs, dim=1))
