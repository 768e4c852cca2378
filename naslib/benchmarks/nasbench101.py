"""NasBench101Table: NAS-Bench-101 ([Ying2019nasbench101]) from one compact file."""

from __future__ import annotations

import functools
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.labelled_dag import LabelledDag
from naslib.search_spaces.core.query_metrics import Metric

from .base import CIFAR_ALIASES, Benchmark, Code, as_codes, as_metric, check_number
from .opened import opened

_VERTICES, _N_OPS, _EPOCHS = 7, 3, 108
# Digits of a hash that a search compares first: as many as fit a float exactly
_DIGITS = 12
_COLUMNS = {Metric.TEST_ACCURACY: "test_acc_108", Metric.PARAMETERS: "params"}
_OF_SOME = {Metric.VAL_ACCURACY: "mf_valid_acc", Metric.TRAIN_TIME: "mf_train_time_108"}


class NasBench101Table(Benchmark):
    """Answer queries about the 423,624 cells of NAS-Bench-101 from a compact `nb101.npz`.

    A code is 21 bits and 5 operations, as the spaces `nasbench101` and `nasbench1shot1` write them, pruned or not: its
    isomorphism-invariant hash finds the row. Rows are in the order of their hashes, which are spread evenly, so that a
    search by interpolation needs those of a few rows only; they are kept in memory.

    On CIFAR-10, 108 epochs (-1): TEST_ACCURACY, the mean of three runs, and PARAMETERS of all cells. VAL_ACCURACY of
    one run after 4, 12, 36 and 108 epochs, and TRAIN_TIME of 108, of 30,001 cells; a query about another one is an
    error, and `sample_code` draws among these. A table that `naslib data convert` made of the official file has them of
    all cells, the mean of three runs.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "nasbench101"
    datasets = ("cifar10",)
    aliases = CIFAR_ALIASES
    file_name = "nb101.npz"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, "NAS-Bench-101 table") as file:
            self._data = {name: file[name] for name in file.files}
            self._some = {int(row): place for place, row in enumerate(self._data["mf_index"])}
            self._lengths = [int(length) for length in self._data["mf_epochs"]]
            self._cells = [self._data[name].tolist() for name in ("nv", "adj", "ops")]
        self._hashes: dict[int, str] = {}
        self._rows: dict[Code, int] = {}

    def __len__(self) -> int:
        return len(self._cells[0])

    # architectures

    def index_of(self, code: Code) -> int:
        """Return the row of a cell.

        Raises:
            ArchitectureError: If `code` is none, or the table has no such cell.
        """
        code = tuple(code)
        row = self._rows.get(code)
        if row is None:
            row = self._rows[code] = self.row_of(LabelledDag.of_code(code, _VERTICES).pruned().fingerprint())
        return row

    def row_of(self, fingerprint: str) -> int:
        """Return the row of a cell by its hash.

        Raises:
            ArchitectureError: If the table has none of that hash.
        """
        low, high = 0, len(self) - 1  # rows that it may be
        wanted, least, most = _number(fingerprint), 0.0, float(16**_DIGITS)
        while low <= high:
            share = (wanted - least) / (most - least) if most > least else 0.5
            row = min(high, max(low, low + int(share * (high - low))))
            found = self._hash(row)
            if found == fingerprint:
                return row
            if found < fingerprint:
                low, least = row + 1, _number(found)
            else:
                high, most = row - 1, _number(found)
        raise ArchitectureError(f"NAS-Bench-101 has no cell of the hash {fingerprint}: 7 vertices and 9 edges at most")

    def code_of(self, index: int) -> Code:
        """Return the cell of a row.

        Raises:
            ArchitectureError: If there is no such row.
        """
        if not 0 <= index < len(self):
            raise ArchitectureError(f"a row of NAS-Bench-101 is in 0..{len(self) - 1}, not {index!r}")
        return self._cell(index).ordered().code(_VERTICES)

    def sample_code(self, rng: Random) -> Code:
        """Return one of the cells whose validation accuracy is known."""
        return self.code_of(int(rng.choice(self._data["mf_index"])))

    def known_codes(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> list[Code] | None:
        """Return the cells of which a metric is known that not all have; None for one that all have."""
        self._length(metric := as_metric(metric), dataset, epoch)
        some = metric in _OF_SOME and len(self._some) < len(self)
        return list(self._known) if some else None

    @functools.cached_property
    def _known(self) -> list[Code]:
        return [self.code_of(row) for row in self._some]

    def _cell(self, row: int) -> LabelledDag:
        size, edges, number = (column[row] for column in self._cells)
        matrix = [[0] * size for _ in range(size)]
        rest = edges
        for u in range(size):
            for v in range(u + 1, size):
                matrix[u][v] = rest & 1
                rest >>= 1
        inner = size - 2
        return LabelledDag(matrix, [number // _N_OPS ** (inner - 1 - place) % _N_OPS for place in range(inner)])

    def _hash(self, row: int) -> str:
        if row not in self._hashes:
            self._hashes[row] = self._cell(row).fingerprint()
        return self._hashes[row]

    # queries

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one figure of one cell; a dictionary of all that is known for RAW and ALL.

        `full_lc` returns the validation accuracies after 4, 12, 36 and 108 epochs, up to `epoch`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If `code` is none.
        """
        metric = as_metric(metric)
        length = self._length(metric, dataset, epoch)
        row = self.index_of(code)
        if metric in (Metric.RAW, Metric.ALL):
            known = [*_COLUMNS, *(_OF_SOME if row in self._some else ())]
            return {one.name.lower(): self._figure(one, row, _EPOCHS) for one in known}
        if full_lc:
            if metric is not Metric.VAL_ACCURACY:
                raise BenchmarkError(f"NAS-Bench-101 has a curve (full_lc) of VAL_ACCURACY only, not of {metric.name}")
            return [self._figure(metric, row, one) for one in self._lengths if one <= length]
        return self._figure(metric, row, length)

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one scalar figure of many cells, `(n, 26)` ints to `(n,)`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If a code is none.
        """
        check_number(metric := as_metric(metric))
        length = self._length(metric, dataset, epoch)
        rows = [self.index_of(code) for code in as_codes(codes)]
        return np.array([self._figure(metric, row, length) for row in rows], dtype=np.float64)

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch, whatever the cell."""
        try:
            self._length(metric := as_metric(metric), dataset, epoch)
        except BenchmarkError:
            return False
        return metric not in _OF_SOME or len(self._some) == len(self)

    def _length(self, metric: Metric, dataset: str | None, epoch: int) -> int:
        """Return the number of epochs that is asked about, a length that the metric has."""
        self.dataset_of(dataset)
        length = _EPOCHS if epoch == -1 else epoch
        if metric not in (Metric.RAW, Metric.ALL, *_COLUMNS, *_OF_SOME):
            known = ", ".join(one.name for one in (*_COLUMNS, *_OF_SOME))
            raise BenchmarkError(f"the NAS-Bench-101 table has no {metric.name} (it has: {known})")
        lengths = self._lengths if metric is Metric.VAL_ACCURACY else [_EPOCHS]
        if length not in lengths:
            raise BenchmarkError(
                f"NAS-Bench-101 has {metric.name} after {', '.join(map(str, lengths))} epochs, not {epoch} "
                "(-1 is 108, the longest); search.fidelity says which"
            )
        return length

    def _figure(self, metric: Metric, row: int, length: int) -> float:
        if metric in _COLUMNS:
            value = float(self._data[_COLUMNS[metric]][row])
            return value * 100 if metric is Metric.TEST_ACCURACY else value / 1e6
        place = self._some.get(row)
        if place is None:
            raise BenchmarkError(
                f"the table has {metric.name} of {len(self._some):,} of the {len(self):,} cells, and not of row {row}; "
                "TEST_ACCURACY and PARAMETERS are known of all (search.metric: test_accuracy)"
            )
        column = self._data[_OF_SOME[metric]]
        if metric is Metric.TRAIN_TIME:
            return float(column[place])
        return float(column[place, self._lengths.index(length)]) * 100


def _number(fingerprint: str) -> float:
    return float(int(fingerprint[:_DIGITS], 16))
