"""TransNAS-Bench-101 ([Duan2021transnas]): both spaces of its file as compact tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkError

from .pickles import read_guarded
from .torch_files import read_torch_file

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_CONTENT = "a TransNAS-Bench-101 file"
_SCORES = ("top1", "acc", "ssim", "neg_loss")  # what a task is judged by, the first that it has
_LOSSES = ("loss", "l1_loss")
_SETS = ("train", "valid", "test")
_MICRO = re.compile(r"64-41414-(\d)_(\d\d)_(\d\d\d)")
_MACRO = re.compile(r"64-([1-4]{4,6})-basic")
_GENES = 6
# A figure below this counts millions, one above it single parameters or operations: no network has so few
_LEAST_COUNT = 1e4
_INFOS = {"params": "model_params", "flops": "model_FLOPs", "latency_ms": "inference_time"}


def read_micro(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `tnb101_micro.npz`: 4,096 cells; see `read_space`."""
    return read_space(path, progress, "micro", _MICRO)


def read_macro(path: Path, progress: Progress) -> Arrays:
    """Return the arrays of `tnb101_macro.npz`: 3,256 skeletons; see `read_space`."""
    return read_space(path, progress, "macro", _MACRO)


def read_space(path: Path, progress: Progress, space: str, form: re.Pattern[str]) -> Arrays:
    """Return one space of `transnas-bench_v10141024.pth`.

    For every task: `<task>_<set>_score` and `<task>_<set>_loss` `(n, epochs)` for training, validation and test images,
    `<task>_time` `(n,)` seconds, `<task>_params`, `<task>_flops` in single ones and `<task>_latency_ms`. The score is
    top-1 accuracy, of segmentation the accuracy of pixels, both in percent; of room layout the negative loss; of the
    two tasks that make images their structural similarity. The mean intersection over union is `<task>_<set>_miou`.

    Args:
        path: The file.
        progress: Called with the architectures that were read, and all.
        space: `micro` or `macro`.
        form: Of the strings.

    Raises:
        BenchmarkError: If it is another file, or damaged.
    """
    data = read_torch_file(path, _CONTENT)
    spaces = data.get("data") if isinstance(data, Mapping) else None
    if not isinstance(spaces, Mapping) or not isinstance(spaces.get(space), Mapping) or not spaces[space]:
        raise BenchmarkError(f"{path} is not {_CONTENT}: it has no architectures of the {space} space")
    found = spaces[space]

    def run() -> Arrays:
        names = sorted(found)
        codes = np.array([_code(name, form) for name in names], dtype=np.int8)
        tasks = [str(task) for task in data.get("task_list") or sorted(found[names[0]])]
        arrays: Arrays = {"arch": codes, "tasks": np.array(tasks)}
        for done, task in enumerate(tasks, 1):
            arrays |= _task(task, [_of_task(name, found[name], task) for name in names])
            progress(done * len(names), len(tasks) * len(names))
        return arrays

    return dict(read_guarded(path, _CONTENT, run))


def _code(name: str, form: re.Pattern[str]) -> list[int]:
    matched = form.fullmatch(name)
    if matched is None:
        raise ValueError(f"{name!r} is no architecture of this space")
    digits = [int(digit) for digit in "".join(matched.groups())]
    return digits + [0] * (_GENES - len(digits))


def _of_task(name: str, results: Any, task: str) -> Mapping[str, Any]:
    if not isinstance(results, Mapping) or task not in results:
        raise ValueError(f"{name} has no results of {task}")
    found = results[task]
    if not isinstance(found, Mapping) or not isinstance(found.get("metrics"), Mapping):
        raise ValueError(f"{name} has no metrics of {task}")
    return found


def _task(task: str, results: Sequence[Mapping[str, Any]]) -> Arrays:
    """Return the columns of a task."""
    names = set(results[0]["metrics"])
    score = next((one for one in _SCORES if f"valid_{one}" in names), None)
    loss = next((one for one in _LOSSES if f"valid_{one}" in names), None)
    if score is None:
        raise ValueError(f"{task} has none of the scores {', '.join(_SCORES)}")
    found: Arrays = {}
    for images in _SETS:
        for column, metric in (("score", score), ("loss", loss), ("miou", "mIoU")):
            if f"{images}_{metric}" in names:
                curves = [_numbers(one["metrics"][f"{images}_{metric}"]) for one in results]
                if len({len(curve) for curve in curves}) != 1:
                    raise ValueError(f"{task}: the networks were trained for different numbers of epochs")
                found[f"{task}_{images}_{column}"] = np.array(curves, dtype=np.float32)
    if "time_elapsed" in names:
        times = [_seconds(one["metrics"]["time_elapsed"][-1]) for one in results]
        found[f"{task}_time"] = np.array(times, dtype=np.float32)
    for column, name in _INFOS.items():
        values = [_info(one.get("model_info"), name) for one in results]
        if np.isfinite(values).any():
            scale = 1000.0 if column == "latency_ms" else 1.0
            found[f"{task}_{column}"] = np.array(values, dtype=np.float64) * scale
    return found


def _numbers(values: Any) -> list[float]:
    """Return a curve as numbers; what is a list of one number in the file is that number."""
    return [float(np.asarray(value, dtype=np.float64).reshape(-1)[0]) for value in values]


def _seconds(value: Any) -> float:
    """Return the seconds since the start of training, of a number or of `hours:minutes:seconds`."""
    if isinstance(value, str) and ":" in value:
        hours, minutes, seconds = (float(part) for part in value.split(":"))
        return 3600 * hours + 60 * minutes + seconds
    return float(value)


def _info(infos: Any, name: str) -> float:
    """Return a figure of a network, parameters and operations in single ones; NaN where there is none."""
    value = infos.get(name) if isinstance(infos, Mapping) else None
    if value is None or value == "":
        return float("nan")
    number = float(value)
    return number * 1e6 if name != "inference_time" and number < _LEAST_COUNT else number
