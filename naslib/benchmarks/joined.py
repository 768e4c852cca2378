"""JoinedBenchmark: the table of a space's accuracies, with figures of other tables beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code
from .figure import Figure


class JoinedBenchmark(Benchmark):
    """Answer from the first table, and for figures that others have by name from these.

    What others tell does not depend on how long a network was trained: they are asked without the epoch.

    Args:
        first: The table of accuracies.
        others: Further tables of the same space and its codes.
    """

    def __init__(self, first: Benchmark, others: Sequence[Benchmark]) -> None:
        self.first, self.others = first, tuple(others)
        self.name, self.kind, self.datasets = first.name, first.kind, first.datasets  # type: ignore[misc]
        self.is_one_training = first.is_one_training  # type: ignore[misc]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures of all tables."""
        return tuple(figure for table in (self.first, *self.others) for figure in table.figures)

    def metric_of(self, name: Metric | Figure | str) -> Metric | Figure:
        """Return what the first table calls by a name, or others where it calls nothing so.

        Raises:
            BenchmarkError: If there is none of that name; the message names the nearest.
        """
        if isinstance(name, Figure):
            return super().metric_of(name)
        try:
            return self.first.metric_of(name)
        except BenchmarkError:
            return super().metric_of(name)

    def query(self, code: Code, metric: Any, dataset: str | None = None, epoch: int = -1, full_lc: bool = False) -> Any:
        """Return one figure of one architecture; see `Benchmark.query`."""
        table, length = self._who(metric, epoch)
        return table.query(code, metric, dataset, length, full_lc)

    def query_batch(self, codes: Any, metric: Any, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one figure of many architectures; see `Benchmark.query_batch`."""
        table, length = self._who(metric, epoch)
        return table.query_batch(codes, metric, dataset, length)

    def has(self, metric: Any, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            table, length = self._who(metric, epoch)
        except BenchmarkError:
            return False
        return table.has(metric, dataset, length)

    def seeds(self, metric: Any, dataset: str | None = None, epoch: int = -1) -> tuple[int, ...]:
        """Return the seeds of the trainings that the table of a metric knows one by one."""
        table, length = self._who(metric, epoch)
        return table.seeds(metric, dataset, length)

    def known_codes(self, metric: Any, dataset: str | None = None, epoch: int = -1) -> Sequence[Code] | None:
        """Return the architectures of which the table of a metric knows it; see `Benchmark.known_codes`."""
        table, length = self._who(metric, epoch)
        return table.known_codes(metric, dataset, length)

    def knows(self, dataset: str) -> bool:
        """Say whether the first table has the data set."""
        return self.first.knows(dataset)

    def _who(self, metric: Any, epoch: int) -> tuple[Benchmark, int]:
        """Return the table that a metric is asked of, and the epoch that it is asked for."""
        metric = self.metric_of(metric)
        if isinstance(metric, Figure) and metric not in self.first.figures:
            for table in self.others:
                if metric in table.figures:
                    return table, -1
        return self.first, epoch
