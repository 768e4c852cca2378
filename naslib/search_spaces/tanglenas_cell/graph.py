"""The cell space of the weight-entanglement benchmark of TangleNAS."""

from __future__ import annotations

from torch import nn

from naslib.data.info import ImageSize, height_and_width, plain_size
from naslib.errors import ConfigError, did_you_mean
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.combine import channel_concat
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.elastic import entangle_edges
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.spelled_codec import SpelledCodec
from naslib.search_spaces.core.statement import state

from .codec import CELLS, EDGES, OP_NAMES, TangleNASGenotype, decision_names

ENTANGLEMENTS = ("weights", "outputs", "none")
_DROPOUT = 0.2
# Of the graph's own operations, their names in a genotype
_NAMES = dict(zip(("SepConv3x3", "SepConv5x5", "DilConv3x3", "DilConv5x5"), OP_NAMES, strict=True))
_OUTPUT = 5


class TangleNASCellSearchSpace(Graph):
    """The 4,096 cells of [Sukthanker2024tanglenas]: two kinds of cells of three edges, four operations on each.

    A reduction cell, a normal cell, another reduction cell (the same architecture, weights of its own), dropout
    between them, max pooling and two linear layers. The separable convolutions of an edge are slices of the larger
    one's weights, and so are the dilated ones. A cell: 1 its input, 2 that in the channels of the cell, 3 and 4
    intermediate, 5 the output, their concatenation; 2-3 and 2-4 of a reduction cell have stride 2.

    A code is six indices of operations, normal cell first, as in the table of the authors
    (`naslib.benchmarks.tanglenas`).

    Args:
        n_classes: Number of classes.
        in_channels: Channels of the images.
        channels: Channels of the nodes of the first two cells; twice as many in the third.
        image_size: Side of the images, or height and width; at least 5.
        entanglement: How candidates share weights: `"weights"` mixes weights, `"outputs"` runs each slice, `"none"`
            gives each operation weights of its own.

    Raises:
        ConfigError: For another word for `entanglement`, images that are too small, or no channels.
    """

    OPTIMIZER_SCOPE = ["normal", "reduce"]
    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 1,
        channels: int = 32,
        image_size: ImageSize = 28,
        entanglement: str = "weights",
    ) -> None:
        super().__init__("makrograph")
        if entanglement not in ENTANGLEMENTS:
            hint = did_you_mean(str(entanglement), ENTANGLEMENTS)
            raise ConfigError(
                f"tanglenas_cell: entanglement is one of {', '.join(ENTANGLEMENTS)}, not {entanglement!r}{hint}"
            )
        if channels < 1:
            raise ConfigError(f"tanglenas_cell: channels must be at least 1, not {channels}")
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.channels = channels
        self.image_size = plain_size(image_size)
        self.entanglement = entanglement
        cells = {name: _make_cell(name) for name in CELLS}
        places = [("reduce", in_channels, 1), ("normal", 2 * channels, 1), ("reduce", 2 * channels, 2)]
        edge_ops: list[nn.Module] = []
        for kind, reads, times in places:
            cell = cells[kind].copy().set_scope(kind)
            _fill_cell(cell, reads, times * channels, kind == "reduce")
            edge_ops += [cell, nn.Dropout(_DROPOUT)]
        edge_ops.append(_make_head(4 * channels, _pixels(self.image_size), n_classes))
        self.add_nodes_from(range(1, len(edge_ops) + 2))
        for source, op in enumerate(edge_ops, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", op)
        if entanglement != "none":
            entangle_edges(self, [ops.SepConv, ops.DilConv], entanglement)

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State the operations by their names in a genotype, the normal cell first, as the table has them."""
        found = state(self, scope, names=_name_in_genotype)
        order = {name: place for place, name in enumerate(decision_names())}
        return DecisionSpace(sorted(found.decisions, key=lambda decision: order[decision.name]))

    def get_type(self) -> str:
        """Return the name of the space."""
        return "tanglenas_cell"

    def _codec(self) -> SpelledCodec:
        return SpelledCodec(self.get_type(), self.decision_space, TangleNASGenotype())


def candidates(channels: int, stride: int) -> list[nn.Module]:
    """Return the four operations of an edge."""
    return [
        ops.SepConv(channels, channels, kernel_size=3, stride=stride, padding=1, affine=False),
        ops.SepConv(channels, channels, kernel_size=5, stride=stride, padding=2, affine=False),
        ops.DilConv(channels, channels, kernel_size=3, stride=stride, padding=2, dilation=2, affine=False),
        ops.DilConv(channels, channels, kernel_size=5, stride=stride, padding=4, dilation=2, affine=False),
    ]


def _name_in_genotype(op: nn.Module) -> str:
    return _NAMES.get(op_name(op), op_name(op))


def _make_cell(name: str) -> Graph:
    cell = Graph(name=name)
    cell.add_nodes_from(range(1, _OUTPUT + 1))
    cell.add_edges_from([(1, 2), *EDGES])
    cell.add_edges_from((source, _OUTPUT, EdgeData().finalize()) for source in (3, 4))
    cell.nodes[_OUTPUT]["comb_op"] = channel_concat
    return cell


def _fill_cell(cell: Graph, reads: int, channels: int, is_reduction: bool) -> None:
    cell.edges[1, 2].set("op", ops.ReLUConvBN(reads, channels, kernel_size=1, affine=False))
    for source, target in EDGES:
        cell.edges[source, target].set("op", candidates(channels, 2 if is_reduction and source == 2 else 1))


def _pixels(image_size: ImageSize) -> int:
    """Return the number of pixels behind two reductions and the pooling."""
    sides = [((side + 1) // 2 + 1) // 2 // 2 for side in height_and_width(image_size)]
    if min(sides) < 1:
        raise ConfigError(f"tanglenas_cell halves images three times: their side is at least 5, not {image_size}")
    return sides[0] * sides[1]


def _make_head(channels: int, pixels: int, n_classes: int) -> nn.Module:
    return ops.Sequential(
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(channels * pixels, channels),
        nn.ReLU(),
        nn.Dropout(_DROPOUT),
        nn.Linear(channels, n_classes),
    )
