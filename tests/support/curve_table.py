"""A made-up table with learning curves, and searches on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.benchmarks.base import Benchmark
from naslib.errors import BenchmarkError
from naslib.history import Trial
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.core.query_metrics import Metric

SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)


class Curves(Benchmark):
    """A made-up table with curves of 27 epochs: what is best after one epoch is not what is best in the end."""

    name, datasets, is_one_training = "curves", ("x",), True

    def query(
        self, code: tuple[int, ...], metric: Any, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        last = 27 if epoch == -1 else epoch
        if not 1 <= last <= 27:
            raise BenchmarkError(f"no epoch {epoch}")
        if str(getattr(metric, "name", metric)) == "TRAIN_TIME":
            return 10.0 * last
        curve = [50 - 30 / e**0.5 + sum(code) * e**0.1 + code[0] * (1 if e < 3 else -1) for e in range(1, last + 1)]
        return curve if full_lc else curve[-1]

    def query_batch(self, codes: Any, metric: Any, dataset: str | None = None, epoch: int = -1) -> Any:
        return np.array([self.query(tuple(code), metric, dataset, epoch) for code in codes])

    def has(self, metric: Any, dataset: str | None = None, epoch: int = -1) -> bool:
        return metric in (Metric.VAL_ACCURACY, Metric.TEST_ACCURACY, Metric.TRAIN_TIME)

    @classmethod
    def covers(cls, dataset: str) -> bool:
        return dataset == "x"


class Schedules(Curves):
    """The same, of trainings that are not one another's beginnings."""

    is_one_training = False


TABLE = Curves()


def adapted(kind: type, seed: int = 0, table: Benchmark = TABLE, **kwargs: Any) -> Any:
    np.random.seed(seed)
    optimizer = kind(**{"fidelity": 27, **kwargs})
    optimizer.adapt_search_space(SPACE, "x", dataset_api=table)
    return optimizer


def value_of(trial: Trial) -> float:
    return float(TABLE.query(trial.code, Metric.VAL_ACCURACY, "x", trial.fidelity))


def told(optimizer: Any, count: int) -> list[Trial]:
    """Ask for and tell so many trials, one after the other."""
    found = []
    for _ in range(count):
        (trial,) = optimizer.ask(1)
        found.append(optimizer.tell(trial, value_of(trial)))
    return found
