"""Operations of NAS-Bench-201 outside its cells."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.ops_conv import ReLUConvBN
from naslib.search_spaces.core.types import EdgeLike


class ResNetBasicblock(AbstractPrimitive):
    """Apply the residual block of NAS-Bench-201: two ReLU-conv3x3-BN, and a shortcut of the right shape.

    With a stride the shortcut averages 2x2 pixels (windows at the border of an image of odd size are smaller), then a
    1x1 convolution adapts the channels.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: 1 or 2.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, stride: int, affine: bool = True, **kwargs: Any) -> None:
        super().__init__(locals())
        self.conv_a = ReLUConvBN(C_in, C_out, 3, stride=stride, affine=affine)
        self.conv_b = ReLUConvBN(C_out, C_out, 3, affine=affine)
        self.downsample: nn.Module | None = None
        if stride > 1:
            self.downsample = nn.Sequential(
                nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False),
                nn.Conv2d(C_in, C_out, 1, bias=False),
            )
        elif C_in != C_out:
            self.downsample = ReLUConvBN(C_in, C_out, 1, affine=affine)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the block.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`, smaller by the stride.
        """
        shortcut = x if self.downsample is None else self.downsample(x)
        return shortcut + self.conv_b(self.conv_a(x))
