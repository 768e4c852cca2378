"""Interleaved timings, statistics of them, and memory above a model measured in a process of its own."""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from .settings import Setting

ROOT = Path(__file__).resolve().parents[1]


def synchronize(device: str) -> None:
    """Wait until the device has done what it was told."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


@dataclass
class Timings:
    """Seconds per call of every candidate, round by round.

    Attributes:
        seconds: By candidate, one entry per round.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        """Return the median over the rounds."""
        return statistics.median(self.seconds[name])

    def span(self, name: str) -> tuple[float, float]:
        """Return the fastest and the slowest round."""
        return min(self.seconds[name]), max(self.seconds[name])

    def ratios(self, numerator: str, denominator: str) -> list[float]:
        """Return the ratio of two candidates in every round: what drifts from round to round cancels."""
        pairs = zip(self.seconds[numerator], self.seconds[denominator], strict=True)
        return [a / b for a, b in pairs]

    def ratio(self, numerator: str, denominator: str) -> float:
        """Return the median of the ratios."""
        return statistics.median(self.ratios(numerator, denominator))


def interleave(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    device: str = "cpu",
    warmup: int = 1,
    calls: Mapping[str, int] | None = None,
    clock: str = "wall",
) -> Timings:
    """Time candidates in rounds A B C A B C ... within this process.

    Args:
        candidates: What to call, by name.
        rounds: Rounds that count.
        device: Waited for before and after each timing.
        warmup: Rounds before them that do not.
        calls: Calls per timing of a candidate, 1 where it is not named; for what is fast.
        clock: `"wall"`, or `"cpu"` for this process's CPU time: of one thread on a machine that others use too.
    """
    timings = Timings({name: [] for name in candidates})
    now = time.process_time if clock == "cpu" else time.perf_counter
    for number in range(-warmup, rounds):
        for name, call in candidates.items():
            n_calls = (calls or {}).get(name, 1)
            gc.collect()
            synchronize(device)
            begin = now()
            for _ in range(n_calls):
                call()
            synchronize(device)
            seconds = (now() - begin) / n_calls
            if number >= 0:
                timings.seconds[name].append(seconds)
    return timings


@dataclass(frozen=True)
class Memory:
    """Peak memory of a subject in MB (10^6 bytes).

    Attributes:
        model: In use before the first call, on the device (the process's resident memory on the CPU).
        extra: Peak above that.
        method: How it was found.
    """

    model: float
    extra: float
    method: str


def peak_memory(subject: str, setting: Setting, *, mode: str = "step", calls: int = 1) -> Memory:
    """Measure a subject of `subjects.SUBJECTS` in a fresh process.

    Args:
        subject: Its name.
        setting: Its sizes.
        mode: `"step"`: peak during the first steps above what model and data take; `"build"`: what building takes.
        calls: Number of steps.

    Raises:
        RuntimeError: If the process fails; the message ends with what it wrote.
    """
    task = {
        "subject": subject,
        "setting": asdict(setting),
        "mode": mode,
        "calls": calls,
        "threads": torch.get_num_threads(),
    }
    command = [sys.executable, "-m", "benchmarks.memory_probe", json.dumps(task)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the memory probe of {subject!r} failed:\n{done.stderr[-2000:]}")
    return Memory(**json.loads(done.stdout.splitlines()[-1]))
