"""TransBench101MicroTable: cells of TransNAS-Bench-101, trained to classify scenes."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.search_spaces.core.query_metrics import Metric

from .figure import Figure
from .figure_table import FigureTable, Sheet
from .nasbench201_figures import naslib_proxies
from .rows import RowTable

_N_OPS, _N_EDGES = 4, 6
# Of the proxies in the file, which are figures of the network: metric -> name
_FIGURES = {Metric.PARAMETERS: "params", Metric.FLOPS: "flops"}


class TransBench101MicroTable(RowTable):
    """Answer queries about the 2,128 micro cells without dead branches, on class_scene, from `tnb101_micro_scene.npz`.

    Codes are the digits of the benchmark's strings. Accuracies are of the validation images after the benchmark's
    schedule, which is epoch -1. PARAMETERS and FLOPS are in millions.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "transbench101_micro"
    title = "TransNAS-Bench-101 without dead branches"
    datasets = ("class_scene",)
    file_name = "tnb101_micro_scene.npz"

    def _read(self, file: Any) -> tuple[np.ndarray, dict[Metric, np.ndarray]]:
        codes, proxies = file["arch"], [str(name) for name in file["proxies"]]
        if codes.ndim != 2 or codes.shape[1] != _N_EDGES or codes.min() < 0 or codes.max() >= _N_OPS:
            raise ValueError(f"codes are {_N_EDGES} ints in 0..{_N_OPS - 1}")
        columns = {metric: file["scores"][:, proxies.index(name)] for metric, name in _FIGURES.items()}
        return codes, {Metric.VAL_ACCURACY: file["valid_acc"], **columns}


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
