"""AccelNASBenchTable: networks of MnasNet's kind, trained on ImageNet and measured on accelerators."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.search_spaces.core.query_metrics import Metric

from .figure import Figure
from .figure_table import FigureTable, Sheet
from .rows import RowTable

_FIELDS = ("e", "k", "l", "se")
_EXPANSIONS, _KERNELS = (1, 4, 6), (3, 5)
_FPGAS = ("vck190", "zcu102")
_ACCELERATORS = ("3090", "a100", "tpuv2", "tpuv3", *_FPGAS)


class AccelNASBenchTable(RowTable):
    """Answer queries about the 5,125 distinct networks of Accel-NASBench ([Ahmad2024accelnasbench]) in `accel_nb.npz`.

    A code has, for each of seven stages, the number of its block string in the space `mnasnet` with
    `blocks: accel_nasbench`: expansion 1 first (number of blocks, kernel, squeeze-and-excitation, the last changing
    fastest), then expansions 4 and 6 (number of blocks, kernel, expansion, squeeze-and-excitation).

    On ImageNet, after the benchmark's short schedule (-1): VAL_ACCURACY (top-1, one run; the mean of the 13 networks
    that were trained twice), TRAIN_TIME in seconds, PARAMETERS and FLOPS. LATENCY is that on a ZCU102.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "accel_nasbench"
    title = "Accel-NASBench"
    datasets = ("imagenet",)
    aliases = {"imagenet-1k": "imagenet", "imagenet1k": "imagenet"}
    file_name = "accel_nb.npz"

    def _read(self, file: Any) -> tuple[np.ndarray, dict[Metric, np.ndarray]]:
        if tuple(str(name) for name in file["arch_fields"]) != _FIELDS:
            raise ValueError(f"expected architectures as {', '.join(_FIELDS)}")
        columns = {Metric.VAL_ACCURACY: file["val_top1"], Metric.TRAIN_TIME: file["train_time_s"]}
        columns |= {Metric.PARAMETERS: file["params_m"], Metric.FLOPS: file["macs_m"]}
        columns |= {Metric.LATENCY: file["latency_zcu102"]}
        return codes_of(file["arch"]), columns


class AccelLatencyTable(FigureTable):
    """Answer with what the networks of Accel-NASBench were measured to take on accelerators ([Ahmad2024accelnasbench]).

    Figures: `vck190_latency` and `zcu102_latency` (ms), and `3090_throughput`, `a100_throughput`, `tpuv2_throughput`,
    `tpuv3_throughput`, `vck190_throughput`, `zcu102_throughput` (images/s, larger is better). Of networks that were
    measured twice the mean counts; what failed on a device has no figure there. Read from `accel_nb.npz`.

    Args:
        path: The file.
    """

    name = "accel_nasbench"
    kind = "latency"
    title = "the measurements of Accel-NASBench"
    datasets = ("imagenet",)
    aliases = {"imagenet-1k": "imagenet", "imagenet1k": "imagenet"}
    file_name = "accel_nb.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        if tuple(str(name) for name in file["arch_fields"]) != _FIELDS:
            raise ValueError(f"expected architectures as {', '.join(_FIELDS)}")
        figures = [Figure(f"{name}_latency", unit="ms") for name in _FPGAS]
        figures += [Figure(f"{name}_throughput", maximize=True, unit="images/s") for name in _ACCELERATORS]
        columns = [file[f"latency_{name}"] for name in _FPGAS] + [file[f"throughput_{name}"] for name in _ACCELERATORS]
        values = np.stack([np.asarray(column, dtype=np.float64) for column in columns], 1)
        return tuple(figures), {"imagenet": Sheet.averaged(codes_of(file["arch"]), values, {})}


def codes_of(architectures: np.ndarray) -> np.ndarray:
    """Return the codes of architectures.

    Args:
        architectures: `(n, 7, 4)` ints: expansion 1, 4 or 6, kernel 3 or 5, number of blocks, 1 for
            squeeze-and-excitation.

    Returns:
        `(n, 7)` ints.

    Raises:
        ValueError: If one is none.
    """
    expansion, kernel, blocks, squeeze = np.moveaxis(architectures.astype(np.int64), -1, 0)
    known = np.isin(expansion, _EXPANSIONS) & np.isin(kernel, _KERNELS) & np.isin(squeeze, (0, 1)) & (blocks >= 1)
    if architectures.ndim != 3 or not known.all():
        raise ValueError("an architecture has an expansion, a kernel or a number of blocks that there is not")
    most = np.full(architectures.shape[1], 3)
    most[5] = 4  # the sixth stage may have four blocks
    if (blocks > most).any():
        raise ValueError("a stage has more blocks than there may be")
    by_kernel = 2 * (blocks - 1) + (kernel == 5)
    narrow = 2 * by_kernel + squeeze
    wide = 4 * most + 4 * by_kernel + 2 * (expansion == 6) + squeeze
    return np.where(expansion == 1, narrow, wide)
