"""NasBenchASRTable: NAS-Bench-ASR ([Mehrotra2021asr]) from one compact file."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.core.skip_cells import Shape, smallest_graph

from .base import Code
from .schedule_table import Column, Columns, ScheduleTable

_STARTS = (0, 2, 5, 9)
_N_OPS = 6


class NasBenchASRTable(ScheduleTable):
    """Answer queries about the 8,242 cells of NAS-Bench-ASR from `nb_asr.npz`.

    A code is nine ints, as the space `nasbench_asr` writes it; all codes of one cell have one answer. On TIMIT, after 1
    to 40 epochs (-1): VAL_ACCURACY is 100 % less the phoneme error rate, the mean over the seeds, with its curve.
    TEST_ACCURACY is that of the epoch with the lowest validation error. (NASLib returns the error rates themselves, as
    fractions, under these names.) LATENCY is of the first device in the file; PARAMETERS and FLOPS are in millions.

    Args:
        path: The file, as `naslib data convert nasbench-asr` writes it.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If the file is not this table.
    """

    name = "nasbench_asr"
    title = "NAS-Bench-ASR"
    datasets = ("timit",)
    file_name = "nb_asr.npz"

    def _read(self, file: Any) -> tuple[np.ndarray, Columns]:
        codes = file["arch"].astype(np.int64)
        if codes.ndim != 2 or codes.shape[1] != _STARTS[-1] or codes.min() < 0 or codes.max() >= _N_OPS:
            raise ValueError("codes are nine ints")
        self._shapes: dict[Shape, int] = {_shape(code): row for row, code in enumerate(codes.tolist())}
        valid = 100 * (1 - file["valid_per"].astype(np.float64).mean(1))
        lengths = tuple(range(1, valid.shape[1] + 1))
        test = 100 * (1 - file["test_per"].astype(np.float64).mean(1))
        columns: Columns = {
            ("timit", Metric.VAL_ACCURACY): Column(valid, lengths, is_curve=True),
            ("timit", Metric.TEST_ACCURACY): Column(test[:, None], lengths[-1:]),
        }
        names = set(file.files)
        for metric, name in ((Metric.PARAMETERS, "params"), (Metric.FLOPS, "flops")):
            if name in names:
                columns["timit", metric] = Column(file[name][:, None] / 1e6)
        if "latency_ms" in names:
            columns["timit", Metric.LATENCY] = Column(file["latency_ms"][:, :1])
        return codes, columns

    def index_of(self, code: Code) -> int:
        """Return the number of the cell of a code in the file.

        Raises:
            ArchitectureError: If `code` is none, or the table lacks it.
        """
        row = self._rows.get(tuple(code))
        if row is not None:
            return row
        if len(code) != _STARTS[-1] or min(code) < 0 or max(code) >= _N_OPS:
            raise ArchitectureError(f"an architecture of NAS-Bench-ASR is nine ints, not {code!r}")
        row = self._shapes.get(_shape(code))
        if row is None:
            raise ArchitectureError(f"{tuple(code)} is none of the {len(self):,} cells of NAS-Bench-ASR in the file")
        self._rows[tuple(code)] = row
        return row


def _shape(code: Any) -> Shape:
    return smallest_graph([code[start:end] for start, end in itertools.pairwise(_STARTS)])
