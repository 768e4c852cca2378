"""Convolutional operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.search_spaces.core.kernels import strided

from .ops_base import AbstractPrimitive
from .shared_work import SharedWork, is_hooked, scaled_batch_norm
from .types import EdgeLike


class KernelNamed(AbstractPrimitive):
    """Base of operations whose name carries the size of their kernel, as in `SepConv3x3`."""

    kernel_size: int

    @property
    def get_op_name(self) -> str:
        """The class name and the kernel size."""
        return f"{type(self).__name__}{self.kernel_size}x{self.kernel_size}"


class ReLUFirst(KernelNamed):
    """Base of operations that are a chain from ReLU to BN, in `op`."""

    op: nn.Sequential

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`.
        """
        return self.op(x) if self.kernel_size > 1 else strided.call(self.op, x)

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the operation; the ReLU is shared, and the last BN multiplies by the weight.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`; the weight is a scalar.
        """
        x, norm = self.split_norm(x, work)
        return work.norm(norm, x) if weight is None else scaled_batch_norm(norm, x, weight, work)

    def split_norm(self, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module]:
        """Apply all but the last BN; the ReLU is shared.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`.
        """
        relu, *middle, norm = self.op
        x = work.apply(relu, x)
        for module in middle:
            x = work.convolve(module, x)
        return x, norm


class SepConv(ReLUFirst):
    """Apply (ReLU, depthwise convolution, 1x1 convolution, BN) twice, the first time with the stride.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernels.
        stride: Stride of the first one.
        padding: Padding of both.
        affine: Whether BN has weight and bias.
        C_mid: Number of channels between the two, those of the input if None.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int,
        padding: int,
        affine: bool = True,
        C_mid: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__({key: value for key, value in locals().items() if key != "C_mid" or value is not None})
        middle = C_in if C_mid is None else C_mid
        self.kernel_size = kernel_size
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C_in, C_in, kernel_size, stride, padding, groups=C_in, bias=False),
            nn.Conv2d(C_in, middle, 1, bias=False),
            nn.BatchNorm2d(middle, affine=affine),
            nn.ReLU(),
            nn.Conv2d(middle, middle, kernel_size, 1, padding, groups=middle, bias=False),
            nn.Conv2d(middle, C_out, 1, bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
        )


class DilConv(ReLUFirst):
    """Apply ReLU, a dilated depthwise convolution, a 1x1 convolution and BN.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel.
        stride: Its stride.
        padding: Its padding.
        dilation: Its dilation.
        affine: Whether BN has weight and bias.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int,
        padding: int,
        dilation: int,
        affine: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C_in, C_in, kernel_size, stride, padding, dilation, groups=C_in, bias=False),
            nn.Conv2d(C_in, C_out, 1, bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
        )


class FactorizedConv(ReLUFirst):
    """Apply ReLU, a 1 x k convolution, a k x 1 convolution and BN; each has the stride along its own side.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: k, odd.
        stride: Stride of both sides.
        affine: Whether BN has weight and bias.
    """

    def __init__(
        self, C_in: int, C_out: int, kernel_size: int, stride: int = 1, affine: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        side = kernel_size // 2
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C_in, C_out, (1, kernel_size), (1, stride), (0, side), bias=False),
            nn.Conv2d(C_out, C_out, (kernel_size, 1), (stride, 1), (side, 0), bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
        )


class ReLUConvBN(ReLUFirst):
    """Apply ReLU, a convolution and BN.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the kernel; the padding keeps the size where the stride is 1.
        stride: Stride of the convolution.
        affine: Whether BN has weight and bias.
        bias: Whether the convolution has a bias.
        track_running_stats: Whether BN keeps running statistics.
    """

    def __init__(
        self,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int = 1,
        affine: bool = True,
        bias: bool = False,
        track_running_stats: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C_in, C_out, kernel_size, stride, kernel_size // 2, bias=bias),
            nn.BatchNorm2d(C_out, affine=affine, track_running_stats=track_running_stats),
        )


class ConvBnReLU(KernelNamed):
    """Apply a convolution, BN and ReLU.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the kernel; the padding keeps the size where the stride is 1.
        stride: Stride of the convolution.
        affine: Whether BN has weight and bias.
    """

    def __init__(
        self, C_in: int, C_out: int, kernel_size: int, stride: int = 1, affine: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.op = nn.Sequential(
            nn.Conv2d(C_in, C_out, kernel_size, stride, kernel_size // 2, bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`.
        """
        return self.op(x) if self.kernel_size > 1 else strided.call(self.op, x)


class Stem(AbstractPrimitive):
    """Apply a 3x3 convolution and affine BN to the image.

    Args:
        C_in: Number of channels of the image.
        C_out: Number of output channels.
    """

    def __init__(self, C_in: int = 3, C_out: int = 64, **kwargs: Any) -> None:
        super().__init__(locals())
        self.seq = nn.Sequential(nn.Conv2d(C_in, C_out, 3, padding=1, bias=False), nn.BatchNorm2d(C_out))

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, c_in, h, w)` to `(n, c_out, h, w)`.
        """
        return self.seq(x)


class FactorizedReduce(AbstractPrimitive):
    """Halve the image by two 1x1 convolutions of stride 2, the second shifted by one pixel, after ReLU; then BN.

    The shifted half of an image of odd size is padded by zeros, so that both halves have `ceil(size / 2)` pixels.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: 2.
        affine: Whether BN has weight and bias.

    Raises:
        ConfigError: For another stride.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 2, affine: bool = True, **kwargs: Any) -> None:
        super().__init__(locals())
        if stride != 2:
            raise ConfigError(f"FactorizedReduce has stride 2, not {stride}")
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(C_in, C_out // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(C_in, C_out - C_out // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(C_out, affine=affine)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, c_in, h, w)` to `(n, c_out, h / 2, w / 2)`.
        """
        return self.bn(self._reduce(self.relu(x)))

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the operation; the ReLU is shared, and BN multiplies by the weight.

        `(n, c_in, h, w)` to `(n, c_out, h / 2, w / 2)`; the weight is a scalar.
        """
        reduced, norm = self.split_norm(x, work)
        return work.norm(norm, reduced) if weight is None else scaled_batch_norm(norm, reduced, weight, work)

    def split_norm(self, x: Tensor, work: SharedWork) -> tuple[Tensor, nn.Module]:
        """Apply all but BN; the ReLU is shared.

        `(n, c_in, h, w)` to `(n, c_out, h / 2, w / 2)`.
        """
        return self._reduce(work.apply(self.relu, x)), self.bn

    def _reduce(self, x: Tensor) -> Tensor:
        odd_height, odd_width = x.shape[-2] % 2, x.shape[-1] % 2
        shifted = x[:, :, 1:, 1:]
        if odd_height or odd_width:
            shifted = F.pad(shifted, (0, odd_width, 0, odd_height))
        return torch.cat([_convolve(self.conv_1, x), _convolve(self.conv_2, shifted)], dim=1)


def _convolve(conv: nn.Module, x: Tensor) -> Tensor:
    """Return `conv(x)` for a convolution or what somebody put in its place."""
    plain = type(conv) is nn.Conv2d and not is_hooked(conv)
    return strided.convolve(conv, x) if plain else strided.call(conv, x)  # type: ignore[arg-type]


class Concat1x1(AbstractPrimitive):
    """Combine the inputs of a node: concatenate the channels, then a 1x1 convolution back to `C_out`, then BN.

    Args:
        num_in_edges: Number of inputs, each of `C_out` channels.
        C_out: Number of output channels.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, num_in_edges: int, C_out: int, affine: bool = True, **kwargs: Any) -> None:
        super().__init__(locals())
        self.conv = nn.Conv2d(num_in_edges * C_out, C_out, 1, bias=False)
        self.bn = nn.BatchNorm2d(C_out, affine=affine)

    def forward(self, x: Sequence[Tensor], edge_data: EdgeLike | None = None) -> Tensor:
        """Combine a list of tensors.

        `(n, c, h, w)` each to `(n, c_out, h, w)`.
        """
        return self.bn(self.conv(torch.cat(list(x), dim=1)))
