"""The nine blocks of FBNet, under the names of the paper."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from naslib.search_spaces.core.mobile.blocks import ConvBlock, MBConv, Skip

SKIP = "skip"
# (kernel, expansion, groups), in the order of the paper's Table 2
BLOCKS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))


class FBNetBlock(MBConv):
    """An inverted residual block without its shortcut, which is an edge of the layer: ReLU, groups with a shuffle.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel, odd.
        stride: Of the depthwise convolution.
        expansion: How many times as wide it is inside.
        groups: Of both 1x1 convolutions.
    """

    def __init__(
        self, C_in: int, C_out: int, kernel_size: int, stride: int = 1, expansion: int = 6, groups: int = 1
    ) -> None:
        super().__init__(C_in, C_out, kernel_size, stride, expansion, groups=groups)

    @property
    def get_op_name(self) -> str:
        """As the paper writes it: `k3_e6`, `k5_e1_g2`."""
        return f"k{self.kernel_size}_e{self.expansion}" + (f"_g{self.groups}" if self.groups > 1 else "")


class ReducingSkip(ConvBlock):
    """What is left of a layer that is skipped and changes the shape: a 1x1 convolution, BN and ReLU.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: Of both spatial dimensions.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 1) -> None:
        super().__init__(C_in, C_out, 1, stride)
        self.init_params = {"C_in": C_in, "C_out": C_out, "stride": stride}

    @property
    def get_op_name(self) -> str:
        """The paper's name."""
        return SKIP


def candidates(C_in: int, C_out: int, stride: int, shortcut: bool, kernels: Sequence[int] = (3, 5)) -> list[nn.Module]:
    """Return the nine blocks of a layer.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: Of both spatial dimensions.
        shortcut: Whether a shortcut stands beside them.
        kernels: Of the blocks; 3 or 5 alone leave four blocks and `skip`.
    """
    blocks: list[nn.Module] = [FBNetBlock(C_in, C_out, k, stride, e, g) for k, e, g in BLOCKS if k in kernels]
    return [*blocks, Skip(SKIP) if shortcut else ReducingSkip(C_in, C_out, stride)]
