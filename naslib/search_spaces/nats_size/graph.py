"""The size space of NATS-Bench."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from naslib.errors import BenchmarkError, ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.elastic import ElasticBatchNorm2d, ElasticConv2d, ElasticLinear, Value
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.core.spelled_codec import SpelledCodec

from .codec import CHANNELS, LABELS, ChannelString
from .primitives import SizeBlock, SizeCell


class NATSBenchSizeSearchSpace(Graph):
    """The 32,768 networks of the size space of [Dong2021nats]: channels of five layers, 8 to 64 in steps of 8.

    Stem and first cell have the channels of the first layer; then a residual block of stride 2 and a cell, twice; norm,
    ReLU, average and classifier. All cells are the same: `|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+
    |skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|`. Smaller layers have the first channels of one weight. An
    architecture is written as the benchmark does: `64:48:32:16:8`.

    Args:
        n_classes: Number of classes.
        in_channels: Channels of the images.
        channels: What each layer chooses from.
        mix: `"weights"` or `"outputs"`: how layers mix their sizes (`naslib.search_spaces.core.elastic.Elastic`).

    Raises:
        ConfigError: If `channels` are no positive integers, or `mix` is something else.
    """

    QUERYABLE = True
    TASKS = ("classification", "regression")
    INPUTS = ("image",)

    def __init__(
        self,
        n_classes: int = 10,
        in_channels: int = 3,
        channels: Sequence[int] = CHANNELS,
        mix: str = "weights",
    ) -> None:
        super().__init__("makrograph")
        if not channels or any(type(number) is not int or number < 1 for number in channels):
            raise ConfigError(f"nats_size: channels are integers from 1, at least one, not {list(channels)}")
        self.n_classes = n_classes
        self.in_channels = in_channels
        self.channels = tuple(channels)
        self.QUERYABLE = self.channels == CHANNELS  # others are in no benchmark
        self.mix = mix
        widths = [Value(self.channels, label) for label in LABELS]
        first, last = widths[0], widths[-1]
        edge_ops: list[nn.Module] = [
            ops.Sequential(
                ElasticConv2d(in_channels, first, 3, bias=False, mix=mix), ElasticBatchNorm2d(first, mix=mix)
            ),
            ops.Sequential(SizeCell(first, first, mix)),
        ]
        for before, strided, after in (widths[0:3], widths[2:5]):
            edge_ops += [ops.Sequential(SizeBlock(before, strided, mix)), ops.Sequential(SizeCell(strided, after, mix))]
        edge_ops.append(
            ops.Sequential(
                ElasticBatchNorm2d(last, mix=mix),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                ElasticLinear(last, n_classes, mix=mix),
            )
        )
        self.add_nodes_from(range(1, len(edge_ops) + 2))
        for source, op in enumerate(edge_ops, start=1):
            self.add_edge(source, source + 1)
            self.edges[source, source + 1].set("op", op)

    def get_type(self) -> str:
        """Return the name of the space."""
        return "nats_size"

    def query(
        self,
        metric: Metric,
        dataset: str | None = None,
        path: str | None = None,
        epoch: int = -1,
        full_lc: bool = False,
        dataset_api: Any = None,
    ) -> Any:
        """Ask a benchmark about this architecture; see `Graph.query`.

        Raises:
            BenchmarkError: If layers choose from other channels than in the benchmark, or it has no answer.
        """
        if not self.QUERYABLE:
            raise BenchmarkError(f"networks with channels of {self.channels} are in no benchmark")
        return super().query(metric, dataset, path, epoch, full_lc, dataset_api)

    def _codec(self) -> SpelledCodec:
        return SpelledCodec(self.get_type(), self.decision_space, ChannelString())
