"""Latency: how long one input takes on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Measured runs, and those before, which warm up
_RUNS, _WARM_UP = 50, 5
# A network that takes longer is run less often
_SECONDS = 2.0


@dataclass(frozen=True)
class MeasuredLatency:
    """How long a batch of one takes.

    Attributes:
        milliseconds: The median.
        runs: Of so many.
        threads: Of torch.
    """

    milliseconds: float
    runs: int
    threads: int

    def __str__(self) -> str:
        return f"{self.milliseconds:.2f} ms"


@torch.no_grad()
def measure_latency(run: Callable[[Tensor], Any], inputs: Tensor) -> MeasuredLatency:
    """Return the median time of a batch of one, of 50 runs, or of as many as fit into 2 seconds (5 at least).

    Args:
        run: The network, or what runs a file of it.
        inputs: `(n, ...)`; the first is taken.
    """
    one = inputs[:1].contiguous()
    began = time.perf_counter()
    for _ in range(_WARM_UP):
        run(one)
        if time.perf_counter() - began > _SECONDS:
            break
    times: list[float] = []
    while len(times) < _RUNS and (sum(times) < _SECONDS or len(times) < _WARM_UP):
        start = time.perf_counter()
        run(one)
        times.append(time.perf_counter() - start)
    return MeasuredLatency(1000 * statistics.median(times), len(times), torch.get_num_threads())
