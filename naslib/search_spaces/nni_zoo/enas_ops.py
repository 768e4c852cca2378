"""Operations of the ENAS layers, under NNI's names and arguments."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.kernels import strided
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.ops_conv import ReLUFirst
from naslib.search_spaces.core.shared_work import SharedWork
from naslib.search_spaces.core.types import EdgeLike

from .darts_ops import make_pool, pool_name


class StdConv(AbstractPrimitive):
    """Apply a 1x1 convolution, BN without weight and bias, and ReLU.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
    """

    def __init__(self, C_in: int, C_out: int) -> None:
        super().__init__(locals())
        self.conv = nn.Sequential(nn.Conv2d(C_in, C_out, 1, bias=False), nn.BatchNorm2d(C_out, affine=False), nn.ReLU())

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C_in, h, w)` to `(n, C_out, h, w)`.
        """
        return self.conv(x)


class Calibration(AbstractPrimitive):
    """Bring what enters a layer to its number of channels: `StdConv` where that is another, else nothing.

    Args:
        in_channels: Number of input channels.
        out_channels: Number of output channels.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(locals())
        self.process = StdConv(in_channels, out_channels) if in_channels != out_channels else None

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, in_channels, h, w)` to `(n, out_channels, h, w)`.
        """
        return x if self.process is None else self.process(x)


class FactorizedReduce(AbstractPrimitive):
    """Halve the image by two 1x1 convolutions of stride 2, the second shifted by one pixel; then BN, without ReLU.

    Of an image of odd size both have `ceil(size / 2)` pixels: the shifted one is padded by zeros.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, affine: bool = False) -> None:
        super().__init__(locals())
        self.conv1 = nn.Conv2d(C_in, C_out // 2, 1, stride=2, bias=False)
        self.conv2 = nn.Conv2d(C_in, C_out - C_out // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(C_out, affine=affine)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C_in, h, w)` to `(n, C_out, h / 2, w / 2)`, rounded up.
        """
        odd_height, odd_width = x.shape[-2] % 2, x.shape[-1] % 2
        shifted = x[:, :, 1:, 1:]
        if odd_height or odd_width:
            shifted = F.pad(shifted, (0, odd_width, 0, odd_height))
        return self.bn(torch.cat([strided.call(self.conv1, x), strided.call(self.conv2, shifted)], dim=1))


class Pool(AbstractPrimitive):
    """Apply pooling.

    Args:
        pool_type: `"max"` or `"avg"`.
        kernel_size: Side of the window.
        stride: Its stride.
        padding: Pixels on each side; averages do not count them.

    Raises:
        ConfigError: For another type of pooling.
    """

    stateless = True

    def __init__(self, pool_type: str, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__(locals())
        self.pool_type, self.kernel_size = pool_type, kernel_size
        self.pool = make_pool(pool_type, kernel_size, stride, padding)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, c, h, w)` to `(n, c, h', w')`.
        """
        return self.pool(x)

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the operation, which is shared.

        `(n, c, h, w)` to `(n, c, h', w')`; the weight is a scalar.
        """
        x = work.apply(self.pool, x)
        return x if weight is None else x * weight

    @property
    def get_op_name(self) -> str:
        """`MaxPool3x3` or `AvgPool3x3`."""
        return pool_name(self.pool_type, self.kernel_size)


class SeparableConv(nn.Sequential):
    """Apply a depthwise convolution and a 1x1 convolution.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel.
        stride: Its stride.
        padding: Pixels on each side.
    """

    def __init__(self, C_in: int, C_out: int, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__(
            nn.Conv2d(C_in, C_in, kernel_size, stride, padding, groups=C_in, bias=False),
            nn.Conv2d(C_in, C_out, 1, bias=False),
        )


class SepConvBN(ReLUFirst):
    """Apply ReLU, a depthwise convolution, a 1x1 convolution, once each, and BN with weight and bias.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel.
        padding: Pixels on each side.
    """

    def __init__(self, C_in: int, C_out: int, kernel_size: int, padding: int) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C_in, C_in, kernel_size, 1, padding, groups=C_in, bias=False),
            nn.Conv2d(C_in, C_out, 1, bias=False),
            nn.BatchNorm2d(C_out),
        )


class ConvBranch(AbstractPrimitive):
    """Apply `StdConv`, then a convolution or a separable one, BN without weight and bias, and ReLU.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the kernel.
        stride: Its stride.
        padding: Pixels on each side.
        separable: Whether the convolution is a depthwise one and a 1x1 convolution. Else it is one with a bias.
    """

    def __init__(self, C_in: int, C_out: int, kernel_size: int, stride: int, padding: int, separable: bool) -> None:
        super().__init__(locals())
        self.kernel_size, self.separable = kernel_size, separable
        self.preproc = StdConv(C_in, C_out)
        self.conv: nn.Module
        if separable:
            self.conv = SeparableConv(C_out, C_out, kernel_size, stride, padding)
        else:
            self.conv = nn.Conv2d(C_out, C_out, kernel_size, stride, padding)
        self.postproc = nn.Sequential(nn.BatchNorm2d(C_out, affine=False), nn.ReLU())

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C_in, h, w)` to `(n, C_out, h', w')`.
        """
        return self.postproc(self.conv(self.preproc(x)))

    @property
    def get_op_name(self) -> str:
        """`Conv3x3` or `SepConv3x3`."""
        return f"{'Sep' if self.separable else ''}Conv{self.kernel_size}x{self.kernel_size}"


class PoolBranch(AbstractPrimitive):
    """Apply `StdConv`, pooling and BN.

    Args:
        pool_type: `"max"` or `"avg"`.
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the window.
        stride: Its stride.
        padding: Pixels on each side; averages do not count them.
        affine: Whether the last BN has weight and bias.

    Raises:
        ConfigError: For another type of pooling.
    """

    def __init__(
        self,
        pool_type: str,
        C_in: int,
        C_out: int,
        kernel_size: int,
        stride: int,
        padding: int,
        affine: bool = False,
    ) -> None:
        super().__init__(locals())
        self.pool_type, self.kernel_size = pool_type, kernel_size
        self.preproc = StdConv(C_in, C_out)
        self.pool = Pool(pool_type, kernel_size, stride, padding)
        self.bn = nn.BatchNorm2d(C_out, affine=affine)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C_in, h, w)` to `(n, C_out, h', w')`.
        """
        return self.bn(self.pool(self.preproc(x)))

    @property
    def get_op_name(self) -> str:
        """`MaxPool3x3` or `AvgPool3x3`."""
        return pool_name(self.pool_type, self.kernel_size)
