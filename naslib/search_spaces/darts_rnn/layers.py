"""The layers around the recurrent cell: words in, steps over time, words out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import GraphError
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike
from naslib.utils.passage import held_memory

from .mixture import CellMixture
from .primitives import EMBEDDING_RANGE, Gates, SequenceDropout, StateDropout, dropout_mask

# By what name a network remembers its state
_STATE = "recurrent"


class WordEmbedding(AbstractPrimitive):
    """Turn words `(n, t)` into vectors `(n, t, hidden)`; in training some words are zero, and some channels of a row.

    Args:
        vocabulary: Number of words.
        hidden: Size of the vectors.
        dropout: Share of channels, the same for all words of a row.
        dropout_words: Share of the words of the vocabulary, in all rows of a batch.
    """

    def __init__(self, vocabulary: int, hidden: int, dropout: float = 0.0, dropout_words: float = 0.0) -> None:
        super().__init__(locals())
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.dropout = SequenceDropout(dropout)
        self.dropout_words = dropout_words
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the vectors from U(-.1, .1), as the authors do."""
        nn.init.uniform_(self.embedding.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the vectors.

        `(n, t)` to `(n, t, hidden)`.
        """
        weight = self.embedding.weight
        if self.training and self.dropout_words:
            weight = weight * dropout_mask(weight, (len(weight), 1), self.dropout_words)
        return self.dropout(F.embedding(x.long(), weight))


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


class WordDecoder(AbstractPrimitive):
    """Turn outputs `(n, t, hidden)` into logits of the next word, by the vectors of the embedding (tied weights).

    Args:
        embedding: Of the words.
        dropout: Share of the outputs' channels that are dropped in training, the same at all positions of a row.
    """

    def __init__(self, embedding: nn.Embedding, dropout: float = 0.0) -> None:
        super().__init__({"dropout": dropout})
        self.embedding = embedding
        self.bias = nn.Parameter(torch.zeros(embedding.num_embeddings))
        self.dropout = SequenceDropout(dropout)

    def reset_parameters(self) -> None:
        """Set the bias to zero; the weights are the embedding's."""
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the logits.

        `(n, t, hidden)` to `(n, t, vocabulary)`.
        """
        dropped = self.dropout(x)
        memory = held_memory()
        if memory is not None and self.training:
            memory.note(x, dropped)
        return F.linear(dropped, self.embedding.weight, self.bias)
