"""Operations of NAS-Bench-101."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike

from .cells import OPS


class ConvBNReLU(AbstractPrimitive):
    """Apply a convolution, BN and ReLU ([Ying2019nasbench101]).

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: 1 or 3.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, kernel_size: int, affine: bool = True) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.op = nn.Sequential(
            nn.Conv2d(C_in, C_out, kernel_size, padding=kernel_size // 2, bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return `(n, C_out, h, w)`."""
        return self.op(x)

    @property
    def get_op_name(self) -> str:
        """The benchmark's name of the operation."""
        return f"conv{self.kernel_size}x{self.kernel_size}-bn-relu"


class MaxPool3x3(AbstractPrimitive):
    """Take the maximum of 3x3 pixels, with stride 1."""

    stateless = True

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return a tensor of the shape of `x`, `(n, c, h, w)`."""
        return F.max_pool2d(x, 3, stride=1, padding=1)

    @property
    def get_op_name(self) -> str:
        """The benchmark's name of the operation."""
        return OPS[2]


def operation(label: int, channels: int, affine: bool = True) -> nn.Module:
    """Return the operation of a number, on a number of channels."""
    return MaxPool3x3() if label == OPS.index("maxpool3x3") else ConvBNReLU(channels, channels, (3, 1)[label], affine)
