"""Sizes of paths: parameters and multiply-accumulates of the network that an architecture would be."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.search_spaces.core.assignment import assigned
from naslib.search_spaces.core.codec import NO_EDGE, Code
from naslib.search_spaces.core.flops import count_macs_of_parts

from .host import PathHost
from .scoring import PathScorer


class SizeTable:
    """The size of every candidate, in all copies of a cell together, and of what all architectures have in common.

    Sizes add up, as the shapes at the nodes of a supernet do not depend on the path.

    Args:
        optimizer: Whose supernet.
        total: Size of the whole supernet.
        sizes: Size of every candidate of every copy, in the order of `candidates_of`.
    """

    def __init__(self, optimizer: PathHost, total: float, sizes: Sequence[float]) -> None:
        self.optimizer = optimizer
        self.common = total - sum(sizes)
        self.rows = [[0.0] * entry.n_ops for entry in optimizer.entries]
        for (decision, index, _), size in zip(candidates_of(optimizer), sizes, strict=True):
            self.rows[decision][index] += size

    def of(self, code: Code) -> float:
        """Return the size of the derived architecture, at the size of the supernet."""
        choices = zip(self.rows, self.optimizer.paths.choices(code), strict=True)
        return self.common + sum(row[index] for row, index in choices if index != NO_EDGE)


def candidates_of(optimizer: PathHost) -> list[tuple[int, int, nn.Module]]:
    """Return `(decision, index, candidate)` of every candidate of every copy of a cell."""
    decision_of = {id(alpha): index for index, alpha in enumerate(optimizer.architectural_weights)}
    edges = mixed_edges(optimizer.graph, optimizer.scope)
    return [(decision_of[id(e.alpha)], index, op) for e in edges for index, op in enumerate(e.op.primitives)]


def parameter_table(optimizer: PathHost) -> SizeTable:
    """Return the parameters in millions."""

    def count(module: nn.Module) -> float:
        return sum(parameter.numel() for parameter in module.parameters()) / 1e6

    return SizeTable(optimizer, count(optimizer.graph), [count(op) for _, _, op in candidates_of(optimizer)])


def mac_table(optimizer: PathHost, image_shape: Sequence[int]) -> SizeTable:
    """Return the multiply-accumulates of one image in millions, by one forward of everything.

    Args:
        optimizer: Whose supernet.
        image_shape: Channels, height and width.

    Raises:
        ConfigError: If native kernels run, whose operations are not counted.
    """
    if optimizer.graph.passes.native:
        raise ConfigError("max_macs: multiply-accumulates of native kernels are not counted; set native=off")
    ops = [op for _, _, op in candidates_of(optimizer)]
    with assigned(optimizer.everything()):
        total, sizes = count_macs_of_parts(optimizer.graph, image_shape, ops)
    return SizeTable(optimizer, total, sizes)


class SizeLimits:
    """Say which architectures are small enough.

    Args:
        optimizer: Whose supernet.
        max_params: Millions of parameters of the network of the supernet's size; None for any number.
        max_macs: Millions of its multiply-accumulates for one image; None for any number.
        scorer: Knows the images, for `max_macs`.

    Attributes:
        smallest: By name, the smallest size among the architectures that were refused for it.
    """

    def __init__(
        self,
        optimizer: PathHost,
        max_params: float | None,
        max_macs: float | None,
        scorer: PathScorer,
    ) -> None:
        self.limits: list[tuple[str, float, SizeTable]] = []
        if max_params is not None:
            self.limits.append(("max_params", max_params, parameter_table(optimizer)))
        if max_macs is not None:
            self.limits.append(("max_macs", max_macs, mac_table(optimizer, scorer.image_shape())))
        self.smallest: dict[str, float] = {}

    def allow(self, code: Code) -> bool:
        """Say whether an architecture keeps to the limits."""
        for name, limit, table in self.limits:
            size = table.of(code)
            if size > limit:
                self.smallest[name] = min(size, self.smallest.get(name, size))
                return False
        return True
