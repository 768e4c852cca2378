"""Measure the peak memory of one subject, alone in its process: `python -m benchmarks.memory_probe '<json>'`."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .harness import synchronize
from .settings import Setting
from .subjects import SUBJECTS, Subject

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # what Linux takes as "set the high-water mark to what is resident now"
KILO, MEGA = 1024, 1e6


def resident_memory(key: str) -> float:
    """Return `VmRSS` or `VmHWM` of this process in bytes."""
    for line in STATUS.read_text(encoding="utf-8").splitlines():
        if line.startswith(key + ":"):
            return float(line.split()[1]) * KILO
    raise KeyError(key)


def release_freed_memory() -> None:
    """Give freed memory back to the system, so that it is not reused unseen; without effect outside glibc."""
    gc.collect()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return


def _largest_resident() -> float:
    # ru_maxrss counts kilobytes on Linux, bytes on macOS
    import resource  # Unix alone has it

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else KILO)


def peak_of(run: Callable[[], object]) -> tuple[float, float, str]:
    """Run something; return what was resident before, the peak above it (both in bytes), and the method."""
    release_freed_memory()
    try:
        CLEAR_REFS.write_text(RESET_PEAK, encoding="utf-8")
        before = resident_memory("VmRSS")
        run()
        return before, max(0.0, resident_memory("VmHWM") - before), "VmHWM"
    except OSError:  # no such files here, or not allowed: the peak cannot be reset
        before = _largest_resident()
        run()
        return before, max(0.0, _largest_resident() - before), "ru_maxrss"


def peak_of_cuda(run: Callable[[], object], device: str) -> tuple[float, float, str]:
    """Return the same of the memory that tensors take on a GPU."""
    gc.collect()
    synchronize(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    run()
    synchronize(device)
    return before, torch.cuda.max_memory_allocated(device) - before, "max_memory_allocated"


def _load_libraries(make: Callable[[Setting], Subject], setting: Setting) -> None:
    """Take a step of tiny sizes first: code that is loaded on first use (35 MB on the CPU) is no activation memory."""
    make(setting.but(batch=2, image=8, channels=4, cells=3, nodes=2, cells_per_stage=1)).step()


def probe(task: dict[str, Any]) -> dict[str, Any]:
    """Build a subject, measure, and return the fields of `harness.Memory`."""
    torch.set_num_threads(task["threads"])
    setting = Setting(**task["setting"])
    make = SUBJECTS[task["subject"]]
    _load_libraries(make, setting)
    if task["mode"] == "build":
        kept: list[Any] = []

        def run() -> None:
            kept.append(make(setting))
    else:
        subject = make(setting)

        def run() -> None:
            for _ in range(task["calls"]):
                subject.step()

    on_gpu = torch.device(setting.device).type == "cuda"
    before, extra, method = peak_of_cuda(run, setting.device) if on_gpu else peak_of(run)
    return {"model": before / MEGA, "extra": extra / MEGA, "method": method}


if __name__ == "__main__":
    print(json.dumps(probe(json.loads(sys.argv[1]))))
