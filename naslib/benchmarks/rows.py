"""RowTable: a benchmark that is a file with one row per architecture, all of one data set and one schedule."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_codes, as_metric, check_number, known_rows, measured
from .opened import opened

_GROUPS = (Metric.RAW, Metric.ALL)


class RowTable(Benchmark):
    """Answer from rows that are found by their codes.

    Of an architecture that was measured more than once the mean counts. What was not measured of one is an error where
    it is asked for.

    Args:
        path: The file.

    Attributes:
        title: What messages call the benchmark.
        aliases: Other names of its data set.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    title: ClassVar[str] = ""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, f"{self.title} table") as file:
            codes, columns = self._read(file)
        distinct, place = np.unique(codes, axis=0, return_inverse=True)
        rows = place.reshape(-1)
        self._columns = {
            metric: _means(rows, np.asarray(values, dtype=np.float64)) for metric, values in columns.items()
        }
        self._codes: list[Code] = [tuple(code) for code in distinct.tolist()]
        self._rows = {code: row for row, code in enumerate(self._codes)}
        self._file_codes: list[Code] = [tuple(code) for code in codes.tolist()]

    @abstractmethod
    def _read(self, file: Any) -> tuple[np.ndarray, dict[Metric, np.ndarray]]:
        """Return the codes `(n, genes)` and the columns `(n,)` of an open file, in the units of the metrics.

        Raises:
            ValueError: If it is another file.
        """

    def __len__(self) -> int:
        return len(self._codes)

    # architectures

    def index_of(self, code: Code) -> int:
        """Return the number of an architecture in the file, the first of several.

        Raises:
            ArchitectureError: If the table lacks it.
        """
        self._row(code)
        return self._file_codes.index(tuple(code))

    def code_of(self, index: int) -> Code:
        """Return the architecture of a number in the file.

        Raises:
            ArchitectureError: If there is no such number.
        """
        if not 0 <= index < len(self._file_codes):
            raise ArchitectureError(f"a number of {self.title} is in 0..{len(self._file_codes) - 1}, not {index!r}")
        return self._file_codes[index]

    def sample_code(self, rng: Random) -> Code:
        """Return one of the architectures of the table, drawn uniformly."""
        return rng.choice(self._codes)

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> list[Code]:
        """Return the architectures of which the metric was measured."""
        rows = known_rows(self._column(metric := as_metric(metric), dataset, epoch), metric, self.title)
        return [code for code, known in zip(self._codes, rows.tolist(), strict=True) if known]

    def _row(self, code: Code) -> int:
        row = self._rows.get(tuple(code))
        if row is None:
            raise ArchitectureError(f"{tuple(code)} is none of the {len(self):,} architectures of {self.title}")
        return row

    # queries

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one figure of one architecture; a dictionary of all that was measured for RAW and ALL.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks the architecture.
        """
        metric = as_metric(metric)
        if full_lc:
            raise BenchmarkError(f"{self.path.name} has no learning curves (full_lc)")
        if metric in _GROUPS:
            self._place(dataset, epoch)
            row = self._row(code)
            figures = {known.name.lower(): float(values[row]) for known, values in self._columns.items()}
            return {name: value for name, value in figures.items() if value == value}
        return measured(self._column(metric, dataset, epoch)[[self._row(code)]], metric, self.title)[0].item()

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one figure of many architectures, `(n, genes)` ints to `(n,)`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks an architecture.
        """
        check_number(metric := as_metric(metric))
        column = self._column(metric, dataset, epoch)
        return measured(column[[self._row(code) for code in as_codes(codes)]], metric, self.title)

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = as_metric(metric)
            if metric in _GROUPS:
                self._place(dataset, epoch)
            else:
                self._column(metric, dataset, epoch)
        except BenchmarkError:
            return False
        return True

    def _place(self, dataset: str | None, epoch: int) -> None:
        self.dataset_of(dataset)
        if epoch != -1:
            raise BenchmarkError(f"{self.title} has no results after {epoch} epochs; -1 is the end of its schedule")

    def _column(self, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        self._place(dataset, epoch)
        if metric not in self._columns:
            there = ", ".join(known.name for known in self._columns)
            raise BenchmarkError(f"{self.title} has no {metric.name} (it has: {there})")
        return self._columns[metric]


def _means(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the mean of what was measured of each row, NaN where nothing was."""
    known = np.isfinite(values)
    counts = np.bincount(rows, weights=known)
    sums = np.bincount(rows, weights=np.where(known, values, 0.0))
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)
