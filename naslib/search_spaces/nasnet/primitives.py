"""The operations of the NASNet and PNAS spaces, and what fits a state into the output of a cell."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.ops_named import make_operation

SKIP = "skip_connect"
# The 13 operations of [Zoph2018nasnet], the 8 of [Liu2018pnas]
NASNET = (
    *(SKIP, "conv_3x1_1x3", "conv_7x1_1x7", "dil_conv_3x3", "avg_pool_3x3", "max_pool_3x3", "max_pool_5x5"),
    *("max_pool_7x7", "conv_1x1", "conv_3x3", "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7"),
)
PNAS = (
    *("sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "conv_7x1_1x7"),
    *(SKIP, "avg_pool_3x3", "max_pool_3x3", "dil_conv_3x3"),
)


class ProjectedSkip(ops.ReLUConvBN):
    """What the identity is where the size or the channels change: ReLU, a strided 1x1 convolution and BN.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: Stride of the convolution.
        affine: Whether BN has weight and bias.
    """

    def __init__(self, C_in: int, C_out: int, stride: int, affine: bool = True, **kwargs: Any) -> None:
        super().__init__(C_in, C_out, 1, stride, affine)
        self.init_params = {"C_in": C_in, "C_out": C_out, "stride": stride, "affine": affine}

    @property
    def get_op_name(self) -> str:
        """The class name: it is no candidate of its own beside `conv_1x1`."""
        return type(self).__name__


def make(name: str, C_in: int, C_out: int, stride: int, search: bool) -> nn.Module:
    """Return a fresh operation of a cell.

    Args:
        name: Its name in a genotype.
        C_in: Channels of the state that it reads.
        C_out: Channels of the block.
        stride: 1 or 2.
        search: Whether it stands in a search network, where BN has no weight and bias and follows every pool.
    """
    if name == SKIP and (stride > 1 or C_in != C_out):
        return ProjectedSkip(C_in, C_out, stride, affine=not search)
    return make_operation(name, C_in, C_out, stride, search)


def preprocessing(C_in: int, C_out: int, halves: bool, affine: bool) -> nn.Module:
    """Return what fits the output of an earlier cell to the channels, and to the size if `halves`, of a cell."""
    if halves:
        return ops.FactorizedReduce(C_in, C_out, affine=affine)
    return ops.ReLUConvBN(C_in, C_out, kernel_size=1, affine=affine)


def fitted(C_in: int, C_out: int, halves: bool) -> nn.Module:
    """Return what fits an unused input of a cell into its output: nothing, where it fits."""
    if halves:
        return ops.FactorizedReduce(C_in, C_out)
    if C_in == C_out:
        return ops.Identity()
    return ops.Sequential(nn.Conv2d(C_in, C_out, 1, bias=False), nn.BatchNorm2d(C_out))
