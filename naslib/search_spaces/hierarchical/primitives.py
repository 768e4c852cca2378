"""The operations of the first level: convolutions are followed by BN and ReLU, and all keep the size of the image."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike

NONE = "none"
# [Liu2018hierarchical], section 4.1; `none` is no operation: the edge is not there
OPERATIONS = (
    *(NONE, "identity", "conv_1x1", "dw_conv_3x3", "sep_conv_3x3"),
    *("max_pool_3x3", "avg_pool_3x3"),
)
# Their names on edges
NAMES = {
    "Zero": NONE,
    "Identity": "identity",
    "ConvBnReLU1x1": "conv_1x1",
    "DepthwiseConv": "dw_conv_3x3",
    "SingleSeparableConv": "sep_conv_3x3",
    "MaxPool": "max_pool_3x3",
    "AvgPool": "avg_pool_3x3",
}


class DepthwiseConv(AbstractPrimitive):
    """Apply a 3x3 depthwise convolution, BN and ReLU.

    Args:
        C: Number of channels.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C: int, affine: bool = True, **kwargs: Any) -> None:
        super().__init__(locals())
        convolution = nn.Conv2d(C, C, 3, padding=1, groups=C, bias=False)
        self.op = nn.Sequential(convolution, nn.BatchNorm2d(C, affine=affine), nn.ReLU())

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C, h, w)`, which stays.
        """
        return self.op(x)


class SingleSeparableConv(AbstractPrimitive):
    """Apply a 3x3 depthwise and a 1x1 convolution, BN and ReLU.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: Stride of the depthwise convolution.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 1, affine: bool = True, **kwargs: Any) -> None:
        super().__init__(locals())
        self.op = nn.Sequential(
            nn.Conv2d(C_in, C_in, 3, stride, 1, groups=C_in, bias=False),
            nn.Conv2d(C_in, C_out, 1, bias=False),
            nn.BatchNorm2d(C_out, affine=affine),
            nn.ReLU(),
        )

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the operation.

        `(n, C_in, h, w)` to `(n, C_out, h / stride, w / stride)`.
        """
        return self.op(x)


def make(name: str, C_in: int, C_out: int, search: bool) -> tuple[nn.Module, int]:
    """Return a fresh operation, and the channels of what it gives.

    Args:
        name: One of `OPERATIONS`.
        C_in: Channels of what it reads.
        C_out: Channels of convolutions that can change them; the other operations keep those of the input.
        search: Whether it stands in a search network, where BN has no weight and bias and follows every pool.
    """
    affine = not search
    if name == "conv_1x1":
        return ops.ConvBnReLU(C_in, C_out, 1, affine=affine), C_out
    if name == "sep_conv_3x3":
        return SingleSeparableConv(C_in, C_out, affine=affine), C_out
    if name == "dw_conv_3x3":
        return DepthwiseConv(C_in, affine=affine), C_in
    if name == "max_pool_3x3":
        return ops.MaxPool(C_in, 3, 1, use_bn=search), C_in
    if name == "avg_pool_3x3":
        return ops.AvgPool(C_in, 3, 1, use_bn=search), C_in
    return (ops.Zero(1) if name == NONE else ops.Identity()), C_in
