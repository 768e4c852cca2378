"""NasBench301TrainedTable: cells of the DARTS space that were trained for NAS-Bench-301 ([Zela2022nb301])."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.search_spaces.core.query_metrics import Metric

from .base import CIFAR_ALIASES
from .schedule_table import Column, Columns, ScheduleTable

_GENES = 32


class NasBench301TrainedTable(ScheduleTable):
    """Answer queries about cells of the DARTS space that NAS-Bench-301 trained, from `nb301_trained.npz`.

    On CIFAR-10, after every epoch (-1: the last): VAL_ACCURACY and TRAIN_LOSS with their curves, and TRAIN_TIME of the
    whole training. These were measured; what `nasbench301` says of other cells is predicted.

    Args:
        path: The file, as `naslib data convert naslib-nb301` writes it.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "nasbench301"
    kind = "trained"
    title = "the trained cells of NAS-Bench-301"
    datasets = ("cifar10",)
    file_name = "nb301_trained.npz"
    aliases = CIFAR_ALIASES

    def _read(self, file: Any) -> tuple[np.ndarray, Columns]:
        codes = file["arch"]
        if codes.ndim != 2 or codes.shape[1] != _GENES:
            raise ValueError(f"codes are {_GENES} ints")
        # of a cell that was trained more than once, the first counts
        _, rows = np.unique(codes, axis=0, return_index=True)
        rows = np.sort(rows)
        columns: Columns = {}
        for metric, name in ((Metric.VAL_ACCURACY, "valid_acc"), (Metric.TRAIN_LOSS, "train_loss")):
            if name in file.files:
                values = file[name][rows]
                columns["cifar10", metric] = Column(values, tuple(range(1, values.shape[1] + 1)), is_curve=True)
        if "runtime" in file.files:
            columns["cifar10", Metric.TRAIN_TIME] = Column(
                file["runtime"][rows][:, None], (file["valid_acc"].shape[1],)
            )
        return codes[rows].astype(np.int64), columns
