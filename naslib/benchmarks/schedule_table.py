"""ScheduleTable: a benchmark with one row per architecture, on several data sets, after several lengths of training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, ClassVar, NamedTuple

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_metric, check_dataset
from .opened import opened

_GROUPS = (Metric.RAW, Metric.ALL)


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
        aliases: Other names of its data sets.
        size: Number of architectures of the space.
        datasets: Of an opened table those that are in it.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    title: ClassVar[str] = ""
    aliases: ClassVar[Mapping[str, str]] = {}
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
        measured = np.isfinite(self._figures(as_metric(metric), dataset, epoch))
        if measured.sum() == self.size:
            return None
        return [code for code, known in zip(self._codes, measured.tolist(), strict=True) if known]

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
            name = self._dataset(dataset)
            known = [one for of, one in self._columns if of == name and self.has(one, name, epoch)]
            figures = {one.name.lower(): float(self._figures(one, name, epoch)[row]) for one in known}
            return {one: value for one, value in figures.items() if value == value}
        if full_lc:
            return self._curve(metric, dataset, epoch)[row].astype(np.float64).tolist()
        return self._measured(metric, self._figures(metric, dataset, epoch)[[row]])[0].item()

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one figure of many architectures, `(n, genes)` ints to `(n,)` float64.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks an architecture.
        """
        metric = as_metric(metric)
        if metric in _GROUPS:
            raise BenchmarkError(f"query_batch returns one number per architecture; {metric.name} is a group")
        listed = codes.tolist() if isinstance(codes, np.ndarray) else codes
        rows = [self.index_of(tuple(code)) for code in listed]
        return self._measured(metric, self._figures(metric, dataset, epoch)[rows])

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = as_metric(metric)
            if metric in _GROUPS:
                self._dataset(dataset)
            else:
                self._place(metric, dataset, epoch)
        except BenchmarkError:
            return False
        return True

    def knows(self, dataset: str) -> bool:
        """Say whether the data set is in the file, under its name or an alias."""
        try:
            return bool(self._dataset(dataset))
        except BenchmarkError:
            return False

    @classmethod
    def covers(cls, dataset: str) -> bool:
        """Say whether the benchmark has the data set, under its name or an alias."""
        try:
            return bool(check_dataset(dataset, cls.datasets, dict(cls.aliases)))
        except BenchmarkError:
            return False

    # columns

    def _dataset(self, dataset: str | None) -> str:
        return check_dataset(dataset, self.datasets, dict(self.aliases))

    def _place(self, metric: Metric, dataset: str | None, epoch: int) -> tuple[Column, int]:
        """Return the column, and the place of the number of epochs in it."""
        name = self._dataset(dataset)
        column = self._columns.get((name, metric))
        if column is None:
            there = ", ".join(one.name for of, one in self._columns if of == name)
            raise BenchmarkError(f"{self.path.name} has no {metric.name} on {name} (it has: {there})")
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

    def _figures(self, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        column, place = self._place(metric, dataset, epoch)
        return column.values[:, place].astype(np.float64)

    def _curve(self, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        column, place = self._place(metric, dataset, epoch)
        if not column.is_curve:
            raise BenchmarkError(f"{self.path.name} has no learning curve (full_lc) of {metric.name}")
        return column.values[:, : place + 1]

    def _measured(self, metric: Metric, values: np.ndarray) -> np.ndarray:
        if not np.isfinite(values).all():
            raise BenchmarkError(f"{metric.name} of an architecture was not measured by {self.title}")
        return values
