"""What an architecture costs: its names, their units, and how each is found for a network.

A cost is smaller the better. Every place that knows one (objectives of trials, limits, differentiable costs, reports)
takes its name and unit from here.

| name | unit | of a network | of a table |
|---|---|---|---|
| `params` | millions | counted | `PARAMETERS` |
| `macs` | millions | counted in one forward | `FLOPS` |
| `memory` | MB | the rule of `memory` in one forward | `MEMORY` |
| `latency` | ms | measured on this machine | by device |
| `energy` | mJ | cannot be measured here | by device |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from naslib.errors import ConfigError, did_you_mean
from naslib.history import Objective
from naslib.search_spaces.core.flops import count_macs, zero_inputs
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.meters import count_parameters_in_MB

from .latency import MeasuredLatency, measure_latency

# Bytes of a megabyte: as of disks and tables, not 2**20
_MB = 1e6


def params(network: nn.Module) -> float:
    """Return the parameters of a network in millions, without those of auxiliary heads."""
    return count_parameters_in_MB(network)


def macs(network: nn.Module, input_shape: Sequence[int]) -> float:
    """Return the multiply-accumulates of one input in millions, of convolutions and linear layers.

    Args:
        network: The network.
        input_shape: Of one input, without the batch; see `count_macs`.

    Raises:
        ConfigError: If `input_shape` is no shape of an input.
    """
    return count_macs(network, input_shape)


def memory(network: nn.Module, input_shape: Sequence[int]) -> float:
    """Return the memory that one input takes at inference, in MB (10^6 bytes).

    The rule: the bytes of all parameters and buffers, auxiliary heads left out, and the most bytes of tensors that are
    alive at once during one forward of a batch of one in evaluation mode without gradients, the input among them and
    views of one tensor counted once. What kernels take for themselves (workspaces, caches of the allocator) is not in
    it, so that the figure follows from shapes and types alone, on any machine.

    Args:
        network: The network; its modes are what they were.
        input_shape: Of one input, without the batch.
    """
    tensors = [*network.named_parameters(), *network.named_buffers()]
    weights = {t.data_ptr() or id(t): t.numel() * t.element_size() for name, t in tensors if "auxiliary" not in name}
    modes = {child: child.training for child in network.modules()}
    inputs = zero_inputs(network, 1, input_shape)
    alive = _Alive(inputs, [t for _, t in tensors])
    try:
        network.eval()
        with torch.no_grad(), alive:
            network(inputs)
    finally:
        for child, mode in modes.items():
            child.training = mode
    return (sum(weights.values()) + alive.peak) / _MB


def latency(network: nn.Module, input_shape: Sequence[int]) -> MeasuredLatency:
    """Return how long one input takes on this machine, as `measure_latency` does: the median, and of how many runs.

    Two calls say different things: a measured latency is no function of the architecture.

    Args:
        network: The network, measured in evaluation mode; its modes are what they were.
        input_shape: Of one input, without the batch.
    """
    modes = {child: child.training for child in network.modules()}
    network.eval()
    try:
        return measure_latency(network, zero_inputs(network, 1, input_shape))
    finally:
        for child, mode in modes.items():
            child.training = mode


def energy(network: nn.Module, input_shape: Sequence[int]) -> float:
    """Raise: nothing here reads the power of a machine, so that energies are those of tables.

    Raises:
        ConfigError: Always; it says where there are energies.
    """
    raise ConfigError(
        "the energy of a network cannot be measured here: it is known from tables alone, such as those of HW-NAS-Bench "
        "for the space nasbench201 (search.hardware.energy: edgegpu, eyeriss or fpga)"
    )


@dataclass(frozen=True)
class HardwareMetric:
    """A cost of an architecture.

    Attributes:
        name: As in a config, in lower case.
        unit: What its numbers count.
        what: In a few words.
        metric: What benchmarks call it; None where it has no name of its own there.
        of_network: Finds it for a network and the shape of one input; None where it is measured or looked up.
    """

    name: str
    unit: str
    what: str
    metric: Metric | None
    of_network: Callable[[nn.Module, Sequence[int]], float] | None

    @property
    def objective(self) -> Objective:
        """The cost as an objective: less of it is better."""
        return Objective(self.name, False, self.unit)


_ALL = (
    HardwareMetric("params", "M", "parameters", Metric.PARAMETERS, lambda network, _: params(network)),
    HardwareMetric("macs", "M", "multiply-accumulates of one input", Metric.FLOPS, macs),
    HardwareMetric("memory", "MB", "weights and live tensors of one input at inference", Metric.MEMORY, memory),
    HardwareMetric("latency", "ms", "time of one input", Metric.LATENCY, None),
    HardwareMetric("energy", "mJ", "energy of one input", None, None),
)
METRICS: dict[str, HardwareMetric] = {metric.name: metric for metric in _ALL}
# Other names, in lower case: those of `Metric`, and of earlier configs
ALIASES: dict[str, str] = {"parameters": "params", "flops": "macs"}


def metric_named(name: Any, place: str = "") -> HardwareMetric:
    """Return the cost of that name, in any case.

    Args:
        name: As in a config.
        place: Where it stands, for the message.

    Raises:
        ConfigError: If there is none; the message names the nearest.
    """
    key = str(name).lower()
    key = ALIASES.get(key, key)
    if key not in METRICS:
        at = f"{place}: " if place else ""
        raise ConfigError(
            f"{at}no cost is called {name!r}{did_you_mean(key, METRICS)} (there are: {', '.join(METRICS)})"
        )
    return METRICS[key]


class _Alive(TorchDispatchMode):
    """Take note of the most bytes of tensors that are alive at once.

    Args:
        first: A tensor that counts from the beginning.
        others: Tensors that do not count, nor what looks at them.
    """

    def __init__(self, first: Tensor, others: Sequence[Tensor]) -> None:
        super().__init__()
        self._others = {tensor.untyped_storage()._cdata for tensor in others}
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0
        self._see(first)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for value in tree_iter(found):
            if isinstance(value, Tensor):
                self._see(value)
        return found

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._others:
            return
        self._alive = {k: entry for k, entry in self._alive.items() if not entry[0].expired()}
        if key not in self._alive:
            self._alive[key] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
