"""The recurrent cell of a tree, and the layer that calls it word by word."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.recurrent import Step, WordByWordLayer

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


class TreeLayer(WordByWordLayer):
    """Go through a sequence with the cell of a tree; the output is the state h after each word.

    Args:
        cell: Of the layer.
        inputs: Size of the vectors.
        hidden: Size of states.
        number: Of the layer in its network.
        dropout: Share of the outputs' channels that are dropped in training, the same at all positions of a row.
    """

    def __init__(self, cell: TreeCell, inputs: int, hidden: int, number: int = 0, dropout: float = 0.0) -> None:
        super().__init__(locals(), f"tree_{number}", hidden, 2, dropout)
        self.step = TreeStep(cell, inputs, hidden)

    def begin(self) -> Step:
        """Return the step from a word, h and c to the next h and c."""
        return lambda word, states: self.step(word, *states)
