"""What stands before and behind the layers of a vision transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import GraphError
from naslib.search_spaces.core.elastic import ElasticLayerNorm, ElasticLinear, ElasticParameter, Size
from naslib.search_spaces.core.primitives import AbstractPrimitive


class PatchStem(AbstractPrimitive):
    """Turn images into tokens: one per patch, a class token before them, and a vector added for each position.

    Args:
        in_channels: Channels of the images.
        image_size: Their height and width.
        patch_size: Side of a patch; it divides both.
        embed: Features of a token.
        dropout: Share of the features that is dropped in training.
        mix: See `Elastic`.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        patch_size: int,
        embed: int | Size,
        dropout: float = 0.0,
        mix: str = "weights",
    ) -> None:
        super().__init__({"image_size": image_size, "patch_size": patch_size})
        self.image_size, self.patch_size = image_size, patch_size
        n_patches = image_size[0] // patch_size * (image_size[1] // patch_size)
        self.project = ElasticLinear(in_channels * patch_size**2, embed, mix=mix)
        self.token = ElasticParameter(1, 1, embed)
        self.positions = ElasticParameter(1, n_patches + 1, embed)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return the tokens.

        `(n, in_channels, height, width)` to `(n, 1 + patches, embed)`.

        Raises:
            GraphError: If the images have another size than the stem was made for.
        """
        if (*x.shape[-2:],) != self.image_size:
            height, width = self.image_size
            raise GraphError(
                f"images of {x.shape[-2]} x {x.shape[-1]} for a transformer of images of {height} x {width}, which has "
                "one position for each of their patches: give the space their image_size"
            )
        side = self.patch_size
        patches = x.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # (n, c, rows, side, columns, side)
        tokens = self.project(patches.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))
        token = self.token().expand(x.shape[0], -1, -1)
        return self.dropout(torch.cat((token, tokens), dim=1) + self.positions())


class TokenClassifier(AbstractPrimitive):
    """Apply a layer norm, then a linear layer to the class token, or to the average over patches.

    Args:
        embed: Features of a token.
        n_outputs: Outputs for each image.
        pooling: `"token"` or `"mean"`.
        mix: See `Elastic`.
    """

    def __init__(self, embed: int | Size, n_outputs: int, pooling: str = "mean", mix: str = "weights") -> None:
        super().__init__({"n_outputs": n_outputs, "pooling": pooling})
        self.pooling = pooling
        self.norm = ElasticLayerNorm(embed)
        self.linear = ElasticLinear(embed, n_outputs, mix=mix)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return the outputs.

        `(n, 1 + patches, embed)` to `(n, n_outputs)`.
        """
        x = self.norm(x)
        return self.linear(x[:, 0] if self.pooling == "token" else x[:, 1:].mean(1))
