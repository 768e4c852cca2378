"""Measure a latency table on this machine: every candidate of a space at its shapes, and the rest of the network."""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, thread_time

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.primitives import Zero, call_op
from naslib.utils.bar import Progress, Said

from .keys import operation_key
from .table import LatencyTable
from .trace import TracedEdge, candidates_of, decision_edges, trace_candidates

# A single timing lasts at least this long: a hundred times the cost of reading the clock, and of a call in Python.
_SHORTEST = 1e-3
# A clock that stands still must not keep us for ever
_MOST = 2**16
NETWORK = "network"
# What passes: time, or what this thread had of a processor. The latter leaves out others who use the machine.
CLOCKS = ("wall", "cpu")


def measure_table(
    space: Graph,
    input_shape: Sequence[int],
    *,
    scope: Scope = None,
    batch: int = 1,
    repeats: int = 20,
    threads: int | None = None,
    device: str = "cpu",
    progress: bool = True,
    clock: str = "wall",
) -> LatencyTable:
    """Return the latencies of all candidates of a space and of the rest of its network, on this machine.

    Each operation is measured alone in evaluation mode, in rounds that go over all of them, so that a disturbance does
    not hit one operation only; the median of the rounds counts. The fixed part is what the network takes with the
    fastest operation on every edge, less what these operations take.

    Args:
        space: A search space.
        input_shape: Of one input: channels, height and width.
        scope: The graphs under search; the space's `OPTIMIZER_SCOPE` if None.
        batch: Number of inputs at once.
        repeats: Number of rounds.
        threads: Threads of torch on the CPU; as they are set if None.
        device: Where to measure.
        progress: Whether to show a bar on a terminal.
        clock: `"wall"`, or `"cpu"`: the time that the processor worked for this thread, where others use the machine as
            well; for one thread on the CPU. Of its rounds the lower quartile counts, because others add to it alone (by
            caches that they empty).

    Raises:
        ConfigError: If a number is out of range, or the space has nothing to choose or cannot be run on such inputs.
    """
    if batch < 1 or repeats < 1 or (threads is not None and threads < 1):
        raise ConfigError(f"batch, repeats and threads must be at least 1, got {batch}, {repeats}, {threads}")
    scope = scope if scope is not None else space.OPTIMIZER_SCOPE
    edges = trace_candidates(space, input_shape, scope)
    place = torch.device(device)
    with _threads(threads), torch.inference_mode():
        now = clock_named(clock, place)
        tasks = {key: _prepared(op, shape, batch, place) for key, (op, shape) in _distinct(edges).items()}
        # the first pass finds how often to call each, and warms up
        calls = {key: _calls_for(call, place, now) for key, call in tasks.items()}
        rough = {key: _time(call, calls[key], place, now) for key, call in tasks.items()}
        network = _fastest_network(space, scope, edges, rough)
        tasks[NETWORK] = _prepared(network, tuple(input_shape), batch, place)
        calls[NETWORK] = _calls_for(tasks[NETWORK], place, now)
        rounds: dict[str, list[float]] = {key: [] for key in tasks}
        for key in _rounds(list(tasks), repeats, progress):
            rounds[key].append(_time(tasks[key], calls[key], place, now))
        info = {**_circumstances(place, batch, input_shape, repeats), "clock": clock}
    found = {key: 1e3 * typical(times, clock) for key, times in rounds.items()}
    whole = found.pop(NETWORK)
    inside = sum(min(found[k] if k else 0.0 for k in _keys(edge)) for edge in edges)
    return LatencyTable(found, max(0.0, whole - inside), len(edges), info=info)


def _keys(edge: TracedEdge) -> list[str | None]:
    """Return the key of every candidate; None for `Zero`, which costs nothing."""
    pairs = zip(edge.ops, edge.output_shapes, strict=True)
    return [None if isinstance(op, Zero) else operation_key(op, edge.input_shape, shape) for op, shape in pairs]


def _distinct(edges: Sequence[TracedEdge]) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Return one operation and its input shape per key."""
    found: dict[str, tuple[nn.Module, tuple[int, ...]]] = {}
    for edge in edges:
        for key, op in zip(_keys(edge), edge.ops, strict=True):
            if key is not None:
                found.setdefault(key, (op, edge.input_shape))
    if not found:
        raise ConfigError("all candidates are Zero: there is nothing to measure")
    return found


def _fastest_network(space: Graph, scope: Scope, edges: Sequence[TracedEdge], rough: dict[str, float]) -> Graph:
    """Return the network with the fastest candidate on every edge; what was measured decides."""
    clone = space.clone()
    clone.compile()
    by_place = {edge.place: edge for edge in edges}
    for place, data in list(decision_edges(clone, scope)):
        ops = candidates_of(data.op)
        if ops is None:
            continue
        times = [rough[key] if key else 0.0 for key in _keys(by_place[place])] if place in by_place else [0.0]
        data.set("op", ops[times.index(min(times))])
    clone.parse()
    return clone


def _prepared(module: nn.Module, shape: Sequence[int], batch: int, device: torch.device) -> Callable[[], Tensor]:
    """Return a call of the module on random inputs."""
    module = module.to(device).eval()
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    x = torch.randn((batch, *shape), dtype=like.dtype, device=device)
    return lambda: call_op(module, x)


def typical(times: Sequence[float], clock: str) -> float:
    """Return what counts of the rounds of a measurement: the median, of the CPU clock the lower quartile."""
    return median(times) if clock != "cpu" or len(times) < 2 else quantiles(times, n=4, method="inclusive")[0]


def clock_named(name: str, device: torch.device) -> Callable[[], float]:
    """Return a clock that gives seconds.

    Args:
        name: `"wall"` or `"cpu"`.
        device: What is measured.

    Raises:
        ConfigError: If there is no such clock, or it does not see all that works.
    """
    if name not in CLOCKS:
        raise ConfigError(f"clock is one of {', '.join(CLOCKS)}, not {name!r}")
    if name == "cpu" and (device.type != "cpu" or torch.get_num_threads() != 1):
        raise ConfigError(
            f"clock 'cpu' counts the time of one thread on the CPU, not {torch.get_num_threads()} threads on "
            f"{device.type}: set threads to 1, or take clock 'wall'"
        )
    return _cpu if name == "cpu" else _wall


def _wall() -> float:
    return perf_counter()


def _cpu() -> float:
    return thread_time()


def _calls_for(call: Callable[[], Tensor], device: torch.device, now: Callable[[], float]) -> int:
    """Return how many calls last long enough to be timed."""
    count = 1
    while _time(call, count, device, now) * count < _SHORTEST and count < _MOST:
        count *= 2
    return count


def _time(call: Callable[[], Tensor], count: int, device: torch.device, now: Callable[[], float]) -> float:
    """Return the seconds of one call, averaged over `count` calls in a row."""
    _wait(device)
    start = now()
    for _ in range(count):
        call()
    _wait(device)
    return (now() - start) / count


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize()


def _rounds(keys: Sequence[str], repeats: int, progress: bool) -> Iterator[str]:
    total, done = repeats * len(keys), 0
    with Progress("measuring", total, unit="timing") if progress else nullcontext() as shown:
        for turn in range(repeats):
            for key in keys:
                yield key
                done += 1
                if shown is not None:
                    shown.done = done
                    if shown.due():
                        shown.show(functools.partial(_turn, turn + 1, repeats, len(keys)))


def _turn(number: int, count: int, operations: int) -> Said:
    place = f"turn {number}/{count}"
    return Said(place, (f"{place} of {operations} operations", place))


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _circumstances(device: torch.device, batch: int, input_shape: Sequence[int], repeats: int) -> dict[str, object]:
    return {
        "device": _name(device),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "batch": batch,
        "input_shape": list(input_shape),
        "repeats": repeats,
    }


def _name(device: torch.device) -> str:
    """Return the name of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(encoding="utf-8").splitlines() if device.type == "cpu" and listing.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else f"{device.type} ({platform.machine()})"
