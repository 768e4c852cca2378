"""The elastic MobileNetV3 of once-for-all."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from naslib.data.info import ImageSize, plain_size
from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.elastic import AtResolution, ElasticSequential, Value
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.spelled_codec import SpelledCodec

from .codec import HAS_SE, RESOLUTION, STAGES, SubnetSettings, depth_label, expansion_label, kernel_label, multiple_of_8
from .primitives import InvertedResidual, conv_bn

# Stem, first block, the five stages, the convolution behind them, and that before the classifier
WIDTHS = (16, 16, 24, 40, 80, 112, 160, 960, 1280)
# Of the stem and the stages
STRIDES = (2, 2, 2, 2, 1, 2)
_ACTIVATIONS = ("relu", "relu", "hswish", "hswish", "hswish")


class OFAMobileNetV3SearchSpace(Graph):
    """The once-for-all MobileNetV3 ([Cai2020ofa]): depth of five stages, kernel and expansion of each block.

    A stage has its first 2, 3 or 4 blocks. A block widens 3, 4 or 6 times and has a depthwise kernel of 3, 5 or 7; the
    smaller kernels are learned linear maps of the centre of the next larger one, the same for all channels. Batch norm,
    squeeze-and-excitation and the 1x1 convolutions follow the width. With `resolutions`, the side of the images is a
    decision as well, and the network resizes what it gets.

    Makrograph: 1 input, then an edge each for stem and first block, the five stages, and the classifier; one edge for
    all of it where resolutions are decided.

    Args:
        n_classes: Number of classes.
        in_channels: Channels of the images.
        width_mult: All widths are multiplied by it, and rounded to multiples of 8.
        kernels: Sides of depthwise kernels.
        expansions: Factors of widening.
        depths: Numbers of blocks of a stage.
        resolutions: Sides of images; None for images as they come.
        kernel_transform: Whether smaller kernels are learned maps of larger ones, rather than their centres.
        dropout: Before the classifier.
        widths: Channels of the stem, the first block, the five stages, and the last two convolutions.
        strides: Of the stem and the stages.
        mix: `"weights"` or `"outputs"`: how layers mix their sizes (`naslib.search_spaces.core.elastic.Elastic`).
        image_size: Side of the images, or height and width, as they come.

    Raises:
        ConfigError: For a size that is out of range; the message names the argument.
    """

    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 1000,
        in_channels: int = 3,
        width_mult: float = 1.0,
        kernels: Sequence[int] = (3, 5, 7),
        expansions: Sequence[float] = (3, 4, 6),
        depths: Sequence[int] = (2, 3, 4),
        resolutions: Sequence[int] | None = None,
        kernel_transform: bool = True,
        dropout: float = 0.1,
        widths: Sequence[int] = WIDTHS,
        strides: Sequence[int] = STRIDES,
        mix: str = "weights",
        image_size: ImageSize = 224,
    ) -> None:
        super().__init__("makrograph")
        _check(width_mult, kernels, expansions, depths, resolutions, dropout, widths, strides)
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.width_mult = width_mult
        self.kernels = tuple(kernels)
        self.expansions = tuple(expansions)
        self.depths = tuple(depths)
        self.resolutions = None if resolutions is None else tuple(resolutions)
        self.kernel_transform = kernel_transform
        self.dropout = dropout
        self.widths = tuple(widths)
        self.strides = tuple(strides)
        self.mix = mix
        self.image_size = plain_size(image_size)
        edge_ops = self._parts()
        if self.resolutions is not None:
            whole = nn.Sequential(*edge_ops)
            edge_ops = [AtResolution(whole, Value(self.resolutions, RESOLUTION))]
        self.add_nodes_from(range(1, len(edge_ops) + 2))
        for source, op in enumerate(edge_ops, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", op)

    def _parts(self) -> list[nn.Module]:
        """Return the parts of the network in order."""
        widths = [multiple_of_8(width * self.width_mult) for width in self.widths]
        stem, first, *stages, expanded, mixed = widths
        parts: list[nn.Module] = [
            ops.Sequential(
                conv_bn(self.in_channels, stem, 3, self.strides[0], "hswish"),
                InvertedResidual(stem, first, 3, 1, 1, "relu", has_se=False),
            )
        ]
        reads = first
        for stage, width in enumerate(stages, start=1):
            parts.append(self._stage(stage, reads, width))
            reads = width
        parts.append(
            ops.Sequential(
                conv_bn(reads, expanded, 1, 1, "hswish"),
                nn.AdaptiveAvgPool2d(1),
                nn.Conv2d(expanded, mixed, 1, bias=False),
                nn.Hardswish(),
                nn.Flatten(),
                nn.Dropout(self.dropout),
                nn.Linear(mixed, self.n_classes),
            )
        )
        return parts

    def _stage(self, stage: int, reads: int, width: int) -> ElasticSequential:
        blocks = [
            InvertedResidual(
                reads if block == 1 else width,
                width,
                Value(self.kernels, kernel_label(stage, block)),
                Value(self.expansions, expansion_label(stage, block)),
                self.strides[stage] if block == 1 else 1,
                _ACTIVATIONS[stage - 1],
                HAS_SE[stage - 1],
                self.kernel_transform,
                self.mix,
            )
            for block in range(1, max(self.depths) + 1)
        ]
        return ElasticSequential(blocks, Value(self.depths, depth_label(stage)))

    def get_type(self) -> str:
        """Return the name of the space."""
        return "ofa_mobilenetv3"

    def _codec(self) -> SpelledCodec:
        spelling = SubnetSettings(self.depths, self.resolutions, self.image_size)
        return SpelledCodec(self.get_type(), self.decision_space, spelling)

    def evaluation_network(  # type: ignore[override]  # the arguments are the space's
        self, width_mult: float | None = None, dropout: float | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture, with weights of its own.

        Args:
            width_mult: As of the space; the same if None.
            dropout: Likewise.
        """
        changed = {"width_mult": width_mult, "dropout": dropout}
        arguments = constructor_arguments(self) | {key: value for key, value in changed.items() if value is not None}
        fresh = OFAMobileNetV3SearchSpace(**arguments)
        fresh.set_spec(self.genotype())
        fresh.parse()
        return Graph.evaluation_network(fresh.take_given(self))


def _check(
    width_mult: float,
    kernels: Sequence[int],
    expansions: Sequence[float],
    depths: Sequence[int],
    resolutions: Sequence[int] | None,
    dropout: float,
    widths: Sequence[int],
    strides: Sequence[int],
) -> None:
    """Raise `ConfigError` naming every argument that is out of range."""
    problems = []
    if not width_mult > 0:
        problems.append(f"width_mult is larger than 0, not {width_mult}")
    if not 0 <= dropout < 1:
        problems.append(f"dropout is from 0 and less than 1, not {dropout}")
    numbers = {
        "depths": (depths, 1),
        "kernels": (kernels, 1),
        "resolutions": ((1,) if resolutions is None else resolutions, 1),
    }
    for name, (values, least) in numbers.items():
        if not values or any(type(value) is not int or value < least for value in values):
            problems.append(f"{name} are integers from {least}, at least one, not {list(values)}")
    if any(type(kernel) is int and kernel % 2 == 0 for kernel in kernels):
        problems.append(f"kernels are odd, so that a smaller one is the centre of a larger one, not {list(kernels)}")
    if not expansions or any(isinstance(value, bool) or not value > 1 for value in expansions):
        problems.append(f"expansions are larger than 1, at least one, not {list(expansions)}")
    if len(widths) != len(WIDTHS) or min(widths, default=0) < 1:
        problems.append(
            f"widths are {len(WIDTHS)} numbers of channels (stem, first block, {STAGES} stages, two convolutions), not "
            f"{list(widths)}"
        )
    if len(strides) != len(STRIDES) or any(stride not in (1, 2) for stride in strides):
        problems.append(
            f"strides are {len(STRIDES)} times 1 or 2 (of the stem and {STAGES} stages), not {list(strides)}"
        )
    if problems:
        raise ConfigError([f"ofa_mobilenetv3: {problem}" for problem in problems])
