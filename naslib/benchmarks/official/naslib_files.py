"""What NASLib keeps of benchmarks: pickles of NAS-Bench-201 and 301, and JSON of zero-cost proxies."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkDataMissing, BenchmarkError

from .json_files import read_json
from .nats import topology_arrays, topology_ops
from .pickles import read_guarded, read_pickle
from .trials import PREFIXES

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_NASLIB_FILES = ("cifar10", "cifar100", "ImageNet16")
# NASLib's names of spaces, and how columns of them begin
_SPACES = {
    "nasbench101": "nb101",
    "nasbench201": "nb201",
    "nasbench301": "nb301",
    "transbench101_micro": "tnb_micro",
    "transbench101_macro": "tnb_macro",
}
_EPOCHS = 200
_CURVES = {
    "train_acc1es": "train_acc",
    "eval_acc1es": "eval_acc",
    "train_losses": "train_loss",
    "eval_losses": "eval_loss",
}


def read_naslib_nb201(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nb201.npz` from NASLib's `nb201_<data set>_full_training.pickle`.

    NASLib calls one and the same accuracy that of validation and of test: after 200 epochs, of one training, on the
    images that are held out from the search (of CIFAR-10 the test images, after training on one half; of the other two
    the benchmark's validation and test images together). Both names have it here, and the curves of 200 epochs are
    `<prefix>_train_acc_curve`, `..._eval_acc_curve`, `..._train_loss_curve` and `..._eval_loss_curve`, `(15625, 200)`.
    Rows are in the order of the file, which does not tell the benchmark's. Training times of less than a second an
    epoch are those of one epoch, and made 200 times as long.

    Args:
        path: A file, or a folder with several.
        progress: Called with the architectures that were read, and all.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    files = [path]
    if path.is_dir():
        named = [path / f"nb201_{name}_full_training.pickle" for name in _NASLIB_FILES]
        files = [file for file in named if file.is_file()]
        if not files:
            raise BenchmarkDataMissing(f"{path} has none of {', '.join(file.name for file in named)}")
    content = "NASLib's table of NAS-Bench-201"
    found: Arrays = {}
    names: list[str] = []
    for number, file in enumerate(files):
        data = read_pickle(file, content)
        if not isinstance(data, Mapping) or len(data) != 5**6 or not set(names) <= set(data):
            raise BenchmarkError(
                f"{file} is not {content}: expected {5**6:,} architectures by their strings, those of the other files"
            )
        if not names:
            names = list(data)
            found = dict(read_guarded(file, content, partial(_naslib_ops, names)))
        tell = partial(_tell, progress, number, len(files))
        found |= read_guarded(file, content, partial(_naslib_file, [data[name] for name in names], tell))
    return found


def _tell(progress: Progress, number: int, n_files: int, done: int, total: int) -> None:
    progress(number * total + done, n_files * total)


def _naslib_ops(names: list[str]) -> Arrays:
    return topology_arrays(topology_ops(names))


def _naslib_file(records: list[Any], progress: Progress) -> Arrays:
    arrays: Arrays = {}
    keys = set(records[0])
    for dataset, (prefix, _) in PREFIXES.items():
        key = "cifar10-valid" if dataset == "cifar10" else dataset
        if key in keys:
            arrays |= _naslib_columns(prefix, [record[key] for record in records], progress)
    if not arrays:
        raise ValueError(f"it has none of cifar10-valid, cifar100 and ImageNet16-120, but {', '.join(sorted(keys))}")
    return arrays


def _naslib_columns(prefix: str, records: list[Mapping[str, Any]], progress: Progress) -> Arrays:
    curves = {name: np.empty((len(records), _EPOCHS), dtype=np.float32) for name in _CURVES.values()}
    times, latencies = np.full(len(records), np.nan, np.float32), np.full(len(records), np.nan, np.float32)
    for row, record in enumerate(records):
        for name, column in _CURVES.items():
            if len(record[name]) != _EPOCHS:
                raise ValueError(f"{name} of architecture {row} has {len(record[name])} epochs, not {_EPOCHS}")
            curves[column][row] = record[name]
        costs = record["cost_info"]
        seconds = float(np.sum(costs["train_time"]))
        times[row] = seconds if seconds >= _EPOCHS else seconds * _EPOCHS
        latency = np.mean(np.asarray(costs["latency"] if costs["latency"] is not None else np.nan, dtype=np.float64))
        latencies[row] = 1000 * latency if latency > 0 else np.nan
        progress(row + 1, len(records))
    final = curves["eval_acc"][:, -1].copy()
    found: Arrays = {f"{prefix}_valid_{_EPOCHS}": final, f"{prefix}_test_{_EPOCHS}": final.copy()}
    if np.isfinite(times).all():
        found[f"{prefix}_train_time_{_EPOCHS}"] = times
    if np.isfinite(latencies).all():
        found[f"{prefix}_latency_ms"] = latencies
    return found | {f"{prefix}_{name}_curve": values for name, values in curves.items()}


def read_naslib_proxies(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `zc_naslib.npz` from NASLib's `zc_<space>.json` ([Krishnakumar2022suitezero]).

    Of every space and data set, as `nb201_c10` or `tnb_micro_jigsaw`: `<both>_arch` `(n, genes)`, NASLib's ints (of
    DARTS cells `(n, 2, 8, 2)`), `<both>_acc` `(n,)` in the file's unit, `<both>_score` and `<both>_time`
    `(n, proxies)`; `proxies` names the columns. NaN is what was not computed.

    Args:
        path: A file, whose name says the space, or a folder with several.
        progress: Called with the files that were read, and all.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    content = "NASLib's file of zero-cost proxies"
    files = sorted(path.glob("zc_*.json")) if path.is_dir() else [path]
    if not files:
        raise BenchmarkDataMissing(f"{path} has no zc_<space>.json")
    parts: dict[str, Mapping[str, Any]] = {}
    for done, file in enumerate(files, 1):
        parts |= read_guarded(file, content, partial(_proxy_parts, file, read_json(file, content)))
        progress(done, len(files))
    records = [record for part in parts.values() for record in part.values()]
    names = sorted({name for record in records for name, value in record.items() if isinstance(value, Mapping)})
    if not names:
        raise BenchmarkError(f"{path} is not {content}: no architecture has a proxy")
    found: Arrays = {"proxies": np.array(names)}
    for prefix, part in parts.items():
        found |= read_guarded(path, content, partial(_proxy_columns, prefix, part, names))
    return found


def _proxy_parts(path: Path, data: Any) -> dict[str, Mapping[str, Any]]:
    """Return the architectures of a file by the prefix of its space and data set."""
    space = path.stem.removeprefix("zc_")
    if space not in _SPACES:
        raise ValueError(f"its name says the space: {', '.join(f'zc_{name}.json' for name in _SPACES)}")
    if not isinstance(data, Mapping) or not data or not all(isinstance(part, Mapping) for part in data.values()):
        raise ValueError("expected data sets, and in them architectures")
    short = {dataset: prefix for dataset, (prefix, _) in PREFIXES.items()}
    return {f"{_SPACES[space]}_{short.get(dataset, dataset)}": part for dataset, part in data.items()}


def _proxy_columns(prefix: str, part: Mapping[str, Any], names: list[str]) -> Arrays:
    codes = [np.array(_flat(ast.literal_eval(arch))) for arch in part]
    if len({len(code) for code in codes}) != 1:
        raise ValueError(f"the architectures of {prefix} have different lengths")
    stacked = np.array(codes, dtype=np.uint8)
    found: Arrays = {
        f"{prefix}_arch": stacked.reshape(-1, 2, 8, 2) if prefix.startswith("nb301") else stacked,
        f"{prefix}_acc": np.array([record["val_accuracy"] for record in part.values()], dtype=np.float64),
    }
    cells = [[record.get(name, {}) for name in names] for record in part.values()]
    for column in ("score", "time"):
        values = [[_number(cell.get(column)) for cell in row] for row in cells]
        found[f"{prefix}_{column}"] = np.array(values, dtype=np.float64)
    return found


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _flat(value: Any) -> list[int]:
    if isinstance(value, (tuple, list)):
        return [number for part in value for number in _flat(part)]
    return [int(value)]


def read_naslib_nb301(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nb301_trained.npz` from NASLib's `nb301_full_training.pickle`: cells that were trained.

    `arch` `(n, 32)` are codes of the DARTS space, `valid_acc` and `train_loss` `(n, epochs)` their curves, `runtime`
    `(n,)` seconds. Where a cell was trained more than once, each is a row.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    content = "NASLib's table of NAS-Bench-301"
    data = read_pickle(path, content)

    def run() -> Arrays:
        if not isinstance(data, Mapping) or not data:
            raise ValueError("expected architectures in compact form")
        codes = np.array([_darts_code(compact) for compact in data], dtype=np.int8)
        records = list(data.values())
        found: Arrays = {"arch": codes}
        for column, name in (("valid_acc", "val_accuracies"), ("train_loss", "train_losses")):
            if all(name in record for record in records):
                longest = max(len(record[name]) for record in records)
                curves = np.full((len(records), longest), np.nan, dtype=np.float32)
                for row, record in enumerate(records):
                    curves[row, : len(record[name])] = record[name]
                found[column] = curves
        if "valid_acc" not in found:
            raise ValueError("a record has val_accuracies")
        if all("runtime" in record for record in records):
            found["runtime"] = np.array([float(record["runtime"]) for record in records], dtype=np.float32)
        progress(len(records), len(records))
        return found

    return dict(read_guarded(path, content, run))


def _darts_code(compact: Any) -> list[int]:
    """Return the code of two cells of eight pairs (predecessor, operation), the smaller predecessor of a node first."""
    cells = np.array(compact)
    if cells.shape != (2, 8, 2) or cells.dtype.kind not in "iu":
        raise ValueError(f"{compact!r} is not two cells of eight pairs")
    nodes = [sorted(map(tuple, node)) for node in cells.reshape(8, 2, 2).tolist()]
    return [number for node in nodes for pair in node for number in pair]
