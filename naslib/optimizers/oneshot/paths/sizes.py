"""Sizes of paths: parameters and multiply-accumulates of the network that an architecture would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.compatibility import decides_inside
from naslib.optimizers.oneshot.supernet.mixed_edges import mixed_edges
from naslib.search_spaces.core.assignment import assigned
from naslib.search_spaces.core.codec import NO_EDGE, Code
from naslib.search_spaces.core.elastic import count_parameters
from naslib.search_spaces.core.flops import count_macs, count_macs_of_parts

from .host import PathHost
from .paths import PathChoices
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


class MeasuredSizes:
    """The size of an architecture where sizes do not add up (see `adds_up`): each is measured by itself.

    Args:
        optimizer: Whose supernet.
        measure: Returns the size in millions under the assignment that holds, given the chosen candidate per decision.
    """

    def __init__(self, optimizer: PathHost, measure: Callable[[PathChoices], float]) -> None:
        self.optimizer = optimizer
        self.measure = measure

    def of(self, code: Code) -> float:
        """Return the size of the derived architecture, at the size of the supernet."""
        choices = self.optimizer.paths.choices(code)
        with assigned(self.optimizer.assignment_of(code)):
            return self.measure(choices)


def adds_up(optimizer: PathHost) -> bool:
    """Say whether the size of an architecture is the sum of those of its operations.

    It is not where sizes of elastic layers are decided, or candidates have decisions of their own inside.
    """
    inside = any(decides_inside(op) for _, _, op in candidates_of(optimizer))
    return not optimizer.graph.value_edges and not inside


def parameter_table(optimizer: PathHost) -> SizeTable | MeasuredSizes:
    """Return the parameters in millions; of elastic layers and entangled candidates, those that would be left."""
    candidates = candidates_of(optimizer)
    within = {id(p): p.numel() for _, _, op in candidates for p in op.parameters()}
    common = sum(p.numel() for p in optimizer.graph.parameters() if id(p) not in within)
    if adds_up(optimizer):
        sizes = [count_parameters(op) / 1e6 for _, _, op in candidates]
        return SizeTable(optimizer, common / 1e6 + sum(sizes), sizes)

    def measure(choices: PathChoices) -> float:
        left: dict[int, nn.Module | None] = {id(op): None for _, _, op in candidates}
        left |= {id(op): op for decision, index, op in candidates if choices[decision] == index}
        return count_parameters(optimizer.graph, left=left) / 1e6

    return MeasuredSizes(optimizer, measure)


def mac_table(optimizer: PathHost, image_shape: Sequence[int]) -> SizeTable | MeasuredSizes:
    """Return the multiply-accumulates of one image in millions, by one forward of everything, or one per architecture.

    Args:
        optimizer: Whose supernet.
        image_shape: Channels, height and width.

    Raises:
        ConfigError: If native kernels run, whose operations are not counted.
    """
    if optimizer.graph.passes.native:
        raise ConfigError("max_macs: multiply-accumulates of native kernels are not counted; set native=off")
    if not adds_up(optimizer):
        return MeasuredSizes(optimizer, lambda choices: count_macs(optimizer.graph, image_shape))
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
        self.limits: list[tuple[str, float, SizeTable | MeasuredSizes]] = []
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
