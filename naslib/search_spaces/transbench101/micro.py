"""The micro space of TransNAS-Bench-101."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.data.info import ImageSize
from naslib.errors import UnsupportedBySpaceError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.batch_norm import make_batch_norm_affine
from naslib.search_spaces.core.graph import Graph

from .micro_codec import EDGE_LIST, TransBench101MicroCodec
from .primitives import StridedSkip, build_chain, check_sizes, classes_of

# Module by module: whether its first cell halves the image and doubles the channels
_MODULES = (True, False, True, False, True)


class TransBench101SearchSpaceMicro(Graph):
    """The cell space of TransNAS-Bench-101 ([Duan2021transnas]): one cell of six edges and four operations.

    A stem, five modules of two cells each, of which the first, third and fifth begin by halving the image and doubling
    the channels (`64-41414`), and a head for the task. All cells share their decisions.

    Args:
        n_classes: Number of classes or of values; or, as in NASLib, the name of a data set: that of a task of the
            benchmark has its classes, any other one 10.
        in_channels: Channels of the images.
        channels: Channels after the stem; 64 in the benchmark.
        cells_per_module: Cells of a module.
        task: What it is for. The benchmark's class_object, class_scene and jigsaw are classification, room_layout is
            regression, segmentsemantic segmentation, autoencoder and normal are regression with `dense=True`.
        patches: 1 for whole images; of a puzzle (jigsaw), how many patches `(n, patches, c, h, w)` an input has.
        dense: Whether a regression gives each pixel its values, `(n, n_classes, h, w)`.
        image_size: Side of the images, or height and width: from 96 pixels on the stem halves them twice.

    Raises:
        ConfigError: If the arguments do not go together, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = ["r_stage_1", "n_stage_1", "r_stage_2", "n_stage_2", "r_stage_3"]
    QUERYABLE = True
    TASKS = ("classification", "regression", "segmentation")
    INPUTS = ("image",)

    codec = TransBench101MicroCodec()

    def __init__(
        self,
        n_classes: int | str = 10,
        in_channels: int = 3,
        channels: int = 64,
        cells_per_module: int = 2,
        task: str = "classification",
        patches: int = 1,
        dense: bool = False,
        image_size: ImageSize = 32,
    ) -> None:
        super().__init__("makrograph")
        check_sizes("transbench101_micro", self.TASKS, task, channels, patches, dense)
        self.n_classes, self.in_channels, self.channels = classes_of(n_classes), in_channels, channels
        self.cells_per_module, self.task, self.patches, self.dense = cells_per_module, task, patches, dense
        self.image_size = image_size
        self._build()

    def _build(self) -> None:
        modules: list[nn.Module] = []
        width, cell = self.channels, _make_cell()
        for scope, shrinks in zip(self.OPTIMIZER_SCOPE, _MODULES, strict=True):
            for number in range(self.cells_per_module):
                strided = shrinks and number == 0
                copy = cell.copy().set_scope(scope)
                _fill_cell(copy, width, 2 * width if strided else width, 2 if strided else 1)
                width = 2 * width if strided else width
                modules.append(copy)
        build_chain(self, modules, width, self)

    def set_spec(self, spec: Any, dataset_api: Any = None) -> None:
        """Make this graph the architecture `spec`: the benchmark's network, whose norms have weight and bias.

        Args:
            spec: Six ints, the benchmark's string, or its last part.
            dataset_api: Not used.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().set_spec(spec, dataset_api)
        if self.instantiate_model:
            for graph in self.nested_graphs():
                for module in graph._modules_in_use():
                    make_batch_norm_affine(module)

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture: affine BN, fresh weights.

        Args:
            cells: Cells of a module, those of the search if None.
            channels: Channels after the stem, those of the search if None.
            auxiliary: There is no auxiliary head.

        Raises:
            UnsupportedBySpaceError: For an auxiliary head.
        """
        if auxiliary:
            raise UnsupportedBySpaceError("the networks of TransNAS-Bench-101 have no auxiliary head")
        fresh = TransBench101SearchSpaceMicro(
            self.n_classes,
            self.in_channels,
            channels or self.channels,
            cells or self.cells_per_module,
            self.task,
            self.patches,
            self.dense,
            self.image_size,
        )
        fresh.set_spec(self.get_code())
        fresh.parse()
        return Graph.evaluation_network(fresh.take_given(self))


def _make_cell() -> Graph:
    cell = Graph(name="cell")
    cell.add_nodes_from(range(1, 5))
    cell.add_edges_from(EDGE_LIST)
    return cell


def _fill_cell(cell: Graph, C_in: int, C_out: int, stride: int) -> None:
    for source, _, data in cell.edges(data=True):
        data.set("op", candidates(C_in, C_out, stride) if source == 1 else candidates(C_out, C_out, 1))


def candidates(C_in: int, C_out: int, stride: int) -> list[nn.Module]:
    """Return the four operations of an edge, in the order of the benchmark's digits."""
    return [
        ops.Zero(stride, C_in, C_out),
        ops.Identity() if stride == 1 else StridedSkip(C_in, C_out, affine=False),
        ops.ReLUConvBN(C_in, C_out, 1, stride=stride, affine=False),
        ops.ReLUConvBN(C_in, C_out, 3, stride=stride, affine=False),
    ]
