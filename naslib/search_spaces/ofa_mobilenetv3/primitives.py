"""The blocks of an elastic MobileNetV3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from naslib.search_spaces.core.elastic import (
    ElasticBatchNorm2d,
    ElasticConv2d,
    Size,
    Value,
    order_of_importance,
    permute,
)
from naslib.search_spaces.core.elastic.sizes import Number, combinations

from .codec import multiple_of_8

# Channels are multiples of this, in the authors' code
DIVISOR = 8
_REDUCTION = 4
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "hswish": nn.Hardswish}


def conv_bn(
    inputs: int | Size, outputs: int | Size, kernel: int, stride: int, act: str, mix: str = "weights"
) -> nn.Sequential:
    """Return a convolution without bias, batch norm and an activation.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        kernel: Side of the kernel.
        stride: Stride.
        act: A name of `ACTIVATIONS`, "" for none.
        mix: See `Elastic`.
    """
    layers: list[nn.Module] = [
        ElasticConv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False, mix=mix),
        ElasticBatchNorm2d(outputs, mix=mix),
    ]
    return nn.Sequential(*layers, *([ACTIVATIONS[act]()] if act else []))


class ElasticSqueezeExcite(nn.Module):
    """Multiply channels by what a small network makes of their averages.

    Args:
        channels: Number of channels.
        mix: See `Elastic`.
    """

    def __init__(self, channels: int | Size, mix: str = "weights") -> None:
        super().__init__()
        squeezed = squeezed_channels(channels)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = ElasticConv2d(channels, squeezed, 1, mix=mix)
        self.act = nn.ReLU()
        self.expand = ElasticConv2d(squeezed, channels, 1, mix=mix)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(n, c, h, w)`, as it came."""
        gate = self.expand(self.act(self.reduce(self.pool(x))))
        return x * (F.relu6(gate + 3) / 6)  # the hard sigmoid, whose own kernel cannot be differentiated twice


def squeezed_channels(channels: int | Size) -> int | Size:
    """Return how many channels the small network has: a quarter, as a multiple of 8."""
    if isinstance(channels, Size):
        return (channels // _REDUCTION).rounded(DIVISOR)
    return multiple_of_8(channels // _REDUCTION)


class InvertedResidual(nn.Module):
    """Widen by a 1x1 convolution, filter each channel, weigh the channels, and narrow again; with a shortcut.

    The shortcut is there where stride and channels allow it.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        kernel: Side of the depthwise kernel: a number or a value decision.
        expansion: How many times as many channels are in between, likewise; 1 for no widening.
        stride: Of the depthwise convolution.
        act: A name of `ACTIVATIONS`.
        has_se: Whether channels are weighed (`ElasticSqueezeExcite`).
        kernel_transform: Whether smaller kernels are learned maps of larger ones (`ElasticConv2d`).
        mix: See `Elastic`.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | Value,
        expansion: int | Value,
        stride: int,
        act: str,
        has_se: bool,
        kernel_transform: bool = True,
        mix: str = "weights",
    ) -> None:
        super().__init__()
        self.has_shortcut = stride == 1 and inputs == outputs
        hidden = (inputs * expansion).rounded(DIVISOR) if isinstance(expansion, Value) else inputs * expansion
        self.expansion, self.hidden = expansion, hidden
        self.widen = conv_bn(inputs, hidden, 1, 1, act, mix) if expansion != 1 else None
        self.depthwise = nn.Sequential(
            ElasticConv2d(
                hidden, hidden, kernel, stride, groups=hidden, bias=False, kernel_transform=kernel_transform, mix=mix
            ),
            ElasticBatchNorm2d(hidden, mix=mix),
            ACTIVATIONS[act](),
        )
        self.se = ElasticSqueezeExcite(hidden, mix) if has_se else None
        self.narrow = conv_bn(hidden, outputs, 1, 1, "", mix)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`, smaller by the stride.
        """
        y = x if self.widen is None else self.widen(x)
        y = self.depthwise(y)
        if self.se is not None:
            y = self.se(y)
        y = self.narrow(y)
        return x + y if self.has_shortcut else y

    def sort_channels(self, used: Mapping[str, Sequence[Number]]) -> None:
        """Put the channels in between in the order of the sums of absolute weights that read them; see `Sortable`.

        The authors sort so before a smaller expansion is trained ([Cai2020ofa], channel sorting). At every expansion of
        `used`, the block computes what it did.
        """
        if self.widen is None or not isinstance(self.expansion, Value):
            return
        values = used.get(self.expansion.label, [max(self.expansion.values)])
        sizes = _sizes(self.hidden, self.expansion, values)
        order = order_of_importance(_importance(self.narrow[0]), sizes)
        for layer in (*self.widen[:2], *self.depthwise[:2]):
            permute(layer, order)
        permute(self.narrow[0], order, axis=1)
        if self.se is None:
            return
        permute(self.se.reduce, order, axis=1)
        permute(self.se.expand, order)
        squeezed = _sizes(squeezed_channels(self.hidden), self.expansion, values)
        order = order_of_importance(_importance(self.se.expand), squeezed)
        permute(self.se.reduce, order)
        permute(self.se.expand, order, axis=1)


def _importance(reader: nn.Module) -> Tensor:
    """Return the sum of absolute weights that read each input channel of a convolution, `(c_in,)`."""
    weight: Any = reader.weight
    return weight.detach().abs().sum((0, 2, 3))


def _sizes(size: int | Size, leaf: Value, values: Sequence[Number]) -> list[int]:
    """Return what a size is at some values of the decision that it depends on."""
    if not isinstance(size, Size):
        return [size]
    return [int(size.at(chosen)) for chosen in combinations([leaf]) if chosen[leaf.label] in values]
