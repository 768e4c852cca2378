"""Costs as an optimizer sees them: of its objectives, and those that its limits are on."""

from __future__ import annotations

from typing import Any

from naslib.benchmarks.base import Benchmark
from naslib.errors import ConfigError, OptimizerStateError
from naslib.hardware.benchmark import CostBenchmark
from naslib.hardware.given import CostsOfSpace, check_hardware
from naslib.hardware.limits import CostLimits, check_limits
from naslib.hardware.metrics import METRICS
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.limited_codec import limited
from naslib.search_spaces.core.literals import shortened


def settle_costs(optimizer: Any, given: dict[str, Any]) -> None:
    """Give an optimizer what its config says of costs, as attributes.

    Args:
        optimizer: The optimizer.
        given: The keywords that it was made with.

    Raises:
        ConfigError: For bad keys, or limits that the method cannot keep to.
    """
    optimizer.hardware = check_hardware(given.get("hardware"))
    optimizer.limits = check_limits(given.get("limits"))
    if optimizer.limits and not optimizer.TAKES_LIMITS:
        raise ConfigError(
            f"search.limits: {type(optimizer).__name__} trains parameters off which the architecture is read in the "
            "end, and cannot leave out what is beyond a limit; the part `cost` (search.parts.cost) draws the search to "
            "a target, and searches of paths (spos, fair_nas ...) and of trials keep to limits"
        )
    optimizer.network_args = dict(given.get("evaluator_args") or {}).get("network_args")


def costs_of(
    optimizer: Any, space: Graph, dataset_api: Any = None, dataset: str | None = None, **kwargs: Any
) -> CostsOfSpace:
    """Return what makes the costs of a space, as the optimizer's config says.

    Args:
        optimizer: The optimizer.
        space: The search space.
        dataset_api: The benchmark, where one gives trials their values.
        dataset: Name of the data set in it.
        **kwargs: See `CostsOfSpace`.
    """
    given = {"input_shape": optimizer.input_shape, "data": optimizer.data, "network_args": optimizer.network_args}
    return CostsOfSpace(space, optimizer.hardware, api=dataset_api, dataset=dataset, **{**given, **kwargs})


def names_costs(optimizer: Any) -> bool:
    """Say whether a search has costs among its objectives, or limits on some."""
    return bool(optimizer.limits) or any(name in METRICS for name in getattr(optimizer, "objective_names", None) or ())


def with_costs(optimizer: Any, space: Graph, dataset_api: Any, dataset: str | None) -> Any:
    """Return a benchmark that also answers for the costs among the objectives of a search of trials."""
    names = [name for name in optimizer.objective_names or () if name in METRICS]
    if not names or not isinstance(dataset_api, Benchmark):
        return dataset_api
    return CostBenchmark(dataset_api, costs_of(optimizer, space, dataset_api, dataset).costs(names))


def limits_of(optimizer: Any, space: Graph, dataset_api: Any, dataset: str | None, **kwargs: Any) -> CostLimits:
    """Return the limits of a search; its optimizer has some."""
    made = costs_of(optimizer, space, dataset_api, dataset, **kwargs)
    return CostLimits(optimizer.limits, made.costs(list(optimizer.limits), "search.limits"))


def within_limits(optimizer: Any, codec: Codec[Any], space: Graph, dataset_api: Any, dataset: str | None) -> Codec[Any]:
    """Return the codec of what keeps to the limits of a search of trials; as it is where there are none.

    Raises:
        ConfigError: If nothing keeps to them, or a cost is measured anew each time.
    """
    optimizer.judge = None
    if not optimizer.limits:
        return codec
    api = dataset_api if optimizer._asks_the_benchmark() else None
    limits = limits_of(optimizer, space, api, dataset)
    limits.require_known(type(optimizer).__name__)
    optimizer.judge = limits
    return limited(codec, limits)


def check_within(optimizer: Any, code: Code) -> None:
    """Raise if a method proposes what is beyond its limits: its codec draws and varies what keeps to them.

    Raises:
        OptimizerStateError: Naming the method, which varies architectures by itself.
    """
    if optimizer.judge is not None and not optimizer.judge.allow(code):
        raise OptimizerStateError(
            f"{type(optimizer).__name__} has proposed {shortened(tuple(code))}, which is beyond search.limits "
            f"({optimizer.judge.why(code)}); `self.codec` draws and varies what keeps to them"
        )
