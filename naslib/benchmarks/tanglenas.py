"""The two complete tables of [Sukthanker2024tanglenas], from one compact file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.query_metrics import Metric

from .base import Benchmark, Code, as_metric, check_number
from .opened import opened

_EPOCHS = 200
_GROUPS = (Metric.RAW, Metric.ALL)
_OPS = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
_LAYERS, _KERNELS = 4, (3, 5, 7)


class TangleNASTable(Benchmark):
    """Base of the two: results of every architecture of a space, each trained once for 200 epochs.

    There is no validation accuracy: architectures were trained on all training images and tested.

    Args:
        path: The file, `tanglenas_toy.npz`.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    file_name = "tanglenas_toy.npz"
    # Of each decision, the number of its candidates
    widths: ClassVar[tuple[int, ...]] = ()
    # metric -> (column of the file, divisor to the metric's unit)
    columns: ClassVar[Mapping[Metric, tuple[str, float]]] = {}

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with opened(self.path, "TangleNAS table") as file:
            self.codes = self.read_codes(file)
            names = [name for name in file.files if name.startswith(self.prefix) and name != f"{self.prefix}ops"]
            self._raw = {name: file[name] for name in names}
            n_codes = int(np.prod(self.widths))
            if self.codes.shape != (n_codes, len(self.widths)) or any(len(v) != n_codes for v in self._raw.values()):
                raise ValueError(f"expected {n_codes} architectures")
            self._row_of_key = np.full(n_codes, -1, dtype=np.intp)
            self._row_of_key[self._keys(self.codes)] = np.arange(n_codes)
            if self._row_of_key.min() < 0:
                raise ValueError(f"expected each of the {n_codes} architectures once")
            missing = [column for column, _ in self.columns.values() if column not in self._raw]
            if missing:
                raise ValueError(f"the column {missing[0]} is missing")
        self._lists: dict[tuple[Metric, str | None, int], list[float]] = {}

    @property
    @abstractmethod
    def prefix(self) -> str:
        """What the names of the table's columns begin with."""

    @abstractmethod
    def read_codes(self, file: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the architectures by row, `(n, genes)`.

        Args:
            file: Arrays by name.
        """

    def row_for(self, metric: Metric, rows: np.ndarray) -> np.ndarray:
        """Return the rows in which a metric of architectures is: their own."""
        return rows

    def _keys(self, codes: np.ndarray) -> np.ndarray:
        return np.ravel_multi_index(tuple(codes.T), self.widths)

    # architectures

    def index_of(self, code: Sequence[int]) -> int:
        """Return the row of an architecture.

        Raises:
            ArchitectureError: If `code` is none.
        """
        return int(self._rows(np.asarray([self._checked(code)]))[0])

    def code_of(self, index: int) -> Code:
        """Return the architecture of a row.

        Raises:
            ArchitectureError: If there is no such row.
        """
        if not 0 <= index < len(self.codes):
            raise ArchitectureError(f"rows of {self.name} are in 0..{len(self.codes) - 1}, not {index!r}")
        return tuple(map(int, self.codes[index]))

    def _checked(self, code: Sequence[int]) -> list[int]:
        genes = list(code)
        if len(genes) != len(self.widths) or any(
            isinstance(gene, bool) or not isinstance(gene, int | np.integer) or not 0 <= gene < width
            for gene, width in zip(genes, self.widths, strict=False)
        ):
            raise ArchitectureError(
                f"an architecture of {self.name} is {len(self.widths)} ints, each from 0 to "
                f"{self.widths[0] - 1}, not {tuple(genes)!r}"
            )
        return [int(gene) for gene in genes]

    def _rows(self, codes: np.ndarray) -> np.ndarray:
        return self._row_of_key[self._keys(codes)]

    # queries

    def query(
        self, code: Code, metric: Metric, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        """Return one figure of one architecture; a dictionary for RAW (what the file has in its row) and ALL.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If `code` is none.
        """
        metric = as_metric(metric)
        if full_lc:
            raise BenchmarkError(f"the table of {self.name} has no learning curves (full_lc); only their ends")
        row = self.index_of(code)
        if metric in _GROUPS:
            self._check_group(metric, dataset, epoch)
        if metric is Metric.RAW:
            return {"index": row, **{name: column[row].tolist() for name, column in self._raw.items()}}
        if metric is Metric.ALL:
            return {known.name.lower(): self.query(code, known, dataset, epoch) for known in self.columns}
        key = metric, dataset, epoch
        if key not in self._lists:
            self._lists[key] = self._column(metric, dataset, epoch).tolist()
        return self._lists[key][row]

    def query_batch(self, codes: np.ndarray, metric: Metric, dataset: str | None = None, epoch: int = -1) -> np.ndarray:
        """Return one scalar figure of many architectures, `(n, genes)` ints to `(n,)` float64.

        Raises:
            BenchmarkError: If there is no answer; the message lists what there is.
            ArchitectureError: If a code is none.
        """
        check_number(metric := as_metric(metric))
        column = self._column(metric, dataset, epoch)
        if not len(codes):
            return np.zeros(0)
        codes = np.asarray(codes)
        if codes.ndim != 2 or codes.shape[1] != len(self.widths) or codes.dtype.kind not in "iu":
            raise ArchitectureError(f"codes must be (n, {len(self.widths)}) integers, not {codes.shape} {codes.dtype}")
        if codes.size and (codes.min() < 0 or bool((codes >= np.array(self.widths)).any())):
            raise ArchitectureError(f"a gene of {self.name} is from 0 to {self.widths[0] - 1}")
        return column[self._rows(codes)]

    def has(self, metric: Metric, dataset: str | None = None, epoch: int = -1) -> bool:
        """Say whether `query` has an answer for this metric, data set and epoch."""
        try:
            metric = as_metric(metric)
            self._check_group(metric, dataset, epoch) if metric in _GROUPS else self._check(metric, dataset, epoch)
        except BenchmarkError:
            return False
        return True

    def _check_group(self, metric: Metric, dataset: str | None, epoch: int) -> None:
        anywhere = self.datasets[0] if dataset is None and metric is Metric.RAW else dataset
        self._check(next(iter(self.columns)), anywhere, epoch)

    def _check(self, metric: Metric, dataset: str | None, epoch: int) -> None:
        self.dataset_of(dataset)
        if epoch not in (-1, _EPOCHS):
            raise BenchmarkError(f"{self.name} has results after {_EPOCHS} epochs (or -1) only, not after {epoch}")
        if metric not in self.columns:
            there = ", ".join(known.name for known in self.columns)
            raise BenchmarkError(f"the table of {self.name} has no {metric.name} (it has: {there})")

    def _column(self, metric: Metric, dataset: str | None, epoch: int) -> np.ndarray:
        """Return a metric by row, `(n,)`."""
        self._check(metric, dataset, epoch)
        name, divisor = self.columns[metric]
        return self._raw[name].astype(np.float64)[self.row_for(metric, np.arange(len(self.codes)))] / divisor


class TangleNASCellTable(TangleNASTable):
    """The 4,096 cells on Fashion-MNIST: accuracies, parameters, and the latency of one image on a GPU.

    Codes are six indices of operations, normal cell first. The file's column of parameters counts the operations of the
    normal cell in the places of the reduction cells, and the other way round; `PARAMETERS` answers with the number of
    the network itself, which is in the row of the architecture with the cells exchanged. `RAW` has the file's own.
    """

    name = "tanglenas_cell"
    datasets = ("fashion_mnist",)
    aliases: ClassVar[Mapping[str, str]] = {"fashion-mnist": "fashion_mnist", "fashionmnist": "fashion_mnist"}
    prefix = "cell_"
    widths = (len(_OPS),) * 6
    columns: ClassVar[Mapping[Metric, tuple[str, float]]] = {
        Metric.TEST_ACCURACY: ("cell_test_acc", 1.0),
        Metric.TRAIN_ACCURACY: ("cell_train_acc", 1.0),
        Metric.PARAMETERS: ("cell_num_params", 1e6),
        Metric.LATENCY: ("cell_latency_gpu_mean", 1e3),
    }

    def read_codes(self, file: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the architectures by row, `(4096, 6)`; see the parent."""
        index = [_OPS.index(str(name)) for name in file["cell_ops"]]
        return np.array(index)[file["cell_arch"].astype(np.intp)]

    def row_for(self, metric: Metric, rows: np.ndarray) -> np.ndarray:
        """Return the rows in which a metric of architectures is, `(n,)`: for parameters, with the cells exchanged."""
        if metric is not Metric.PARAMETERS:
            return rows
        codes = self.codes[rows]
        return self._rows(np.concatenate([codes[:, 3:], codes[:, :3]], axis=1))


class TangleNASMacroTable(TangleNASTable):
    """The 6,561 stacks of convolutions on CIFAR-10: accuracies. Of 14 the training diverged: they have 10 %.

    Codes are four indices of channels, then four of kernels (3, 5, 7).
    """

    name = "tanglenas_macro"
    datasets = ("cifar10",)
    aliases: ClassVar[Mapping[str, str]] = {"cifar-10": "cifar10"}
    prefix = "macro_"
    widths = (3,) * (2 * _LAYERS)
    columns: ClassVar[Mapping[Metric, tuple[str, float]]] = {
        Metric.TEST_ACCURACY: ("macro_test_acc", 1.0),
        Metric.TRAIN_ACCURACY: ("macro_train_acc", 1.0),
    }

    def read_codes(self, file: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the architectures by row, `(6561, 8)`; see the parent."""
        channels, kernels = file["macro_channels"].astype(np.intp), file["macro_kernels"].astype(np.intp)
        widths = 8 * 2 ** (np.arange(_LAYERS)[:, None] + np.arange(3))
        of_channels, of_kernels = channels[..., None] == widths, kernels[..., None] == np.array(_KERNELS)
        is_one = np.concatenate([of_channels, of_kernels], axis=1)
        if not is_one.any(axis=2).all():
            raise ValueError("channels or kernels are none of the space")
        return is_one.argmax(axis=2)
