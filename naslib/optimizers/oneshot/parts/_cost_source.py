"""CostSource: where the costs of a supernet come from: counted on the network, or told by a table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.hardware.calibrate import TableCalibration, fit_calibration, measure_networks
from naslib.hardware.cost_model import CostModel, CostTerm
from naslib.hardware.count import count_costs, empty_model
from naslib.hardware.metrics import HardwareMetric
from naslib.hardware.projection import as_scores
from naslib.hardware.table import CostTable
from naslib.hardware.trace import decision_edges, trace_candidates
from naslib.optimizers.oneshot.supernet.host import SupernetHost
from naslib.search_spaces.core.arguments import constructor_arguments
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.node_choices import combinations_in
from naslib.utils.distributed import on_main
from naslib.utils.log import get_logger

logger = get_logger(__name__)
# Of the random architectures that a table is calibrated by, and how many stand beside a network that is measured
_SEED, _BESIDE = 20, 8


class CostSource:
    """Give the cost model of a supernet, and the cost of an architecture that was made of it.

    Args:
        metric: What is counted, or looked up.
        table: Of latency or energy; None where the network itself is counted.
        fixed: What the rest of the network costs by the table; what the table says if None.
        input_shape: Of one input; what table, task or space say if None.
        network: Sizes of the network that is retrained, where the costs are those of that and not of the supernet's.

    Attributes:
        rounds: In so many a latency is measured on the network; 0 takes the table's word.
        beside: Random networks that are measured in the same rounds, and what they took at first, in ms: by the median
            of what they take later the machine has changed, which is left out of what is measured later.

    Raises:
        ConfigError: If a table says nothing about the rest.
    """

    def __init__(
        self,
        metric: HardwareMetric,
        table: CostTable | None,
        fixed: float | None,
        input_shape: Sequence[int] | None,
        network: Mapping[str, Any] | None = None,
    ) -> None:
        self.metric, self.table = metric, table
        self.network = dict(network or {})
        self.rounds = 0
        self.beside: list[tuple[nn.Module, float]] = []
        self._measured: dict[tuple[int | None, ...], float] = {}
        self.fixed = fixed if fixed is not None or table is None else table.fixed
        if table is not None and self.fixed is None:
            raise ConfigError(
                f"the table does not say what the rest of the network costs: give `fixed` in {metric.unit}, or 0"
            )
        told = table.info.get("input_shape") if table is not None else None
        self._given = tuple(input_shape) if input_shape is not None else tuple(told) if told is not None else None
        self.shape: tuple[int, ...] = self._given or ()

    def size(self) -> str:
        """Return in words how large the network is whose cost is asked for."""
        sizes = ", ".join(f"{name} {value}" for name, value in self.network.items())
        return sizes or "the size of the supernet"

    def model(self, graph: Graph, host: SupernetHost) -> CostModel:
        """Return the costs of a space or supernet.

        Args:
            graph: The space or supernet.
            host: Whose; it says what is searched, and what goes in.

        Raises:
            ConfigError: If they are not known.
        """
        self.shape = self._given or _shape_of(graph, host)
        if self.network:
            graph = _of_size(graph, self.network)
        if self.table is None:
            return count_costs(graph, self.metric.name, self.shape, host.scope)
        model = empty_model(graph, host.scope)
        edges = trace_candidates(graph, self.shape, host.scope)
        numbers = {name: index for index, name in enumerate(model.names)}
        terms: dict[int, torch.Tensor] = {}
        for edge, costs in zip(edges, self.table.costs(edges), strict=True):
            row = torch.tensor(costs, dtype=torch.float64)
            index = numbers[edge.place[0]]
            terms[index] = terms[index] + row if index in terms else row
        model.fixed = float(self.fixed or 0.0)
        model.terms = [CostTerm((index,), row) for index, row in terms.items()]
        return model

    def choices(self, architecture: Graph, host: SupernetHost, model: CostModel) -> list[int | None]:
        """Return per decision the candidate that a discrete architecture has, None for an edge that it dropped."""
        found: dict[str, int] = {}
        for (name, _), data in decision_edges(architecture, host.scope):
            found[name] = int(data.op_index)
        for nested in architecture.nested_graphs():
            for name, position in combinations_in(nested).values():
                found[name] = position
        values = architecture.chosen_values or {}
        for decision in host.decisions:
            if decision.kind == "value" and decision.name in values:
                found[decision.name] = decision.candidates.index(values[decision.name])
        grouped = {edge for group in model.groups for edge in group.edges}
        # what is not there for another reason (inside of a candidate that was not chosen) costs nothing anyway
        return [
            found.get(name, None if index in grouped else model.allowed[index][0])
            for index, name in enumerate(model.names)
        ]

    def counted(self, architecture: Graph, host: SupernetHost, model: CostModel) -> float:
        """Return the cost of a discrete architecture, by the table or counted on it."""
        if self.metric.of_network is not None:
            return self.metric.of_network(self._built(architecture, "meta"), self.shape)
        choices = self.choices(architecture, host, model)
        if not self.rounds:
            return model.of_choices(choices)
        key = tuple(choices)
        if key not in self._measured:
            self._measured[key] = self._measure_beside(self._built(architecture, "cpu"), host, model)
            by_table = model.of_choices(choices)
            logger.info("latency of a network: %.4g ms by its table, %.4g measured", by_table, self._measured[key])
        return self._measured[key]

    def _measure_beside(self, network: nn.Module, host: SupernetHost, model: CostModel) -> float:
        """Return the milliseconds of a network, at the speed that the machine had when one was first measured.

        It runs in turn with random networks: as in use, its weights are not in the cache when it begins.
        """
        if not self.beside:
            others = [self._built(other, "cpu") for other in self._random(model, host, _BESIDE)]
            self.beside = list(zip(others, on_main(lambda: self._times(others, host, self.rounds)), strict=True))
        networks = [network, *(other for other, _ in self.beside)]
        now, *others_now = on_main(lambda: self._times(networks, host, self.rounds))
        changes = [later / first for later, (_, first) in zip(others_now, self.beside, strict=True)]
        return now / statistics.median(changes)

    def _times(self, networks: Sequence[nn.Module], host: SupernetHost, rounds: int = 15) -> list[float]:
        """Return the milliseconds of networks, where the supernet is and by the clock of the table."""
        clock = str(self.table.info.get("clock", "wall")) if self.table is not None else "wall"
        device = next((str(p.device) for p in host.weights), "cpu")
        return measure_networks(networks, self.shape, repeats=rounds, device=device, clock=clock)

    def _built(self, architecture: Graph, device: str) -> nn.Module:
        """Return the network whose cost is asked for: the architecture itself, or as large as it will be retrained."""
        if not self.network:
            return architecture
        with torch.random.fork_rng([]), torch.device(device):
            return architecture.evaluation_network(**self.network)

    def calibration(self, model: CostModel | None, host: SupernetHost, n: int) -> TableCalibration:
        """Measure random architectures of the supernet's size, and fit what the sums of the model are to them.

        Args:
            model: Before calibration.
            host: Makes the architectures; its outcome is what it was, afterwards.
            n: How many architectures.

        Raises:
            ConfigError: If nothing can be fitted.
        """
        if model is None:
            raise ConfigError("there is nothing to calibrate before a search space was adapted")
        architectures = self._random(model, host, n)
        networks = [self._built(architecture, "cpu") for architecture in architectures]
        sums = [
            model.of_choices(self.choices(architecture, host, model)) - model.fixed for architecture in architectures
        ]
        found = on_main(lambda: fit_calibration(sums, self._times(networks, host)))
        logger.info(
            "calibrated by %d networks: latency = %.4g * sum + %.4g ms, at most %.1f %% off",
            found.networks, found.scale, found.shift, 100 * found.error,
        )  # fmt: skip
        return found

    def _random(self, model: CostModel, host: SupernetHost, n: int) -> list[Graph]:
        """Return architectures of random scores; the outcome of the host is what it was, afterwards."""
        generator = torch.Generator().manual_seed(_SEED)
        before, found = host.outcome, []
        try:
            for _ in range(n):
                scores = [torch.rand(width, generator=generator) for width in model.widths]
                host.outcome = [
                    row.to(alpha)
                    for row, alpha in zip(
                        as_scores(model, model.choose(scores), scores), host.architectural_weights, strict=True
                    )
                ]
                found.append(host.get_final_architecture())
        finally:
            host.outcome = before
        return found


def _of_size(graph: Graph, network: Mapping[str, Any]) -> Graph:
    """Return the space of a supernet at another size, without memory for its weights.

    Raises:
        ConfigError: If the space has no such size, or other decisions at that size.
    """
    known = constructor_arguments(graph)
    sizes = {name: value for name, value in network.items() if name != "auxiliary"}
    if unknown := [name for name in sizes if name not in known]:
        raise ConfigError(
            f"network: {type(graph).__name__} has no size {', '.join(map(repr, unknown))} (it has {', '.join(known)})"
        )
    with torch.random.fork_rng([]), torch.device("meta"):
        probe = type(graph)(**known)
        probe.sample_random_architecture(rng=0)
        try:
            probe.evaluation_network(**network)
        except UnsupportedBySpaceError as error:
            raise ConfigError(f"network: {error}") from error
        return type(graph)(**{**known, **sizes})


def _shape_of(graph: Any, host: SupernetHost) -> tuple[int, ...]:
    """Return the shape of an input as the task knows it, else as the space was made for.

    Raises:
        ConfigError: If neither says.
    """
    if host.task.input_shape is not None:
        return tuple(host.task.input_shape)
    channels, size = getattr(graph, "in_channels", None), getattr(graph, "image_size", 32)
    if channels is None:
        raise ConfigError("nothing says for which inputs the costs are: give `input_shape`, [channels, height, width]")
    return (channels, size, size) if isinstance(size, int) else (channels, *size)
