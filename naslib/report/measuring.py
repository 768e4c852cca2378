"""Size, multiply-accumulates and latency of a trained network, layer by layer, measured here and now."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from naslib.hardware.latency import measure_latency
from naslib.search_spaces.core.flops import count_macs_of_parts, zero_inputs
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.ops_basic import DropPath
from naslib.training.export import NetworkRecord
from naslib.utils.seeding import rng_restore, rng_snapshot

from .amounts import TIMES, WITHIN
from .reading import SavedRun
from .rebuilding import FAILURES

# As many layers are told apart; further ones stay within the block that holds them
MOST_LAYERS = 40
# A network of fewer operations is taken apart further
FEW_LAYERS = 12
# Forwards that are timed, and seconds after which no further one begins
_REPEATS, _SECONDS = 15, 4.0
# Items of a row of tokens, and of a sequence, where nothing says how long they are
_LENGTH = 64


@dataclass(frozen=True)
class MeasuredLayer:
    """A layer.

    Attributes:
        name: Its place in the network.
        kind: Its class.
        shape: Of what it gives for one input; "" where it was not called.
        params: Its parameters.
        macs: Its multiply-accumulates in millions.
        milliseconds: Median time in it for one input; None where nothing was measured.
    """

    name: str
    kind: str
    shape: str
    params: int
    macs: float
    milliseconds: float | None


@dataclass(frozen=True)
class MeasuredNetwork:
    """What was measured of a network.

    Attributes:
        layers: Its layers, in the order of their first call.
        input_shape: Of one input.
        milliseconds: Median time of a forward of one input, without the clocks of the layers.
        threads: Threads of torch that it ran with.
        macs: Of the whole network, in millions.
        params: Of the whole network.
    """

    layers: list[MeasuredLayer]
    input_shape: tuple[int, ...]
    milliseconds: float
    threads: int
    macs: float
    params: int


def measure(run: SavedRun) -> tuple[MeasuredNetwork | None, str]:
    """Build the network of a run with fresh weights, on the CPU, and measure it; return it, or None and why not.

    Size and time do not depend on the weights. The global random generators are left as they are.
    """
    if not run.network_record:
        return None, "the run has no trained network"
    snapshot = rng_snapshot()
    try:
        network = NetworkRecord.read(run.folder / "eval").build().eval()
        shape = input_shape(run, network)
        if shape is None:
            return None, "batches of a script's own loaders fed the network, so the shape of an input is not recorded"
        return measure_network(network, shape), ""
    except FAILURES as error:
        return None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        rng_restore(snapshot)


def input_shape(run: SavedRun, network: nn.Module) -> tuple[int, ...] | None:
    """Return the shape of one input as the record of the network has it; None where it has none.

    Records of an earlier version say how inputs are made, and nothing of the length of sequences.
    """
    recorded: Any = run.network_record.get("input_shape")
    if isinstance(recorded, list) and recorded:
        return tuple(int(size) for size in recorded)
    told: Any = run.network_record.get("preprocess")
    if not isinstance(told, dict):
        return None
    if told.get("kind") == "tokens":
        return (_LENGTH,)
    channels = int(told["in_channels"])
    if told.get("kind") == "sequence":
        return channels, _LENGTH
    size = told["image_size"]
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return channels, int(height), int(width)


@torch.no_grad()
def measure_network(network: nn.Module, shape: tuple[int, ...]) -> MeasuredNetwork:
    """Measure a network in evaluation mode.

    Args:
        network: The network.
        shape: Of one input.
    """
    parts = units(network)
    total, macs = count_macs_of_parts(network, shape, [module for _, module in parts])
    x = zero_inputs(network, 1, shape)
    order, shapes = _first_calls(network, parts, x)
    whole = measure_latency(network, x).milliseconds
    inner = _times_of_parts(network, parts, x)
    layers = [
        MeasuredLayer(
            readable(name),
            _kind(module),
            shapes.get(index, ""),
            _own_parameters(module),
            macs[index],
            inner[index],
        )
        for index, (name, module) in enumerate(parts)
    ]
    called = sorted(order, key=order.__getitem__)
    others = [index for index in range(len(parts)) if index not in order]
    params = sum(parameter.numel() for parameter in network.parameters())
    return MeasuredNetwork(
        [layers[i] for i in [*called, *others]], shape, whole, torch.get_num_threads(), total, params
    )


def units(network: nn.Module, most: int = MOST_LAYERS) -> list[tuple[str, nn.Module]]:
    """Return the modules that are told apart, none within another: the operations of graphs, or layers of a module.

    Graphs are always taken apart, because what they hold is called without them. Of a network with few operations these
    are taken apart too, as far as there are not too many parts. Modules with parameters of their own stay whole.

    Args:
        network: The network.
        most: Further parts stay within the module that holds them.
    """
    found: list[tuple[str, nn.Module]] = []
    for name, child in network.named_children():
        found += _taken_apart(name, child) if isinstance(child, Graph) else [(name, child)]
    while len(found) < FEW_LAYERS:
        splittable = [
            index for index, (_, module) in enumerate(found)
            if next(module.children(), None) is not None and not list(module.parameters(recurse=False))
        ]  # fmt: skip
        grown = [
            entry
            for index, (name, module) in enumerate(found)
            for entry in (_taken_apart(name, module) if index in splittable else [(name, module)])
        ]
        if not splittable or len(grown) > most:
            break
        found = grown
    unique: dict[int, tuple[str, nn.Module]] = {}
    for name, module in found:
        unique.setdefault(id(module), (name, module))
    return list(unique.values())


def _taken_apart(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for inner, child in module.named_children():
        place = f"{name}.{inner}"
        if isinstance(child, Graph):
            yield from _taken_apart(place, child)
        else:
            yield place, child


def readable(name: str) -> str:
    """Return the place of a module without the words that all places begin with."""
    parts = name.replace("makrograph-", "").replace("subgraph_at", "node ").replace("edge(", "edge (").split(".")
    return WITHIN.join(parts)


def _kind(module: nn.Module) -> str:
    """Return what a module is; of one that drops paths of another, what that is."""
    inner = getattr(module, "op", None)
    return type(inner if isinstance(module, DropPath) and isinstance(inner, nn.Module) else module).__name__


def _own_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _first_calls(
    network: nn.Module, parts: list[tuple[str, nn.Module]], x: torch.Tensor
) -> tuple[dict[int, int], dict[int, str]]:
    """Return in which place each part is called first, and the shape that it gives, without the batch."""
    order: dict[int, int] = {}
    shapes: dict[int, str] = {}

    def note(index: int, output: Any) -> None:
        order.setdefault(index, len(order))
        if isinstance(output, torch.Tensor):
            shapes.setdefault(index, TIMES.join(map(str, output.shape[1:])))

    handles = [
        module.register_forward_hook(lambda _m, _i, output, index=index: note(index, output))
        for index, (_, module) in enumerate(parts)
    ]
    try:
        network(x)
    finally:
        for handle in handles:
            handle.remove()
    return order, shapes


def _times_of_parts(network: nn.Module, parts: list[tuple[str, nn.Module]], x: torch.Tensor) -> list[float]:
    """Return the median milliseconds in each part; 0 for one that is not called."""
    if not parts:
        return []
    spent: list[list[float]] = [[] for _ in parts]
    now = [0.0] * len(parts)
    entered = [0.0] * len(parts)

    def enter(index: int) -> None:
        entered[index] = time.perf_counter()

    def leave(index: int) -> None:
        now[index] += 1000 * (time.perf_counter() - entered[index])

    handles = []
    for index, (_, module) in enumerate(parts):
        handles.append(module.register_forward_pre_hook(lambda _m, _i, index=index: enter(index)))
        handles.append(module.register_forward_hook(lambda _m, _i, _o, index=index: leave(index)))
    end = time.perf_counter() + _SECONDS
    try:
        while not spent[0] or (len(spent[0]) < _REPEATS and time.perf_counter() < end):
            now[:] = [0.0] * len(parts)
            network(x)
            for index, value in enumerate(now):
                spent[index].append(value)
    finally:
        for handle in handles:
            handle.remove()
    return [statistics.median(values) for values in spent]
