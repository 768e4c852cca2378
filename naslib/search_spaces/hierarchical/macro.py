"""The networks that hierarchical cells are stacked to.

Node 1 is the input, 2 the stem; then a cell and a separable convolution behind it take turns, the latter with stride 2
and twice the channels at the end of a stage; then the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._collector import paused_garbage_collection
from naslib.search_spaces.core.graph import Graph

from .primitives import SingleSeparableConv

STAGES = 3
FIRST_CELL = 3


@dataclass(frozen=True)
class HierarchicalMacro:
    """What sizes a network has.

    Attributes:
        cells_per_stage: Cells in each of the three stages.
        channels: Channels of the first stage; each further one has twice as many.
        in_channels: Channels of the images.
        n_classes: Number of classes, or of values.
        affine: Whether the BN of the convolutions between the cells has weight and bias.

    Raises:
        ConfigError: If a size is not positive.
    """

    cells_per_stage: int
    channels: int
    in_channels: int
    n_classes: int
    affine: bool

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be at least 1, not {getattr(self, name)}"
            for name in ("cells_per_stage", "channels", "in_channels", "n_classes")
            if getattr(self, name) < 1
        ]
        if problems:
            raise ConfigError(problems)


def build(graph: Graph, macro: HierarchicalMacro, cell_at: Callable[[int, int], tuple[Graph, int]]) -> None:
    """Put stem, cells, the convolutions between them and the classifier into an empty graph.

    Args:
        graph: The graph.
        macro: Its sizes.
        cell_at: Makes a cell from the channels of its input and those of the stage; returns also its channels.
    """
    with paused_garbage_collection():
        graph.add_nodes_from((1, 2))
        C = macro.channels
        graph.add_edge(1, 2)
        graph.edges[1, 2].set("op", ops.Stem(macro.in_channels, C))
        node = 2
        for stage in range(STAGES):
            for position in range(macro.cells_per_stage):
                cell, width = cell_at(C, C)
                ends = position == macro.cells_per_stage - 1 and stage < STAGES - 1
                graph.add_node(node + 1, subgraph=cell)
                graph.add_edges_from([(node, node + 1), (node + 1, node + 2)])
                between = SingleSeparableConv(width, 2 * C if ends else C, 2 if ends else 1, affine=macro.affine)
                graph.edges[node + 1, node + 2].set("op", between)
                C *= 2 if ends else 1
                node += 2
        graph.add_edge(node, node + 1)
        classifier = ops.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(C, macro.n_classes))
        graph.edges[node, node + 1].set("op", classifier)
