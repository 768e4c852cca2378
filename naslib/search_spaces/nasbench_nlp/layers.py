"""The recurrent cell of a recipe, and the layer that calls it word by word."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.recipes import (
    BLEND,
    FIRST_NODE,
    LINEAR,
    PRODUCT,
    SIGMOID,
    SUM,
    TANH,
    Recipe,
    X,
)
from naslib.search_spaces.core.recurrent import Step, WordByWordLayer


class JoinedLinear(nn.Module):
    """Add linear functions of several vectors: `sum_i W_i x_i + b`.

    Args:
        sizes: Of the vectors.
        hidden: Size of the result.
        is_state: Of which of them the weights can be dropped.
    """

    def __init__(self, sizes: Sequence[int], hidden: int, is_state: Sequence[bool]) -> None:
        super().__init__()
        self.sizes, self.is_state = list(sizes), list(is_state)
        self.weights = nn.ParameterList(torch.empty(hidden, size) for size in sizes)
        self.bias = nn.Parameter(torch.empty(hidden))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights from U(-1/sqrt(hidden), 1/sqrt(hidden)), as the authors do."""
        bound = 1 / sqrt(len(self.bias))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def joined(self, dropout: float) -> Tensor:
        """Return the weights side by side, those of states dropped one by one with a probability.

        `(hidden, sum of sizes)`.
        """
        parts = [
            F.dropout(weight, dropout) if dropped and dropout else weight
            for weight, dropped in zip(self.weights, self.is_state, strict=True)
        ]
        return torch.cat(parts, dim=1)

    def forward(self, inputs: Sequence[Tensor], weight: Tensor) -> Tensor:
        """Return the sum.

        `(n, size)` each, and `joined` weights, to `(n, hidden)`.
        """
        return F.linear(torch.cat(list(inputs), dim=-1), weight, self.bias)


class RecipeCell(nn.Module):
    """Compute the next states from the input and the states.

    Args:
        recipe: What to compute.
        inputs: Size of the input.
        hidden: Size of states.
    """

    def __init__(self, recipe: Recipe, inputs: int, hidden: int) -> None:
        super().__init__()
        self.recipe = recipe
        self.linear = nn.ModuleDict()
        for index, (op, sources) in enumerate(recipe.nodes):
            if op == LINEAR:
                sizes = [inputs if source == X else hidden for source in sources]
                self.linear[str(index)] = JoinedLinear(sizes, hidden, [source != X for source in sources])

    def begin(self, dropout: float) -> dict[str, Tensor]:
        """Return the weights for a sequence, each `(hidden, sizes)`; some are dropped."""
        return {name: linear.joined(dropout) for name, linear in self.linear.items()}  # type: ignore[operator]

    def forward(self, x: Tensor, states: Sequence[Tensor], weights: dict[str, Tensor]) -> list[Tensor]:
        """Return the next states, `(n, hidden)` each, given `(n, inputs)` and the states."""
        values: dict[int, Tensor] = {X: x, **dict(enumerate(states, start=1))}
        for index, (op, sources) in enumerate(self.recipe.nodes):
            read = [values[source] for source in sources]
            value = self.linear[str(index)](read, weights[str(index)]) if op == LINEAR else _combined(op, read)
            values[FIRST_NODE + index] = value
        return [values[FIRST_NODE + output] for output in self.recipe.outputs]


def _combined(op: int, read: Sequence[Tensor]) -> Tensor:
    if op == BLEND:
        return read[0] * read[1] + (1 - read[0]) * read[2]
    if op in (PRODUCT, SUM):
        return read[0] * read[1] if op == PRODUCT else read[0] + read[1]
    if op == TANH:
        return torch.tanh(read[0])
    return torch.sigmoid(read[0]) if op == SIGMOID else F.leaky_relu(read[0])


class RecipeLayer(WordByWordLayer):
    """Go through a sequence with the cell of a recipe; the output is its first state after each word.

    Args:
        recipe: Of the cell.
        inputs: Size of the vectors.
        hidden: Size of states.
        number: Of the layer in its network.
        dropout: Share of the outputs' channels that are dropped in training, the same at all positions of a row.
        dropout_weights: Share of the weights of states that are dropped for a sequence ([Merity2018awdlstm]).
    """

    def __init__(
        self,
        recipe: Recipe,
        inputs: int,
        hidden: int,
        number: int = 0,
        dropout: float = 0.0,
        dropout_weights: float = 0.0,
    ) -> None:
        super().__init__(locals(), f"recipe_{number}", hidden, recipe.n_states, dropout)
        self.dropout_weights = dropout_weights
        self.cell = RecipeCell(recipe, inputs, hidden)

    def begin(self) -> Step:
        """Return the step from a word and the states to the next ones, with the weights that are not dropped."""
        weights = self.cell.begin(self.dropout_weights if self.training else 0.0)
        return lambda word, states: self.cell(word, states, weights)
