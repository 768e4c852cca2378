"""darts_cell: a network of NNI's DartsCells."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.search_spaces.core import primitives as core_ops
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_heads import AuxiliaryHead

from .darts_cell import DartsCell
from .exported import darts_choices
from .heads import check_space, classifier, discrete_of_size

STEM_MULTIPLIER = 3


class DartsCellSearchSpace(Graph):
    """A stack of `DartsCell`s; those at a third and two thirds of the depth halve the image and double the channels.

    All normal cells are alike, and all reduction cells. The stem has 3 * channels channels; the average over pixels and
    a linear layer classify. The search network's BN has neither weight nor bias in the cells; what is retrained has.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Channels of the images.
        channels: Channels of a node in the first cells.
        cells: Number of cells, at least 2.
        nodes: Intermediate nodes of a cell.
        auxiliary: Whether the network to retrain has an auxiliary head, after the cell at two thirds of the depth.
        task: `"classification"` or `"regression"`.

    Raises:
        ConfigError: If a size is not positive, there is no reduction cell, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = ["normal_cell", "reduction_cell"]
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: int = 16,
        cells: int = 8,
        nodes: int = 4,
        auxiliary: bool = False,
        task: str = "classification",
    ) -> None:
        super().__init__("makrograph")
        sizes = {"channels": channels, "cells - 1": cells - 1, "nodes": nodes}
        check_space("darts_cell", task, self.TASKS, n_classes=n_classes, in_channels=in_channels, **sizes)
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.channels, self.cells, self.nodes_per_cell, self.auxiliary = channels, cells, nodes, auxiliary
        self.add_nodes_from((1, 2))
        self.add_edge(1, 2)
        self.edges[1, 2].set("op", core_ops.Stem(in_channels, STEM_MULTIPLIER * channels))
        widths, halved = [STEM_MULTIPLIER * channels] * 2, False
        kinds: dict[bool, DartsCell] = {}
        for index in range(cells):
            node = 3 + index
            reduction = index in reductions(cells)
            channels *= 2 if reduction else 1
            cell = DartsCell(nodes, widths[0], widths[1], channels, halved, reduction)
            cell.set_scope(cell.name).set_input([max(2, node - 2), node - 1])
            cell.decide_like(kinds.setdefault(reduction, cell))
            self.add_node(node, subgraph=cell)
            self.add_edges_from((source, node) for source in sorted({max(2, node - 2), node - 1}))
            widths, halved = [widths[1], nodes * channels], reduction
        last, output = 2 + cells, 4 + cells
        self.add_edge(last, output)
        self.edges[last, output].set("op", classifier(widths[1], n_classes))

    def put_architecture(self, spec: Any) -> None:
        """Make this graph the architecture `spec`, which may also be one that NNI has exported.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().put_architecture(darts_choices(spec))

    def check_spec(self, spec: Any, dataset_api: Any = None) -> Any:
        """Return the identity of the architecture that `set_spec` would make of `spec`; the graph is not changed.

        Raises:
            ArchitectureError: If `spec` is not of this space.
        """
        return super().check_spec(darts_choices(spec), dataset_api)

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network to retrain: fresh weights, affine BN, drop-path on every operation but identity.

        Args:
            cells: Number of cells, that of the search if None.
            channels: Channels of a node in the first cells, those of the search if None.
            auxiliary: Whether there is an auxiliary head, as the space was told if None.
        """
        sizes = {"cells": cells or self.cells, "channels": channels or self.channels}
        graph = discrete_of_size(self, **sizes)
        if self.auxiliary if auxiliary is None else auxiliary:
            position = 2 * sizes["cells"] // 3
            width = sizes["channels"] * 2 ** sum(at <= position for at in reductions(sizes["cells"]))
            head: nn.Module = AuxiliaryHead(self.nodes_per_cell * width, self.n_classes)
            graph.add_edge(3 + position, 3 + sizes["cells"], op=head)
        return Graph.evaluation_network(graph).take_given(self)


def reductions(cells: int) -> list[int]:
    """Return the positions of the cells that halve the image."""
    return [1] if cells == 2 else [cells // 3, 2 * cells // 3]
