"""NasBenchMacroTable: NAS-Bench-Macro ([Su2021nasbenchmacro]) from one compact file."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.search_spaces.core.query_metrics import Metric

from .base import CIFAR_ALIASES
from .rows import RowTable

_N_CODES, _LAYERS = 3**8, 8


class NasBenchMacroTable(RowTable):
    """Answer queries about the 6,561 architectures of NAS-Bench-Macro from a compact `nb_macro.npz`.

    A code is eight digits: 0 Identity, 1 MB3_K3, 2 MB6_K5. On CIFAR-10, after the benchmark's schedule (-1):
    TEST_ACCURACY, the mean of three runs, PARAMETERS and FLOPS. There are no validation accuracies: a search on it has
    `objectives: [TEST_ACCURACY]`, as published ones have.

    Args:
        path: The file.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "nasbench_macro"
    title = "NAS-Bench-Macro"
    datasets = ("cifar10",)
    aliases = CIFAR_ALIASES
    file_name = "nb_macro.npz"

    def _read(self, file: Any) -> tuple[np.ndarray, dict[Metric, np.ndarray]]:
        codes, accuracies = file["arch"], file["test_acc"]
        expected = codes.shape == (_N_CODES, _LAYERS) and codes.max() <= 2 and accuracies.shape == (_N_CODES, 3)
        if not expected or len(np.unique(codes, axis=0)) != _N_CODES:
            raise ValueError(f"expected each of the {_N_CODES} architectures once, with three accuracies")
        columns = {Metric.TEST_ACCURACY: accuracies.astype(np.float64).mean(1)}
        columns |= {Metric.PARAMETERS: file["params"] / 1e6, Metric.FLOPS: file["flops"] / 1e6}
        return codes, columns
