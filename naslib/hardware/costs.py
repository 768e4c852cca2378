"""Costs of architectures by code: counted, looked up, predicted, added up from a table of operations, or measured."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from naslib.errors import BenchmarkError, ConfigError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.fresh_network import fresh_network
from naslib.search_spaces.core.graph import Graph
from naslib.utils.log import get_logger
from naslib.utils.seeding import rng_restore, rng_snapshot, set_seed

from .metrics import METRICS, HardwareMetric, latency
from .modelled import ModelledSizes, models_of
from .operations import OperationsSum
from .published import PublishedFigures
from .table import CostTable

logger = get_logger(__name__)

# Architectures whose costs are remembered
_REMEMBERED = 100_000
# Networks that are made before sizes are added up, if that says the same of all of them
_MADE_BEFORE = 16


class ArchitectureCost(ABC):
    """A cost of architectures.

    Attributes:
        metric: Which.
        about: Where its figures come from, in words.
        is_known: Whether it is a function of the architecture that takes no measuring: twice the same, and so quickly
            found that proposals may be judged by it.
    """

    metric: HardwareMetric
    about: str
    is_known: bool = True

    @abstractmethod
    def of(self, code: Code) -> float:
        """Return the cost of an architecture, in the unit of the metric.

        Raises:
            BenchmarkError: If a table lacks it.
        """

    def user(self) -> dict[str, Any]:
        """Return what the history keeps beside the cost that was asked for last."""
        return {}


class SpaceNetworks:
    """Make the networks of architectures, and measure several things of one.

    Args:
        space: The search space; not changed.
        input_shape: Of one input, without the batch.
        network_args: Arguments of the space's `evaluation_network`, for networks of another size; None for the space's.
    """

    def __init__(self, space: Graph, input_shape: Sequence[int], network_args: Mapping[str, Any] | None = None) -> None:
        self.space, self.input_shape, self.network_args = space, tuple(input_shape), network_args
        self.names: list[str] = []
        self._models: dict[str, ModelledSizes] | None = None
        self._known: dict[Code, dict[str, float]] = {}

    def built(self, code: Code) -> nn.Module:
        """Return the network of an architecture; no generator is left otherwise than it was."""
        before = rng_snapshot()
        try:
            set_seed(0)
            return fresh_network(self.space, code, self.network_args)
        finally:
            rng_restore(before)

    def figures(self, code: Code) -> dict[str, float]:
        """Return what `names` says of an architecture: of its network, or in closed form where its space has one."""
        code = tuple(code)
        found = self._known.get(code, {})
        if not found and self.network_args is None:
            found = self._closed(code) or self._modelled(code)
        if not set(self.names) <= set(found):
            found |= self._of(self.built(code))
        if code not in self._known and len(self._known) < _REMEMBERED:
            self._known[code] = found
        return found

    def _closed(self, code: Code) -> dict[str, float]:
        sizes = self.space._codec().network_sizes(code, self.space, self.input_shape)
        return {} if sizes is None else {"params": sizes[0] / 1e6, "macs": sizes[1] / 1e6}

    def _modelled(self, code: Code) -> dict[str, float]:
        """Return sizes as sums of those of candidates, once that has been right for some networks that were made."""
        if self._models is None:
            if len(self._known) < _MADE_BEFORE:
                return {}
            before = rng_snapshot()
            self._models = models_of(self.space, self.names, self.input_shape, self._known)
            rng_restore(before)
        return {name: model.of(code) for name, model in self._models.items()}

    def _of(self, network: nn.Module) -> dict[str, float]:
        found = {}
        for name in self.names:
            measure = METRICS[name].of_network
            if measure is not None:
                found[name] = measure(network, self.input_shape)
        return found


class NetworkCost(ArchitectureCost):
    """Parameters, multiply-accumulates or memory of the network of an architecture.

    Args:
        metric: Which of them.
        networks: Makes networks; one for all such costs of a search.
    """

    def __init__(self, metric: HardwareMetric, networks: SpaceNetworks) -> None:
        self.metric, self._networks = metric, networks
        if metric.name not in networks.names:
            networks.names.append(metric.name)
        sizes = "x".join(map(str, networks.input_shape))
        self.about = f"{metric.what}, of the network of the space, inputs {sizes}"

    def of(self, code: Code) -> float:
        """Return the cost of an architecture."""
        return self._networks.figures(code)[self.metric.name]


class MeasuredCost(ArchitectureCost):
    """The latency of the whole network on this machine, in evaluation mode and with fresh weights.

    Every question is answered by a new measurement: the median of 50 runs, or of as many as fit into two seconds. What
    else the machine does shows in it.

    Args:
        networks: Makes networks.
        threads: Threads of torch; those that are set if None.
    """

    is_known = False

    def __init__(self, networks: SpaceNetworks, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise ConfigError(f"search.hardware.latency.threads must be at least 1, not {threads}")
        self.metric, self._networks, self._threads = METRICS["latency"], networks, threads
        self.about = "latency of the network, measured here on the processor"
        self._last: dict[str, Any] = {}

    def of(self, code: Code) -> float:
        """Measure the latency of an architecture in ms."""
        network = self._networks.built(code)
        with _threads(self._threads):
            found = latency(network, self._networks.input_shape)
        self._last = {"latency_runs": found.runs, "latency_threads": found.threads}
        return found.milliseconds

    def user(self) -> dict[str, Any]:
        """Return of how many runs the latency was the median, and on how many threads."""
        return self._last


class TableCost(ArchitectureCost):
    """A cost that the benchmark of a search says itself.

    Args:
        metric: Which.
        api: The benchmark.
        asked: What the benchmark calls it.
        dataset: Name of the data set in it.
    """

    def __init__(self, metric: HardwareMetric, api: Any, asked: Any, dataset: str | None) -> None:
        self.metric, self._api, self._asked, self._dataset = metric, api, asked, dataset
        self.about = f"{metric.what}, of the benchmark ({getattr(asked, 'name', asked)})"

    def of(self, code: Code) -> float:
        """Return the cost of an architecture."""
        return float(self._api.query(code, self._asked, self._dataset))


class PublishedCost(ArchitectureCost):
    """A latency or an energy that somebody has published.

    Args:
        metric: Which.
        figures: Looks it up, or predicts it.
    """

    def __init__(self, metric: HardwareMetric, figures: PublishedFigures) -> None:
        self.metric, self._figures, self.about = metric, figures, figures.about

    def of(self, code: Code) -> float:
        """Return the cost of an architecture."""
        return self._figures.of(code)


class OperationsCost(ArchitectureCost):
    """A latency that is the sum of those of the operations of an architecture, by a table.

    Args:
        space: The search space.
        table: What `naslib.hardware.measure` writes, or another table of operations.
        name: What the table is called, for messages.
        input_shape: Of one input; what the table says if None.
        fixed: Milliseconds of all that is not under search; what the table says if None.
    """

    def __init__(
        self,
        space: Graph,
        table: CostTable,
        name: str,
        input_shape: Sequence[int] | None = None,
        fixed: float | None = None,
    ) -> None:
        self.metric = METRICS["latency"]
        self._sum = OperationsSum(space, table, input_shape, fixed)
        device = table.info.get("device")
        self.about = f"latency by the operations of {name}{f', {device}' if device else ''}"

    def of(self, code: Code) -> float:
        """Return the latency of an architecture in ms."""
        return self._sum.of(code)


class HardwareCosts:
    """The costs that a search asks for, by name.

    Attributes:
        by_name: The costs, in the order of their names in the config.
    """

    def __init__(self, costs: Sequence[ArchitectureCost]) -> None:
        self.by_name = {cost.metric.name: cost for cost in costs}
        for cost in costs:
            logger.info("%s (%s): %s", cost.metric.name, cost.metric.unit, cost.about)

    def of(self, code: Code) -> dict[str, float]:
        """Return all costs of an architecture by name.

        Raises:
            BenchmarkError: If a table lacks it.
        """
        return {name: cost.of(code) for name, cost in self.by_name.items()}

    def user(self) -> dict[str, Any]:
        """Return what the history keeps beside the costs that were asked for last."""
        return {key: value for cost in self.by_name.values() for key, value in cost.user().items()}

    def describe(self) -> dict[str, str]:
        """Return where the figures come from, by name."""
        return {name: cost.about for name, cost in self.by_name.items()}


def of_table(metric: HardwareMetric, api: Any, dataset: str | None) -> TableCost | None:
    """Return a cost that a benchmark says itself, None where it does not, or does not say it of one device."""
    if metric.metric is None or api is None:
        return None
    try:
        has = bool(api.has(metric.metric, dataset))
    except (BenchmarkError, AttributeError):
        return None
    return TableCost(metric, api, metric.metric, dataset) if has else None


@contextlib.contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
