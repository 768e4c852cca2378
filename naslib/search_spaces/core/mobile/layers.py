"""The layers that mobile blocks consist of: activations by name, squeeze-and-excitation, channel shuffle."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core.ops_base import AbstractPrimitive
from naslib.search_spaces.core.types import EdgeLike

# By the names that block strings have for them; none writes into its input
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "re": nn.ReLU,
    "r6": nn.ReLU6,
    "sw": nn.SiLU,
    "hs": nn.Hardswish,
}
# What other names there are for them
_ALSO = {"relu": "re", "relu6": "r6", "swish": "sw", "silu": "sw", "hard_swish": "hs", "hardswish": "hs"}


def activation_name(name: str) -> str:
    """Return the short name of an activation: `re`, `r6`, `sw` or `hs`.

    Args:
        name: The short name, or `relu`, `relu6`, `swish`, `silu`, `hard_swish`, `hardswish`.

    Raises:
        ConfigError: If there is none of that name.
    """
    key = _ALSO.get(str(name).lower(), str(name).lower())
    if key not in ACTIVATIONS:
        known = [*ACTIVATIONS, *_ALSO]
        raise ConfigError(
            f"no activation is called {name!r}{did_you_mean(str(name), known)} (known: {', '.join(known)})"
        )
    return key


def make_activation(name: str) -> nn.Module:
    """Return an activation by its name (see `activation_name`)."""
    return ACTIVATIONS[activation_name(name)]()


def make_divisible(width: float, divisor: int = 8) -> int:
    """Return the multiple of `divisor` nearest to a width, at least one and never less than 90 % of the width.

    The rounding of MobileNets ([Sandler2018mobilenetv2], authors' code).

    Args:
        width: A number of channels, positive.
        divisor: At least 1.
    """
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def scaled_width(width: int, factor: float) -> int:
    """Return a width times a factor, rounded by `make_divisible`; the width itself where the factor is 1."""
    return width if factor == 1 else make_divisible(width * factor)


class SqueezeStyle(NamedTuple):
    """How a squeeze-and-excitation is built.

    Attributes:
        of_expanded: Whether its ratio is one of the expanded channels, and not of those that enter the block.
        divisor: Its channels are rounded to multiples of this.
        gate: What its output goes through, a sigmoid or its piecewise linear approximation.
    """

    of_expanded: bool
    divisor: int
    gate: type[nn.Module]


SQUEEZE_STYLES = {
    "mnasnet": SqueezeStyle(of_expanded=False, divisor=1, gate=nn.Sigmoid),
    "mobilenetv3": SqueezeStyle(of_expanded=True, divisor=8, gate=nn.Hardsigmoid),
}


class SqueezeExcite(nn.Module):
    """Multiply each channel by a number in [0, 1] that a small network computes from the channels' means.

    Args:
        channels: Number of channels.
        squeezed: Channels between its two 1x1 convolutions (with bias).
        activation: Between them.
        gate: After the second one.
    """

    def __init__(
        self, channels: int, squeezed: int, activation: str = "re", gate: type[nn.Module] = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.activation = make_activation(activation)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """Return the input, channels scaled.

        `(n, c, h, w)` in and out.
        """
        means = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.expand(self.activation(self.reduce(means))))


def make_squeeze(C_in: int, expanded: int, ratio: float, style: str, activation: str) -> SqueezeExcite:
    """Return the squeeze-and-excitation of a block.

    Args:
        C_in: Channels that enter the block.
        expanded: Channels that it works on.
        ratio: In (0, 1].
        style: A key of `SQUEEZE_STYLES`.
        activation: Of the block; with the style `mobilenetv3` it is ReLU in any case.
    """
    chosen = SQUEEZE_STYLES[style]
    wanted = ratio * (expanded if chosen.of_expanded else C_in)
    squeezed = make_divisible(wanted, chosen.divisor) if chosen.divisor > 1 else max(1, round(wanted))
    return SqueezeExcite(expanded, squeezed, "re" if chosen.of_expanded else activation, chosen.gate)


class ChannelShuffle(nn.Module):
    """Order the channels so that each of the next layer's groups has channels of all groups of the last.

    Args:
        groups: A divisor of the channels.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        """Return the channels in the new order.

        `(n, c, h, w)` in and out.
        """
        return F.channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        """Return the number of groups."""
        return f"groups={self.groups}"


def conv_norm(
    C_in: int, C_out: int, kernel_size: int = 1, stride: int = 1, groups: int = 1, activation: str | None = None
) -> list[nn.Module]:
    """Return a convolution without bias that keeps the size of the image (at stride 1), BN and an activation.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        kernel_size: Odd.
        stride: Of both spatial dimensions.
        groups: A divisor of both numbers of channels.
        activation: See `activation_name`; None for none.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(C_in, C_out, kernel_size, stride, kernel_size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(C_out),
    ]
    return layers if activation is None else [*layers, make_activation(activation)]


class MobileHead(AbstractPrimitive):
    """What ends the networks: 1x1 convolution, BN, activation; mean over the image; dropout; a linear layer.

    Args:
        C_in: Number of input channels.
        hidden: Channels of the convolution; 0 for no convolution.
        n_classes: Outputs.
        activation: See `activation_name`.
        dropout: Rate, in [0, 1).
        pooled_first: Whether the mean is taken before the convolution, which then has a bias and no BN, as in
            MobileNetV3.
    """

    def __init__(
        self,
        C_in: int,
        hidden: int,
        n_classes: int,
        activation: str = "r6",
        dropout: float = 0.0,
        pooled_first: bool = False,
    ) -> None:
        super().__init__(locals())
        self.pooled_first = pooled_first
        if not hidden:
            self.mix = nn.Sequential()
        elif pooled_first:
            self.mix = nn.Sequential(nn.Conv2d(C_in, hidden, 1), make_activation(activation))
        else:
            self.mix = nn.Sequential(*conv_norm(C_in, hidden, activation=activation))
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(hidden or C_in, n_classes)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the outputs.

        `(n, C_in, h, w)` to `(n, n_classes)`.
        """
        x = self.mix(x.mean((2, 3), keepdim=True)) if self.pooled_first else self.mix(x).mean((2, 3), keepdim=True)
        return self.linear(self.dropout(torch.flatten(x, 1)))


class MobileStem(AbstractPrimitive):
    """What begins the networks: a 3x3 convolution, BN and an activation.

    Args:
        C_in: Channels of the images.
        C_out: Number of output channels.
        stride: Of both spatial dimensions.
        activation: See `activation_name`.
        kernel_size: Odd.
    """

    def __init__(
        self, C_in: int, C_out: int, stride: int = 2, activation: str = "r6", kernel_size: int = 3, **kwargs: Any
    ) -> None:
        super().__init__(locals())
        self.kernel_size = kernel_size
        self.stride = stride
        self.op = nn.Sequential(*conv_norm(C_in, C_out, kernel_size, stride, activation=activation))

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the layers.

        `(n, C_in, h, w)` to `(n, C_out, h / stride, w / stride)`, rounded up.
        """
        return self.op(x)
