"""TransBench101MicroTable: cells of TransNAS-Bench-101, trained to classify scenes."""

from __future__ import annotations

import zipfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkDataMissing, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_metric, check_dataset

_N_OPS, _N_EDGES = 4, 6
# Of the proxies in the file, which are figures of the network: metric -> name
_FIGURES = {Metric.PARAMETERS: "params", Metric.FLOPS: "flops"}
_METRICS = (Metric.VAL_ACCURACY, *_FIGURES)


class TransBench101MicroTable(Benchmark):
    """Answer queries about the 2,128 micro cells without dead branches, on class_scene, from `tnb101_micro_scene.npz`.

    Codes are the digits of the benchmark's strings. Accuracies are of the validation images after the benchmark's
    schedule, which is epoch -1.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "transbench101_micro"
    datasets = ("class_scene",)
    file_name = "tnb101_micro_scene.npz"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise BenchmarkDataMissing(f"no TransNAS-Bench-101 table at {self.path}")
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                codes, proxies = file["arch"], [str(name) for name in file["proxies"]]
                columns = {Metric.VAL_ACCURACY: file["valid_acc"]}
                columns |= {metric: file["scores"][:, proxies.index(name)] for metric, name in _FIGURES.items()}
        except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
            raise BenchmarkError(f"{self.path} is not a table of TransNAS-Bench-101 cells: {error}") from error
        if codes.ndim != 2 or codes.shape[1] != _N_EDGES or codes.min() < 0 or codes.max() >= _N_OPS:
            raise BenchmarkError(f"{self.path} is not a table of TransNAS-Bench-101 cells: codes are six ints in 0..3")
        self._columns = {metric: np.asarray(values, dtype=np.float64) for metric, values in columns.items()}
        self._codes: list[Code] = [tuple(code) for code in codes.tolist()]
        self._row = {code: row for row, code in enumerate(self._codes)}

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one figure of one architecture.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If `code` is none, or a cell with a dead branch, which the table lacks.
        """
        if full_lc:
            raise BenchmarkError(f"{self.path.name} has no learning curves (full_lc)")
        return float(self._column(metric, dataset, epoch)[self._row_of(code)])

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one figure of many architectures, `(n, 6)` ints to `(n,)`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If a code is none, or not in the table.
        """
        rows = [self._row_of(tuple(code)) for code in np.asarray(codes).tolist()]
        return self._column(metric, dataset, epoch)[rows]

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            self._column(metric, dataset, epoch)
        except BenchmarkError:
            return False
        return True

    def sample_code(self, rng: Random) -> Code:
        """Return one of the architectures of the table, drawn uniformly."""
        return rng.choice(self._codes)

    def _row_of(self, code: Code) -> int:
        row = self._row.get(tuple(code))
        if row is None:
            raise ArchitectureError(
                f"{tuple(code)} is none of the {len(self._row):,} cells of {self.path.name}, which have no dead branch"
            )
        return row

    def _column(self, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        metric = as_metric(metric)
        check_dataset(dataset, self.datasets, {})
        if epoch != -1:
            raise BenchmarkError(f"{self.path.name} has no results after {epoch} epochs; -1 is the end of the schedule")
        if metric not in self._columns:
            there = ", ".join(known.name for known in _METRICS)
            raise BenchmarkError(f"{self.path.name} has no {metric.name} (it has: {there})")
        return self._columns[metric]
