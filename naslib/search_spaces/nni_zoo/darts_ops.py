"""Operations of `DartsCell`, under NNI's names and arguments."""

from __future__ import annotations

from torch import Tensor, nn

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.ops_conv import DilConv as DilConv
from naslib.search_spaces.core.ops_conv import FactorizedReduce as FactorizedReduce
from naslib.search_spaces.core.ops_conv import ReLUFirst
from naslib.search_spaces.core.ops_conv import SepConv as SepConv
from naslib.search_spaces.core.shared_work import SharedWork
from naslib.search_spaces.core.types import EdgeLike

POOL_TYPES = ("max", "avg")


def make_pool(pool_type: str, kernel_size: int, stride: int, padding: int) -> nn.Module:
    """Return max pooling, or average pooling that does not count the padding.

    Args:
        pool_type: `"max"` or `"avg"`, in any case.
        kernel_size: Side of the window.
        stride: Its stride.
        padding: Pixels on each side.

    Raises:
        ConfigError: For another type.
    """
    kind = pool_type.lower() if isinstance(pool_type, str) else pool_type
    if kind == "max":
        return nn.MaxPool2d(kernel_size, stride, padding)
    if kind == "avg":
        return nn.AvgPool2d(kernel_size, stride, padding, count_include_pad=False)
    hint = did_you_mean(str(kind), POOL_TYPES)
    raise ConfigError(f"pool_type is one of {', '.join(POOL_TYPES)}, not {pool_type!r}{hint}")


def pool_name(pool_type: str, kernel_size: int) -> str:
    """Return the name of a pooling operation, `MaxPool3x3`."""
    return f"{pool_type.capitalize()}Pool{kernel_size}x{kernel_size}"


class PoolBN(AbstractPrimitive):
    """Apply pooling, then BN.

    Args:
        pool_type: `"max"` or `"avg"`.
        C: Number of channels.
        kernel_size: Side of the window.
        stride: Its stride.
        padding: Pixels on each side; averages do not count them.
        affine: Whether BN has weight and bias.

    Raises:
        ConfigError: For another type of pooling.
    """

    def __init__(
        self, pool_type: str, C: int, kernel_size: int, stride: int, padding: int, affine: bool = True
    ) -> None:
        super().__init__(locals())
        self.pool_type, self.kernel_size = pool_type, kernel_size
        self.pool = make_pool(pool_type, kernel_size, stride, padding)
        self.bn = nn.BatchNorm2d(C, affine=affine)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C, h, w)` to `(n, C, h', w')`.
        """
        return self.bn(self.pool(x))

    def forward_shared(self, x: Tensor, work: SharedWork, weight: Tensor | None = None) -> Tensor:
        """Apply the operation; pooling, and BN without weight and bias, are shared.

        `(n, C, h, w)` to `(n, C, h', w')`; the weight is a scalar.
        """
        x = work.normalize(self.bn, work.apply(self.pool, x), self.pool)
        return x if weight is None else x * weight

    @property
    def get_op_name(self) -> str:
        """`MaxPool3x3` or `AvgPool3x3`."""
        return pool_name(self.pool_type, self.kernel_size)


class StdConv(ReLUFirst):
    """Apply ReLU, a convolution and BN.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the kernel.
        stride: Its stride.
        padding: Pixels on each side.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, kernel_size: int, stride: int, padding: int, affine: bool = True) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.op = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(C_in, C_out, kernel_size, stride, padding, bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
        )
