"""Chains of mobile blocks: accuracies of once-for-all subnets, and latencies of two spaces."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslib.search_spaces.core.query_metrics import Metric

from .figure import Figure
from .figure_table import FigureTable, Sheet
from .rows import RowTable

_STAGES, _BLOCKS = 5, 4
_KERNELS, _EXPANSIONS, _DEPTHS = (3, 5, 7), (3, 4, 6), (2, 3, 4)
_RESOLUTIONS = tuple(range(128, 225, 4))
_NO_CURVES: dict[str, NDArray[np.floating]] = {}


class OFAMobileNetV3Table(RowTable):
    """Answer with the ImageNet top-1 (%), FLOPS and PARAMETERS (M) of 2,223 subnets ([Cai2020ofa]).

    Codes are those of the space `ofa_mobilenetv3` at a resolution of 224. Subnets that were evaluated more than once
    have the mean. Measured for DyNAS-T ([Cummings2022dynas]); `VAL_ACCURACY` is on ImageNet's validation images. Read
    from `ofa_mbv3_top1.npz`.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "ofa_mobilenetv3"
    title = "subnets of once-for-all MobileNetV3"
    datasets = ("imagenet",)
    aliases = {"imagenet-1k": "imagenet", "imagenet1k": "imagenet"}
    file_name = "ofa_mbv3_top1.npz"

    def _read(self, file: Any) -> tuple[np.ndarray, dict[Metric, np.ndarray]]:
        codes = ofa_codes(file["d"], file["e"], file["ks"])
        columns = {Metric.VAL_ACCURACY: file["top1"], Metric.FLOPS: file["macs"] / 1e6}
        return codes, columns | {Metric.PARAMETERS: file["params"] / 1e6}


class OFALatencyTable(FigureTable):
    """Answer with latencies (ms) of 5,000 subnets on 12 devices and batch sizes, measured for HELP ([Lee2021help]).

    Codes are those of the space `ofa_mobilenetv3` with `resolutions: [128, 132, ..., 224]`. Read from
    `ofa_latency.npz`.

    Args:
        path: The file.
    """

    name = "ofa_mobilenetv3"
    kind = "latency"
    title = "the latencies of once-for-all MobileNetV3"
    datasets = ("imagenet",)
    file_name = "ofa_latency.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        codes = ofa_codes(file["d"], file["e"], file["ks"])
        sides = np.searchsorted(_RESOLUTIONS, file["r"])
        if not np.isin(file["r"], _RESOLUTIONS).all():
            raise ValueError(f"a resolution is none of {_RESOLUTIONS[0]} to {_RESOLUTIONS[-1]} in steps of 4")
        return _latencies(file, np.concatenate([sides[:, None], codes], 1), "imagenet")


class FBNetLatencyTable(FigureTable):
    """Answer with latencies (ms) of 5,000 networks on 27 devices and batch sizes, measured for HELP ([Lee2021help]).

    Codes are those of the space `fbnet` ([Wu2019fbnet]); the networks are made for CIFAR-100. Read from
    `fbnet_latency.npz`.

    Args:
        path: The file.
    """

    name = "fbnet"
    kind = "latency"
    title = "the latencies of FBNet"
    datasets = ("cifar100",)
    file_name = "fbnet_latency.npz"

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        return _latencies(file, file["op_idx"].astype(np.int64), "cifar100")


def _latencies(file: Any, codes: NDArray[np.integer], dataset: str) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
    figures = tuple(Figure(str(device), unit="ms") for device in file["devices"])
    values = file["latency_ms"].T
    if values.shape != (len(codes), len(figures)):
        raise ValueError(f"expected {len(figures)} latencies of {len(codes)} networks")
    return figures, {dataset: Sheet.averaged(codes, values, _NO_CURVES)}


def ofa_codes(depths: NDArray[Any], expansions: NDArray[Any], kernels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the codes of subnets: per stage its depth, then of each block expansion and kernel, as indices.

    Args:
        depths: `(n, 5)`, 2 to 4.
        expansions: `(n, 20)`, 3, 4 or 6.
        kernels: `(n, 20)`, 3, 5 or 7.

    Returns:
        `(n, 45)`, -1 for what is said of blocks that a stage does not have.

    Raises:
        ValueError: If a number is none of these.
    """
    known = (np.isin(depths, _DEPTHS), np.isin(expansions, _EXPANSIONS), np.isin(kernels, _KERNELS))
    if not all(part.all() for part in known):
        raise ValueError("a depth, an expansion or a kernel is none of the space")
    n = len(depths)
    there = np.arange(_BLOCKS)[None, None, :] < depths[:, :, None]
    pairs = np.stack([np.searchsorted(_EXPANSIONS, expansions), np.searchsorted(_KERNELS, kernels)], -1)
    blocks = np.where(there[..., None], pairs.reshape(n, _STAGES, _BLOCKS, 2), -1).reshape(n, _STAGES, 2 * _BLOCKS)
    length = np.searchsorted(_DEPTHS, depths)[:, :, None]
    return np.concatenate([length, blocks], 2).reshape(n, _STAGES * (1 + 2 * _BLOCKS))
