"""The networks that cells of blocks are stacked to: stems, places of the cells, what each reads, and the classifier.

Node 1 is the input, 2 the stem, 3 the second input of the first cell, and from 4 on there is a node per cell, those of
the stem for large images included; then the auxiliary head, where there is one, and the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

from torch import nn

from naslib.data.info import ImageSize, height_and_width, plain_size
from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._collector import paused_garbage_collection
from naslib.search_spaces.core.graph import Graph

from .primitives import preprocessing

FIRST_CELL = 4
STEM_MULTIPLIER = 3
IMAGENET_STEM_FROM = 96  # pixels
REDUCTIONS = ("added", "first")


@dataclass(frozen=True)
class BlockMacro:
    """Sizes of a network.

    Attributes:
        cells_per_stage: N: normal cells between two reductions.
        channels: Channels of a block in the first stage; each reduction doubles them.
        in_channels: Channels of the images.
        n_classes: Number of classes, or of values.
        stem: `"cifar"` (a 3x3 convolution to three times the channels) or `"imagenet"` (a strided 3x3 convolution and
            two reduction cells with a quarter and half of the channels).
        stem_channels: Channels of the strided convolution.
        reductions: `"added"`: reduction cells stand between stages of N normal cells; `"first"`: the first of the N
            cells of each later stage is the reduction cell.
        skips_reduction: Whether the cell behind a reduction cell reads, as its older input, what the reduction cell
            read as its older one.
        raw_first_input: Whether the first cell reads its older input as it is, in as many channels as that has.
        affine: Whether the BN of the preprocessing has weight and bias.
        stages: Number of stages.

    Raises:
        ConfigError: If a size is not positive, or the reductions are unknown.
    """

    cells_per_stage: int
    channels: int
    in_channels: int
    n_classes: int
    stem: str
    stem_channels: int = 32
    reductions: str = "added"
    skips_reduction: bool = False
    raw_first_input: bool = True
    affine: bool = True
    stages: int = 3

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least 1, not {getattr(self, name)}"
            for name in ("cells_per_stage", "channels", "in_channels", "n_classes", "stem_channels", "stages")
            if getattr(self, name) < 1
        ]
        if self.reductions not in REDUCTIONS:
            problems.append(f"reductions are {' or '.join(REDUCTIONS)}, not {self.reductions!r}")
        if self.stem == "imagenet" and self.channels % 4:
            problems.append(
                f"channels={self.channels}: the stem for large images has a quarter of them; take a multiple of 4"
            )
        if self.skips_reduction and self.cells_per_stage < 2:
            problems.append("a cell can skip a reduction cell only where stages have two cells at least")
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True)
class Place:
    """Where a cell is.

    Attributes:
        index: Of the cell, from 0, those of the stem included.
        total: Number of cells.
        node: In the makrograph.
        is_reduction: Whether it halves the image.
        scope: Of the graph.
        channels: Of each of its blocks.
        inputs: The nodes that it reads: the older one, and the last.
        widths: Channels of what enters it.
        raw: Whether the older input enters as it is.
    """

    index: int
    total: int
    node: int
    is_reduction: bool
    scope: str
    channels: int
    inputs: tuple[int, int]
    raw: bool = False
    widths: tuple[int, int] = (0, 0)


def scopes(stages: int = 3) -> list[str]:
    """Return the scopes of all cells."""
    found = [f"n_stage_{stage}" for stage in range(1, stages + 1)]
    return [*found, *(f"r_stage_{stage}" for stage in range(1, stages)), "stem"]


def resolve_stem(stem: str, image_size: ImageSize) -> str:
    """Return `"cifar"` or `"imagenet"`, by the shorter side of the images where `stem` is `"auto"`.

    Raises:
        ConfigError: For another value.
    """
    if stem not in ("auto", "cifar", "imagenet"):
        raise ConfigError(f"stem is 'auto', 'cifar' or 'imagenet', not {stem!r}")
    if stem == "auto":
        return "imagenet" if min(height_and_width(plain_size(image_size))) >= IMAGENET_STEM_FROM else "cifar"
    return stem


def places(macro: BlockMacro) -> list[Place]:
    """Return the places of all cells in order."""
    plan: list[tuple[bool, str, Fraction]] = []
    if macro.stem == "imagenet":
        plan += [(True, "stem", Fraction(1, 4)), (True, "stem", Fraction(1, 2))]
    for stage in range(1, macro.stages + 1):
        scale, n_normal = Fraction(2 ** (stage - 1)), macro.cells_per_stage
        if stage > 1:
            plan.append((True, f"r_stage_{stage - 1}", scale))
            n_normal -= macro.reductions == "first"
        plan += [(False, f"n_stage_{stage}", scale)] * n_normal
    found: list[Place] = []
    for index, (is_reduction, scope, scale) in enumerate(plan):
        node = FIRST_CELL + index
        older = node - 2
        behind = macro.skips_reduction and index and found[-1].is_reduction and found[-1].scope != "stem"
        if behind and not is_reduction:
            older = node - 3
        raw = index == 0 and macro.raw_first_input
        found.append(
            Place(index, len(plan), node, is_reduction, scope, int(macro.channels * scale), (older, node - 1), raw)
        )
    return found


def build(graph: Graph, macro: BlockMacro, cell_at: Callable[[Place], Graph], width_of: Callable[[Place], int]) -> None:
    """Put stem, cells, preprocessing and classifier into an empty graph.

    Args:
        graph: The graph.
        macro: Its sizes.
        cell_at: Makes the cell of a place.
        width_of: Returns the channels of a cell's output.
    """
    with paused_garbage_collection():
        width, scale = _add_stem(graph, macro)
        widths, scales = {2: width, 3: width}, {2: scale, 3: scale}
        node = 3
        for place in places(macro):
            node, (older, newer) = place.node, place.inputs
            halves = scales[older] != scales[newer]
            entering = (widths[older] if place.raw else place.channels, place.channels)
            place = replace(place, widths=entering)
            graph.add_node(node, subgraph=cell_at(place).set_input([older, newer]))
            graph.add_edges_from([(older, node), (newer, node)])
            if not place.raw:
                graph.edges[older, node].set("op", preprocessing(widths[older], place.channels, halves, macro.affine))
            graph.edges[newer, node].set("op", preprocessing(widths[newer], place.channels, False, macro.affine))
            widths[node], scales[node] = width_of(place), scales[newer] * (2 if place.is_reduction else 1)
    output = node + 2  # node + 1 is the auxiliary head, where there is one
    graph.add_edge(node, output)
    classifier = ops.Sequential(
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[node], macro.n_classes)
    )
    graph.edges[node, output].set("op", classifier)


def attach_auxiliary(graph: Graph, macro: BlockMacro, width_of: Callable[[Place], int]) -> None:
    """Hang the auxiliary head behind the cell before the last reduction cell, as the node before the output."""
    every = places(macro)
    last = max((place.index for place in every if place.is_reduction), default=1)
    place = every[last - 1]
    node = every[-1].node + 1
    graph.add_edge(place.node, node)
    graph.edges[place.node, node].set("op", ops.AuxiliaryHead(width_of(place), macro.n_classes))


def _add_stem(graph: Graph, macro: BlockMacro) -> tuple[int, int]:
    """Add nodes 1 to 3; return the channels of nodes 2 and 3, and by how much the image is smaller there."""
    graph.add_nodes_from((1, 2, 3))
    graph.add_edges_from([(1, 2), (2, 3)])
    if macro.stem == "imagenet":
        width = macro.stem_channels
        convolution = nn.Conv2d(macro.in_channels, width, 3, stride=2, bias=False)
        graph.edges[1, 2].set("op", ops.Sequential(convolution, nn.BatchNorm2d(width)))
        return width, 2
    width = STEM_MULTIPLIER * macro.channels
    graph.edges[1, 2].set("op", ops.Stem(C_in=macro.in_channels, C_out=width))
    return width, 1
