"""SpikeNASTable: spiking networks on a cell of six edges, with learning curves of 100 epochs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .figure import Figure
from .figure_table import FigureTable, Sheet

_N, _EDGES, _OPS, _EPOCHS = 15_625, 6, 5, 100
_STEP = 0.004  # of accuracies on 25,000 images, in %


class SpikeNASTable(FigureTable):
    """Answer with the trainings of the 15,625 cells of SpikeNAS-Bench on CIFAR-10 ([Sun2024spikenas]).

    A code is the operation of the edges 0>1, 0>2, 1>2, 0>3, 1>3, 2>3 in the order of the file: 0 none, 1 skip, 2 to 4 a
    3x3 convolution behind leaky neurons of threshold 0.5, 1.0 and 1.5. It is a graph of NAS-Bench-201 with other
    operations, and no space of ours.

    `VAL_ACCURACY` (%) has the curve of all 100 epochs (epochs 1 to 100; `full_lc`). `TEST_ACCURACY` and
    `TRAIN_ACCURACY` are of the end; `TRAIN_TIME` (s) is that of an epoch's share of the training where one is named;
    `PARAMETERS` in millions. Read from `spikenas.npz`.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "spikenas"
    kind = "accuracy"
    is_complete = True
    title = "SpikeNAS-Bench"
    datasets = ("cifar10",)
    aliases = {"cifar-10": "cifar10"}
    file_name = "spikenas.npz"
    is_one_training = True

    def _read(self, file: Any) -> tuple[tuple[Figure, ...], dict[str, Sheet]]:
        codes, curves = file["ops"], file["valid_acc"].astype(np.float32) * np.float32(_STEP)
        if codes.shape != (_N, _EDGES) or curves.shape != (_N, _EPOCHS) or codes.min() < 0 or codes.max() >= _OPS:
            raise ValueError(f"expected {_N} cells of {_EDGES} operations with {_EPOCHS} epochs each")
        figures = (
            Figure("VAL_ACCURACY", maximize=True, unit="%"),
            Figure("TEST_ACCURACY", maximize=True, unit="%"),
            Figure("TRAIN_ACCURACY", maximize=True, unit="%"),
            Figure("TRAIN_TIME", unit="s"),
            Figure("PARAMETERS", unit="M"),
        )
        seconds = file["train_time_s"].astype(np.float64)
        columns = [curves[:, -1], file["test_acc"], file["train_acc_final"], seconds, file["params"] / 1e6]
        share = seconds[:, None] * (np.arange(1, _EPOCHS + 1) / _EPOCHS)
        sheet = Sheet(codes, np.stack(columns, 1), {"VAL_ACCURACY": curves, "TRAIN_TIME": share})
        return figures, {"cifar10": sheet}
