"""The makrograph of the DARTS space: stem, cells, preprocessing on the edges between them, classifier.

Node 1 is the input, node 2 the (first) stem, node 3 the second input of the first cell, 4 to 3 + L are the L cells,
4 + L is the auxiliary head where there is one, and 5 + L the output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from naslib.data.info import ImageSize, height_and_width, plain_size
from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._collector import paused_garbage_collection
from naslib.search_spaces.core.combine import channel_concat
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .primitives import AuxiliaryHead, ImageNetStem, preprocessing

FIRST_CELL = 4
STEM_MULTIPLIER = 3
IMAGENET_STEM_FROM = 96  # pixels: three strided convolutions leave 12 x 12 to the first cell


@dataclass(frozen=True)
class MacroSpec:
    """Sizes of a network of the DARTS space.

    Attributes:
        cells: Number of cells.
        channels: Channels of a node in the first stage; each reduction cell doubles them.
        nodes: Intermediate nodes of a cell.
        in_channels: Channels of the images.
        n_classes: Number of classes.
        stem: `"cifar"` or `"imagenet"`.
        affine: Whether the BN of the preprocessing has weight and bias.
        outputs: How many nodes the output of a normal cell concatenates, and that of a reduction cell; all if None.

    Raises:
        ConfigError: If a size is not positive.
    """

    cells: int
    channels: int
    nodes: int
    in_channels: int
    n_classes: int
    stem: str
    affine: bool
    outputs: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("cells", "channels", "nodes", "in_channels", "n_classes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")

    def width_behind(self, place: CellSpec) -> int:
        """Return the channels of a cell's output."""
        n_outputs = self.nodes if self.outputs is None else self.outputs[place.is_reduction]
        return n_outputs * place.channels


@dataclass(frozen=True)
class CellSpec:
    """Place of one cell: its node in the makrograph, kind, stage (from 1) and channels."""

    node: int
    is_reduction: bool
    stage: int
    channels: int


def reduction_cells(cells: int) -> list[int]:
    """Return the positions of the reduction cells: at a third and at two thirds of the depth.

    A network of two cells has one reduction cell, the last, and a network of one cell has none.
    """
    if cells < 3:
        return [1] if cells == 2 else []
    return [cells // 3, 2 * cells // 3]


def resolve_stem(stem: str, image_size: ImageSize) -> str:
    """Return `"cifar"` or `"imagenet"`, by the shorter side of the images where `stem` is `"auto"`.

    Raises:
        ConfigError: For another value.
    """
    if stem not in ("auto", "cifar", "imagenet"):
        raise ConfigError(f"stem is 'auto', 'cifar' or 'imagenet', not {stem!r}")
    if stem == "auto":
        short = min(height_and_width(plain_size(image_size)))
        return "imagenet" if short >= IMAGENET_STEM_FROM else "cifar"
    return stem


def cell_specs(spec: MacroSpec) -> list[CellSpec]:
    """Return the places of all cells."""
    reductions = reduction_cells(spec.cells)
    found = []
    for position in range(spec.cells):
        passed = sum(reduction <= position for reduction in reductions)
        is_reduction = position in reductions
        stage = passed if is_reduction else passed + 1
        found.append(CellSpec(FIRST_CELL + position, is_reduction, stage, spec.channels * 2**passed))
    return found


def make_cell(name: str, nodes: int) -> Graph:
    """Return a cell: nodes 1 and 2 are its inputs, then `nodes` intermediate nodes, then the output, without edges."""
    cell = Graph(name=name)
    cell.add_nodes_from(range(1, nodes + 4))
    output = nodes + 3
    cell.nodes[output]["comb_op"] = channel_concat
    cell.add_edges_from((source, output, EdgeData().finalize()) for source in range(3, output))
    return cell


def build_macro(graph: Graph, spec: MacroSpec, cell_at: Callable[[CellSpec], Graph]) -> None:
    """Put stem, cells, preprocessing and classifier into an empty graph.

    Args:
        graph: The graph.
        spec: Its sizes.
        cell_at: Makes the cell of a place.
    """
    with paused_garbage_collection():
        width = _add_stem(graph, spec)
        width = _add_cells(graph, spec, cell_at, width)
    last, output = FIRST_CELL - 1 + spec.cells, FIRST_CELL + 1 + spec.cells
    graph.add_edge(last, output)
    classifier = ops.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, spec.n_classes))
    graph.edges[last, output].set("op", classifier)


def _add_stem(graph: Graph, spec: MacroSpec) -> int:
    """Add nodes 1 to 3; return the channels of nodes 2 and 3."""
    graph.add_nodes_from((1, 2, 3))
    graph.add_edges_from([(1, 2), (2, 3)])
    if spec.stem == "imagenet":
        width = spec.channels
        graph.edges[1, 2].set("op", ImageNetStem(spec.in_channels, width))
        graph.edges[2, 3].set("op", ops.ReLUConvBN(width, width, 3, stride=2))
    else:
        width = STEM_MULTIPLIER * spec.channels
        graph.edges[1, 2].set("op", ops.Stem(C_in=spec.in_channels, C_out=width))
    return width


def _add_cells(graph: Graph, spec: MacroSpec, cell_at: Callable[[CellSpec], Graph], width: int) -> int:
    """Add the cells with their preprocessing; return the channels of the last one's output."""
    widths = {2: width, 3: width}
    halves = {3: spec.stem == "imagenet"}  # whether the image is half that of the node before
    for place in cell_specs(spec):
        node = place.node
        graph.add_node(node, subgraph=cell_at(place).set_input([node - 2, node - 1]))
        graph.add_edges_from([(node - 2, node), (node - 1, node)])
        older = preprocessing(widths[node - 2], place.channels, halves[node - 1], spec.affine)
        graph.edges[node - 2, node].set("op", older)
        newer = preprocessing(widths[node - 1], place.channels, False, spec.affine)
        graph.edges[node - 1, node].set("op", newer)
        widths[node] = spec.width_behind(place)
        halves[node] = place.is_reduction
    return widths[FIRST_CELL - 1 + spec.cells]


def attach_auxiliary(graph: Graph, spec: MacroSpec) -> None:
    """Hang the auxiliary head after the cell at two thirds of the depth."""
    place = cell_specs(spec)[2 * spec.cells // 3]
    node = FIRST_CELL + spec.cells
    graph.add_edge(place.node, node)
    graph.edges[place.node, node].set("op", AuxiliaryHead(spec.width_behind(place), spec.n_classes))
