"""The blocks of ProxylessNAS, under the names of the authors' code."""

from __future__ import annotations

from naslib.search_spaces.core.mobile.blocks import MBConv, Skip

# What the authors call the block that is left out, beside a shortcut
ZERO = "Zero"


class MBInvertedConv(MBConv):
    """An inverted residual block without its shortcut, which is an edge of the layer: ReLU6, no squeeze-and-excitation.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Side of the depthwise kernel, odd.
        stride: Of the depthwise convolution.
        expansion: How many times as wide it is inside.
        id_skip: Whether a shortcut stands beside it; only the key in latency tables depends on it.
    """

    def __init__(
        self, C_in: int, C_out: int, kernel_size: int, stride: int = 1, expansion: float = 6, id_skip: bool = False
    ) -> None:
        super().__init__(C_in, C_out, kernel_size, stride, expansion, activation="r6")
        self.init_params = {
            "C_in": C_in,
            "C_out": C_out,
            "kernel_size": kernel_size,
            "stride": stride,
            "expansion": expansion,
            "id_skip": id_skip,
        }

    @property
    def get_op_name(self) -> str:
        """As the authors write it: `5x5_MBConv3`."""
        return block_name(self.kernel_size, self.expansion)


def block_name(kernel_size: int, expansion: float) -> str:
    """Return the name of a block: `5x5_MBConv3`."""
    return f"{kernel_size}x{kernel_size}_MBConv{expansion:g}"


def zero() -> Skip:
    """Return the block that is left out."""
    return Skip(ZERO)
