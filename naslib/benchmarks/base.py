"""Benchmark: measured results of architectures behind one query, keyed by plain codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from naslib.errors import BenchmarkError, did_you_mean
from naslib.search_spaces.core.query_metrics import Metric

from .figure import Figure, find_metric, name_of

Code = tuple[int, ...]

# Metrics that are dictionaries of others
GROUPS = (Metric.RAW, Metric.ALL, Metric.HP)

# Other names of data sets on which cells are trained
CIFAR_ALIASES = {
    "cifar-10": "cifar10",
    "cifar10-valid": "cifar10",
    "cifar10_valid": "cifar10",
    "cifar-100": "cifar100",
    "imagenet16120": "imagenet16-120",
    "imagenet16_120": "imagenet16-120",
    "imagenet16": "imagenet16-120",
}


class Benchmark(ABC):
    """Answer what is known about architectures of one space.

    Accuracies are in percent, times in seconds, latency in milliseconds, parameters and FLOPs in millions.

    Attributes:
        name: Name of the search space.
        kind: What it is about: `"accuracy"` (of trained networks, with their times and sizes), `"latency"`, `"energy"`,
            `"robustness"`, `"proxies"`, `"curves"` or a name of its own.
        datasets: Names of the data sets; of an opened table those that are in it.
        aliases: Other names of these, in lower case, and which they mean, in lower case too.
        file_name: Name of its file in the data directory.
        is_one_training: Whether fewer epochs are the beginning of the longest training, so that a training can go on
            where another one ended; in a table of separate schedules they are not.
    """

    name: ClassVar[str] = ""
    kind: ClassVar[str] = "accuracy"
    file_name: ClassVar[str] = ""
    datasets: ClassVar[tuple[str, ...]] = ()
    aliases: ClassVar[Mapping[str, str]] = {}
    is_one_training: ClassVar[bool] = False

    @abstractmethod
    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one figure of one architecture.

        Args:
            code: The architecture.
            metric: What to ask for.
            dataset: Data set it was trained on.
            epoch: Length of the training schedule in epochs, -1 for the longest.
            full_lc: Whether to return the learning curve up to `epoch` instead of its last value.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
        """

    @abstractmethod
    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one figure of many architectures.

        Args:
            codes: `(n, length of a code)` integers, or n codes of any lengths.
            metric: What to ask for; a scalar metric.
            dataset: Data set they were trained on.
            epoch: Length of the training schedule in epochs, -1 for the longest.

        Returns:
            `(n,)` float64.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
        """

    @abstractmethod
    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What it can be asked for beside the members of `Metric`, by name."""
        return ()

    def metric_of(self, name: Metric | Figure | str) -> Metric | Figure:
        """Return the metric or figure of that name (any case), or itself.

        Raises:
            BenchmarkError: If there is none of that name; the message names the nearest.
        """
        return find_metric(name, self.figures)

    def seeds(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> tuple[int, ...]:
        """Return the seeds of the trainings that are known one by one, for a metric; none where only means are."""
        return ()

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> Sequence[Code] | None:
        """Return the architectures that have an answer, as the codec of the space spells them.

        Returns:
            None if all of the space have one.

        Raises:
            BenchmarkError: If none has one, as in `query`.
        """
        return None

    def knows(self, dataset: str) -> bool:
        """Say whether the data set is in the benchmark, under its name or an alias."""
        return _is_there(dataset, self.datasets, self.aliases)

    @classmethod
    def covers(cls, dataset: str) -> bool:
        """Say whether benchmarks of this class have the data set, under its name or an alias."""
        return _is_there(dataset, cls.datasets, cls.aliases)

    def dataset_of(self, dataset: str | None) -> str:
        """Return the name of the data set that is meant.

        Raises:
            BenchmarkError: If it is none; the message lists what there is.
        """
        return check_dataset(dataset, self.datasets, self.aliases)


def as_metric(metric: Metric | str) -> Metric:
    """Return the metric of that name (any case), or the metric itself.

    Raises:
        BenchmarkError: If there is none of that name.
    """
    if isinstance(metric, Metric):
        return metric
    name = str(metric).upper().removeprefix("METRIC.")
    if name not in Metric.__members__:
        raise BenchmarkError(f"unknown metric {metric!r}{did_you_mean(name, Metric.__members__)}")
    return Metric[name]


def metric_of(benchmark: Any, name: Metric | Figure | str) -> Metric | Figure:
    """Return what a benchmark calls by a name: one of its figures, or a metric; also of one that is not ours.

    Raises:
        BenchmarkError: If there is none of that name.
    """
    if isinstance(benchmark, Benchmark):
        return benchmark.metric_of(name)
    return name if isinstance(name, Figure) else as_metric(name)


def as_codes(codes: np.ndarray | Iterable[Sequence[int]]) -> list[Code]:
    """Return architectures as codes: of the rows of an array, or of any sequences, of whatever lengths."""
    return [tuple(code) for code in (codes.tolist() if isinstance(codes, np.ndarray) else codes)]


def check_number(metric: Metric | Figure) -> None:
    """Raise if many architectures cannot be asked for a metric, as it is more than a number of each.

    Raises:
        BenchmarkError: Saying so.
    """
    if metric in GROUPS:
        raise BenchmarkError(f"query_batch returns one number per architecture; {metric.name} is a group")


def measured(values: np.ndarray, metric: Metric | Figure, title: str) -> np.ndarray:
    """Return what a table says of some architectures.

    Raises:
        BenchmarkError: If one of them was not measured (NaN).
    """
    if not np.isfinite(values).all():
        raise BenchmarkError(f"{name_of(metric)} of an architecture was not measured by {title}")
    return values


def known_rows(values: np.ndarray, metric: Metric | Figure, title: str) -> np.ndarray:
    """Return which architectures of a table were measured.

    Raises:
        BenchmarkError: If none was.
    """
    known = np.isfinite(values)
    if not known.any():
        raise BenchmarkError(f"{name_of(metric)} was measured of no architecture by {title}")
    return np.asarray(known)


def _is_there(dataset: str, datasets: Sequence[str], aliases: Mapping[str, str]) -> bool:
    try:
        return bool(check_dataset(dataset, datasets, aliases))
    except BenchmarkError:
        return False


def check_dataset(dataset: str | None, datasets: Sequence[str], aliases: Mapping[str, str]) -> str:
    """Return the name of the data set that `dataset` means (any case, or an alias).

    Raises:
        BenchmarkError: If it is none of `datasets`.
    """
    known = {name.lower(): name for name in datasets}
    key = str(dataset).lower()
    key = aliases.get(key, key)
    if key not in known:
        raise BenchmarkError(
            f"no data set {dataset!r} in the benchmark{did_you_mean(key, known)} (it has: {', '.join(datasets)})"
        )
    return known[key]
