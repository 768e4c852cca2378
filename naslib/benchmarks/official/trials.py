"""Trials as NAS-Bench-201 and NATS-Bench write them: one training of one architecture, on one data set, of one seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

# The benchmark's names of its schedules, and how many epochs they are
LENGTHS = {"less": 12, "full": 200, "01": 1, "1": 1, "12": 12, "90": 90, "200": 200}
# In columns: data set -> (prefix, its classes)
PREFIXES = {"cifar10": ("c10", 10), "cifar100": ("c100", 100), "ImageNet16-120": ("in16", 120)}
# What is asked of a data set: column -> data set of the benchmark (None: that itself) and its set of images. CIFAR-10
# is trained on one half of its training images to be validated on the other, and on all of them to be tested.
_SETS: dict[str, dict[str, tuple[str, str]]] = {
    "cifar10": {"valid": ("cifar10-valid", "x-valid"), "test": ("cifar10", "ori-test")},
    **{
        name: {"valid": (name, "x-valid"), "test": (name, "x-test"), "valtest": (name, "ori-test")}
        for name in ("cifar100", "ImageNet16-120")
    },
}
# No percentage, number of seconds or milliseconds is larger: it would be a damaged one
_LARGEST = 1e9
_TIMED = {"cifar10": "cifar10-valid"}


class OfficialTrial(NamedTuple):
    """One training.

    Attributes:
        dataset: The benchmark's name of what it was trained on.
        seed: Its seed.
        epochs: How long it was.
        record: All that was written of it.
    """

    dataset: str
    seed: int
    epochs: int
    record: Mapping[str, Any]

    def accuracy(self, images: str) -> float:
        """Return the accuracy after the last epoch on a set of images, in percent; NaN where there is none."""
        return float(self.record["eval_acc1es"].get(f"{images}@{self.epochs - 1}", math.nan))

    def seconds(self) -> float:
        """Return the seconds that the training took, NaN where they were not taken."""
        times = self.record.get("train_times")
        if not times:
            return math.nan
        return float(sum(times.values() if isinstance(times, Mapping) else times))

    def latency(self) -> float:
        """Return the milliseconds of one batch on the benchmark's GPU, NaN where they were not measured."""
        measured = [float(value) for value in self.record.get("latency") or () if float(value) > 0]
        return 1000 * sum(measured) / len(measured) if measured else math.nan


def trials_of(results: Mapping[str, Any]) -> list[OfficialTrial]:
    """Return the trials of the results of one architecture after one schedule.

    Raises:
        ValueError: If these are no results.
    """
    found = results.get("all_results") if isinstance(results, Mapping) else None
    if not isinstance(found, Mapping):
        raise ValueError("the results of an architecture have all_results")
    return [OfficialTrial(str(dataset), int(seed), int(one["epochs"]), one) for (dataset, seed), one in found.items()]


class TrialColumns:
    """The columns of a table of NATS-Bench, filled one architecture at a time.

    Args:
        n_architectures: Number of rows.
        lengths: The schedules, in epochs.
        seeds: Seeds that have a column of their own for accuracies, at the lengths that `by_seed` names.
        by_seed: These lengths.
        timed: The lengths whose training time is told.

    Attributes:
        arrays: The columns; NaN where nothing was measured.
    """

    def __init__(
        self,
        n_architectures: int,
        lengths: Iterable[int],
        seeds: Iterable[int],
        by_seed: Iterable[int],
        timed: Iterable[int],
    ) -> None:
        self.lengths, self.seeds = tuple(lengths), tuple(seeds)
        self._by_seed, self._timed = tuple(by_seed), tuple(timed)
        self._rows = n_architectures
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, row: int, results: Mapping[str, Any]) -> None:
        """Fill a row with the results of an architecture, by schedule.

        Of trials of several seeds the mean counts.

        Raises:
            ValueError: If these are no results.
        """
        for name, record in results.items():
            length = LENGTHS.get(str(name))
            if length not in self.lengths:
                continue
            trials = trials_of(record)
            for dataset, (prefix, _) in PREFIXES.items():
                self._add_accuracies(row, prefix, length, trials, _SETS[dataset])
                if length in self._timed:
                    source = _TIMED.get(dataset, dataset)
                    seconds = [one.seconds() for one in trials if one.dataset == source]
                    self._put(f"{prefix}_train_time_{length}", row, seconds)
                if length == max(self.lengths):
                    latencies = [one.latency() for one in trials if one.dataset == dataset]
                    self._put(f"{prefix}_latency_ms", row, latencies)

    def _add_accuracies(
        self, row: int, prefix: str, length: int, trials: list[OfficialTrial], sets: Mapping[str, tuple[str, str]]
    ) -> None:
        for column, (source, images) in sets.items():
            found = {one.seed: one.accuracy(images) for one in trials if one.dataset == source}
            if column != "valtest":
                self._put(f"{prefix}_{column}_{length}", row, list(found.values()))
            if length in self._by_seed:
                name = f"{prefix}_{column}_{length}_seeds"
                values = self.arrays.setdefault(name, np.full((self._rows, len(self.seeds)), np.nan, np.float32))
                values[row] = np.clip([found.get(seed, np.nan) for seed in self.seeds], -_LARGEST, _LARGEST)

    def _put(self, name: str, row: int, values: list[float]) -> None:
        known = [value for value in values if value == value]
        if any(abs(value) > _LARGEST for value in known):
            raise ValueError(f"{name} of {max(known, key=abs)} is no measurement")
        if known:
            column = self.arrays.setdefault(name, np.full(self._rows, np.nan, np.float32))
            column[row] = sum(known) / len(known)

    def measured(self) -> dict[str, np.ndarray]:
        """Return the columns in which anything was measured."""
        return {name: values for name, values in self.arrays.items() if np.isfinite(values).any()}
