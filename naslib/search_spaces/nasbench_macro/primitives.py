"""The three blocks of NAS-Bench-Macro, under the names of the paper."""

from __future__ import annotations

from torch import nn

from naslib.search_spaces.core.mobile.blocks import ConvBlock, MBConv, Skip

IDENTITY = "Identity"
# In the order of the benchmark's digits
NAMES = (IDENTITY, "MB3_K3", "MB6_K5")


class MacroBlock(MBConv):
    """An inverted residual block without its shortcut, which is an edge of the layer: ReLU.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel, odd.
        stride: Of the depthwise convolution.
        expansion: How many times as wide it is inside.
    """

    def __init__(self, C_in: int, C_out: int, kernel_size: int, stride: int = 1, expansion: int = 6) -> None:
        super().__init__(C_in, C_out, kernel_size, stride, expansion)

    @property
    def get_op_name(self) -> str:
        """As the paper writes it: `MB6_K5`."""
        return f"MB{self.expansion}_K{self.kernel_size}"


class ReducingIdentity(ConvBlock):
    """What is `Identity` in the first layer of a stage, which changes the shape: a 1x1 convolution and BN.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: Of both spatial dimensions.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 2) -> None:
        super().__init__(C_in, C_out, 1, stride, activation="")
        self.init_params = {"C_in": C_in, "C_out": C_out, "stride": stride}

    @property
    def get_op_name(self) -> str:
        """The paper's name."""
        return IDENTITY


def candidates(C_in: int, C_out: int, stride: int, shortcut: bool) -> list[nn.Module]:
    """Return the three blocks of a layer; `Identity` beside a shortcut adds nothing."""
    return [
        Skip(IDENTITY) if shortcut else ReducingIdentity(C_in, C_out, stride),
        MacroBlock(C_in, C_out, 3, stride, 3),
        MacroBlock(C_in, C_out, 5, stride, 6),
    ]
