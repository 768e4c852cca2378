"""Limits of a selection among paths: sizes by tables of the supernet where they add up, else costs of networks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

from torch import nn

from naslib.errors import ConfigError
from naslib.hardware.costs import ArchitectureCost, HardwareCosts
from naslib.hardware.limits import CostLimits
from naslib.hardware.metrics import METRICS, HardwareMetric
from naslib.optimizers.core.costing import costs_of
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.elastic import count_parameters

from .host import PathHost
from .paths import PathSpace
from .sizes import SizeTable, adds_up, candidates_of, mac_table

# Draws of a path before it is said that none keeps to the limits; where each is measured, fewer
DRAWS, MEASURED_DRAWS = 2000, 50
# Variations of a path before another one is drawn in its place
_ATTEMPTS = 50
# Architectures on which a table is held against networks
_CHECKED = 4


class PathSize(ArchitectureCost):
    """Parameters or multiply-accumulates of a path, at the size of the supernet.

    Args:
        metric: Which of them.
        table: Says it.
    """

    def __init__(self, metric: HardwareMetric, table: SizeTable) -> None:
        self.metric, self._table = metric, table
        self.about = f"{metric.what}, of the network of the supernet's size"

    def of(self, code: Code) -> float:
        """Return the size of a path in millions."""
        return self._table.of(code)


def limits_on_paths(optimizer: Any, input_shape: Callable[[], Sequence[int]]) -> CostLimits:
    """Return the limits of an optimizer on its paths.

    Args:
        optimizer: Trains a supernet of paths; it has limits.
        input_shape: Returns the shape of one input, without the batch; asked where a cost depends on it.

    Raises:
        ConfigError: If a cost of a path cannot be told.
    """
    if optimizer.paths.codec is None and optimizer.search_space.codec is not None:
        space = optimizer.search_space.get_type()
        raise ConfigError(f"search.limits: paths of this supernet are no codes of {space}, whose costs are known")
    made = costs_of(optimizer, optimizer.search_space, None, optimizer.dataset, input_shape=input_shape)
    found: list[ArchitectureCost] = []
    for name in optimizer.limits:
        cost = made.cost(METRICS[name], "search.limits")
        table = _table(optimizer, cost, made.given.get("input_shape") or input_shape)
        found.append(cost if table is None else PathSize(METRICS[name], table))
    return CostLimits(optimizer.limits, HardwareCosts(found))


def _table(host: PathHost, cost: ArchitectureCost, input_shape: Any) -> SizeTable | None:
    """Return the table by which a size adds up, None where it does not.

    A found network has affine norms, whether the supernet has or not: the tables count them, and are held against the
    networks of a few architectures.
    """
    name = cost.metric.name
    if name not in ("params", "macs") or not adds_up(host) or (name == "macs" and host.graph.passes.native):
        return None
    if name == "macs":
        table = mac_table(host, input_shape() if callable(input_shape) else input_shape)
    else:
        sizes = [(count_parameters(op) + _affine(op)) / 1e6 for _, _, op in candidates_of(host)]
        table = SizeTable(host, sum(sizes), sizes)
    rng = Random(0)
    first, *others = (host.paths.random(rng) for _ in range(_CHECKED))
    if not isinstance(table, SizeTable):
        return None
    if name == "params":  # what all have in common
        table.common = cost.of(first) - table.of(first)
    agrees = all(math.isclose(table.of(code), cost.of(code), rel_tol=1e-9) for code in (first, *others))
    return table if agrees else None


def _affine(op: nn.Module) -> int:
    """Return how many weights and biases the norms of an operation lack."""
    norms = [module for module in op.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    return sum(2 * norm.num_features for norm in norms if norm.weight is None)


class LimitedDraws:
    """Draw, vary and list paths of a space that keep to limits, by rejection.

    Args:
        limits: Say which do.
    """

    def __init__(self, limits: CostLimits) -> None:
        self.limits = limits

    def drawn(self, draw: Callable[[], Code], otherwise: Callable[[], Code] | None = None) -> Code:
        """Return the first draw that keeps to the limits.

        Args:
            draw: Draws a path.
            otherwise: Returns another one that does, after some attempts in vain; None to go on drawing.

        Raises:
            ConfigError: If none of many draws does; it says the smallest costs that were seen.
        """
        most = DRAWS if self.limits.are_known else MEASURED_DRAWS
        for _ in range(most if otherwise is None else min(most, _ATTEMPTS)):
            code = draw()
            if self.limits.allow(code):
                return code
        if otherwise is not None:
            return otherwise()
        raise ConfigError(f"{self.limits.refusal()}, of {most} architectures drawn")


@contextmanager
def keeping_to(paths: PathSpace, limits: CostLimits | None) -> Iterator[None]:
    """Let the paths that a space draws, varies and lists keep to limits inside; to none if None."""
    before, paths.limited = paths.limited, None if limits is None else LimitedDraws(limits)
    try:
        yield
    finally:
        paths.limited = before
