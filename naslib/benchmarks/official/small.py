"""Files that are read in a few lines: NAS-Bench-Macro, HW-NAS-Bench, and what NASLib keeps of NAS-Bench-201."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkDataMissing, BenchmarkError

from .nats import topology_arrays, topology_ops
from .pickles import read_guarded, read_pickle
from .trials import PREFIXES

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_N_MACRO = 3**8
_HARDWARE = (
    "edgegpu_latency",
    "edgegpu_energy",
    "raspi4_latency",
    "edgetpu_latency",
    "pixel3_latency",
    "eyeriss_latency",
    "eyeriss_energy",
    "eyeriss_arithmetic_intensity",
    "fpga_latency",
    "fpga_energy",
)
_HARDWARE_SETS = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "ImageNet16_120"}
_NASLIB_FILES = ("cifar10", "cifar100", "ImageNet16")
_EPOCHS = 200
_CURVES = {
    "train_acc1es": "train_acc",
    "eval_acc1es": "eval_acc",
    "train_losses": "train_loss",
    "eval_losses": "eval_loss",
}


def read_json(path: Path, content: str) -> Any:
    """Return what is in a JSON file.

    Raises:
        BenchmarkError: If it is none.
    """
    return read_guarded(path, content, lambda: json.loads(path.read_text(encoding="utf-8")))


def read_macro_table(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `nb_macro.npz` from `nas-bench-macro_cifar10.json` ([Su2021nasbenchmacro]).

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    content = "a NAS-Bench-Macro file"
    data = read_json(path, content)

    def run() -> Arrays:
        if not isinstance(data, Mapping) or len(data) != _N_MACRO:
            raise ValueError(f"expected {_N_MACRO:,} architectures")
        names = sorted(data)
        if any(len(name) != 8 or set(name) - set("012") for name in names):
            raise ValueError("an architecture is eight digits 0 to 2")
        progress(_N_MACRO, _N_MACRO)
        return {
            "arch": np.array([[int(digit) for digit in name] for name in names], dtype=np.uint8),
            "test_acc": np.array([data[name]["test_acc"] for name in names], dtype=np.float32),
            "params": np.array([data[name]["params"] for name in names], dtype=np.int32),
            "flops": np.array([data[name]["flops"] for name in names], dtype=np.int64),
        }

    return dict(read_guarded(path, content, run))


def read_hardware(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `hw_nas_bench_nb201.npz` from `HW-NAS-Bench-v1_0.pickle` ([Li2021hwnas]).

    Rows are in the order of NAS-Bench-201; where the file says which architecture a row is, `ops` does too.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    content = "a HW-NAS-Bench file"
    data = read_pickle(path, content)

    def run() -> Arrays:
        if not isinstance(data, Mapping) or "nasbench201" not in data:
            raise ValueError("it has no part nasbench201")
        found: Arrays = {"fields": np.array(_HARDWARE)}
        for done, (dataset, name) in enumerate(_HARDWARE_SETS.items(), 1):
            part = data["nasbench201"][dataset]
            values = np.array([part[field] for field in _HARDWARE], dtype=np.float64).T
            if values.shape != (5**6, len(_HARDWARE)):
                raise ValueError(f"expected {5**6:,} rows of {dataset}, not {len(values):,}")
            found[name] = values.astype(np.float32)
            configs = part.get("config")
            if configs is not None and len(configs) == len(values):
                arrays = topology_arrays(topology_ops([config["arch_str"] for config in configs]))
                found |= {name: arrays[name] for name in ("ops", "op_names", "edges")}
            progress(done, len(_HARDWARE_SETS))
        return found

    return dict(read_guarded(path, content, run))


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
    """Return zero-cost proxies from NASLib's `zc_<space>.json` ([Krishnakumar2022suitezero]).

    For every data set: `<data set>_arch` `(n, genes)`, NASLib's ints, `<data set>_acc` `(n,)` in the file's unit,
    `<data set>_score` and `<data set>_time` `(n, proxies)`; `proxies` names the columns. NaN is what was not computed.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    content = "NASLib's file of zero-cost proxies"
    data = read_json(path, content)

    def run() -> Arrays:
        if not isinstance(data, Mapping) or not data or not all(isinstance(part, Mapping) for part in data.values()):
            raise ValueError("expected data sets, and in them architectures")
        records = [record for part in data.values() for record in part.values()]
        names = sorted({name for record in records for name, value in record.items() if isinstance(value, Mapping)})
        if not names:
            raise ValueError("no architecture has a proxy")
        found: Arrays = {"proxies": np.array(names)}
        for dataset, part in data.items():
            codes = [np.array(_flat(ast.literal_eval(arch))) for arch in part]
            if len({len(code) for code in codes}) != 1:
                raise ValueError(f"the architectures of {dataset} have different lengths")
            cells = [[record.get(name, {}) for name in names] for record in part.values()]
            found[f"{dataset}_arch"] = np.array(codes, dtype=np.int16)
            found[f"{dataset}_acc"] = np.array([record["val_accuracy"] for record in part.values()], dtype=np.float64)
            for column in ("score", "time"):
                values = [[_number(cell.get(column)) for cell in row] for row in cells]
                found[f"{dataset}_{column}"] = np.array(values, dtype=np.float64)
        progress(len(records), len(records))
        return found

    return dict(read_guarded(path, content, run))


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _flat(value: Any) -> list[int]:
    if isinstance(value, (tuple, list)):
        return [number for part in value for number in _flat(part)]
    return [int(value)]
