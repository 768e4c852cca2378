"""Operations on sequences `(n, channels, t)`, each of which can be made blind to what comes later."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.search_spaces.core.primitives import AbstractPrimitive


class PositionNorm(nn.Module):
    """Normalise the channels of each position to mean 0 and variance 1 (layer norm).

    No statistic is taken over positions, as a batch norm would: in training it would tell of what comes later.

    Args:
        channels: Number of channels.
        affine: Whether there is a weight and a bias for each channel.
    """

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, channels, t)`."""
        return self.norm(x.transpose(1, 2)).transpose(1, 2)


class SequenceConv(nn.Conv1d):
    """A convolution that keeps the length of a sequence.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Odd number of positions that are read.
        dilation: Distance between them.
        groups: Groups of channels.
        causal: Whether only a position and those before it are read, rather than as many on either side.
    """

    def __init__(
        self, C_in: int, C_out: int, kernel_size: int, dilation: int = 1, groups: int = 1, causal: bool = False
    ) -> None:
        super().__init__(C_in, C_out, kernel_size, dilation=dilation, groups=groups, bias=False)
        reach = (kernel_size - 1) * dilation
        self.reach = (reach, 0) if causal else (reach // 2, reach - reach // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, C_out, t)`."""
        return super().forward(F.pad(x, self.reach))


class SepConv1d(AbstractPrimitive):
    """Apply ReLU, a depthwise convolution, a convolution of kernel 1 and a norm.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Positions that are read, odd.
        dilation: Distance between them.
        causal: Whether positions after the own one are not read.
        affine: Whether the norm has weight and bias.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        dilation: int = 1,
        causal: bool = False,
        affine: bool = True,
    ) -> None:
        super().__init__(locals())
        self.kernel_size, self.dilation = kernel_size, dilation
        self.op = nn.Sequential(
            nn.ReLU(),
            SequenceConv(C_in, C_in, kernel_size, dilation, groups=C_in, causal=causal),
            nn.Conv1d(C_in, C_out, 1, bias=False),
            PositionNorm(C_out, affine),
        )

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return `(n, C_out, t)`."""
        return self.op(x)

    @property
    def get_op_name(self) -> str:
        """The class name, the kernel size, and the dilation where there is one."""
        return f"{type(self).__name__}{self.kernel_size}" + (f"Dil{self.dilation}" if self.dilation > 1 else "")


class GatedConv1d(AbstractPrimitive):
    """Apply a convolution of which one half of the channels gates the other (a * sigmoid(b)), and a norm.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Positions that are read, odd.
        causal: Whether positions after the own one are not read.
        affine: Whether the norm has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, kernel_size: int, causal: bool = False, affine: bool = True) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.conv = SequenceConv(C_in, 2 * C_out, kernel_size, causal=causal)
        self.norm = PositionNorm(C_out, affine)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return `(n, C_out, t)`."""
        return self.norm(F.glu(self.conv(x), dim=1))

    @property
    def get_op_name(self) -> str:
        """The class name and the kernel size."""
        return f"{type(self).__name__}{self.kernel_size}"


class SelfAttention1d(AbstractPrimitive):
    """Let each position read all others, by softmax(q k / sqrt(d)); then a norm.

    Written out, since the fused kernels of torch have no second derivative, which second-order searches take.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        heads: In how many groups the channels attend, a divisor of `C_in`.
        causal: Whether positions after the own one are not read.
        affine: Whether the norm has weight and bias.

    Raises:
        ConfigError: If the heads do not divide the channels.
    """

    def __init__(self, C_in: int, C_out: int, heads: int = 2, causal: bool = False, affine: bool = True) -> None:
        super().__init__(locals())
        if C_in % heads:
            raise ConfigError(f"{C_in} channels cannot be divided among {heads} heads of attention")
        self.heads, self.causal = heads, causal
        self.project = nn.Conv1d(C_in, 3 * C_in, 1, bias=False)
        self.merge = nn.Conv1d(C_in, C_out, 1, bias=False)
        self.norm = PositionNorm(C_out, affine)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return `(n, C_out, t)`."""
        n, channels, length = x.shape
        query, key, value = self.project(x).view(n, 3, self.heads, channels // self.heads, length).unbind(1)
        scores = query.transpose(-2, -1) @ key * (channels // self.heads) ** -0.5
        if self.causal:
            later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        read = value @ scores.softmax(-1).transpose(-2, -1)
        return self.norm(self.merge(read.reshape(n, channels, length)))


class SequenceConcat(AbstractPrimitive):
    """Combine the inputs of a node: concatenate the channels, then a convolution of kernel 1 to `C_out`, then a norm.

    Args:
        num_in_edges: Number of inputs, each of `C_out` channels.
        C_out: Number of output channels.
        affine: Whether the norm has weight and bias.
    """

    def __init__(self, num_in_edges: int, C_out: int, affine: bool = True) -> None:
        super().__init__(locals())
        self.op = nn.Sequential(nn.Conv1d(num_in_edges * C_out, C_out, 1, bias=False), PositionNorm(C_out, affine))

    def forward(self, x: list[Tensor], edge_data: Any = None) -> Tensor:
        """Return `(n, C_out, t)`."""
        return self.op(torch.cat(list(x), dim=1))


class TokenStem(AbstractPrimitive):
    """Turn tokens `(n, t)` into vectors `(n, C_out, t)`.

    Args:
        vocabulary: Number of different tokens.
        C_out: Channels of the vectors.
    """

    def __init__(self, vocabulary: int, C_out: int) -> None:
        super().__init__(locals())
        self.embedding = nn.Embedding(vocabulary, C_out)

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return the vectors.

        `(n, t)` to `(n, C_out, t)`.
        """
        return self.embedding(x.long()).transpose(1, 2)


class SequenceStem(AbstractPrimitive):
    """Turn vectors `(n, C_in, t)` into `(n, C_out, ceil(t / stride))`: a convolution and a norm.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: Positions from one output to the next; each reads 2 * stride + 1.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 1) -> None:
        super().__init__(locals())
        self.op = nn.Sequential(
            nn.Conv1d(C_in, C_out, 2 * stride + 1, stride, padding=stride, bias=False), PositionNorm(C_out)
        )

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Return the vectors.

        `(n, C_in, t)` to `(n, C_out, ceil(t / stride))`.
        """
        return self.op(x)
