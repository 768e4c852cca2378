"""The search space of NAS-Bench-ASR."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph

from .codec import NODES, NasBenchASRCodec
from .primitives import ClippedConv, ClippedLinear, FrameNorm, SpeechHead

# Stride of the convolution before each block
STRIDES = (1, 1, 2, 2)
_OUTPUT = 2 * NODES + 2


class NasBenchASRSearchSpace(Graph):
    """The cell space of NAS-Bench-ASR ([Mehrotra2021asr]), for speech and other sequences `(n, in_channels, t)`.

    Four blocks, each a convolution, a norm and cells; then an LSTM and a linear layer. A cell has three nodes: one of
    six operations on the node before, plus any of the outputs so far. All cells share their decisions.

    Args:
        n_classes: Number of classes or of values.
        in_channels: Features of a frame; 80 in the benchmark.
        channels: Of the four blocks.
        cells: Of the four blocks.
        groups: Of the convolutions in cells; they divide all channels.
        hidden: Size of the LSTM before the outputs; 0 for none.
        kernel_size: Of the convolutions before blocks.
        dropout: Probability that an output of an operation is dropped.
        frames: Whether each frame has outputs, `(n, t / 4, n_classes)`, for a task and a loss of your own (the
            benchmark's is CTC); else a sequence has, from the average over frames.
        task: What it is for.

    Raises:
        ConfigError: If the arguments do not go together, or there is no head for the task.
    """

    OPTIMIZER_SCOPE = ["cells_stage_1", "cells_stage_2", "cells_stage_3", "cells_stage_4"]
    QUERYABLE = True
    TASKS = ("sequence_classification", "regression", "classification")
    INPUTS = ("sequence",)

    codec = NasBenchASRCodec()

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 80,
        channels: Sequence[int] = (600, 800, 1000, 1200),
        cells: Sequence[int] = (3, 4, 5, 6),
        groups: int = 100,
        hidden: int = 500,
        kernel_size: int = 8,
        dropout: float = 0.0,
        frames: bool = False,
        task: str = "sequence_classification",
    ) -> None:
        super().__init__("makrograph")
        _check(task, self.TASKS, channels, cells, groups, hidden)
        self.n_classes, self.in_channels, self.task = n_classes, in_channels, task
        self.channels, self.cells, self.groups = tuple(channels), tuple(cells), groups
        self.hidden, self.kernel_size, self.dropout, self.frames = hidden, kernel_size, dropout, frames
        self._build()

    def _build(self) -> None:
        edge_ops: list[nn.Module] = []
        cell, width = _make_cell(), self.in_channels
        for scope, stride, wide, number in zip(self.OPTIMIZER_SCOPE, STRIDES, self.channels, self.cells, strict=True):
            before = ClippedConv(width, wide, self.kernel_size, stride=stride)
            edge_ops.append(ops.Sequential(before, FrameNorm(wide)))
            for _ in range(number):
                copy = cell.copy().set_scope(scope)
                _fill_cell(copy, wide, self.groups, self.dropout)
                edge_ops.append(copy)
            width = wide
        edge_ops.append(SpeechHead(width, self.n_classes, self.hidden, self.frames))
        self.add_nodes_from(range(1, len(edge_ops) + 2))
        for source, op in enumerate(edge_ops, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", op)

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this architecture: the same, with fresh weights.

        Raises:
            UnsupportedBySpaceError: If a size is given, which are four numbers here.
        """
        if cells is not None or channels is not None or auxiliary:
            raise UnsupportedBySpaceError(
                "a network of NAS-Bench-ASR is retrained at the size it was searched at, without an auxiliary head; "
                "set the size by search_space_args={channels: [...], cells: [...]}"
            )
        return super().evaluation_network()


def candidates(channels: int, groups: int, dropout: float) -> list[nn.Module]:
    """Return the six operations of a node."""
    convolutions = [
        ClippedConv(channels, channels, kernel_size, dilation, groups=groups, dropout=dropout)
        for kernel_size in (5, 7)
        for dilation in (1, 2)
    ]
    return [ClippedLinear(channels, dropout), *convolutions, ops.Zero(1)]


def _make_cell() -> Graph:
    """Return a cell: an operation and a skip between two nodes need an edge each, and so a node between them."""
    cell = Graph(name="cell")
    cell.add_nodes_from(range(1, _OUTPUT + 1))
    cell.add_edges_from(NasBenchASRCodec.edges)
    cell.add_edges_from((source, source + 1, EdgeData().finalize()) for source in range(1, _OUTPUT - 1, 2))
    cell.add_edge(_OUTPUT - 1, _OUTPUT)
    return cell


def _fill_cell(cell: Graph, channels: int, groups: int, dropout: float) -> None:
    for source, target in NasBenchASRCodec.edges:
        skips = source % 2 == 1
        cell.edges[source, target].set(
            "op", [ops.Zero(1), ops.Identity()] if skips else candidates(channels, groups, dropout)
        )
    cell.edges[_OUTPUT - 1, _OUTPUT].set("op", FrameNorm(channels))


def _check(
    task: str, tasks: Sequence[str], channels: Sequence[int], cells: Sequence[int], groups: int, hidden: int
) -> None:
    if task not in tasks:
        raise ConfigError(f"nasbench_asr has no head for {task}, only for {', '.join(tasks)}")
    for name, sizes in (("channels", channels), ("cells", cells)):
        if isinstance(sizes, str) or not isinstance(sizes, Sequence) or len(sizes) != len(STRIDES):
            raise ConfigError(f"{name} must be {len(STRIDES)} numbers, one for each block, not {sizes!r}")
        if not all(type(size) is int and size > 0 for size in sizes):
            raise ConfigError(f"{name} must be positive integers, not {list(sizes)}")
    if groups < 1 or any(width % groups for width in channels):
        raise ConfigError(f"groups={groups} must divide all channels, {list(channels)}")
    if hidden < 0:
        raise ConfigError(f"hidden must be at least 0, not {hidden}")
