"""Latencies of the architectures of a table, measured on this machine one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from naslib.benchmarks.results import Results, save_results
from naslib.errors import ConfigError
from naslib.search_spaces.core.flops import zero_inputs
from naslib.training.environment import describe_environment
from naslib.training.loaders import image_shape
from naslib.utils.log import get_logger
from naslib.utils.text import differences, listed, show

from .recorded import RecordedTraining

logger = get_logger(__name__)

# Forwards before those that count
_WARM_UP = 3
_SECONDS_BETWEEN_WRITES = 60.0


def measure_latencies(
    results: Results, evaluator: RecordedTraining, path: str | Path, *, repeats: int = 30, anew: bool = False
) -> int:
    """Measure the latency of each trained architecture that has none yet, and write the table every minute.

    It is that of one input on one thread of the processor: the least of some forwards, in milliseconds, as whatever
    else runs on a machine only adds to it.

    Args:
        results: The table; changed in place.
        evaluator: Makes the networks.
        path: Where the table is written.
        repeats: Forwards, of which the fastest counts.
        anew: Whether those that are there are measured, too.

    Returns:
        How many have been measured.

    Raises:
        ConfigError: For less than one repeat, or where others were measured in another way or on another machine.
    """
    if repeats < 1:
        raise ConfigError(f"repeats must be at least 1, not {repeats}")
    environment = describe_environment(torch.device("cpu"), 0)
    places = np.arange(len(results.trained)) if anew else np.flatnonzero(~np.isfinite(results.latency))
    if not len(places):
        return 0
    how = {
        "what": "least of the forwards of one input on one thread, in ms; of the architecture that was trained",
        "repeats": repeats,
        "cpu": environment["cpu"],
        "torch": environment["torch"],
    }
    before = results.about.get("latency")
    if before and not anew and len(places) < len(results.trained):
        found = [f"{key} was {show(then)} and is {show(now)}" for key, then, now in differences(before, how, "latency")]
        if found:
            raise ConfigError(
                f"latencies of one table are measured alike: {listed(found, 4)}; measure all anew (--anew)"
            )
    results.about["latency"] = how
    written = time.monotonic()
    with _one_thread():
        for count, row in enumerate(places):
            network = evaluator.training.build_network(results.codes[results.trained[row]])
            results.latency[row] = _latency(network, image_shape(evaluator.training.valid), repeats)
            if time.monotonic() - written > _SECONDS_BETWEEN_WRITES:
                save_results(results, path)
                written = time.monotonic()
                logger.info("%d of %d latencies measured", count + 1, len(places))
    save_results(results, path)
    return len(places)


@torch.inference_mode()
def _latency(network: nn.Module, shape: tuple[int, ...], repeats: int) -> float:
    network.eval()
    x = zero_inputs(network, 1, shape)
    for _ in range(_WARM_UP):
        network(x)
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        network(x)
        taken.append(time.perf_counter() - began)
    return 1000.0 * min(taken)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
