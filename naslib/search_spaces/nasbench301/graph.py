"""The DARTS search space, that of NAS-Bench-301."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from naslib.data.info import ImageSize, plain_size
from naslib.errors import ConfigError
from naslib.search_spaces.core._selection import KEPT_EDGES, keep_strongest_edges, select_without_zero
from naslib.search_spaces.core.architecture import op_name
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.literals import plain
from naslib.search_spaces.core.ops_named import names_by_op
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.statement import state

from .candidates import Primitives, default_primitives, read_primitives
from .codec import DartsCodec, nodes_of
from .conversions import OP_OF_PRIMITIVE
from .evaluation import DartsEvaluationNetwork
from .listed_codec import ListedCodec
from .macro import CellSpec, MacroSpec, build_macro, make_cell, resolve_stem
from .primitives import candidates

EVALUATION_CELLS = 20
EVALUATION_CHANNELS = 36


class NasBench301SearchSpace(Graph):
    """The cell space of [Liu2019darts]: a normal and a reduction cell, eight operations or others on every edge.

    The graph is the search network: candidates and preprocessing without affine BN. A discrete architecture keeps two
    incoming edges per node; `evaluation_network` builds what is retrained for it.

    Args:
        n_classes: Number of classes.
        in_channels: Channels of the images.
        auxiliary: Whether the evaluation network has an auxiliary head (the search network has none).
        channels: Channels of a node in the first stage.
        cells: Number of cells, at least 2; those at a third and two thirds of the depth are reduction cells.
        nodes: Intermediate nodes of a cell.
        stem: `"cifar"`, `"imagenet"`, or `"auto"`: the latter from 96 pixels on.
        image_size: Side of the images, or height and width, for `stem="auto"`.
        primitives: The candidates: a list of registered operations (`OPERATIONS`), a list of such lists by edge, one
            of these for each of `normal` and `reduce`, or a name: `darts` (the default), `darts_7` (without `none`),
            `s1` to `s4` ([Zela2020robustdarts]).

    Attributes:
        candidates: The candidates by edge, that `primitives` stands for.
        names_in_genotype: The names that genotypes use by those that operations on edges have.

    Raises:
        ConfigError: If there are not both a normal and a reduction cell, a size is not positive, or `primitives` are
            no candidates.
    """

    OPTIMIZER_SCOPE = ["n_stage_1", "n_stage_2", "n_stage_3", "r_stage_1", "r_stage_2"]

    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    ALLOWS_ZERO = False  # the codes have seven operations

    codec: Codec | None = DartsCodec()

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        auxiliary: bool = True,
        channels: int = 16,
        cells: int = 8,
        nodes: int = 4,
        stem: str = "auto",
        image_size: ImageSize = 32,
        primitives: str | Sequence[Any] | Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__("makrograph")
        if cells < 2:
            raise ConfigError(f"cells must be at least 2, a normal and a reduction cell, not {cells}")
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.auxiliary = auxiliary
        self.channels = channels
        self.cells = cells
        self.nodes_per_cell = nodes
        self.stem = stem
        self.image_size = plain_size(image_size)
        spec = MacroSpec(cells, channels, nodes, in_channels, n_classes, resolve_stem(stem, image_size), affine=False)
        self.primitives = plain(primitives)
        self.candidates = read_primitives(primitives, nodes)
        self.names_in_genotype = {**OP_OF_PRIMITIVE, **names_by_op(self.candidates.offered)}
        build_macro(self, spec, _CellMaker(nodes, self.candidates))
        if self.candidates != default_primitives(nodes):
            self.codec = ListedCodec(nodes, self.candidates)
        elif nodes != 4:
            self.codec = DartsCodec(nodes)

    def arguments_for(self, spec: Any) -> dict[str, Any]:
        """Return the number of nodes, where that of `spec` is another.

        Raises:
            ArchitectureError: If `spec` has the form of an architecture, and is invalid.
        """
        nodes = nodes_of(spec, self.candidates.operations)
        return {} if nodes in (None, self.nodes_per_cell) else {"nodes": nodes}

    def select_primitive(self, edge_data: EdgeData) -> int:
        """Return the index of the strongest candidate other than Zero."""
        return select_without_zero(edge_data)

    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State two inputs per intermediate node, and the operations on them by their names in a genotype."""
        names = self.names_in_genotype
        return state(self, scope, kept_edges=KEPT_EDGES, names=lambda op: names.get(op_name(op), op_name(op)))

    def prepare_discretization(self) -> None:
        """Keep the two strongest edges into every intermediate node, by their strongest operation other than Zero."""
        self.update_nodes(keep_strongest_edges, scope=self.OPTIMIZER_SCOPE, single_instances=True)

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> DartsEvaluationNetwork:
        """Return the network that the authors retrain for this architecture: fresh weights, affine BN, drop-path.

        Args:
            cells: Number of cells, 20 if None.
            channels: Channels of a node in the first stage, 36 if None.
            auxiliary: Whether there is an auxiliary head, as the space was told if None.

        Raises:
            ArchitectureError: If this graph is not discretized.
        """
        network = DartsEvaluationNetwork(
            self.genotype(),
            n_classes=self.n_classes,
            in_channels=self.in_channels,
            cells=EVALUATION_CELLS if cells is None else cells,
            channels=EVALUATION_CHANNELS if channels is None else channels,
            auxiliary=self.auxiliary if auxiliary is None else auxiliary,
            stem=self.stem,
            image_size=self.image_size,
        )
        network.parse()
        return network.take_given(self)


class _CellMaker:
    """Make cells whose edges under search share their entries with the same edge of all other cells of the kind."""

    def __init__(self, nodes: int, primitives: Primitives) -> None:
        self.primitives = primitives
        self.templates: dict[bool, Graph] = {
            False: _searchable_cell("normal_cell", nodes),
            True: _searchable_cell("reduction_cell", nodes),
        }
        self.candidates: dict[tuple[int, int, tuple[str, ...]], list[nn.Module]] = {}

    def __call__(self, place: CellSpec) -> Graph:
        cell = self.templates[place.is_reduction].copy()
        cell.set_scope(f"{'r' if place.is_reduction else 'n'}_stage_{place.stage}")
        for source, target, data in cell.edges(data=True):
            if not data.is_final():
                names = self.primitives.at(int(place.is_reduction), source - 1, target - 1)
                stride = 2 if place.is_reduction and source <= 2 else 1
                data.set("op", self.make_candidates(place.channels, stride, names))
        return cell

    def make_candidates(self, channels: int, stride: int, names: tuple[str, ...]) -> list[nn.Module]:
        """Return fresh candidates, as copies with new weights: twice as fast as calling the constructors."""
        key = channels, stride, names
        if key not in self.candidates:
            self.candidates[key] = candidates(channels, stride, names)
        fresh = copy.deepcopy(self.candidates[key])
        for op in fresh:
            for module in op.modules():
                if isinstance(module, nn.Conv2d):
                    module.reset_parameters()
        return fresh


def _searchable_cell(name: str, nodes: int) -> Graph:
    cell = make_cell(name, nodes)
    inner = range(3, nodes + 3)
    cell.add_edges_from((source, target) for target in inner for source in range(1, target))
    for source, target in cell.edges:
        if target in inner:
            cell.edges[source, target].set("cell_name", name)
    return cell
