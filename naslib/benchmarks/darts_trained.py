"""Cells of the DARTS space that others trained: learning curves, latencies, proxies.

A code is that of the space `nasbench301`: normal cell, then reduction cell, per node two pairs (predecessor,
operation), the smaller predecessor first. Cells with the operation `none` have it as 7, and cells that take one node
twice stand here as they are: neither is an architecture of that space. Of one that was
trained more than once the mean counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .figure import Figure
from .figure_table import FigureTable, Sheet
from .nasbench201_figures import naslib_proxies

_OPS = (
    *("max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"),
    "none",
)
_NO_CURVES: dict[str, NDArray[np.floating]] = {}
_CURVE_SCALE = 0.01  # the file has hundredths of a percent


class _DartsCells(FigureTable):
    name = "nasbench301"
    datasets = ("cifar10",)
    aliases = {"cifar-10": "cifar10"}
    file_name = "darts_trained.npz"


class DartsCurvesTable(_DartsCells):
    """Answer with 214 trainings of 600 epochs, with their validation curves ([Yang2020nas]), from `darts_trained.npz`.

    `VAL_ACCURACY` (%) at -1 is the largest of the curve, as published; epochs 1 to 600 and `full_lc` are the curve.

    Args:
        path: The file.
    """

    kind = "curves"
    is_one_training = True
    title = "the 600-epoch trainings of DARTS cells"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        curves = file["yang_curves_600"] * _CURVE_SCALE
        codes = darts_codes(file["yang_arch"], file["op_names"])
        sheet = Sheet.averaged(codes, file["yang_acc_600"][:, None], {"VAL_ACCURACY": curves})
        return (Figure("VAL_ACCURACY", maximize=True, unit="%"),), {"cifar10": sheet}


class SwapDartsTable(_DartsCells):
    """Answer with the validation accuracy (%) of 1,000 cells after 200 epochs of a small set-up ([Peng2024swap]).

    The normal cell is the reduction cell. Read from `darts_trained.npz`.

    Args:
        path: The file.
    """

    kind = "swap"
    title = "SWAP's trainings of DARTS cells"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        codes = darts_codes(file["swap_arch"], file["op_names"])
        sheet = Sheet.averaged(codes, file["swap_valid_200"][:, None], _NO_CURVES)
        return (Figure("VAL_ACCURACY", maximize=True, unit="%"),), {"cifar10": sheet}


class OnceDartsTable(_DartsCells):
    """Answer with 545 cells trained for 10 and for 50 epochs, and their latency on four devices.

    `VAL_ACCURACY`, `TRAIN_ACCURACY` and `TEST_ACCURACY` (%) after 50 epochs, `valid_10` and `train_10` after 10,
    `TRAIN_TIME` (s), `FLOPS` and `PARAMETERS` (M), `gpu_latency, rasp_latency, fpga_latency, mcu_latency` (ms). Read
    from `darts_trained.npz`.

    Args:
        path: The file.
    """

    kind = "latency"
    title = "OnceNAS-Bench's DARTS cells"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        accuracy = {
            "VAL_ACCURACY": "valid_acc50", "TRAIN_ACCURACY": "train_acc50", "TEST_ACCURACY": "test_acc50",
            "valid_10": "valid_acc10", "train_10": "train_acc10",
        }  # fmt: skip
        other = {"TRAIN_TIME": ("train_time50_s", "s"), "FLOPS": ("flop", "M"), "PARAMETERS": ("params", "M")}
        other |= {f"{device}_latency": (f"{device}_latency", "ms") for device in ("gpu", "rasp", "fpga", "mcu")}
        figures = (
            *(Figure(name, maximize=True, unit="%") for name in accuracy),
            *(Figure(name, unit=unit) for name, (_, unit) in other.items()),
        )
        columns = [*accuracy.values(), *(column for column, _ in other.values())]
        values = np.stack([file[f"once_{column}"] for column in columns], 1)
        return figures, {
            "cifar10": Sheet.averaged(darts_codes(file["once_arch"], file["op_names"]), values, _NO_CURVES)
        }


class NASLibProxyTable301(_DartsCells):
    """Answer with up to 12 proxies of 725 cells, and the accuracy (%) that NAS-Bench-301's surrogate has for them.

    As for NAS-Bench-201's `proxies_naslib`; from `zc_naslib.npz` ([Krishnakumar2022suitezero]).

    Args:
        path: The file.
    """

    kind = "proxies"
    title = "NASLib's proxies of DARTS cells"
    file_name = "zc_naslib.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        names = np.array(_OPS[:-1])
        return naslib_proxies(
            file,
            {"cifar10": "nb301_c10"},
            lambda prefix: darts_codes(file[f"{prefix}_arch"][..., ::-1], names),
        )


def darts_codes(architectures: NDArray[np.integer], op_names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the codes of pairs of cells.

    Args:
        architectures: `(n, 2, 8, 2)`: per cell the eight edges, two per node, as (operation, predecessor).
        op_names: What the operations are called.

    Returns:
        `(n, 32)`: the two edges of a node in ascending order of predecessor, then operation.

    Raises:
        ValueError: If they are none.
    """
    if architectures.ndim != 4 or architectures.shape[1:] != (2, 8, 2):
        raise ValueError(f"architectures are (n, 2, 8, 2), not {architectures.shape}")
    number = np.array([_OPS.index(str(name)) for name in op_names])
    ops, sources = number[architectures[..., 0]], architectures[..., 1].astype(np.int64)
    if (sources.reshape(-1, 4, 2) > np.arange(1, 5)[None, :, None]).any():
        raise ValueError("a node takes a later one")
    pairs = np.stack([sources, ops], -1).reshape(-1, 2, 2)
    order = np.argsort(pairs[..., 0] * len(_OPS) + pairs[..., 1], axis=1, kind="stable")
    return np.take_along_axis(pairs, order[..., None], 1).reshape(len(architectures), 32)
