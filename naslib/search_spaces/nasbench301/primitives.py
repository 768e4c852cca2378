"""Operations of the DARTS space outside its cells, and the candidates on the edges inside."""

from __future__ import annotations

from torch import Tensor, nn

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.ops_heads import AuxiliaryHead as AuxiliaryHead
from naslib.search_spaces.core.types import EdgeLike

from .genotype import OPS


class ImageNetStem(AbstractPrimitive):
    """Apply the first stem of large images: two 3x3 convolutions of stride 2 with affine BN, a quarter of the size.

    Args:
        C_in: Number of channels of the image.
        C_out: Number of output channels.
    """

    def __init__(self, C_in: int, C_out: int) -> None:
        super().__init__(locals())
        self.op = nn.Sequential(
            nn.Conv2d(C_in, C_out // 2, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(C_out // 2),
            nn.ReLU(),
            nn.Conv2d(C_out // 2, C_out, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(C_out),
        )

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C_in, h, w)` to `(n, C_out, h / 4, w / 4)`, rounded up.
        """
        return self.op(x)


def candidates(channels: int, stride: int) -> list[nn.Module]:
    """Return the eight operations of an edge, in the search network: no affine BN, and BN after pooling.

    Args:
        channels: Number of channels.
        stride: 1, or 2 where the input of a reduction cell enters.
    """
    C = channels
    return [
        ops.Identity() if stride == 1 else ops.FactorizedReduce(C, C, affine=False),
        ops.Zero(stride=stride),
        ops.MaxPool(C, 3, stride),
        ops.AvgPool(C, 3, stride),
        ops.SepConv(C, C, 3, stride, padding=1, affine=False),
        ops.SepConv(C, C, 5, stride, padding=2, affine=False),
        ops.DilConv(C, C, 3, stride, padding=2, dilation=2, affine=False),
        ops.DilConv(C, C, 5, stride, padding=4, dilation=2, affine=False),
    ]


def make_op(name: str, channels: int, stride: int) -> nn.Module:
    """Return an operation of the evaluation network: affine BN, and no BN after pooling.

    Args:
        name: Its name in a genotype.
        channels: Number of channels.
        stride: 1, or 2 where the input of a reduction cell enters.

    Raises:
        ArchitectureError: If there is no operation of that name.
    """
    C = channels
    if name == "skip_connect":
        return ops.Identity() if stride == 1 else ops.FactorizedReduce(C, C)
    if name == "max_pool_3x3":
        return ops.MaxPool(C, 3, stride, use_bn=False)
    if name == "avg_pool_3x3":
        return ops.AvgPool(C, 3, stride, use_bn=False)
    if name in ("sep_conv_3x3", "sep_conv_5x5"):
        kernel = int(name[-1])
        return ops.SepConv(C, C, kernel, stride, padding=kernel // 2)
    if name in ("dil_conv_3x3", "dil_conv_5x5"):
        kernel = int(name[-1])
        return ops.DilConv(C, C, kernel, stride, padding=kernel - 1, dilation=2)
    raise ArchitectureError(f"no operation {name!r} in the DARTS space{did_you_mean(name, OPS)}")


def preprocessing(C_in: int, C_out: int, reduce: bool, affine: bool) -> nn.Module:
    """Return what adapts the output of an earlier cell to the channels, and to the size if `reduce`, of a cell."""
    if reduce:
        return ops.FactorizedReduce(C_in, C_out, affine=affine)
    return ops.ReLUConvBN(C_in, C_out, kernel_size=1, affine=affine)
