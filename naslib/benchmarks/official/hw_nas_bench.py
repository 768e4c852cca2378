"""HW-NAS-Bench ([Li2021hwnas]): its pickle becomes a compact table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from .nats import topology_arrays, topology_ops
from .pickles import read_guarded, read_pickle

Progress = Callable[[int, int], None]
Arrays = dict[str, np.ndarray]

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
