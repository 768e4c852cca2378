"""Threads: how many of them torch computes with, chosen by a short measurement at the start of a run."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional as F

from naslib.utils.cores import affinity_cores, allowed_cores, allowed_cpus
from naslib.utils.log import get_logger

logger = get_logger(__name__)

# Whoever sets one of these has chosen.
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
# More threads must win by this factor: what they gain in a convolution they do not gain in the small operations beside.
_MARGIN = 1.1
# Seconds of one measurement. A busy neighbour costs a team of threads whole time slices (3 to 4 ms) at its barriers, so
# one must be longer than such a slice.
_BLOCK = 0.008
# Rounds of measurements; the time after which none begins
_ROUNDS, _BUDGET = 9, 0.25
# How much slower than the best is hopeless after two rounds, and at the very first run
_HOPELESS, _OUT_OF_QUESTION = 3.0, 10.0


class Choice(NamedTuple):
    """A number of threads, and why it is that."""

    threads: int
    reason: str


class _Process:
    """What was chosen in this process: a second run in it keeps the number."""

    chosen: Choice | None = None


def settle_threads(wanted: str | int | None, recorded: int | None, device: torch.device) -> Choice:
    """Set the number of threads that torch computes with, and say in one log line what it is and why.

    A number is taken as it is, None leaves torch's own. `"auto"` keeps what the user has set (OMP_NUM_THREADS,
    MKL_NUM_THREADS, `torch.set_num_threads`); otherwise it takes what a checkpoint recorded, what was chosen in this
    process before, or what is fastest now, in this order.

    Args:
        wanted: `"auto"`, a number, or None.
        recorded: What the checkpoint that is resumed was made with.
        device: Where the run computes; nothing is measured for another one than the CPU.
    """
    before = _Process.chosen
    choice = _decide(wanted, recorded, device)
    if choice.threads != torch.get_num_threads():
        torch.set_num_threads(choice.threads)
    _Process.chosen = choice
    if choice != before:
        logger.info("threads: %d (%s)", *choice)
    return choice


def thread_reason() -> str:
    """Return why torch has the number of threads that it has."""
    chosen = _Process.chosen
    return chosen.reason if chosen is not None and chosen.threads == torch.get_num_threads() else "not chosen by naslib"


def _decide(wanted: str | int | None, recorded: int | None, device: torch.device) -> Choice:
    now = torch.get_num_threads()
    if isinstance(wanted, int):
        return Choice(wanted, "threads in the config")
    if wanted is None:
        return Choice(now, "torch's own number")
    set_by_user = explicit_setting(now)
    if set_by_user:
        return Choice(now, f"{set_by_user} goes before threads: auto")
    cores = allowed_cores()
    if recorded is not None and recorded <= cores:
        return Choice(recorded, "as the checkpoint was made")
    if _Process.chosen is not None:
        return _Process.chosen
    if device.type != "cpu":
        return Choice(now, f"torch's own number, as the work is on {device.type}")
    return choose_threads(measure_threads(candidates(cores)), cores)


def explicit_setting(now: int) -> str:
    """Return by what the user has chosen a number of threads, "" where that is left to us.

    A number that torch could have by itself does not count, whoever has set it.

    Args:
        now: torch's present number.
    """
    for name in _VARIABLES:
        if os.environ.get(name):
            return f"{name}={os.environ[name]}"
    chosen = _Process.chosen
    if chosen is not None and chosen.threads == now:
        return ""
    by_itself = {len(allowed_cpus()), affinity_cores(), os.cpu_count()} if chosen is None else set()
    return "" if now in by_itself else f"torch.set_num_threads({now})"


def candidates(cores: int) -> list[int]:
    """Return the numbers of threads to try: the powers of two up to the cores, and all cores."""
    powers = [2**k for k in range(cores.bit_length()) if 2**k < cores]
    return [*powers, cores]


def choose_threads(times: Mapping[int, Sequence[float]], cores: int) -> Choice:
    """Return the smallest number of threads that is as fast as any, but for a tenth.

    Numbers are compared by medians. A minimum would be taken while the neighbour happened to sleep, and is the one
    value that says nothing about how the run will go.

    Args:
        times: Seconds of the same work, measured at least once, by number of threads.
        cores: How many are allowed, for the reason.
    """
    medians = {count: statistics.median(measured) for count, measured in times.items()}
    best = min(medians.values())
    threads = min(count for count, median in medians.items() if median <= _MARGIN * best)
    shown = ", ".join(f"{1e3 * median:.1f} ms with {count}" for count, median in sorted(medians.items()))
    return Choice(threads, f"measured: a small convolution takes {shown}; {cores} cores allowed")


def measure_threads(counts: Sequence[int]) -> dict[int, list[float]]:
    """Return seconds of a small convolution's forward and backward by number of threads; torch's number is restored.

    The numbers take turns, so that all see the same neighbours. Random states are not touched.

    Args:
        counts: The numbers to try; of a single one nothing is measured.
    """
    times: dict[int, list[float]] = {count: [] for count in counts}
    if len(counts) == 1:
        return {counts[0]: [0.0]}
    work = _Work()
    before, started = torch.get_num_threads(), time.perf_counter()
    try:
        left = _worth_measuring(work, times)
        for number in range(_ROUNDS):
            for count in left if number % 2 else reversed(left):
                times[count].append(work.run_with(count, _BLOCK))
            if time.perf_counter() - started > _BUDGET:
                break
            left = [count for count in left if is_promising(count, times)]
    finally:
        torch.set_num_threads(before)
    return times


def _worth_measuring(work: _Work, times: dict[int, list[float]]) -> list[int]:
    """Return the numbers that are not out of the question from the first; the time of the one that is stands for it.

    Every number runs once, which makes the threads. On a machine whose cores are all taken a single run of many threads
    may take seconds; where one is far slower than the best, larger ones are not tried.
    """
    work.run_with(min(times), 0.0)  # kernels are chosen
    first: dict[int, float] = {}
    for count in sorted(times):
        first[count] = work.run_with(count, 0.0)
        if first[count] > _OUT_OF_QUESTION * min(first.values()):
            times[count].append(first.pop(count))
            break
    for count in [count for count in times if count not in first and not times[count]]:
        del times[count]
    return list(first)


def is_promising(count: int, times: Mapping[int, Sequence[float]]) -> bool:
    """Return whether a number of threads is worth another measurement: two rounds have not shown it to be hopeless."""
    measured = times[count]
    return len(measured) < 2 or min(measured) <= _HOPELESS * min(statistics.median(other) for other in times.values())


class _Work:
    """A convolution of the size that supernets for small images are made of: 16 channels, 32 images of 16x16."""

    def __init__(self) -> None:
        values = torch.linspace(-1.0, 1.0, 32 * 16 * 16 * 16).reshape(32, 16, 16, 16)
        self.images = values.contiguous(memory_format=torch.channels_last).requires_grad_()
        self.weight = torch.linspace(-1.0, 1.0, 16 * 16 * 9).reshape(16, 16, 3, 3).requires_grad_()

    def run_with(self, threads: int, seconds: float) -> float:
        """Return the mean seconds of the work, repeated for a while, with a number of threads."""
        torch.set_num_threads(threads)
        started = time.perf_counter()
        repeats = 0
        while True:
            self._run()
            repeats += 1
            spent = time.perf_counter() - started
            if spent >= seconds:
                return spent / repeats

    def _run(self) -> None:
        with torch.enable_grad():
            output = F.relu(F.conv2d(self.images, self.weight, padding=1))
            torch.autograd.grad(output.sum(), (self.images, self.weight))
