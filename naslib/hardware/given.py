"""What a config says of costs: `search.hardware`, and the costs that are made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from naslib.errors import ConfigError, did_you_mean
from naslib.registry.devices import devices_of
from naslib.search_spaces.core.graph import Graph

from .costs import (
    ArchitectureCost,
    HardwareCosts,
    MeasuredCost,
    NetworkCost,
    OperationsCost,
    PublishedCost,
    SpaceNetworks,
    of_table,
)
from .metrics import HardwareMetric, metric_named
from .published import PublishedFigures, find_set
from .table import read_table

_PLACE = "search.hardware"
HERE = "here"
# The costs that have a source, and the entries of one that is a mapping, by the entry that says what it is
_SOURCES: dict[str, dict[str, tuple[str, ...]]] = {
    "latency": {"device": ("dataset",), "table": ("fixed",), HERE: ("threads",)},
    "energy": {"device": ("dataset",)},
}
_TABLES = (".json", ".yaml", ".yml")


def check_hardware(given: Any) -> dict[str, Any]:
    """Return `search.hardware` with every source as a mapping that has one of `device`, `table` and `here`.

    Args:
        given: None; or by name, where the figures of a cost come from: `latency` and `energy`, each the name of a
            device or a mapping with `device` and perhaps `dataset`; `latency` also the path of a table (or `table` and
            perhaps `fixed`), or `here` (or `{here: true, threads: 1}`). `input_shape` is that of one input.

    Raises:
        ConfigError: For anything else.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{_PLACE} says by the name of a cost where its figures come from, not {given!r}")
    known = (*_SOURCES, "input_shape")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                f"{_PLACE}: there is no source of {name!r}{did_you_mean(str(name), known)} (known: {', '.join(known)}; "
                "params, macs and memory are counted)"
            )
        found[name] = _shape(value) if name == "input_shape" else _source(name, value)
    return found


def _shape(value: Any) -> tuple[int, ...]:
    is_shape = isinstance(value, Sequence) and not isinstance(value, str) and 1 <= len(value) <= 3
    if not is_shape or any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in value):
        raise ConfigError(f"{_PLACE}.input_shape is like [3, 32, 32], not {value!r}")
    return tuple(value)


def _source(name: str, value: Any) -> dict[str, Any]:
    ways = _SOURCES[name]
    if isinstance(value, str):
        if value == HERE and HERE in ways:
            return {HERE: True}
        if value.endswith(_TABLES) and "table" in ways:
            return {"table": value}
        return {"device": value}
    entries = list(value) if isinstance(value, Mapping) else []
    kinds = [way for way in ways if way in entries]
    if len(kinds) != 1:
        forms = " or ".join(f"{{{way}: ...}}" for way in ways)
        raise ConfigError(f"{_PLACE}.{name} is the name of a device or {forms}, with one of these, not {value!r}")
    allowed = (kinds[0], *ways[kinds[0]])
    for entry in entries:
        if entry not in allowed:
            hint = did_you_mean(str(entry), allowed)
            raise ConfigError(f"{_PLACE}.{name} has no entry {entry!r}{hint} (beside {kinds[0]}: {allowed[1:]})")
    return dict(value)


class CostsOfSpace:
    """Make the costs of a search space, as a config says.

    Args:
        space: The search space; not changed.
        given: `search.hardware`.
        input_shape: Returns the shape of one input, without the batch; asked only where a cost needs it.
        api: The benchmark that gives trials their values, where one does.
        dataset: Name of the data set.
        data: Where the tables are.
        network_args: Arguments of the networks that are evaluated, where they have another size than the space's.
    """

    def __init__(
        self,
        space: Graph,
        given: Mapping[str, Any] | None = None,
        *,
        input_shape: Callable[[], Sequence[int]] | None = None,
        api: Any = None,
        dataset: str | None = None,
        data: str | os.PathLike[str] | None = None,
        network_args: Mapping[str, Any] | None = None,
    ) -> None:
        self.space, self.given = space, check_hardware(given)
        self.api, self.dataset, self.data, self.network_args = api, dataset, data, network_args
        self._input_shape = input_shape
        self._networks: SpaceNetworks | None = None

    def costs(self, names: Sequence[str], place: str = "search.objectives") -> HardwareCosts:
        """Return the costs of these names, in their order.

        Args:
            names: As in `METRICS`.
            place: Which key names them, for messages.

        Raises:
            ConfigError: For a name that there is not, or a cost whose figures nobody knows.
            BenchmarkError: If a table is not here, or cannot be used.
        """
        return HardwareCosts([self.cost(metric_named(name, place), place) for name in names])

    def cost(self, metric: HardwareMetric, place: str = "search.objectives") -> ArchitectureCost:
        """Return one cost; see `costs`."""
        source = self.given.get(metric.name)
        if source is None:
            found = of_table(metric, self.api, self.dataset)
            if found is not None:
                return found
            if metric.of_network is not None:
                return NetworkCost(metric, self._made())
            raise ConfigError(self._unknown(metric, place))
        if HERE in source:
            if source[HERE] is not True:
                raise ConfigError(f"{_PLACE}.latency.here is true or left out, not {source[HERE]!r}")
            return MeasuredCost(self._made(), source.get("threads"))
        if "table" in source:
            shape = self.given.get("input_shape")
            name = source["table"] if isinstance(source["table"], str) else "a table"
            return OperationsCost(self.space, read_table(source["table"]), name, shape, source.get("fixed"))
        space, device = self.space.get_type(), str(source["device"])
        dataset = source.get("dataset", self.dataset)
        held = find_set(space, metric.name, device, dataset)
        return PublishedCost(metric, PublishedFigures(held, device, dataset, self.space._codec(), self.data))

    def _made(self) -> SpaceNetworks:
        if self._networks is None:
            shape = self.given.get("input_shape")
            if shape is None and self._input_shape is not None:
                shape = self._input_shape()
            if shape is None:
                raise ConfigError(
                    f"{_PLACE}.input_shape: say the shape of one input, such as [3, 32, 32]; costs of networks depend "
                    "on it, and nothing here knows it"
                )
            self._networks = SpaceNetworks(self.space, shape, self.network_args)
        return self._networks

    def _unknown(self, metric: HardwareMetric, place: str) -> str:
        devices = devices_of(self.space.get_type(), metric.name)
        ways = [f"a device ({', '.join(devices)})"] if devices else []
        if metric.name == "latency":
            ways += ["`here`, which measures every network on this machine", "a table of operations (table.json)"]
        said = "; ".join(ways) or f"nobody has published any for {self.space.get_type()}"
        return f"{place}: of the {metric.name}, {_PLACE}.{metric.name} has to say where it comes from: {said}"
