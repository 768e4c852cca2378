"""On a GPU: time, peak memory and kernel launches of steps, ours and the reference's, and where the time goes."""

from __future__ import annotations

import torch
from torch.profiler import ProfilerActivity, profile

from .harness import interleave, peak_memory, synchronize
from .records import Row, ratio_row, seconds_row
from .settings import Options
from .subjects import SUBJECTS, Subject

PAIRS = {"darts": "darts reference", "nb201": "nb201 reference", "nb201 gdas": "nb201 gdas reference"}
TOP = 8
# What the host calls to start work on the device; a graph of many kernels is one launch
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch")


def measure(options: Options) -> list[Row]:
    """Return the figures of every pair; without a GPU, of the operators that a step calls on the CPU."""
    setting = options.setting()
    rows = []
    for names in PAIRS.items():
        pair = {name: SUBJECTS[name](setting) for name in names}
        steps = {name: subject.step for name, subject in pair.items()}
        timings = interleave(steps, rounds=options.n_rounds(7, 3), device=options.device, warmup=2)
        ours, reference = names
        rows += [seconds_row("cuda", name, timings, f"B={setting.batch} {options.dtype}") for name in names]
        rows.append(ratio_row("cuda", f"speed-up, {ours}", timings, (reference, ours)))
        for name, subject in pair.items():
            rows += _profile_rows(name, subject, options.device)
            rows.append(Row("cuda", f"peak above the model, {name}", peak_memory(name, setting, calls=2).extra, "MB"))
        del pair, steps
    return rows


def _profile_rows(name: str, subject: Subject, device: str) -> list[Row]:
    """Return the number of kernel launches (of operators on the CPU) of a step, and what takes most of its time."""
    on_gpu = torch.device(device).type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities, acc_events=True) as profiler:
        subject.step()
        synchronize(device)
    events = profiler.key_averages()
    launches = sum(event.count for event in events if event.key.startswith(LAUNCHES if on_gpu else "aten::"))
    time_of = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    if on_gpu:  # operators show the time of their kernels a second time
        events = [event for event in events if event.device_type.name == "CUDA"]
    total = sum(getattr(event, time_of) for event in events) or 1
    rows = [Row("cuda", f"{'kernel launches' if on_gpu else 'operators'} of a step, {name}", launches, "")]
    ranked = sorted(events, key=lambda event: getattr(event, time_of), reverse=True)[:TOP]
    for event in ranked:
        share = getattr(event, time_of) / total
        rows.append(Row("cuda", f"share of {event.key[:60]}, {name}", share, "", note=f"{event.count} calls"))
    return rows
