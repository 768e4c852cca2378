"""Operations of the DARTS space outside its cells, and the candidates on the edges inside."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.ops_heads import AuxiliaryHead as AuxiliaryHead
from naslib.search_spaces.core.ops_named import OPERATIONS, make_operation
from naslib.search_spaces.core.types import EdgeLike

from .candidates import DARTS


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


def candidates(channels: int, stride: int, names: Sequence[str] = DARTS) -> list[nn.Module]:
    """Return the operations of an edge, in the search network: no affine BN, and BN after pooling.

    Args:
        channels: Number of channels.
        stride: 1, or 2 where the input of a reduction cell enters.
        names: Of the operations, as in a genotype.
    """
    return [make_operation(name, channels, channels, stride, search=True) for name in names]


def make_op(name: str, channels: int, stride: int) -> nn.Module:
    """Return an operation of the evaluation network: affine BN, and no BN after pooling.

    Args:
        name: Its name in a genotype.
        channels: Number of channels.
        stride: 1, or 2 where the input of a reduction cell enters.

    Raises:
        ArchitectureError: If there is no operation of that name.
    """
    if name not in OPERATIONS:
        raise ArchitectureError(f"no operation {name!r} in the DARTS space{did_you_mean(name, OPERATIONS.names())}")
    return make_operation(name, channels, channels, stride, search=False)


def preprocessing(C_in: int, C_out: int, reduce: bool, affine: bool) -> nn.Module:
    """Return what adapts the output of an earlier cell to the channels, and to the size if `reduce`, of a cell."""
    if reduce:
        return ops.FactorizedReduce(C_in, C_out, affine=affine)
    return ops.ReLUConvBN(C_in, C_out, kernel_size=1, affine=affine)
