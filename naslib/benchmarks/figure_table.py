"""FigureTable: many named figures of many architectures, by data set."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from naslib.errors import ArchitectureError, BenchmarkError, did_you_mean
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_codes, check_number, known_rows, measured
from .figure import Figure
from .opened import opened

_GROUPS = (Metric.RAW, Metric.ALL)
_ALL = slice(None)


@dataclass(frozen=True)
class Sheet:
    """What is known on one data set.

    Attributes:
        codes: `(n, genes)` ints, no two rows alike.
        values: `(n, number of figures)`, NaN where nothing was measured.
        curves: `(n, epochs)` by the name of a figure, whose last entry is the figure; NaN after a crash.
    """

    codes: NDArray[np.integer]
    values: NDArray[np.floating]
    curves: Mapping[str, NDArray[np.floating]]

    @classmethod
    def averaged(
        cls, codes: NDArray[np.integer], values: NDArray[np.floating], curves: Mapping[str, NDArray[np.floating]]
    ) -> Sheet:
        """Return the sheet of rows in which an architecture may be more than once: the mean of what was measured."""
        distinct, place = np.unique(codes, axis=0, return_inverse=True)
        place = place.reshape(-1)
        return cls(distinct, _means(place, values), {name: _means(place, curve) for name, curve in curves.items()})


class FigureTable(Benchmark):
    """Answer for figures by name: the devices, attacks, proxies or trainings that a table has.

    A figure that is a `Metric` (`VAL_ACCURACY`) is one by its name; `LATENCY` of a table with several devices is that
    of the one that `on` names. Epoch -1 is the end of the schedule; others are counts from 1 where there is a curve.

    Args:
        path: The file.

    Attributes:
        title: What messages call the benchmark.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    title: ClassVar[str] = ""
    # Whether the file has all architectures of the space
    is_complete: ClassVar[bool] = False

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, f"table of {self.title}") as file:
            self._figures, self._sheets = self._read(file)
        self.datasets = tuple(self._sheets)  # type: ignore[misc]
        self._places = {figure.name: place for place, figure in enumerate(self._figures)}
        self._rows: dict[str, dict[Code, int]] = {}
        self._device: str | None = None

    @abstractmethod
    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        """Return the figures and, by data set, what is known of them, of an open file.

        Raises:
            ValueError: If it is another file.
        """

    # what there is

    @property
    def figures(self) -> tuple[Figure, ...]:
        """What can be asked for, by name."""
        return self._figures

    def on(self, device: str) -> FigureTable:
        """Return the table as it answers for one device: `LATENCY` is the one there.

        Args:
            device: A figure in milliseconds, by its name or what stands before `_latency`.

        Raises:
            BenchmarkError: If there is none; the message lists them.
        """
        names = [figure.name for figure in self._figures if figure.unit == "ms"]
        found = next((name for name in names if device in (name, name.removesuffix("_latency"))), None)
        if found is None:
            raise BenchmarkError(
                f"there is no latency on {device!r} in {self.title}{did_you_mean(device, names)} "
                f"(there are: {', '.join(names) or 'none'})"
            )
        view = copy.copy(self)
        view._device = found
        return view

    def codes(self, dataset: str | None = None) -> NDArray[np.integer]:
        """Return the architectures that it has, `(n, genes)` ints, in the order of the file."""
        return self._sheet(dataset).codes

    def sample_code(self, rng: Random) -> Code:
        """Return one of the architectures of the first data set, drawn uniformly."""
        codes = self.codes(next(iter(self._sheets)))
        return tuple(codes[rng.randrange(len(codes))].tolist())

    def has(self, metric: Metric | Figure | str, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = self.metric_of(metric)
            if metric in _GROUPS:
                self._group(dataset, 0, epoch)
            else:
                return bool(np.isfinite(self._column(metric, dataset, epoch)).any())
        except BenchmarkError:
            return False
        return True

    def has_code(self, code: Code, dataset: str | None = None) -> bool:
        """Say whether the table has an architecture, on a data set or on its first."""
        name = dataset if dataset is not None else next(iter(self._sheets))
        return tuple(code) in self._index(self.dataset_of(name))

    def known_codes(
        self, metric: Metric | Figure | str, dataset: str | None = None, epoch: int = -1
    ) -> Sequence[Code] | None:
        """Return the architectures of which a figure was measured; None if these are all of the space."""
        metric = self.metric_of(metric)
        rows = known_rows(self._column(metric, dataset, epoch), metric, self.title)
        if self.is_complete and rows.all():
            return None
        return [tuple(code) for code in self._sheet(dataset).codes[rows].tolist()]

    # queries

    def query(
        self,
        code: Code,
        metric: Metric | Figure | str,
        dataset: str | None = None,
        epoch: int = -1,
        full_lc: bool = False,
    ) -> Any:
        """Return one figure of one architecture; a dictionary of all that was measured for RAW and ALL.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks the architecture.
        """
        metric = self.metric_of(metric)
        row = self._row(code, dataset)
        if metric in _GROUPS:
            known = self._group(dataset, row, epoch)
            return {name.lower(): float(value) for name, value in known.items() if value == value}
        if full_lc:
            return self._curve(metric, dataset, row, epoch)
        return measured(self._column(metric, dataset, epoch, [row]), metric, self.title)[0].item()

    def query_batch(
        self,
        codes: np.ndarray | Sequence[Code],
        metric: Metric | Figure | str,
        dataset: str | None = None,
        epoch: int = -1,
    ) -> np.ndarray:
        """Return one figure of many architectures, `(n, genes)` ints to `(n,)` float64.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If the table lacks an architecture.
        """
        metric = self.metric_of(metric)
        check_number(metric)
        self._column(metric, dataset, epoch, [])
        rows = [self._row(code, dataset) for code in as_codes(codes)]
        return measured(self._column(metric, dataset, epoch, rows), metric, self.title)

    def _sheet(self, dataset: str | None) -> Sheet:
        return self._sheets[self.dataset_of(dataset)]

    def _index(self, dataset: str) -> dict[Code, int]:
        if dataset not in self._rows:
            codes = self._sheets[dataset].codes.tolist()
            self._rows[dataset] = {tuple(code): row for row, code in enumerate(codes)}
        return self._rows[dataset]

    def _row(self, code: Sequence[int], dataset: str | None) -> int:
        index = self._index(self.dataset_of(dataset))
        row = index.get(tuple(code))
        if row is None:
            raise ArchitectureError(f"{tuple(code)} is none of the {len(index):,} architectures of {self.title}")
        return row

    def _name(self, metric: Metric | Figure) -> str:
        if metric is Metric.LATENCY and metric.name not in self._places:
            devices = [figure.name for figure in self._figures if figure.unit == "ms"]
            if self._device is not None or len(devices) == 1:
                return self._device or devices[0]
            if devices:
                raise BenchmarkError(
                    f"the latency on which device? {self.title}: one of {', '.join(devices)} "
                    "(get_dataset_api(..., device=...), or ask for it by its name)"
                )
        if metric.name not in self._places:
            there = ", ".join(self._places)
            raise BenchmarkError(f"there is no {metric.name} in {self.title} (there are: {there})")
        return metric.name

    def _group(self, dataset: str | None, row: int, epoch: int) -> dict[str, float]:
        """Return what there is of an architecture at an epoch, NaN where it was not measured."""
        sheet = self._sheet(dataset)
        if epoch == -1:
            return dict(zip(self._places, sheet.values[row], strict=True))
        if not sheet.curves:
            raise BenchmarkError(f"{self.title} is about the end of the schedule (-1), not after {epoch} epochs")
        return {name: curve[row, self._length(curve, epoch) - 1] for name, curve in sheet.curves.items()}

    def _column(
        self, metric: Metric | Figure, dataset: str | None, epoch: int, rows: slice | list[int] = _ALL
    ) -> NDArray[np.float64]:
        """Return a figure of all architectures of a data set, or of some rows, `(n,)`."""
        sheet, name = self._sheet(dataset), self._name(metric)
        if epoch == -1:
            return sheet.values[rows, self._places[name]].astype(np.float64)
        curve = sheet.curves.get(name)
        if curve is None:
            raise BenchmarkError(
                f"{name} in {self.title} is that of the end of the schedule (-1), not after {epoch} epochs"
            )
        return curve[rows, self._length(curve, epoch) - 1].astype(np.float64)

    def _curve(self, metric: Metric | Figure, dataset: str | None, row: int, epoch: int) -> list[float]:
        curve = self._sheet(dataset).curves.get(name := self._name(metric))
        if curve is None:
            there = ", ".join(self._sheet(dataset).curves) or "none"
            raise BenchmarkError(f"there is no learning curve (full_lc) of {name} in {self.title} (there are: {there})")
        values = measured(curve[row, : self._length(curve, epoch)], metric, self.title)
        return [float(value) for value in values]

    def _length(self, curve: NDArray[np.floating], epoch: int) -> int:
        epochs = curve.shape[1]
        if epoch != -1 and not 1 <= epoch <= epochs:
            raise BenchmarkError(f"epochs in {self.title} are 1 to {epochs} (-1 is the last), not {epoch}")
        return epochs if epoch == -1 else epoch


def _means(places: NDArray[np.intp], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the mean over the rows of each place, of what was measured: `(n, m)` to `(number of places, m)`."""
    known = np.isfinite(values)
    shape = (int(places.max()) + 1, values.shape[1])
    sums, counts = np.zeros(shape), np.zeros(shape)
    np.add.at(sums, places, np.where(known, values, 0.0))
    np.add.at(counts, places, known)
    return np.divide(sums, counts, out=np.full(shape, np.nan), where=counts > 0)
