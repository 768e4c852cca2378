"""Partial channel connections: only a part of the channels goes through the mixture."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.optimizers.oneshot.supernet.relaxed_op import Inner, RelaxedMixedOp, Surrounding
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.shared_work import SharedWork

from ._resize import common_shape, resized
from ._widen import widened


class PartialChannels(Surrounding):
    """Send the first C / k channels through the mixture, and let the others pass.

    Where the mixture has stride 2 the others are max-pooled. The channels are shuffled afterwards with k groups, so
    that the next operation's first channels come from all groups.

    Args:
        k: C / k channels are mixed.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, x: Tensor, work: SharedWork, inner: Inner) -> Tensor:
        """Return the edge's output; the parts of `x` are taken once for all edges that read it.

        `(n, c, h, w)` in and out, smaller by the stride.
        """
        if self.k == 1:
            return inner(x, work)
        if x.shape[1] % self.k:
            raise ConfigError(f"partial_channels: {x.shape[1]} channels cannot be divided by k = {self.k}")
        head, head_work = self._head(x, work)
        mixed = inner(head, head_work)
        passed = self._passing(x, work, strided=mixed.shape[2:] != x.shape[2:])
        return F.channel_shuffle(torch.cat([mixed, passed], dim=1), self.k)

    def _head(self, x: Tensor, work: SharedWork) -> tuple[Tensor, SharedWork]:
        key = ("partial_channels", "head", self.k)
        if key not in work.results or not work.passes.share:
            head = x[:, : x.shape[1] // self.k]
            channels_last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
            layout = torch.channels_last if channels_last else torch.contiguous_format
            work.results[key] = head.contiguous(memory_format=layout), SharedWork(work.passes, guarded=True)
        return work.results[key]

    def _passing(self, x: Tensor, work: SharedWork, strided: bool) -> Tensor:
        if not strided:
            return x[:, x.shape[1] // self.k :]
        key = ("partial_channels", "pooled", self.k)
        if key not in work.results or not work.passes.share:
            # ceil: an image of odd size becomes as large as behind a strided convolution
            work.results[key] = F.max_pool2d(x[:, x.shape[1] // self.k :], 2, 2, ceil_mode=True)
        return work.results[key]

    def channels(self, inner: int) -> int:
        """Return all of them: `k` times those of the mixture."""
        return inner * self.k

    def discretized(self, op: nn.Module) -> nn.Module:
        """Return the operation at full width, with fresh weights: those of the search have another shape."""
        return op if self.k == 1 else resized(op, self.k, 1)


@PARTS.register("partial_channels")
class PartialChannelConnections(Part):
    """Give the mixtures only a k-th of the channels, always the same ones ([Xu2020pcdarts]).

    The candidates are built again with C / k channels. Edges whose candidates change the number of channels keep the
    full mixture. In the discrete architecture an operation has the full width and fresh weights.

    Args:
        k: C / k channels go through the mixture.

    Raises:
        ConfigError: If `k` is not positive.
    """

    STATIC = True

    structural = ("k",)

    def __init__(self, k: int = 4) -> None:
        if k < 1:
            raise ConfigError(f"k must be at least 1, got {k}")
        self.k = k

    def needs(self) -> Mapping[Ability, str]:
        """Return candidates without decisions inside: these would see a k-th of a k-th of the channels."""
        return {**super().needs(), Ability.FLAT: "it would narrow what is inside of a narrowed candidate once more"}

    def adapt(self, graph: Graph) -> None:
        """Build the candidates again and surround the mixtures.

        Raises:
            ConfigError: If a candidate cannot be built again, or its channels cannot be divided.
        """
        for edge in graph._edges_in_scope(self.optimizer.scope, private_edge_data=True):
            op = edge.data.op
            if not isinstance(op, RelaxedMixedOp) or not common_shape(op.primitives).keeps_channels:
                continue
            try:
                op.primitives = [resized(primitive, 1, self.k) for primitive in op.primitives]
            except ConfigError as error:
                raise ConfigError(f"partial_channels, edge ({edge.head}, {edge.tail}): {error}") from error
            # whatever the order of the parts: all others see edges with all their channels
            op.surround(PartialChannels(self.k), innermost=True)

    def widen(self, k: int, divide: bool = False) -> None:
        """Let a larger part of the channels, C / k, go through the mixtures from now on, in the middle of a search.

        The candidates' channels, batch norms and optimizer states included, are copied to the new ones
        ([Chen2021drnas], authors' code). The network computes something else afterwards: the channels that newly enter
        the mixture are not copies of those that did, and the shuffle has other groups.

        Args:
            k: Smaller than now.
            divide: Whether what a convolution reads is divided by the number of copies (see `widened`).

        Raises:
            ConfigError: If `k` is not smaller, a number of channels cannot be divided by it, or something with weights
                stands between the candidates and the partial connection.
        """
        if not 1 <= k < self.k:
            raise ConfigError(f"partial_channels: k must become smaller than {self.k} and stay positive, got {k}")
        optimizer = self.optimizer
        for data in mixed_edges(optimizer.graph, optimizer.scope):
            surroundings = getattr(data.op, "surroundings", [])
            partial = next((s for s in surroundings if isinstance(s, PartialChannels)), None)
            if partial is None:
                continue
            if any(True for inner in surroundings[: surroundings.index(partial)] for _ in inner.parameters()):
                raise ConfigError("partial_channels: what is between it and the candidates cannot be widened")
            data.op.primitives = [
                widened(primitive, self.k, k, optimizer.op_optimizer, divide) for primitive in data.op.primitives
            ]
            partial.k = k
        self.k = k
        optimizer.structure.refresh()
