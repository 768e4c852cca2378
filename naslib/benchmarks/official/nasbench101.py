"""NAS-Bench-101 ([Ying2019nasbench101]): its TFRecord file, and the pickle of the same content, as a compact table."""

from __future__ import annotations

import base64
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError
from naslib.search_spaces.core.labelled_dag import LabelledDag

from .pickles import read_guarded, read_pickle
from .tfrecord import fields_of, read_records

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_CONTENT = "a NAS-Bench-101 file"
_OPS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
_LENGTHS, _RUNS = (4, 12, 36, 108), 3
_LONGEST = _LENGTHS[-1]
# The hash of so many cells is computed anew: it is how the table is searched
_HASHED = 200


class Run(NamedTuple):
    """One training of a cell.

    Attributes:
        fingerprint: The benchmark's hash of the cell.
        epochs: Its length.
        matrix: Rows of the adjacency matrix.
        operations: Of all vertices, `input` and `output` among them.
        parameters: Number of parameters.
        valid: Validation accuracy at the end, a fraction.
        test: Test accuracy at the end, a fraction.
        seconds: Training time.
    """

    fingerprint: str
    epochs: int
    matrix: list[list[int]]
    operations: list[str]
    parameters: int
    valid: float
    test: float
    seconds: float


def read_nasbench101(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nb101.npz`: means of the runs of a cell, and those of each under `..._runs`.

    Args:
        path: `nasbench_full.tfrecord`, `nasbench_only108.tfrecord`, or a pickle of it (`nasbench_only108.pkl`).
        progress: Called with the bytes or cells that were read, and all.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    runs = _runs_of_pickle(path, progress) if _is_pickle(path) else _runs_of_records(path, progress)
    return read_guarded(path, _CONTENT, lambda: _table(path, runs))


def _is_pickle(path: Path) -> bool:
    """Say whether a file begins as a pickle or a compressed one does; a record begins with its length."""
    with path.open("rb") as file:
        start = file.read(3)
    return start == b"BZh" or (start[:1] == b"\x80" and 2 <= start[1] <= 5 and start[2:] != b"\x00")


def _runs_of_records(path: Path, progress: Progress) -> Iterator[Run]:
    total = path.stat().st_size
    for number, (record, place) in enumerate(read_records(path)):
        try:
            yield _run_of_row(json.loads(record.decode("utf-8")))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise BenchmarkError(f"{path} is not {_CONTENT}: record {number}: {error}") from error
        progress(place, total)


def _run_of_row(row: list[Any]) -> Run:
    """Return the run of a row: hash, epochs, matrix as a string of 0 and 1, operations, metrics as base64.

    The metrics are a message: evaluations at the start, half way and at the end (field 1), and the number of
    parameters (2). An evaluation has the seconds so far (2), and the accuracies of validation (4) and test (5).

    Raises:
        ValueError: If it is none.
    """
    fingerprint, epochs, matrix, operations, metrics = row
    size = math.isqrt(len(matrix))
    if size * size != len(matrix) or set(matrix) - {"0", "1"}:
        raise ValueError("the matrix is not square, of 0 and 1")
    bits = [int(bit) for bit in matrix]
    evaluations, parameters = [], 0
    for number, value in fields_of(base64.b64decode(metrics, validate=True)):
        if number == 1:
            evaluations.append(dict(fields_of(value)))
        elif number == 2:
            parameters = int(value)
    if len(evaluations) != 3:
        raise ValueError(f"a run has 3 evaluations, not {len(evaluations)}")
    # what a message leaves out is zero
    last: dict[int, float] = evaluations[-1]
    return Run(
        fingerprint,
        int(epochs),
        [bits[u * size : (u + 1) * size] for u in range(size)],
        operations.split(","),
        parameters,
        *(float(last.get(number, 0.0)) for number in (4, 5, 2)),
    )


def _runs_of_pickle(path: Path, progress: Progress) -> Iterator[Run]:
    """Yield the runs of `{hash: (fixed, {epochs: [run, ...]})}`, or of the two dictionaries of NASBench apart."""
    data = read_pickle(path, _CONTENT)
    if isinstance(data, (list, tuple)) and len(data) == 2 and all(isinstance(part, Mapping) for part in data):
        data = {fingerprint: (fixed, data[1][fingerprint]) for fingerprint, fixed in data[0].items()}
    if not isinstance(data, Mapping) or not data:
        raise BenchmarkError(f"{path} is not {_CONTENT}: it is no dictionary of cells by their hashes")
    for done, (fingerprint, entry) in enumerate(data.items(), 1):
        try:
            fixed, computed = entry
            matrix = np.asarray(fixed["module_adjacency"]).astype(int).tolist()
            shared = (matrix, list(fixed["module_operations"]), int(fixed["trainable_parameters"]))
            for epochs, runs in computed.items():
                for run in runs:
                    figures = ("final_validation_accuracy", "final_test_accuracy", "final_training_time")
                    yield Run(str(fingerprint), int(epochs), *shared, *(float(run[name]) for name in figures))
        except (ValueError, TypeError, KeyError) as error:
            raise BenchmarkError(f"{path} is not {_CONTENT}: cell {fingerprint!r}: {error}") from error
        progress(done, len(data))


def _table(path: Path, runs: Iterable[Run]) -> Arrays:
    """Return the arrays of all runs, cells in the order of their hashes; five million runs are kept as flat numbers."""
    rows: dict[str, int] = {}
    cells, of_row, of_length, figures = array("q"), array("q"), array("q"), array("d")
    for run in runs:
        row = rows.setdefault(run.fingerprint, len(rows))
        if 4 * row == len(cells):
            cells.extend(_cell(path, run, check=row < _HASHED))
        of_row.append(row)
        of_length.append(run.epochs)
        figures.extend((run.valid, run.test, run.seconds))
    if not rows:
        raise BenchmarkError(f"{path} is not {_CONTENT}: there is nothing in it")
    lengths = sorted(set(of_length))
    if not set(lengths) <= set(_LENGTHS) or _LONGEST not in lengths:
        raise ValueError(f"trainings are of 4, 12, 36 and 108 epochs, not of {lengths}")
    place = np.empty(len(rows), dtype=np.int64)  # of a row in the order of the hashes
    place[[rows[fingerprint] for fingerprint in sorted(rows)]] = np.arange(len(rows))
    values = _by_run(place[np.array(of_row)], np.searchsorted(lengths, of_length), np.array(figures), len(lengths))
    if not np.isfinite(values[:, -1, 0, 0]).all():
        raise ValueError(
            f"{int((~np.isfinite(values[:, -1, 0, 0])).sum())} cells have no training of {_LONGEST} epochs"
        )
    means = _means(values)
    complete = np.flatnonzero(np.isfinite(means[:, :, 0]).all(1))
    columns = np.empty((len(rows), 4), dtype=np.int64)
    columns[place] = np.array(cells).reshape(-1, 4)
    return {
        "nv": columns[:, 0].astype(np.uint8),
        "adj": columns[:, 1].astype(np.uint32),
        "ops": columns[:, 2].astype(np.uint16),
        "params": columns[:, 3].astype(np.int32),
        "test_acc_108": means[:, -1, 1].astype(np.float32),
        "test_acc_108_runs": values[:, -1, :, 1].astype(np.float32),
        "mf_index": complete.astype(np.int32),
        "mf_valid_acc": means[complete, :, 0].astype(np.float32),
        "mf_valid_acc_runs": values[complete, :, :, 0].astype(np.float32),
        "mf_train_time_108": means[complete, -1, 2].astype(np.float32),
        "mf_epochs": np.array(lengths, dtype=np.int16),
    }


def _by_run(rows: np.ndarray, positions: np.ndarray, figures: np.ndarray, n_lengths: int) -> np.ndarray:
    """Return figures `(cells, lengths, runs, 3)`, the runs of a cell and length in their order; NaN for none.

    Raises:
        ValueError: If a cell was trained more often than three times.
    """
    keys = rows * n_lengths + positions
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.searchsorted(ordered, ordered)
    number = np.arange(len(keys)) - first
    if number.max() >= _RUNS:
        raise ValueError(f"a cell has {int(number.max()) + 1} trainings of one length, not {_RUNS} at most")
    found = np.full((int(rows.max()) + 1, n_lengths, _RUNS, 3), np.nan)
    found[rows[order], positions[order], number] = figures.reshape(-1, 3)[order]
    return found


def _means(values: np.ndarray) -> np.ndarray:
    """Return the means over the runs there are, `(n, lengths, runs, 3)` to `(n, lengths, 3)`."""
    known = np.isfinite(values)
    counts = known.sum(2)
    sums = np.where(known, values, 0.0).sum(2)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _cell(path: Path, run: Run, check: bool) -> tuple[int, int, int, int]:
    """Return vertices, matrix, operations and parameters of a cell as numbers, as `nb101.npz` writes them.

    Raises:
        BenchmarkError: If it is no cell, or its hash another.
    """
    size = len(run.matrix)
    try:
        if len(run.operations) != size or not 2 <= size <= 7:
            raise ValueError(f"{len(run.operations)} operations and {size} vertices")
        labels = [_OPS.index(name) for name in run.operations[1:-1]]
        dag = LabelledDag(run.matrix, labels)
        if check and dag.fingerprint() != run.fingerprint:
            raise ValueError(f"its hash is {dag.fingerprint()}")
    except (ValueError, ArchitectureError) as error:
        raise BenchmarkError(f"{path} is not {_CONTENT}: cell {run.fingerprint}: {error}") from error
    pairs = ((u, v) for u in range(size) for v in range(u + 1, size))
    edges = sum(run.matrix[u][v] << place for place, (u, v) in enumerate(pairs))
    number = 0
    for label in labels:
        number = number * len(_OPS) + label
    return size, edges, number, run.parameters
