"""A small cell space to play with."""

from __future__ import annotations

from torch import nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core._selection import keep_strongest_edges, select_without_zero
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

_OUTPUT = 5


class SimpleCellSearchSpace(Graph):
    """A simplified DARTS space: three cells of two nodes each (normal, reduction, normal), five operations per edge.

    Makrograph: 1 input, 2 stem, 3 normal cell, 4 reduction cell, 5 normal cell, 6 output. Cells: nodes 1 and 2 are the
    inputs, 3 and 4 intermediate, 5 the output (concatenation and a 1x1 convolution).

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        channels: Channels of the first cell; the other two have twice as many.
        task: What it is for; with `"segmentation"` the output is `(n, n_classes, h, w)`, from the last cell and the
            stem (`DenseHead`), else `(n, n_classes)` from the average over pixels.

    Raises:
        ConfigError: If there is no head for the task.
    """

    OPTIMIZER_SCOPE = ["n_stage_1", "n_stage_2", "r_stage_1"]
    TASKS = ("classification", "regression", "segmentation")
    INPUTS = ("image",)
    ALLOWS_ZERO = False

    def __init__(
        self, n_classes: int = 10, in_channels: int = 3, channels: int = 16, task: str = "classification"
    ) -> None:
        super().__init__("makrograph")
        if task not in self.TASKS:
            raise ConfigError(f"simple_cell has no head for {task}, only for {', '.join(self.TASKS)}")
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.channels = channels
        self.task = task
        self.add_nodes_from((1, 2))
        normal, reduction = _make_cell("normal_cell"), _make_cell("reduction_cell")
        for node, cell, sources, scope, width, stride in (
            (3, normal.copy(), [2, 2], "n_stage_1", channels, 1),
            (4, reduction, [2, 3], "r_stage_1", 2 * channels, 2),
            (5, normal.copy(), [4, 4], "n_stage_2", 2 * channels, 1),
        ):
            _fill_cell(cell, width, stride)
            self.add_node(node, subgraph=cell.set_scope(scope).set_input(sources))
        self.add_edges_from([(1, 2), (2, 3), (2, 4), (3, 4), (4, 5), (5, 6)])
        self.edges[1, 2].set("op", ops.Stem(C_in=in_channels, C_out=channels))
        if task == "segmentation":
            self.add_edge(2, 6)
            self.nodes[6]["comb_op"] = ops.DenseHead(channels, 2 * channels, n_classes)
        else:
            classifier = ops.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2 * channels, n_classes))
            self.edges[5, 6].set("op", classifier)

    def select_primitive(self, edge_data: EdgeData) -> int:
        """Return the index of the strongest candidate other than Zero."""
        return select_without_zero(edge_data)

    def prepare_discretization(self) -> None:
        """Keep the two strongest edges into every intermediate node, by their strongest operation other than Zero."""
        self.update_nodes(keep_strongest_edges, scope=self.OPTIMIZER_SCOPE, single_instances=True)


def candidates(C_in: int, C_out: int, stride: int) -> list[nn.Module]:
    """Return the five operations of an edge."""
    return [
        ops.Identity() if stride == 1 else ops.FactorizedReduce(C_in, C_out, affine=False),
        ops.Zero(stride, C_in, C_out),
        ops.MaxPool1x1(3, stride, C_in, C_out, affine=False),
        ops.SepConv(C_in, C_out, kernel_size=3, stride=stride, padding=1, affine=False),
        ops.DilConv(C_in, C_out, kernel_size=3, stride=stride, padding=2, dilation=2, affine=False),
    ]


def _make_cell(name: str) -> Graph:
    cell = Graph(name=name)
    cell.add_nodes_from(range(1, _OUTPUT + 1))
    cell.add_edges_from([(1, 3), (1, 4), (2, 3), (2, 4), (3, 4)])
    cell.add_edges_from((source, _OUTPUT, EdgeData().finalize()) for source in (3, 4))
    return cell


def _fill_cell(cell: Graph, channels: int, stride: int) -> None:
    for source, _, data in cell.edges(data=True):
        if not data.is_final():
            strided = stride == 2 and source <= 2
            data.set("op", candidates(channels // 2 if strided else channels, channels, 2 if strided else 1))
    cell.nodes[_OUTPUT]["comb_op"] = ops.Concat1x1(num_in_edges=2, C_out=channels, affine=False)
