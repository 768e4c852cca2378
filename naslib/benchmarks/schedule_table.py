"""ScheduleTable: a benchmark with one row per architecture, on several data sets, after several lengths of training."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from random import Random
from typing import Any, ClassVar, NamedTuple

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_codes, as_metric, check_number, known_rows, measured
from .opened import opened

_GROUPS = (Metric.RAW, Metric.ALL)
_ALL = slice(None)
# Lengths of trainings that a message lists one by one
_FEW = 6


class Column(NamedTuple):
    """What is known of a metric on a data set.

    Attributes:
        values: `(n, lengths)` in the unit of the metric, NaN where nothing was measured.
        lengths: After how many epochs, ascending; none of what does not depend on training, `(n, 1)` then.
        is_curve: Whether the lengths are epochs of one training, rather than trainings of their own.
    """

    values: np.ndarray
    lengths: tuple[int, ...] = ()
    is_curve: bool = False


Columns = dict[tuple[str, Metric], Column]


class ScheduleTable(Benchmark):
    """Answer from rows that are found by their codes, by data set, metric and number of epochs.

    Epochs are counts from 1; -1 is the longest schedule.

    Args:
        path: The file.

    Attributes:
        title: What messages call the benchmark.
        size: Number of architectures of the space.
        datasets: Of an opened table those that are in it.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    title: ClassVar[str] = ""
    size: ClassVar[int] = 0

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, f"{self.title} table") as file:
            codes, self._columns = self._read(file)
        there = {dataset for dataset, _ in self._columns}
        self.datasets = tuple(name for name in type(self).datasets if name in there)  # type: ignore[misc]
        self._codes: list[Code] = [tuple(code) for code in codes.tolist()]
        self._rows = {code: row for row, code in enumerate(self._codes)}

    @abstractmethod
    def _read(self, file: Any) -> tuple[np.ndarray, Columns]:
        """Return the codes `(n, genes)`, no two alike, and what is known of them, of an open file.

        Raises:
            ValueError: If it is another file.
        """

    def __len__(self) -> int:
        return len(self._codes)

    # architectures

    def index_of(self, code: Code) -> int:
        """Return the number of an architecture in the file.

        Raises:
            ArchitectureError: If the table lacks it.
        """
        row = self._rows.get(tuple(code))
        if row is None:
            raise ArchitectureError(f"{tuple(code)} is none of the {len(self):,} architectures of {self.title}")
        return row

    def code_of(self, index: int) -> Code:
        """Return the architecture of a number in the file.

        Raises:
            ArchitectureError: If there is no such number.
        """
        if not 0 <= index < len(self):
            raise ArchitectureError(f"a number of {self.title} is in 0..{len(self) - 1}, not {index!r}")
        return self._codes[index]

    def sample_code(self, rng: Random) -> Code:
        """Return one of the architectures of the table, drawn uniformly."""
        return rng.choice(self._codes)

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> list[Code] | None:
        """Return the architectures of which the metric was measured; None if all of the space were."""
        rows = known_rows(self._figures(metric := as_metric(metric), dataset, epoch), metric, self.title)
        if rows.sum() == self.size:
            return None
        return [code for code, known in zip(self._codes, rows.tolist(), strict=True) if known]

    # queries

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one figure of one architecture; a dictionary of all that was measured for RAW and ALL.

        `full_lc` returns the curve up to `epoch`, where there is one.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks the architecture.
        """
        metric = as_metric(metric)
        row = self.index_of(code)
        if metric in _GROUPS:
            name = self._group(dataset, epoch)
            known = [one for of, one in self._columns if of == name and self.has(one, name, epoch)]
            figures = {one.name.lower(): float(self._figures(one, name, epoch, [row])[0]) for one in known}
            return {one: value for one, value in figures.items() if value == value}
        if full_lc:
            return measured(self._curve(metric, dataset, epoch)[row], metric, self.title).astype(np.float64).tolist()
        return measured(self._figures(metric, dataset, epoch, [row]), metric, self.title)[0].item()

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one figure of many architectures, `(n, genes)` ints to `(n,)` float64.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks an architecture.
        """
        check_number(metric := as_metric(metric))
        self._place(metric, dataset, epoch)
        rows = [self.index_of(code) for code in as_codes(codes)]
        return measured(self._figures(metric, dataset, epoch, rows), metric, self.title)

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = as_metric(metric)
            if metric in _GROUPS:
                self._group(dataset, epoch)
            else:
                return bool(np.isfinite(self._figures(metric, dataset, epoch)).any())
        except BenchmarkError:
            return False
        return True

    # columns

    def _group(self, dataset: str | None, epoch: int) -> str:
        """Return the data set, if anything of it is known after so many epochs.

        Raises:
            BenchmarkError: If nothing is; the message lists the lengths that there are.
        """
        name = self.dataset_of(dataset)
        lengths = {length for (of, _), column in self._columns.items() if of == name for length in column.lengths}
        if epoch != -1 and epoch not in lengths:
            known = sorted(lengths)
            there = ", ".join(map(str, known)) if len(known) <= _FEW else f"{known[0]} to {known[-1]}"
            raise BenchmarkError(f"{self.title} has nothing on {name} after {epoch} epochs (it has: {there or -1})")
        return name

    def _place(self, metric: Metric, dataset: str | None, epoch: int) -> tuple[Column, int]:
        """Return the column, and the place of the number of epochs in it."""
        name = self.dataset_of(dataset)
        column = self._columns.get((name, metric))
        if column is None:
            there = ", ".join(one.name for of, one in self._columns if of == name)
            raise BenchmarkError(f"{self.path.name} has no {metric.name} on {name} (it has: {there})")
        if not column.lengths:
            self._group(name, epoch)
        if epoch == -1 or not column.lengths:
            return column, column.values.shape[1] - 1
        if epoch not in column.lengths:
            first, last = column.lengths[0], column.lengths[-1]
            there = f"{first} to {last}" if column.is_curve else ", ".join(map(str, column.lengths))
            raise BenchmarkError(
                f"{self.title} has no {metric.name} on {name} after {epoch} epochs; epochs are counts from 1: {there} "
                f"(-1 is {last})"
            )
        return column, column.lengths.index(epoch)

    def _figures(self, metric: Metric, dataset: str | None, epoch: int, rows: slice | list[int] = _ALL) -> np.ndarray:
        column, place = self._place(metric, dataset, epoch)
        return column.values[rows, place].astype(np.float64)

    def _curve(self, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        column, place = self._place(metric, dataset, epoch)
        if not column.is_curve:
            raise BenchmarkError(f"{self.path.name} has no learning curve (full_lc) of {metric.name}")
        return column.values[:, : place + 1]
