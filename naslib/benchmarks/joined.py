"""JoinedBenchmark: the table of a space's accuracies, with figures of other tables beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

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
        table, length = self._who(metric, epoch)
        return table.has(metric, dataset, length)

    def seeds(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> tuple[int, ...]:
        """Return the seeds that the first table knows."""
        return self.first.seeds(metric, dataset, epoch)

    def knows(self, dataset: str) -> bool:
        """Say whether the first table has the data set."""
        return self.first.knows(dataset)

    def _who(self, metric: Any, epoch: int) -> tuple[Benchmark, int]:
        """Return the table that a metric is asked of, and the epoch that it is asked for."""
        metric = self.metric_of(metric)
        if isinstance(metric, Figure):
            for table in self.others:
                if metric in table.figures:
                    return table, -1
        return self.first, epoch
