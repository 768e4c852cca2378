"""HatLatencyTable: measured latencies of translation transformers on several devices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, as_codes, as_metric, check_number
from .opened import opened

_N_FEATURES = 10
_TABLES = (
    *("iwslt14deen_gpu_titanxp", "wmt14ende_cpu_raspberrypi", "wmt14ende_cpu_xeon", "wmt14ende_gpu_titanxp"),
    *("wmt14enfr_cpu_raspberrypi", "wmt14enfr_cpu_xeon", "wmt14enfr_gpu_titanxp", "wmt19ende_gpu_titanxp"),
)
# How many layers of the encoder a layer of the decoder attends to is written as -1 (its last), 1 and 2 (one, two more)
_REACH = {-1: 1, 1: 2, 2: 3}


class HatTransformer(NamedTuple):
    """A translation transformer as HAT describes it ([Wang2020hat]); lists have an entry per layer.

    Attributes:
        encoder_embed: Features of a token in the encoder.
        encoder_ffn: Features between the linear layers of each of its layers.
        encoder_heads: Heads of each.
        decoder_embed: Features of a token in the decoder.
        decoder_ffn: Features between the linear layers of each of its layers.
        decoder_heads: Heads of its attention to itself.
        cross_heads: Heads of its attention to the encoder.
        reach: Which layers of the encoder it attends to: -1 the last one, 1 and 2 so many before it as well.
    """

    encoder_embed: int
    encoder_ffn: Sequence[int]
    encoder_heads: Sequence[int]
    decoder_embed: int
    decoder_ffn: Sequence[int]
    decoder_heads: Sequence[int]
    cross_heads: Sequence[int]
    reach: Sequence[int]

    def features(self) -> tuple[float, ...]:
        """Return what the tables know a transformer by: ten numbers, of most lists the mean.

        Raises:
            ArchitectureError: If the lists of a half are not equally long, or a reach is none of -1, 1 and 2.
        """
        halves = (self.encoder_ffn, self.encoder_heads), self[4:]
        if any(len({len(row) for row in half}) > 1 or not half[0] for half in halves):
            raise ArchitectureError(f"the lists of a half have one entry per layer, but are {self}")
        if any(reach not in _REACH for reach in self.reach):
            raise ArchitectureError(f"reach is -1, 1 or 2 for each layer of the decoder, not {list(self.reach)}")
        means = [float(np.mean(row)) for row in (*self[1:3], *self[4:7], [_REACH[reach] for reach in self.reach])]
        encoder = (float(self.encoder_embed), float(len(self.encoder_ffn)), *means[:2])
        return (*encoder, float(self.decoder_embed), float(len(self.decoder_ffn)), *means[2:])


class HatLatencyTable(Benchmark):
    """Answer what was measured: latencies (ms) of 2,000 random transformers for each of eight tasks and devices.

    "Data sets" are the pairs of task and device. A code is the ten numbers that the table has of a transformer
    (`HatTransformer.features`), an average for most of its parts, so that different transformers have one code.
    `query` answers for what is in the table, and raises for what is not; `interpolate` guesses.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "hat"
    file_name = "hat_latency.npz"
    datasets = _TABLES

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, "table of the latencies of HAT") as file:
            self.fields = tuple(str(field) for field in file["fields"])
            self._tables = {name: file[name].astype(np.float64) for name in _TABLES}
        if any(table.shape[1:] != (_N_FEATURES + 4,) for table in self._tables.values()):
            raise BenchmarkError(f"{self.path} is not the table of HAT: its rows have {_N_FEATURES + 4} columns")
        self._rows: dict[str, dict[tuple[float, ...], list[int]]] = {}

    def features(self, dataset: str) -> NDArray[np.float64]:
        """Return what is in a table, `(2000, 10)`.

        Raises:
            BenchmarkError: If there is no such table.
        """
        return self._tables[self.dataset_of(dataset)][:, :_N_FEATURES]

    def query(  # averages are no integers
        self,
        code: Sequence[float] | HatTransformer,
        metric: Metric,
        dataset: str | None = None,
        epoch: int = -1,
        full_lc: bool = False,
    ) -> Any:
        """Return the latency of encoder and decoder together, in ms; for RAW, all columns by name.

        Rows that are in the table more than once are averaged.

        Raises:
            BenchmarkError: If there is none, or the transformer is not in the table.
            ArchitectureError: If the code is not ten numbers.
        """
        metric, name = self._checked(metric, dataset, epoch)
        if full_lc:
            raise BenchmarkError(f"{self.path.name} has latencies, and no learning curves (full_lc)")
        features = _features(code)
        row = self._tables[name][self._find(features, name)].mean(0)
        if metric is Metric.RAW:
            return dict(zip(self.fields, row.tolist(), strict=True))
        return float(row[_N_FEATURES] + row[_N_FEATURES + 1])

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return latencies of many transformers, `(n, 10)` to `(n,)`.

        Raises:
            BenchmarkError: If one is not in the table.
        """
        check_number(metric := as_metric(metric))
        self._checked(metric, dataset, epoch)
        return np.array([self.query(code, metric, dataset, epoch) for code in as_codes(codes)], dtype=np.float64)

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> list[Any]:
        """Return the transformers that were measured for a task and device."""
        _, name = self._checked(metric, dataset, epoch)
        return list(dict.fromkeys(tuple(row) for row in self.features(name).tolist()))

    def interpolate(self, code: Sequence[float] | HatTransformer, dataset: str, neighbours: int = 5) -> float:
        """Guess a latency in ms: the mean of the nearest rows, weighted by the inverse of their distance.

        Distances are Euclidean, every column divided by its range in the table. What is in the table is its own.

        Args:
            code: The transformer.
            dataset: Task and device.
            neighbours: How many rows are averaged.

        Raises:
            BenchmarkError: If there is no such table.
            ArchitectureError: If the code is not ten numbers.
        """
        table = self._tables[self.dataset_of(dataset)]
        distances = _distances(table, _features(code))
        nearest = np.argsort(distances, kind="stable")[:neighbours]
        latencies = table[nearest, _N_FEATURES : _N_FEATURES + 2].sum(1)
        if distances[nearest[0]] < 1e-6:
            return float(latencies[distances[nearest] < 1e-6].mean())
        return float(np.average(latencies, weights=1.0 / distances[nearest]))

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch, of what was measured."""
        try:
            return bool(self._checked(metric, dataset, epoch))
        except BenchmarkError:
            return False

    def _checked(self, metric: Metric, dataset: str | None, epoch: int) -> tuple[Metric, str]:
        metric = as_metric(metric)
        if metric not in (Metric.LATENCY, Metric.RAW):
            raise BenchmarkError(f"HAT's table has LATENCY and RAW, and no {metric.name}")
        if epoch != -1:
            raise BenchmarkError(f"HAT's table has latencies, which have no epoch {epoch}: ask for -1")
        return metric, self.dataset_of(dataset)

    def _find(self, features: tuple[float, ...], name: str) -> list[int]:
        table = self._tables[name]
        if name not in self._rows:
            found: dict[tuple[float, ...], list[int]] = {}
            for number, row in enumerate(table[:, :_N_FEATURES]):
                found.setdefault(_key(row), []).append(number)
            self._rows[name] = found
        rows = self._rows[name].get(_key(features))
        if rows is None:
            nearest = table[_distances(table, features).argmin(), :_N_FEATURES]
            raise BenchmarkError(
                f"no transformer {features} was measured for {name}; the nearest is {tuple(nearest.tolist())}, and "
                "`interpolate` guesses from such"
            )
        return rows


def _features(code: Sequence[float] | HatTransformer) -> tuple[float, ...]:
    if isinstance(code, HatTransformer):
        return code.features()
    if len(code) != _N_FEATURES or not all(isinstance(number, int | float) for number in code):
        raise ArchitectureError(
            f"a transformer is the {_N_FEATURES} numbers of HatTransformer.features(), not {code!r}"
        )
    return tuple(float(number) for number in code)


def _key(features: Any) -> tuple[float, ...]:
    """Return features in steps in which averages that differ do: the file has them in single precision."""
    return tuple(round(float(number), 2) for number in features)


def _distances(table: NDArray[np.float64], features: tuple[float, ...]) -> NDArray[np.float64]:
    known = table[:, :_N_FEATURES]
    spread = np.ptp(known, axis=0)
    difference = (known - np.asarray(features)) / np.where(spread > 0, spread, 1.0)
    return np.sqrt((difference**2).sum(1))
