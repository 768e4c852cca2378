"""Operations of TransNAS-Bench-101."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from naslib.data.info import ImageSize, height_and_width
from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.types import EdgeLike

# From this many pixels on the stem halves the images twice, as in the benchmark
LARGE = 96


class StridedSkip(ops.FactorizedReduce):
    """The skip connection of an edge that halves the image and changes the channels; an `Identity` by name."""

    @property
    def get_op_name(self) -> str:
        """The name of the candidate."""
        return "Identity"


class BasicBlock(ops.AbstractPrimitive):
    """Two ReLU, 3x3 convolution, BN; plus the input, or a 1x1 convolution and BN of it where its shape changes.

    Args:
        C_in: Number of input channels.
        C_out: Number of output channels.
        stride: 1 or 2.
    """

    def __init__(self, C_in: int, C_out: int, stride: int = 1) -> None:
        super().__init__(locals())
        self.conv_a = ops.ReLUConvBN(C_in, C_out, 3, stride=stride)
        self.conv_b = ops.ReLUConvBN(C_out, C_out, 3)
        self.shortcut: nn.Module | None = None
        if stride != 1 or C_in != C_out:
            self.shortcut = nn.Sequential(nn.Conv2d(C_in, C_out, 1, stride, bias=False), nn.BatchNorm2d(C_out))

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Apply the block.

        `(n, c_in, h, w)` to `(n, c_out, h', w')`, smaller by the stride.
        """
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return shortcut + self.conv_b(self.conv_a(x))


class Patches(ops.AbstractPrimitive):
    """Put the patches of a puzzle one after the other into the batch: `(n, p, c, h, w)` becomes `(n * p, c, h, w)`."""

    stateless = True

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the patches as images.

        `(n, p, c, h, w)` to `(n * p, c, h, w)`.
        """
        return x.flatten(0, 1)


class PuzzleHead(ops.AbstractPrimitive):
    """Average each patch over its pixels, then a linear layer reads all patches of an image.

    Args:
        patches: Number p of patches of an image.
        C_in: Channels of the features.
        n_outputs: Outputs for each image: the permutations to tell apart.
    """

    def __init__(self, patches: int, C_in: int, n_outputs: int) -> None:
        super().__init__(locals())
        self.patches = patches
        self.linear = nn.Linear(patches * C_in, n_outputs)

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return the outputs.

        `(n * p, C_in, h, w)` to `(n, n_outputs)`.
        """
        return self.linear(x.flatten(2).mean(2).reshape(-1, self.linear.in_features))


class NetworkSizes(Protocol):
    """What both spaces of TransNAS-Bench-101 are told."""

    n_classes: int
    in_channels: int
    channels: int
    task: str
    patches: int
    dense: bool
    image_size: ImageSize


def make_stem(in_channels: int, channels: int, large: bool) -> nn.Module:
    """Return the stem: two convolutions of stride 2 for large images, one of stride 1 for small ones."""
    if not large:
        return ops.Stem(C_in=in_channels, C_out=channels)
    return ops.Sequential(
        nn.Conv2d(in_channels, channels // 2, 3, 2, 1, bias=False),
        nn.BatchNorm2d(channels // 2),
        ops.ReLUConvBN(channels // 2, channels, 3, stride=2),
    )


def build_chain(graph: Graph, modules: Sequence[nn.Module], width: int, sizes: NetworkSizes) -> None:
    """Put the stem, the modules and the head of the task on the edges of an empty graph, in place.

    Args:
        graph: The makrograph.
        modules: From the stem to the head.
        width: Channels of the last module.
        sizes: What both spaces are told.
    """
    stem = make_stem(sizes.in_channels, sizes.channels, max(height_and_width(sizes.image_size)) >= LARGE)
    edge_ops = [ops.Sequential(Patches(), stem) if sizes.patches > 1 else stem, *modules]
    last = len(edge_ops) + 1
    graph.add_nodes_from(range(1, last + 2))
    for source, op in enumerate(edge_ops, start=1):
        graph.add_edge(source, source + 1)
        graph.edges[source, source + 1].set("op", op)
    graph.add_edge(last, last + 1)
    if sizes.dense or sizes.task == "segmentation":
        graph.add_edge(1, last + 1)
        graph.nodes[last + 1]["comb_op"] = ops.DenseHead(sizes.in_channels, width, sizes.n_classes)
    elif sizes.patches > 1:
        graph.edges[last, last + 1].set("op", PuzzleHead(sizes.patches, width, sizes.n_classes))
    else:
        graph.edges[last, last + 1].set("op", ops.PooledHead(width, sizes.n_classes))


# Outputs of the benchmark's tasks that classify ([Duan2021transnas])
_CLASSES = {"class_object": 75, "class_scene": 47, "jigsaw": 1000, "room_layout": 9, "segmentsemantic": 17}


def classes_of(given: int | str) -> int:
    """Return a number of outputs: as given, or that of the task or data set of a name."""
    return _CLASSES.get(given, 10) if isinstance(given, str) else given


def check_sizes(space: str, tasks: tuple[str, ...], task: str, channels: int, patches: int, dense: bool) -> None:
    """Raise `ConfigError` unless the arguments that both spaces have go together."""
    if task not in tasks:
        raise ConfigError(f"{space} has no head for {task}, only for {', '.join(tasks)}")
    if channels < 2 or channels % 2:
        raise ConfigError(f"channels must be even and at least 2, not {channels}")
    if patches < 1 or (patches > 1 and (dense or task != "classification")):
        raise ConfigError(
            f"patches={patches}: a puzzle has 2 patches or more, and task=classification; 1 for whole images"
        )
    if dense and task != "regression":
        raise ConfigError(f"dense=True gives every pixel its values and needs task=regression, not {task}")
