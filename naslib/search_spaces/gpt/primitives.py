"""What stands before and behind the layers of a language model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.elastic import (
    ElasticEmbedding,
    ElasticLayerNorm,
    ElasticLinear,
    ElasticParameter,
    Size,
)
from naslib.search_spaces.core.elastic.in_force import Point
from naslib.search_spaces.core.elastic.layer import Extracted
from naslib.search_spaces.core.primitives import AbstractPrimitive


class SmallEmbedding(nn.Embedding):
    """An embedding that begins with small vectors, as one must that is the last layer as well."""

    def reset_parameters(self) -> None:
        """Draw the vectors from N(0, 0.02)."""
        nn.init.normal_(self.weight, std=0.02)


class ElasticWordEmbedding(ElasticEmbedding):
    """A `SmallEmbedding` whose number of features is a decision."""

    def reset_parameters(self) -> None:
        """Draw the vectors from N(0, 0.02)."""
        nn.init.normal_(self.weight, std=0.02)

    def plain(self, sizes: Point, extracted: Extracted) -> nn.Module:
        """Return the `SmallEmbedding` of some sizes."""
        with torch.device("meta"):
            embedding = SmallEmbedding(self.num_embeddings, sizes[0])
        embedding.weight = self.kept("weight", sizes, extracted)  # type: ignore[assignment]
        return embedding


class WordStem(AbstractPrimitive):
    """Turn tokens into vectors, to which learned ones may be added for their positions.

    Args:
        vocabulary: Number of different tokens.
        embed: Features of a token.
        context: Positions that there are vectors for; 0 for none.
        dropout: Share of the features that is dropped in training.
        mix: See `Elastic`.
    """

    def __init__(
        self, vocabulary: int, embed: int | Size, context: int = 0, dropout: float = 0.0, mix: str = "weights"
    ) -> None:
        super().__init__({"vocabulary": vocabulary, "context": context})
        self.context = context
        self.embedding = ElasticWordEmbedding(vocabulary, embed, mix=mix)
        self.positions = ElasticParameter(1, context, embed) if context else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return the vectors.

        `(n, t)` to `(n, t, embed)`.

        Raises:
            GraphError: If the sequences are longer than there are positions.
        """
        if self.positions is not None and x.shape[1] > self.context:
            raise GraphError(f"sequences of {x.shape[1]} tokens for {self.context} positions: give the space context=")
        words = self.embedding(x.long())
        return self.dropout(words if self.positions is None else words + self.positions()[:, : x.shape[1]])


class WordHead(AbstractPrimitive):
    """Apply a layer norm, then a linear layer without bias at each position.

    Args:
        embed: Features of a token.
        vocabulary: Number of different tokens.
        tied: The embedding of the tokens, whose weight is that of the linear layer, or None.
        mix: See `Elastic`.
    """

    def __init__(
        self, embed: int | Size, vocabulary: int, tied: nn.Embedding | None = None, mix: str = "weights"
    ) -> None:
        super().__init__({"vocabulary": vocabulary})
        self.norm = ElasticLayerNorm(embed)
        self.linear = ElasticLinear(embed, vocabulary, bias=False, mix=mix)
        if tied is not None:
            self.linear.weight = tied.weight

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return the outputs.

        `(n, t, embed)` to `(n, t, vocabulary)`.
        """
        return self.linear(self.norm(x))
