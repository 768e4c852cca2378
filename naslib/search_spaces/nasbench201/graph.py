"""The search space of NAS-Bench-201."""

from __future__ import annotations

from typing import Any

from torch import nn

from naslib.errors import UnsupportedBySpaceError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.batch_norm import make_batch_norm_affine
from naslib.search_spaces.core.graph import Graph

from .codec import NasBench201Codec
from .primitives import ResNetBasicblock

STAGES = 3


class NasBench201SearchSpace(Graph):
    """The cell space of NAS-Bench-201 ([Dong2020nasbench201]): one cell of six edges and five operations.

    A stem, three stages of cells with C, 2C and 4C channels, a residual block of stride 2 between stages, and a
    classifier. The makrograph is a chain whose edges carry the stem, the cells, the blocks and the classifier.

    Args:
        n_classes: Number of classes.
        in_channels: Channels of the images.
        channels: Channels C of the first stage.
        cells_per_stage: Number of cells in each stage.
    """

    OPTIMIZER_SCOPE = ["stage_1", "stage_2", "stage_3"]
    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    codec = NasBench201Codec()

    def __init__(self, n_classes: int = 10, in_channels: int = 3, channels: int = 16, cells_per_stage: int = 5) -> None:
        super().__init__("makrograph")
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.channels = channels
        self.cells_per_stage = cells_per_stage
        self._build()

    def _build(self) -> None:
        cell = _make_cell()
        widths = [self.channels * 2**stage for stage in range(STAGES)]
        edge_ops: list[nn.Module] = [ops.Stem(C_in=self.in_channels, C_out=widths[0])]
        for stage, width in enumerate(widths):
            if stage:
                edge_ops.append(ResNetBasicblock(widths[stage - 1], width, stride=2))
            for _ in range(self.cells_per_stage):
                copy = cell.copy().set_scope(self.OPTIMIZER_SCOPE[stage])
                for _, _, data in copy.edges(data=True):
                    data.set("op", candidates(width))
                edge_ops.append(copy)
        edge_ops.append(_make_classifier(widths[-1], self.n_classes))
        self.add_nodes_from(range(1, len(edge_ops) + 2))
        for source, op in enumerate(edge_ops, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", op)

    def set_spec(self, spec: Any, dataset_api: Any = None) -> None:
        """Make this graph the architecture `spec`: the benchmark's network, whose norms have weight and bias.

        Its parameters are those of the benchmark. With `instantiate_model` False only the code is kept.

        Args:
            spec: The architecture, in any of the forms that `conversions.read_spec` reads, or its index.
            dataset_api: A benchmark, for architectures that are given by their index in it.

        Raises:
            SpecAlreadySetError: If the modules of an architecture are in place already (also an AssertionError).
            ArchitectureError: If `spec` is not of this space.
        """
        super().set_spec(spec, dataset_api)
        if self.instantiate_model:
            for graph in self.nested_graphs():
                for module in graph._modules_in_use():  # which need not be registered yet
                    make_batch_norm_affine(module)

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture: the benchmark's, with affine BN, weights fresh.

        Raises:
            UnsupportedBySpaceError: If a size is given: the benchmark's networks have one size.
        """
        given = {"cells": cells, "channels": channels}
        fixed = [f"evaluation.{key}={value}" for key, value in given.items() if value is not None]
        if fixed:
            raise UnsupportedBySpaceError(
                f"{', '.join(fixed)}: a network of NAS-Bench-201 is retrained at the size it was searched at; set the "
                "size by search_space_args={channels: ..., cells_per_stage: ...}"
            )
        fresh = NasBench201SearchSpace(self.n_classes, self.in_channels, self.channels, self.cells_per_stage)
        fresh.set_spec(self.get_code())
        fresh.parse()
        return Graph.evaluation_network(fresh.take_given(self), auxiliary=auxiliary)


def candidates(channels: int) -> list[nn.Module]:
    """Return the five operations of an edge."""
    return [
        ops.Identity(),
        ops.Zero(stride=1),
        ops.ReLUConvBN(channels, channels, kernel_size=3, affine=False),
        ops.ReLUConvBN(channels, channels, kernel_size=1, affine=False),
        ops.AvgPool1x1(kernel_size=3, stride=1),
    ]


def _make_cell() -> Graph:
    cell = Graph(name="cell")
    cell.add_nodes_from(range(1, 5))
    cell.add_edges_densly()
    return cell


def _make_classifier(channels: int, n_classes: int) -> nn.Module:
    return ops.Sequential(
        nn.BatchNorm2d(channels), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, n_classes)
    )
