"""NAS-Bench-Macro ([Su2021nasbenchmacro]): its JSON file becomes a compact table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .json_files import read_json
from .pickles import read_guarded

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

_N_MACRO = 3**8


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
