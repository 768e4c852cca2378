"""CostBenchmark: a benchmark that also answers for the costs of a search, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.benchmarks.base import Benchmark, as_codes
from naslib.benchmarks.figure import Figure
from naslib.errors import BenchmarkError
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric

from .costs import HardwareCosts


class CostBenchmark(Benchmark):
    """Answer from a benchmark, and for costs (`params`, `macs`, `latency` ...) from what a search says of them.

    A cost does not depend on how long a network was trained: whatever the epoch, it is the same.

    Args:
        first: The benchmark.
        costs: What is asked for by the names of costs.
    """

    def __init__(self, first: Benchmark, costs: HardwareCosts) -> None:
        self.first, self.costs = first, costs
        self.name, self.kind, self.datasets = first.name, first.kind, first.datasets  # type: ignore[misc]
        self.is_one_training = first.is_one_training  # type: ignore[misc]
        self._figures = {name: Figure(name, unit=cost.metric.unit) for name, cost in costs.by_name.items()}

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The costs, and the figures of the benchmark."""
        return (*self._figures.values(), *self.first.figures)

    def metric_of(self, name: Metric | Figure | str) -> Metric | Figure:
        """Return the cost of that name, written in lower case, or what the benchmark calls by it.

        Raises:
            BenchmarkError: If there is none of that name; the message names the nearest.
        """
        if isinstance(name, str) and name in self._figures:
            return self._figures[name]
        return self.first.metric_of(name) if not self._is_cost(name) else super().metric_of(name)

    def query(self, code: Code, metric: Any, dataset: str | None = None, epoch: int = -1, full_lc: bool = False) -> Any:
        """Return one figure of one architecture; see `Benchmark.query`."""
        metric = self.metric_of(metric)
        if not self._is_cost(metric):
            return self.first.query(code, metric, dataset, epoch, full_lc)
        if full_lc:
            raise BenchmarkError(f"{metric.name} has no learning curve (full_lc)")
        return self.costs.by_name[metric.name].of(tuple(code))

    def query_batch(self, codes: Any, metric: Any, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one figure of many architectures; see `Benchmark.query_batch`."""
        metric = self.metric_of(metric)
        if not self._is_cost(metric):
            return self.first.query_batch(codes, metric, dataset, epoch)
        cost = self.costs.by_name[metric.name]
        return np.array([cost.of(code) for code in as_codes(codes)], dtype=np.float64)

    def has(self, metric: Any, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        return self._is_cost(metric) or self.first.has(metric, dataset, epoch)

    def seeds(self, metric: Any, dataset: str | None = None, epoch: int = -1) -> tuple[int, ...]:
        """Return the seeds of the trainings that are known one by one; a cost has none."""
        return () if self._is_cost(metric) else self.first.seeds(metric, dataset, epoch)

    def known_codes(self, metric: Any, dataset: str | None = None, epoch: int = -1) -> Sequence[Code] | None:
        """Return the architectures of which a metric is known; None if all, as of costs."""
        return None if self._is_cost(metric) else self.first.known_codes(metric, dataset, epoch)

    def knows(self, dataset: str) -> bool:
        """Say whether the benchmark has the data set."""
        return self.first.knows(dataset)

    def __getattr__(self, name: str) -> Any:
        """Return what else the benchmark has, such as `code_of` or `has_code`."""
        if name.startswith("_") or name == "first":
            raise AttributeError(name)
        return getattr(self.first, name)

    def _is_cost(self, metric: Any) -> bool:
        return (isinstance(metric, Figure) and self._figures.get(metric.name) == metric) or (
            isinstance(metric, str) and metric in self._figures
        )
