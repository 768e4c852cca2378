"""TransNAS-Bench-101 ([Duan2021transnas]): its cells and networks on seven tasks, and their proxies."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.search_spaces.core.query_metrics import Metric

from .figure import Figure
from .figure_table import FigureTable, Sheet
from .nasbench201_figures import naslib_proxies
from .schedule_table import Column, Columns, ScheduleTable

_N_OPS, _N_EDGES, _N_MODULES = 4, 6, 5
# Epochs of training on class_scene in the benchmark
_SCENE_EPOCHS = 25
# Of the proxies in the file, which are figures of the network: metric -> name
_FIGURES = {Metric.PARAMETERS: "params", Metric.FLOPS: "flops"}


_TASKS = ("class_scene", "class_object", "room_layout", "jigsaw", "segmentsemantic", "normal", "autoencoder")
# In the columns of a task: metric -> name behind the task, and the factor to its unit
_CURVES = {
    Metric.TRAIN_ACCURACY: "train_score",
    Metric.VAL_ACCURACY: "valid_score",
    Metric.TEST_ACCURACY: "test_score",
    Metric.TRAIN_LOSS: "train_loss",
    Metric.VAL_LOSS: "valid_loss",
    Metric.TEST_LOSS: "test_loss",
}
_CONSTANT = {Metric.PARAMETERS: ("params", 1e-6), Metric.FLOPS: ("flops", 1e-6), Metric.LATENCY: ("latency_ms", 1.0)}


def _task_columns(file: Any) -> Columns:
    """Return what the file of one space, as `naslib data convert` writes it, has of all its tasks."""
    names = set(file.files)
    columns: Columns = {}
    for task in (str(name) for name in file["tasks"]):
        for metric, kind in _CURVES.items():
            if f"{task}_{kind}" in names:
                values = file[f"{task}_{kind}"]
                columns[task, metric] = Column(values, tuple(range(1, values.shape[1] + 1)), is_curve=True)
        epochs = max((len(column.lengths) for (of, _), column in columns.items() if of == task), default=1)
        if f"{task}_time" in names:
            columns[task, Metric.TRAIN_TIME] = Column(file[f"{task}_time"][:, None], (epochs,))
        for metric, (kind, factor) in _CONSTANT.items():
            if f"{task}_{kind}" in names:
                columns[task, metric] = Column(file[f"{task}_{kind}"][:, None] * factor)
    return columns


def _checked(codes: np.ndarray, n_digits: int) -> np.ndarray:
    if codes.ndim != 2 or codes.shape[1] != _N_EDGES or codes.min() < 0 or codes.max() >= n_digits:
        raise ValueError(f"codes are {_N_EDGES} ints in 0..{n_digits - 1}")
    return codes


class TransBench101MicroTable(ScheduleTable):
    """Answer queries about micro cells of TransNAS-Bench-101.

    Codes are the digits of the benchmark's strings. Of `tnb101_micro.npz`, which `naslib data convert` makes of the
    official file: all 4,096 cells on seven tasks, every epoch of training. The accuracies of a task are its score:
    top-1 or pixel accuracy in percent, of room_layout the negative loss, of normal and autoencoder the structural
    similarity. Of `tnb101_micro_scene.npz`: the validation accuracy of the 2,128 cells without dead branches on
    class_scene, after the benchmark's schedule (-1). PARAMETERS and FLOPS are in millions.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "transbench101_micro"
    title = "TransNAS-Bench-101 (micro)"
    datasets = _TASKS
    file_name = "tnb101_micro_scene.npz"
    file_names = ("tnb101_micro.npz", "tnb101_micro_scene.npz")
    size = _N_OPS**_N_EDGES

    def _read(self, file: Any) -> tuple[np.ndarray, Columns]:
        codes = _checked(file["arch"], _N_OPS)
        if "tasks" in file.files:
            return codes, _task_columns(file)
        proxies = [str(name) for name in file["proxies"]]
        figures = {Metric.VAL_ACCURACY: file["valid_acc"]}
        figures |= {metric: file["scores"][:, proxies.index(name)] for metric, name in _FIGURES.items()}
        ends = {Metric.VAL_ACCURACY: (_SCENE_EPOCHS,)}
        return codes, {(_TASKS[0], one): Column(values[:, None], ends.get(one, ())) for one, values in figures.items()}


class TransBench101MacroTable(ScheduleTable):
    """Answer queries about the 3,256 macro networks of TransNAS-Bench-101 from `tnb101_macro.npz`.

    Codes are six digits, 1 to 4 for each module and 0 for none; metrics are those of `TransBench101MicroTable`.

    Args:
        path: The file, as `naslib data convert transnas-macro` writes it.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "transbench101_macro"
    title = "TransNAS-Bench-101 (macro)"
    datasets = _TASKS
    file_name = "tnb101_macro.npz"
    size = 3256

    def _read(self, file: Any) -> tuple[np.ndarray, Columns]:
        return _checked(file["arch"], _N_MODULES), _task_columns(file)


class TransBench101ProxyTable(FigureTable):
    """Answer with 13 zero-cost proxies of the 2,128 micro cells without dead branches, on class_scene.

    Read from `tnb101_micro_scene.npz` ([Krishnakumar2022suitezero]).

    Args:
        path: The file.
    """

    name = "transbench101_micro"
    kind = "proxies"
    title = "the proxies of TransNAS-Bench-101"
    datasets = ("class_scene",)
    file_name = "tnb101_micro_scene.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        figures = tuple(Figure(str(name), maximize=True) for name in file["proxies"])
        return figures, {"class_scene": Sheet(file["arch"], file["scores"], {})}


class _NASLibProxies(FigureTable):
    kind = "proxies_naslib"
    title = "NASLib's proxies of TransNAS-Bench-101"
    file_name = "zc_naslib.npz"
    datasets = (
        *("class_scene", "class_object", "autoencoder", "normal", "jigsaw", "room_layout"),
        "segmentsemantic",
    )
    _prefix = ""

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        prefixes = {task: f"{self._prefix}_{task}" for task in self.datasets}
        return naslib_proxies(file, prefixes, lambda prefix: file[f"{prefix}_arch"])


class NASLibMicroProxyTable(_NASLibProxies):
    """Answer with up to 12 proxies of 711 micro cells on seven tasks, and the score of the task as `accuracy`.

    Of autoencoder and normal the score is the structural similarity, of room_layout minus the error. Read from
    `zc_naslib.npz` ([Krishnakumar2022suitezero]).

    Args:
        path: The file.
    """

    name = "transbench101_micro"
    _prefix = "tnb_micro"


class NASLibMacroProxyTable(_NASLibProxies):
    """Answer with up to 12 proxies of 662 to 725 macro networks on seven tasks; codes are six digits, 0 for no module.

    The score of the task is `accuracy`, as for micro cells. Read from `zc_naslib.npz` ([Krishnakumar2022suitezero]).

    Args:
        path: The file.
    """

    name = "transbench101_macro"
    _prefix = "tnb_macro"
