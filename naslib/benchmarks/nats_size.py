"""NATSSizeTable: the size space of NATS-Bench ([Dong2021nats]) from one compact file."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.search_spaces.core.query_metrics import Metric

from .base import CIFAR_ALIASES
from .schedule_table import Column, Columns, ScheduleTable

_LAYERS, _STEP, _N_CHOICES = 5, 8, 8
_PREFIXES = {"cifar10": "c10", "cifar100": "c100", "ImageNet16-120": "in16"}
_LENGTHS = (1, 12, 90)
_ACCURACIES = {Metric.VAL_ACCURACY: "valid", Metric.TEST_ACCURACY: "test"}
_CONSTANT = {Metric.LATENCY: ("latency_ms", 1.0), Metric.PARAMETERS: ("params", 1e6), Metric.FLOPS: ("macs", 1e6)}


class NATSSizeTable(ScheduleTable):
    """Answer queries about the 32,768 networks of NATS-Bench's size space from a `nats_size.npz`.

    A code is five digits 0 to 7, which choose 8, 16 ... 64 channels; row i is the benchmark's index. After 1, 12 and 90
    (-1) epochs, which are trainings of their own: VAL_ACCURACY and TEST_ACCURACY, the mean of the seeds there are (one
    after 1 and 90 epochs, three after 12), and TRAIN_TIME. LATENCY, PARAMETERS and FLOPS do not depend on the epoch.
    On CIFAR-10 the validation accuracy is of training on one half of the training images, the test accuracy of all.

    Args:
        path: The file, as `naslib data convert nats-sss` writes it.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "nats_size"
    title = "NATS-Bench (size)"
    datasets = tuple(_PREFIXES)
    file_name = "nats_size.npz"
    size = _N_CHOICES**_LAYERS
    aliases = CIFAR_ALIASES

    def _read(self, file: Any) -> tuple[np.ndarray, Columns]:
        channels = file["channels"]
        if channels.shape != (_N_CHOICES**_LAYERS, _LAYERS) or channels.min() < _STEP or (channels % _STEP).any():
            raise ValueError(f"expected the channels of {_N_CHOICES**_LAYERS:,} networks")
        codes = channels.astype(np.int64) // _STEP - 1
        names = set(file.files)
        columns: Columns = {}
        for dataset, prefix in _PREFIXES.items():
            for metric, kind in _ACCURACIES.items():
                lengths = tuple(length for length in _LENGTHS if f"{prefix}_{kind}_{length}" in names)
                if lengths:
                    values = np.stack([file[f"{prefix}_{kind}_{length}"] for length in lengths], 1)
                    columns[dataset, metric] = Column(values, lengths)
            if f"{prefix}_train_time_90" in names:
                shares = np.array(_LENGTHS) / _LENGTHS[-1]
                times = file[f"{prefix}_train_time_90"].astype(np.float64)[:, None] * shares
                columns[dataset, Metric.TRAIN_TIME] = Column(times, _LENGTHS)
            for metric, (kind, divisor) in _CONSTANT.items():
                if f"{prefix}_{kind}" in names:
                    columns[dataset, metric] = Column(file[f"{prefix}_{kind}"].astype(np.float64)[:, None] / divisor)
        if not columns:
            raise ValueError("it has no column of any data set")
        return codes, columns
