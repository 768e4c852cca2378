"""Words in, words out: the ends of a language model, and dropout whose mask stays for a whole sequence."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.utils.passage import held_memory
from naslib.utils.rows import draw_for_rows

from .ops_base import AbstractPrimitive
from .types import EdgeLike

# Embeddings are drawn from U(-.1, .1)
EMBEDDING_RANGE = 0.1


def dropout_mask(like: Tensor, shape: Sequence[int], probability: float) -> Tensor:
    """Return zeros with the given probability, and `1 / (1 - probability)` elsewhere.

    Args:
        like: Has the type and the device.
        shape: Of the mask, `(n, channels)` or any other.
        probability: In [0, 1).
    """
    keep = 1.0 - probability
    return like.new_empty(tuple(shape)).bernoulli_(keep).div_(keep)


def row_dropout_mask(like: Tensor, shape: Sequence[int], probability: float) -> Tensor:
    """Return a `dropout_mask` of any shape whose first dimension are the rows of the batch."""
    return draw_for_rows(shape, lambda of: dropout_mask(like, of, probability))


class SequenceDropout(nn.Module):
    """Drop the same channels of a row at all its positions ([Gal2016variational]); only in training.

    Args:
        probability: In [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, t, channels)`."""
        if not self.training or not self.probability:
            return x
        return x * row_dropout_mask(x, (x.shape[0], 1, x.shape[2]), self.probability)

    def extra_repr(self) -> str:
        """Return the probability."""
        return f"probability={self.probability}"


class WordVectors(nn.Embedding):
    """An embedding whose vectors begin in U(-.1, .1), as in the code of [Liu2019darts] and of [Merity2018awdlstm]."""

    def reset_parameters(self) -> None:
        """Draw the vectors."""
        nn.init.uniform_(self.weight, -EMBEDDING_RANGE, EMBEDDING_RANGE)


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
        self.embedding = WordVectors(vocabulary, hidden)
        self.dropout = SequenceDropout(dropout)
        self.dropout_words = dropout_words

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the vectors.

        `(n, t)` to `(n, t, hidden)`.
        """
        weight = self.embedding.weight
        if self.training and self.dropout_words:
            weight = weight * dropout_mask(weight, (len(weight), 1), self.dropout_words)
        return self.dropout(F.embedding(x.long(), weight))


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
