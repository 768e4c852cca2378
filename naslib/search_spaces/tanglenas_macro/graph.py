"""The macro space of the weight-entanglement benchmark of TangleNAS: a chain of elastic convolutions."""

from __future__ import annotations

import itertools

from torch import nn

from naslib.data.info import ImageSize, height_and_width, plain_size
from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.elastic import ElasticConv2d, Value
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.spelled_codec import SpelledCodec
from naslib.search_spaces.core.statement import state

from .codec import CHANNELS, KERNELS, LAYERS, SIDES, ChannelsAndKernels, channel_values

# Of the last convolution, which nobody searches
_KERNEL, _PADDING = 7, 2
_DROPOUT = 0.5


class TangleNASMacroSearchSpace(Graph):
    """The 6,561 convolutional networks of [Sukthanker2024tanglenas]: channels and kernels of four convolutions.

    Each convolution has one of three numbers of channels (8, 16, 32 of the first, twice as many of each next one) and a
    kernel of 3, 5 or 7, slices of one weight: the first channels, the centre of the kernel. There is no batch norm. The
    image is halved behind the second and the third convolution; a fifth one with a kernel of 7 and four linear layers
    follow, with dropout of whole channels before it and behind it.

    A code is four indices of channels, then four of kernels.

    Args:
        n_classes: Number of classes.
        in_channels: Channels of the images.
        channels: The smallest number of channels of the first convolution; all other widths are multiples of it.
        image_size: Side of the images, or height and width; at least 12.
        mix: `"weights"` or `"outputs"`: how layers mix their sizes (`naslib.search_spaces.core.elastic.Elastic`).

    Raises:
        ConfigError: If images are too small for the last kernel, there are no channels, or `mix` is something else.
    """

    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: int = 8,
        image_size: ImageSize = 32,
        mix: str = "weights",
    ) -> None:
        super().__init__("makrograph")
        if channels < 1:
            raise ConfigError(f"tanglenas_macro: channels must be at least 1, not {channels}")
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.channels = channels
        self.image_size = plain_size(image_size)
        self.mix = mix
        widths = [Value(channel_values(layer, channels), CHANNELS[layer]) for layer in range(LAYERS)]
        reads: list[int | Value] = [in_channels, *widths[:-1]]
        behind: list[list[nn.Module]] = [[], [nn.MaxPool2d(2)], [nn.Dropout2d(_DROPOUT), nn.MaxPool2d(2)], []]
        edge_ops: list[nn.Module] = []
        for layer in range(LAYERS):
            conv = ElasticConv2d(reads[layer], widths[layer], Value(KERNELS, SIDES[layer]), mix=mix)
            edge_ops.append(ops.Sequential(conv, nn.ReLU(), *behind[layer]))
        edge_ops.append(ElasticConv2d(widths[-1], 32 * channels, _KERNEL, padding=_PADDING, mix=mix))
        edge_ops.append(_make_head(32 * channels, _pixels(self.image_size), n_classes))
        self.add_nodes_from(range(1, len(edge_ops) + 2))
        for source, op in enumerate(edge_ops, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", op)

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State the channels of all convolutions, then their kernels, as the authors write them."""
        found = {decision.name: decision for decision in state(self, scope).decisions}
        return DecisionSpace([found[name] for name in (*CHANNELS, *SIDES)])

    def get_type(self) -> str:
        """Return the name of the space."""
        return "tanglenas_macro"

    def _codec(self) -> SpelledCodec:
        return SpelledCodec(self.get_type(), self.decision_space, ChannelsAndKernels())


def _pixels(image_size: ImageSize) -> int:
    """Return the number of pixels behind the last convolution."""
    sides = [side // 2 // 2 + 2 * _PADDING - _KERNEL + 1 for side in height_and_width(image_size)]
    if min(sides) < 1:
        raise ConfigError(
            f"tanglenas_macro: the last convolution has a kernel of {_KERNEL} and does not fit what is left of images "
            f"of {image_size}: their side is at least 12"
        )
    return sides[0] * sides[1]


def _make_head(channels: int, pixels: int, n_classes: int) -> nn.Module:
    sizes = [channels * pixels, channels, channels // 2, channels // 4]
    layers: list[nn.Module] = [nn.Dropout2d(_DROPOUT), nn.Flatten()]
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return ops.Sequential(*layers, nn.Linear(sizes[-1], n_classes))
