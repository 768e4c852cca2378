"""TrainedTable: a benchmark of anyone's own space, from the file that `naslib bench build` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError, did_you_mean
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.text import differences, listed, show

from .base import GROUPS, Benchmark, Code, as_codes, as_metric, check_number
from .results import load_results

_HYPER = (Metric.FLOPS, Metric.PARAMETERS, Metric.LATENCY, Metric.TRAIN_TIME)
_LOSSES = {Metric.TRAIN_LOSS: "train_loss", Metric.VAL_LOSS: "valid_loss", Metric.TEST_LOSS: "test_loss"}
# By the name of the task's score: which metrics its curves answer
_SCORES = {
    "accuracy": {
        Metric.TRAIN_ACCURACY: "train_score",
        Metric.VAL_ACCURACY: "valid_score",
        Metric.TEST_ACCURACY: "test_score",
    },
    "perplexity": {Metric.PERPLEXITY: "valid_score"},
}
# What the data set decides of a space, so that a space made without it may have other values
_FROM_DATA = ("n_classes", "in_channels", "image_size", "vocabulary", "task")


class TrainedTable(Benchmark):
    """Answer queries about architectures that were trained once and for all, of whatever space and data set.

    Epochs are counts from 1 and -1 is the last one: the table has the learning curves, so that it answers after each
    epoch of its one schedule. Without a seed an answer is the mean over the seeds that an architecture was trained
    with. TRAIN_TIME is what the training took up to the epoch, each epoch the same share. The metrics are losses,
    sizes, times, and accuracies where the score of the task is one (or PERPLEXITY where it is that); RAW has every
    score by its name.

    Args:
        path: The file.

    Attributes:
        results: Everything in the file.
        name: Of the search space.
        datasets: The one data set.
        epochs: Length of the schedule.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If it is damaged, or another file.
    """

    is_one_training = True

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.results = load_results(self.path)
        about = self.results.about
        self.name, self.datasets = str(about["space"]), (str(about["dataset"]),)  # type: ignore[misc]
        self.epochs = self.results.epochs
        score = about["score"]["name"]
        self._curves = {**_SCORES.get(score, {}), **_LOSSES}
        self._index = {code: index for index, code in enumerate(self.results.codes)}
        self._by_code: dict[tuple[Any, Any, Any], dict[Code, float]] = {}
        self._columns: dict[tuple[Metric, int, int | None], np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._index)

    # architectures

    def index_of(self, code: Sequence[int]) -> int:
        """Return the number of an architecture in the table.

        Raises:
            ArchitectureError: If the table lacks it.
        """
        index = self._index.get(tuple(code))
        if index is None:
            functions = self.results.about.get("functions")
            of = f" (of {functions:,} that differ, {len(self.results.trained):,} were trained)" if functions else ""
            raise ArchitectureError(
                f"{tuple(code)} is none of the {len(self):,} architectures of {self.path.name}{of}; "
                "`code_of(number)` and `sample_code(rng)` give some that are"
            )
        return index

    def code_of(self, index: int) -> Code:
        """Return the architecture of a number.

        Raises:
            ArchitectureError: If there is no such number.
        """
        if not 0 <= index < len(self):
            raise ArchitectureError(f"a number of {self.path.name} is in 0..{len(self) - 1}, not {index!r}")
        return self.results.codes[index]

    def sample_code(self, rng: Random) -> Code:
        """Return one of the architectures of the table, drawn uniformly."""
        return rng.choice(self.results.codes)

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> Sequence[Code]:
        """Return the architectures that have an answer."""
        values = self._column(metric, dataset, epoch)
        return [code for code, value in zip(self.results.codes, values.tolist(), strict=True) if value == value]

    def check_space(self, arguments: Mapping[str, Any], decisions: Sequence[Any] | None = None) -> None:
        """Raise if the networks of a space are not those that were trained.

        Args:
            arguments: The constructor arguments of the space; what the data set decides of them is not compared.
            decisions: What it decides (`describe_decisions`); not compared if None.

        Raises:
            BenchmarkError: Naming what differs.
        """
        about = self.results.about
        there = {k: v for k, v in about["space_args"].items() if k not in _FROM_DATA}
        here = {k: v for k, v in arguments.items() if k not in _FROM_DATA and k in there}
        found = differences(there, here, "")
        if not found and decisions is not None:
            found = differences(about["decisions"], list(decisions), "decisions")
        if found:
            phrases = [f"{place.lstrip('.')} {show(then)}, and the space has {show(now)}" for place, then, now in found]
            size = ", ".join(f"{key}: {value}" for key, value in there.items())
            raise BenchmarkError(
                f"{self.path.name} is of other networks: it was trained with {listed(phrases, 3)}. Set "
                f"search_space_args={{{size}}}, or search.evaluator=train to train this space"
            )

    # queries

    def query(
        self,
        code: Code,
        metric: Metric,
        dataset: str | None = None,
        epoch: int = -1,
        full_lc: bool = False,
        seed: int | None = None,
    ) -> Any:
        """Return one figure of one architecture; a dictionary for RAW, ALL and HP.

        Args:
            code: The architecture.
            metric: What to ask for. `ALL` is every scalar metric at `epoch`, `HP` sizes, latency and time, `RAW`
                everything, curves by seed, as it is in the file.
            dataset: The data set; None for the one of the table.
            epoch: Epochs trained, from 1; -1 for all.
            full_lc: Whether to return the learning curve up to `epoch`, a list with a number per epoch.
            seed: One of the seeds; None for the mean over them.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks the architecture.
        """
        if seed is None and not full_lc:
            column = self._by_code.get((metric, dataset, epoch))
            if column is not None and isinstance(code, tuple) and code in column:
                return column[code]
        metric = as_metric(metric)
        if metric in GROUPS:
            return self._group(tuple(code), metric, dataset, epoch, seed)
        index = self.index_of(code)
        if full_lc:
            return self._curve(index, metric, dataset, epoch, seed)
        values = self._column(metric, dataset, epoch, seed)
        value = float(values[index])
        if value != value:
            raise BenchmarkError(self._missing(index, metric, seed))
        if seed is None:
            known = {c: v for c, v in zip(self.results.codes, values.tolist(), strict=True) if v == v}
            self._by_code[metric, dataset, epoch] = known
        return value

    def query_seed(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, seed: int = 0
    ) -> float:
        """Return one figure of the training of one architecture with one seed.

        Raises:
            BenchmarkError: If it was not trained with that seed; the message lists those that it was.
            ArchitectureError: If the table lacks the architecture.
        """
        return float(self.query(code, metric, dataset, epoch, seed=seed))

    def seeds(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> tuple[int, ...]:
        """Return the seeds of the trainings, for a metric that depends on them."""
        metric = as_metric(metric)
        self._length(dataset, epoch)
        return self.results.seeds if metric in self._curves or metric is Metric.TRAIN_TIME else ()

    def query_batch(
        self,
        codes: np.ndarray | Sequence[Sequence[int]],
        metric: Metric,
        dataset: str | None = None,
        epoch: int = -1,
        seed: int | None = None,
    ) -> np.ndarray:
        """Return one scalar figure of many architectures, n codes to `(n,)`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks an architecture.
        """
        metric = as_metric(metric)
        check_number(metric)
        column = self._column(metric, dataset, epoch, seed)
        places = np.array([self.index_of(code) for code in as_codes(codes)], np.intp)
        values = column[places]
        if not np.isfinite(values).all():
            raise BenchmarkError(self._missing(int(places[~np.isfinite(values)][0]), metric, seed))
        return values

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch, of some architecture."""
        try:
            metric = as_metric(metric)
            self._length(dataset, epoch)
            return metric in GROUPS or bool(np.isfinite(self._column(metric, dataset, epoch)).any())
        except BenchmarkError:
            return False

    def has_code(self, code: Sequence[int]) -> bool:
        """Say whether the architecture is in the table."""
        return tuple(code) in self._index

    # details

    def _length(self, dataset: str | None, epoch: int) -> int:
        """Return the number of epochs that is meant."""
        if dataset is not None:
            self.dataset_of(dataset)
        if epoch != -1 and not 1 <= epoch <= self.epochs:
            raise BenchmarkError(
                f"{self.path.name} has no results after {epoch} epochs: it has those after 1 to {self.epochs} "
                f"(search.fidelity), and -1 is the last"
            )
        return self.epochs if epoch == -1 else epoch

    def _place_of(self, seed: int | None) -> int | None:
        if seed is not None and seed not in self.results.seeds:
            there = ", ".join(map(str, self.results.seeds))
            raise BenchmarkError(f"{self.path.name} has no seed {seed!r} (it has: {there}; None is their mean)")
        return None if seed is None else self.results.seeds.index(seed)

    def _column(self, metric: Metric, dataset: str | None, epoch: int, seed: int | None = None) -> np.ndarray:
        """Return a metric of all architectures, `(n,)`; NaN where it was not measured."""
        metric, length = as_metric(metric), self._length(dataset, epoch)
        key = (metric, length, seed)
        if key not in self._columns:
            self._columns[key] = self._computed(metric, length, self._place_of(seed))
        return self._columns[key]

    def _computed(self, metric: Metric, length: int, place: int | None) -> np.ndarray:
        results = self.results
        if metric is Metric.PARAMETERS:
            return results.params / 1e6
        if metric is Metric.FLOPS:
            return results.macs / 1e6
        if metric is Metric.LATENCY and np.isfinite(results.latency).any():
            return results.latency[results.rows]
        if metric is Metric.TRAIN_TIME:
            return _of_seed(results.seconds, place)[results.rows] * (length / self.epochs)
        name = self._curves.get(metric)
        if name is None or not np.isfinite(results.curves[name]).any():
            raise BenchmarkError(
                f"{self.path.name} has no {metric.name}{did_you_mean(metric.name, self._there())} "
                f"(it has: {', '.join(self._there())})"
            )
        return _of_seed(results.curves[name][:, :, length - 1], place)[results.rows]

    def _there(self) -> list[str]:
        """Return the names of the metrics that it has."""
        found = [m.name for m, name in self._curves.items() if np.isfinite(self.results.curves[name]).any()]
        latency = ["LATENCY"] if np.isfinite(self.results.latency).any() else []
        return [*found, "TRAIN_TIME", "PARAMETERS", "FLOPS", *latency]

    def _curve(self, index: int, metric: Metric, dataset: str | None, epoch: int, seed: int | None) -> list[float]:
        length, place = self._length(dataset, epoch), self._place_of(seed)
        name = self._curves.get(metric)
        if metric is Metric.TRAIN_TIME:
            whole = float(self._column(metric, dataset, -1, seed)[index])
            return [whole * (k + 1) / self.epochs for k in range(length)]
        if name is None:
            curves = ", ".join([*(known.name for known in self._curves), "TRAIN_TIME"])
            raise BenchmarkError(f"{self.path.name} has no learning curve of {metric.name} (it has: {curves})")
        values = self.results.curves[name][self.results.rows[index], :, :length]
        found = [float(v) for v in _of_seed(values[None], place)[0]]
        if any(value != value for value in found):
            raise BenchmarkError(self._missing(index, metric, seed))
        return found

    def _missing(self, index: int, metric: Metric, seed: int | None) -> str:
        code, row = self.results.codes[index], self.results.rows[index]
        there = [
            s for s, seconds in zip(self.results.seeds, self.results.seconds[row], strict=True) if seconds == seconds
        ]
        of = "" if seed is None else f" with seed {seed}"
        return f"{self.path.name} has no {metric.name} of {code}{of}: it was trained with the seeds {there}"

    def _group(self, code: Code, metric: Metric, dataset: str | None, epoch: int, seed: int | None) -> dict[str, Any]:
        index = self.index_of(code)
        self._length(dataset, epoch)
        if metric is Metric.RAW:
            return self._raw(index)
        asked = _HYPER if metric is Metric.HP else [Metric[name] for name in self._there()]
        names = {Metric.FLOPS: "flops", Metric.PARAMETERS: "params"} if metric is Metric.HP else {}
        there = self._there()
        return {
            names.get(key, key.name.lower()): self.query(code, key, dataset, epoch, seed=seed)
            if key.name in there
            else None
            for key in asked
        }

    def _raw(self, index: int) -> dict[str, Any]:
        results, row = self.results, self.results.rows[index]
        score = results.about["score"]["name"]
        record: dict[str, Any] = {
            "trained": results.codes[results.trained[row]],
            "params": int(results.params[index]),
            "macs": int(results.macs[index]),
            "latency_ms": _plain(results.latency[row]),
            "seeds": {},
        }
        for place, seed in enumerate(self.results.seeds):
            if results.seconds[row, place] == results.seconds[row, place]:
                curves = {
                    name.replace("score", score): [_plain(v) for v in values[row, place]]
                    for name, values in results.curves.items()
                }
                record["seeds"][seed] = {"train_seconds": float(results.seconds[row, place]), **curves}
        return record


def _of_seed(values: np.ndarray, place: int | None) -> np.ndarray:
    """Return the values `(r, s, ...)` of one seed, or their mean over the seeds that are there."""
    if place is not None:
        return values[:, place]
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _plain(value: Any) -> float | None:
    number = float(value)
    return None if number != number else number
