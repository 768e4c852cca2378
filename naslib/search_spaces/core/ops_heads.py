"""What stands between the last features of a network and its outputs, by task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .ops_base import AbstractCombOp, AbstractPrimitive
from .types import EdgeLike


class DenseHead(AbstractCombOp):
    """Give outputs for each pixel: the last features, enlarged to the size of earlier ones, read together with these.

    Nearest neighbour, concatenation, (ReLU, 3x3 convolution, BN), ReLU, 1x1 convolution.

    Args:
        C_skip: Channels of the earlier features, which have the size of the outputs.
        C_in: Channels of the last features.
        n_outputs: Outputs for each pixel.
    """

    def __init__(self, C_skip: int, C_in: int, n_outputs: int) -> None:
        super().__init__()
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C_skip + C_in, C_in, 3, padding=1, bias=False),
            nn.BatchNorm2d(C_in),
            nn.ReLU(),
            nn.Conv2d(C_in, n_outputs, 1),
        )

    def forward(self, tensors: list[Tensor], edges_data: Sequence[EdgeLike]) -> Tensor:  # type: ignore[override]
        """Return the outputs.

        Args:
            tensors: Earlier features `(n, C_skip, h, w)` and the last ones `(n, C_in, h', w')`.
            edges_data: Not used.

        Returns:
            `(n, n_outputs, h, w)`.
        """
        skip, last = tensors
        # nearest: the backward of bilinear is not deterministic on CUDA
        return self.op(torch.cat([skip, F.interpolate(last, size=skip.shape[-2:], mode="nearest")], dim=1))


class PooledHead(AbstractPrimitive):
    """Average over all positions, then a linear layer: `(n, C_in, ...)` becomes `(n, n_outputs)`.

    Args:
        C_in: Channels of the features.
        n_outputs: Outputs for each item.
    """

    def __init__(self, C_in: int, n_outputs: int) -> None:
        super().__init__(locals())
        self.linear = nn.Linear(C_in, n_outputs)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the outputs.

        `(n, C_in, ...)` to `(n, n_outputs)`.
        """
        return self.linear(x.flatten(2).mean(2))


class TokenHead(AbstractPrimitive):
    """Apply a linear layer at each position: `(n, C_in, t)` becomes `(n, t, n_outputs)`.

    Args:
        C_in: Channels of the features.
        n_outputs: Outputs for each position, the size of the vocabulary of a language model.
    """

    def __init__(self, C_in: int, n_outputs: int) -> None:
        super().__init__(locals())
        self.linear = nn.Linear(C_in, n_outputs)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return the outputs.

        `(n, C_in, t)` to `(n, t, n_outputs)`.
        """
        return self.linear(x.transpose(1, 2))


class AuxiliaryHead(AbstractPrimitive):
    """Classify features in the middle of the network: pool to 2x2, two convolutions, linear.

    The pooling has stride `s = max(1, floor(3 n / 8))` and window `n - s` for a side of n pixels, which gives 2x2 from
    any size, the authors' window 5 and stride 3 at 8 pixels, and their window 5 and stride 2 at 7.

    Args:
        C: Number of input channels.
        n_classes: Number of classes.
    """

    def __init__(self, C: int, n_classes: int) -> None:
        super().__init__(locals())
        # The name of this child keeps the head out of published parameter counts.
        self.auxiliary = nn.Sequential(
            nn.Conv2d(C, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, n_classes),
        )

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the auxiliary logits.

        `(n, C_in, h, w)` to `(n, classes)`.
        """
        x = F.relu(x)
        if min(x.shape[-2:]) < 2:
            x = F.adaptive_avg_pool2d(x, 2)
        else:
            strides = [max(1, 3 * side // 8) for side in x.shape[-2:]]
            window = [side - stride for side, stride in zip(x.shape[-2:], strides, strict=True)]
            x = F.avg_pool2d(x, window, strides)
        return self.auxiliary(x)
