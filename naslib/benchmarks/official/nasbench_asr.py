"""NAS-Bench-ASR ([Mehrotra2021asr]): its pickles become a compact table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkDataMissing, BenchmarkError

from .pickles import read_guarded, read_pickles

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_CONTENT = "a NAS-Bench-ASR file"
_GENES, _EPOCHS = 9, 40


def read_nasbench_asr(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nb_asr.npz` from the folder of `nb-asr-e40-<seed>.pickle` and what lies beside these.

    `valid_per` `(n, seeds, 40)` and `test_per` `(n, seeds)` are phoneme error rates as fractions, the second at the
    epoch of the lowest first. `params` and `flops` are of `nb-asr-info.pickle`, `latency_ms` `(n, devices)` of
    `nb-asr-bench-<device>.pickle`, where these are there. Trainings of fewer epochs are not read.

    Args:
        path: The folder.
        progress: Called with the files that were read, and all.

    Raises:
        BenchmarkError: If a file is another one, or damaged.
        BenchmarkDataMissing: If there is no training.
    """
    if not path.is_dir():
        raise BenchmarkError(f"{path} is no folder; the files of NAS-Bench-ASR are several, in one")
    trainings = sorted(path.glob(f"nb-asr-e{_EPOCHS}-*.pickle"))
    if not trainings:
        raise BenchmarkDataMissing(f"{path} has no nb-asr-e{_EPOCHS}-<seed>.pickle")
    benches, infos = sorted(path.glob("nb-asr-bench-*.pickle")), sorted(path.glob("nb-asr-info.pickle"))
    parts: dict[Path, tuple[dict[str, Any], dict[str, dict[str, Any]]]] = {}
    todo = [*trainings, *infos, *benches]
    for done, file in enumerate(todo, 1):
        parts[file] = read_guarded(file, _CONTENT, lambda file=file: _part(file))  # type: ignore[misc]
        progress(done, len(todo))
    return dict(read_guarded(path, _CONTENT, lambda: _asr_table(parts, trainings, infos, benches)))


def _part(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the header of a file, and its rows by the hash of the model, as columns by name."""
    header, rows = read_pickles(path, _CONTENT, most=2)
    columns = list(header["columns"])
    if columns[0] != "model_hash":
        raise ValueError("the first column of its rows is model_hash")
    return dict(header), {str(row[0]): dict(zip(columns, row, strict=True)) for row in rows}


def _asr_table(parts: Mapping[Path, Any], trainings: list[Path], infos: list[Path], benches: list[Path]) -> Arrays:
    rows = [parts[file][1] for file in trainings]
    names = sorted(rows[0])
    if any(sorted(one) != names for one in rows):
        raise ValueError("the trainings are not of the same models")
    codes = [[int(number) for node in rows[0][name]["arch_vec"] for number in node] for name in names]
    if any(len(code) != _GENES for code in codes):
        raise ValueError("an architecture has three nodes of 2, 3 and 4 numbers")
    found: Arrays = {
        "arch": np.array(codes, dtype=np.int8),
        "seeds": np.array([int(parts[file][0]["seed"]) for file in trainings], dtype=np.int32),
        "valid_per": np.array([[one[name]["val_per"] for one in rows] for name in names], dtype=np.float32),
        "test_per": np.array([[one[name]["test_per"] for one in rows] for name in names], dtype=np.float32),
    }
    if found["valid_per"].shape != (len(names), len(trainings), _EPOCHS):
        raise ValueError(f"a training has {_EPOCHS} epochs")
    for file in infos:
        table = parts[file][1]
        for column in ("params", "flops"):
            if all(column in table.get(name, {}) for name in names):
                found[column] = np.array([float(table[name][column]) for name in names])
    if benches:
        latencies = [[float(parts[file][1][name]["latency"]) for file in benches] for name in names]
        found["latency_ms"] = 1000 * np.array(latencies)
        found["devices"] = np.array([str(parts[file][0]["device"]) for file in benches])
    return found
