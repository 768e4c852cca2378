"""Pooling operations."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from naslib.errors import ConfigError

from .ops_base import AbstractPrimitive
from .shared_work import SharedWork
from .types import EdgeLike


class _PoolBN(AbstractPrimitive):
    """Apply a pooling operation, then BN without weight and bias."""

    def __init__(self, pool: nn.Module, C_in: int, use_bn: bool, init_params: dict[str, Any]) -> None:
        super().__init__(init_params)
        self.pool = pool
        self.bn = nn.BatchNorm2d(C_in, affine=False) if use_bn else None
        self.stateless = not use_bn

    @property
    def get_op_name(self) -> str:
        """The class name, and the side of the window where that is not 3."""
        kernel = self.init_params.get("kernel_size", 3)
        return type(self).__name__ + (f"{kernel}x{kernel}" if kernel != 3 else "")

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation."""
        x = self.pool(x)
        return x if self.bn is None else self.bn(x)

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the operation; pooling and BN are shared."""
        x = work.apply(self.pool, x)
        if self.bn is not None:
            x = work.normalize(self.bn, x, self.pool)
        return x if weight is None else x * weight


class MaxPool(_PoolBN):
    """Apply max pooling, and BN without weight and bias.

    Args:
        C_in: Number of channels.
        kernel_size: Side of the window; the padding keeps the size where the stride is 1.
        stride: Its stride.
        use_bn: Whether BN follows, as it does in the search networks of DARTS.
    """

    def __init__(self, C_in: int, kernel_size: int, stride: int, use_bn: bool = True, **kwargs: Any) -> None:
        pool = nn.MaxPool2d(kernel_size, stride, padding=kernel_size // 2)
        super().__init__(pool, C_in, use_bn, _arguments(locals()))


class AvgPool(_PoolBN):
    """Apply average pooling that does not count the padding, and BN without weight and bias.

    Args:
        C_in: Number of channels.
        kernel_size: Side of the window; the padding keeps the size where the stride is 1.
        stride: Its stride.
        use_bn: Whether BN follows, as it does in the search networks of DARTS.
    """

    def __init__(self, C_in: int, kernel_size: int, stride: int, use_bn: bool = True, **kwargs: Any) -> None:
        pool = nn.AvgPool2d(kernel_size, stride, padding=kernel_size // 2, count_include_pad=False)
        super().__init__(pool, C_in, use_bn, _arguments(locals()))


class _Pool1x1(AbstractPrimitive):
    """Apply a pooling operation, and a 1x1 convolution with BN where the shape of the input is not kept."""

    def __init__(
        self,
        pool: nn.Module,
        stride: int,
        C_in: int | None,
        C_out: int | None,
        affine: bool,
        init_params: dict[str, Any],
    ) -> None:
        super().__init__(init_params)
        self.stride = stride
        self.pool = pool
        self.conv: nn.Module | None = None
        self.bn: nn.Module | None = None
        if stride > 1 or C_in != C_out:
            if C_in is None or C_out is None:
                raise ConfigError(f"{type(self).__name__} needs C_in and C_out where the stride is larger than 1")
            self.conv = nn.Conv2d(C_in, C_out, 1, bias=False)
            self.bn = nn.BatchNorm2d(C_out, affine=affine)
        self.stateless = self.conv is None

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation."""
        return self._project(self.pool(x))

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the operation; pooling is shared."""
        x = self._project(work.apply(self.pool, x))
        return x if weight is None else x * weight

    def _project(self, x: Tensor) -> Tensor:
        return x if self.conv is None or self.bn is None else self.bn(self.conv(x))


class MaxPool1x1(_Pool1x1):
    """Apply max pooling; where the stride is larger than 1 or the channels change, a 1x1 convolution and BN follow.

    Args:
        kernel_size: Side of the window; the padding keeps the size where the stride is 1.
        stride: Its stride.
        C_in: Number of input channels, needed only for the convolution.
        C_out: Number of output channels, needed only for the convolution.
        affine: Whether BN has weight and bias.

    Raises:
        ConfigError: If the convolution's channels are not given.
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int,
        C_in: int | None = None,
        C_out: int | None = None,
        affine: bool = True,
        **kwargs: Any,
    ) -> None:
        pool = nn.MaxPool2d(kernel_size, stride, padding=kernel_size // 2)
        super().__init__(pool, stride, C_in, C_out, affine, _arguments(locals()))


class AvgPool1x1(_Pool1x1):
    """Apply average pooling; where the stride is larger than 1 or the channels change, a 1x1 convolution and BN follow.

    The average does not count the padding.

    Args:
        kernel_size: Side of the window; the padding keeps the size where the stride is 1.
        stride: Its stride.
        C_in: Number of input channels, needed only for the convolution.
        C_out: Number of output channels, needed only for the convolution.
        affine: Whether BN has weight and bias.

    Raises:
        ConfigError: If the convolution's channels are not given.
    """

    def __init__(
        self,
        kernel_size: int,
        stride: int,
        C_in: int | None = None,
        C_out: int | None = None,
        affine: bool = True,
        **kwargs: Any,
    ) -> None:
        pool = nn.AvgPool2d(kernel_size, stride, padding=kernel_size // 2, count_include_pad=False)
        super().__init__(pool, stride, C_in, C_out, affine, _arguments(locals()))


def _arguments(scope: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scope.items() if key != "pool"}
