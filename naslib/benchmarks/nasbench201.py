"""NasBench201Table: NAS-Bench-201 (in its NATS-Bench edition, [Dong2021nats]) from one compact file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import CIFAR_ALIASES, GROUPS, Benchmark, Code, as_metric, check_number
from .opened import opened

# the order of ops in a code, and for every position of a code the column of its edge in the file's `ops`
_CODE_OPS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
_CODE_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
_POWERS = tuple(len(_CODE_OPS) ** k for k in reversed(range(len(_CODE_EDGES))))
_N_CODES = len(_CODE_OPS) ** len(_CODE_EDGES)

_PREFIX = {"cifar10": "c10", "cifar100": "c100", "ImageNet16-120": "in16"}
_EPOCHS = (200, 12)
_SEEDS = (777, 888, 999)
# metric -> (column behind the prefix, divisor to the metric's unit); `{}` stands for the epoch
_COLUMNS = {
    Metric.VAL_ACCURACY: ("valid_{}", 1.0),
    Metric.TEST_ACCURACY: ("test_{}", 1.0),
    Metric.TRAIN_TIME: ("train_time_200", 1.0),
    Metric.LATENCY: ("latency_ms", 1.0),
    Metric.PARAMETERS: ("params", 1e6),
    Metric.FLOPS: ("macs", 1e6),
}
_HYPER = (Metric.FLOPS, Metric.PARAMETERS, Metric.LATENCY, Metric.TRAIN_TIME)


class NasBench201Table(Benchmark):
    """Answer queries about the 15,625 architectures of NAS-Bench-201 from a compact `nb201.npz`.

    Codes are six op indices in the order of the space (edges source by source). Epochs are counts from 1: -1 and 200
    are the 200-epoch schedule, 12 is the benchmark's separate 12-epoch schedule (its training time is 12/200 of the
    long one's); there are no others. On CIFAR-10 the validation accuracy is of training on one half of the training
    images and validating on the other, the test accuracy of training on all of them.

    Args:
        path: The file; it is read column by column when needed.

    Attributes:
        has_official_rows: Whether its rows are in the order of the benchmark's indices; one that was made of NASLib's
            files has an order of its own.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "nasbench201"
    datasets = tuple(_PREFIX)
    aliases = CIFAR_ALIASES
    file_name = "nb201.npz"

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, "NAS-Bench-201 table") as file:
            self._names = frozenset(file.files)
            # NASLib's table is in the order of its own file, which has curves
            self.has_official_rows = not any(name.endswith("_eval_acc_curve") for name in file.files)
            self._index_of_key = _official_indices(file["ops"], file["op_names"], file["edges"])
        self._index = {code: int(self._index_of_key[_key(code)]) for code in np.ndindex((len(_CODE_OPS),) * 6)}
        self._code = {index: code for code, index in self._index.items()}
        self._raw: dict[str, np.ndarray] = {}
        self._by_key: dict[str, np.ndarray] = {}
        self._by_code: dict[tuple[Any, Any, Any], dict[Code, float]] = {}

    # architectures

    def index_of(self, code: Sequence[int]) -> int:
        """Return the row of an architecture: its official index, where `has_official_rows`.

        Raises:
            ArchitectureError: If `code` is not six ints in 0..4.
        """
        index = self._index.get(tuple(code))
        if index is None:
            raise ArchitectureError(f"a NAS-Bench-201 architecture is six ints in 0..4, not {code!r}")
        return index

    def code_of(self, index: int) -> Code:
        """Return the architecture of a row.

        Raises:
            ArchitectureError: If there is no such index.
        """
        if index not in self._code:
            raise ArchitectureError(f"an index of NAS-Bench-201 is in 0..{_N_CODES - 1}, not {index!r}")
        return self._code[index]

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

        `RAW` is everything in the table about the architecture; `ALL` is every scalar metric on `dataset` at `epoch`,
        None where the table lacks it; `HP` is flops, params, latency and train_time, NASLib's "cost info". With a seed
        the answer is that of one training (`seeds`), without one the mean.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If `code` is none.
        """
        column = self._by_code.get((metric, dataset, epoch))
        if column is not None and not full_lc and seed is None:
            try:
                return column[code]
            except (KeyError, TypeError):
                return column[self._code[self.index_of(code)]]
        metric = as_metric(metric)
        if seed is not None and not full_lc:
            return self._of_seed(code, metric, dataset, epoch, seed)
        if full_lc:
            raise BenchmarkError(
                f"{self.path.name} has no learning curves (full_lc); only the ends of 12 and 200 epochs"
            )
        if metric in GROUPS:
            return self._query_group(self._code[self.index_of(code)], metric, dataset, epoch)
        values = self._column(metric, dataset, epoch).tolist()
        column = {known: values[_key(known)] for known in self._index}
        self._by_code[metric, dataset, epoch] = column
        return column[self._code[self.index_of(code)]]

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one scalar figure of many architectures, `(n, 6)` ints to `(n,)`.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If a code is none.
        """
        metric = as_metric(metric)
        check_number(metric)
        column = self._column(metric, dataset, epoch)
        if not len(codes):
            return np.zeros(0)
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[1] != len(_POWERS) or codes.dtype.kind not in "iu":
            raise ArchitectureError(f"codes must be (n, 6) integers, not {codes.shape} {codes.dtype}")
        if codes.size and (codes.min() < 0 or codes.max() >= len(_CODE_OPS)):
            raise ArchitectureError("a code has an op outside 0..4")
        keys = codes[:, 0].astype(np.intp)
        for edge in range(1, codes.shape[1]):
            keys *= len(_CODE_OPS)
            keys += codes[:, edge]
        return column[keys]

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = as_metric(metric)
            if metric in GROUPS:
                return bool(self._place(_any_of(dataset) if metric is Metric.RAW else dataset, epoch))
            self._column_name(metric, dataset, epoch)
        except BenchmarkError:
            return False
        return True

    def seeds(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> tuple[int, ...]:
        """Return the seeds of the trainings that are known one by one: 777, 888, and 999 for half of the cells."""
        name, length = self._place(dataset, epoch)
        column = _COLUMNS.get(as_metric(metric), ("", 1.0))[0].format(length)
        return _SEEDS if f"{_PREFIX[name]}_{column}_seeds" in self._names else ()

    def query_seed(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, *, seed: int
    ) -> float:
        """Return one figure of one training.

        Raises:
            BenchmarkError: If the table has no training of that seed; the message lists the seeds of the architecture.
            ArchitectureError: If `code` is none.
        """
        return float(self.query(code, metric, dataset, epoch, seed=seed))

    def _of_seed(self, code: Code, metric: Metric, dataset: str | None, epoch: int, seed: int) -> float:
        """Return one figure of one training.

        Raises:
            BenchmarkError: If the table has no training of that seed; the message lists the seeds of the architecture.
        """
        known, row = self.seeds(metric, dataset, epoch), self.index_of(code)
        name, length = self._place(dataset, epoch)
        values: dict[int, float] = {}
        if known:
            stored = self._stored(f"{_PREFIX[name]}_{_COLUMNS[metric][0].format(length)}_seeds")[row]
            values = {one: float(value) for one, value in zip(known, stored, strict=True) if value == value}
        if seed not in values:
            there = ", ".join(map(str, values)) or "none: only means are known"
            raise BenchmarkError(f"there is no {metric.name} of the seed {seed} on {name} (seeds: {there})")
        return values[seed]

    # columns

    def _place(self, dataset: str | None, epoch: int) -> tuple[str, int]:
        """Return the canonical data set and number of epochs."""
        name = self.dataset_of(dataset)
        length = _EPOCHS[0] if epoch == -1 else epoch
        if length not in _EPOCHS:
            raise BenchmarkError(
                f"NAS-Bench-201 has no results after {epoch} epochs; epochs are counts from 1: use 200 (or -1, the "
                "longest schedule) or 12 (the separate 12-epoch schedule)"
            )
        return name, length

    def _column_name(self, metric: Metric, dataset: str | None, epoch: int) -> str:
        name, length = self._place(dataset, epoch)
        pattern = _COLUMNS.get(metric, ("", 1.0))[0]
        column = f"{_PREFIX[name]}_{pattern.format(length)}"
        if column not in self._names:
            there = [
                known.name
                for known, (form, _) in _COLUMNS.items()
                if f"{_PREFIX[name]}_{form.format(length)}" in self._names
            ]
            raise BenchmarkError(
                f"the NAS-Bench-201 table has no {metric.name} on {name} after {length} epochs "
                f"(it has: {', '.join(there)})"
            )
        return column

    def _column(self, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        """Return a metric of all architectures in its unit, `(15625,)`, indexed by the code as a base-5 number."""
        name = self._column_name(metric, dataset, epoch)
        if name not in self._by_key:
            values = self._stored(name).astype(np.float64) / _COLUMNS[metric][1]
            if not np.isfinite(values).all():
                raise BenchmarkError(f"column {name} of {self.path} has missing values")
            self._by_key[name] = values[self._index_of_key]
        values = self._by_key[name]
        return values * (12 / 200) if metric is Metric.TRAIN_TIME and epoch == 12 else values

    def _stored(self, name: str) -> np.ndarray:
        if name not in self._raw:
            with opened(self.path, "NAS-Bench-201 table") as file:
                self._raw[name] = file[name]
        return self._raw[name]

    def _query_group(self, code: Code, metric: Metric, dataset: str | None, epoch: int) -> dict[str, Any]:
        self._place(_any_of(dataset) if metric is Metric.RAW else dataset, epoch)
        if metric is Metric.RAW:
            return self._raw_record(self._index[code])
        if metric is Metric.HP:
            names = {Metric.FLOPS: "flops", Metric.PARAMETERS: "params"}
            return {names.get(key, key.name.lower()): self.query(code, key, dataset, epoch) for key in _HYPER}
        return {
            key.name.lower(): self.query(code, key, dataset, epoch) if self.has(key, dataset, epoch) else None
            for key in Metric
            if key not in GROUPS and key is not Metric.EPOCH
        }

    def _raw_record(self, index: int) -> dict[str, Any]:
        """Return what the file holds of one architecture, by data set, in the file's own units; NaN is None."""
        record: dict[str, Any] = {"index": index}
        for dataset, prefix in _PREFIX.items():
            columns = sorted(name for name in self._names if name.startswith(prefix + "_"))
            record[dataset] = {name[len(prefix) + 1 :]: _plain(self._stored(name)[index]) for name in columns}
        return record


def codes_of_rows(ops: np.ndarray, op_names: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the codes of architectures that are written as in a compact file, `(n, 6)` int8.

    Args:
        ops: `(n, 6)`, the operation of every edge as its place in `op_names`.
        op_names: `(5,)` names of the operations.
        edges: `(6, 2)` source and target of every edge.
    """
    code_op = np.array([_CODE_OPS.index(str(name)) for name in op_names], dtype=np.int8)
    columns = [[(int(u), int(v)) for u, v in edges].index(edge) for edge in _CODE_EDGES]
    return code_op[ops[:, columns]]


def _any_of(dataset: str | None) -> str:
    """Return the data set, or one of those that there are: what is known of all needs none."""
    return dataset if dataset is not None else next(iter(_PREFIX))


def _key(code: Sequence[int]) -> int:
    return sum(op * power for op, power in zip(code, _POWERS, strict=True))


def _plain(value: Any) -> Any:
    """Return a numpy value as Python numbers, missing ones as None."""
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    number = value.item()
    return None if number != number else number


def _official_indices(ops: np.ndarray, op_names: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the row of every code, indexed by the code as a base-5 number."""
    keys = codes_of_rows(ops, op_names, edges).astype(np.int64) @ np.array(_POWERS)
    if ops.shape != (_N_CODES, len(_CODE_EDGES)) or len(np.unique(keys)) != _N_CODES:
        raise ValueError(f"expected each of the {_N_CODES} architectures once")
    rows = np.empty(_N_CODES, dtype=np.intp)
    rows[keys] = np.arange(_N_CODES)
    return rows
