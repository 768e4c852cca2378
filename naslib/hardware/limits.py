"""Hard limits on the costs of architectures: `search.limits`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from naslib.errors import ArchitectureError, BenchmarkError, ConfigError
from naslib.search_spaces.core.codec import Code

from .costs import ArchitectureCost, HardwareCosts
from .metrics import METRICS, metric_named

_PLACE = "search.limits"


def check_limits(given: Any) -> dict[str, float]:
    """Return `search.limits`: upper bounds by the names of costs, in their units.

    Raises:
        ConfigError: For a name that there is not, one that is there twice, or a bound that is no positive number.
    """
    if not given:
        return {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{_PLACE} has an upper bound by the name of a cost, such as {{macs: 60}}, not {given!r}")
    found: dict[str, float] = {}
    for name, bound in given.items():
        metric = metric_named(name, _PLACE)
        is_number = isinstance(bound, int | float) and not isinstance(bound, bool)
        if not is_number or not 0 < bound < math.inf:
            raise ConfigError(f"{_PLACE}.{name} is an upper bound in {metric.unit}, a number above 0, not {bound!r}")
        if metric.name in found:
            raise ConfigError(f"{_PLACE}: {metric.name} is there twice ({name} is another name of it)")
        found[metric.name] = float(bound)
    return found


class CostLimits:
    """Say which architectures keep to upper bounds of their costs.

    What a cost says of an architecture is remembered, so that it is judged once, also where the cost is measured. An
    architecture that a device cannot run, of which a table has no figure, is beyond every limit.

    Args:
        bounds: By the names of the costs.
        costs: Those.

    Attributes:
        smallest: By name, the smallest cost among the architectures that were beyond that limit.
    """

    def __init__(self, bounds: Mapping[str, float], costs: HardwareCosts) -> None:
        self.bounds = dict(bounds)
        self._costs: list[ArchitectureCost] = [costs.by_name[name] for name in bounds]
        self.smallest: dict[str, float] = {}
        self._known: dict[Code, float] = {}

    def excess(self, code: Code) -> float:
        """Return by how much an architecture is beyond the limits, as a share of the one that it misses most; else 0.

        Infinite where a cost is not known.
        """
        code = tuple(code)
        found = self._known.get(code)
        if found is None:
            found = self._known[code] = max(self._beyond(cost, code) for cost in self._costs)
        return found

    def allow(self, code: Code) -> bool:
        """Say whether an architecture keeps to the limits."""
        return self.excess(code) <= 0

    def _beyond(self, cost: ArchitectureCost, code: Code) -> float:
        name = cost.metric.name
        try:
            value = cost.of(code)
        except (BenchmarkError, ArchitectureError):
            return math.inf
        bound = self.bounds[name]
        if value <= bound:
            return 0.0
        self.smallest[name] = min(value, self.smallest.get(name, value))
        return value / bound - 1.0

    def refusal(self) -> str:
        """Return that nothing keeps to the limits, with the smallest costs that were seen beyond them."""
        asked = ", ".join(f"{name} {bound:g} {METRICS[name].unit}" for name, bound in self.bounds.items())
        seen = ", ".join(f"{name} {value:.4g} {METRICS[name].unit}" for name, value in self.smallest.items())
        return f"{_PLACE}: no architecture keeps to {asked} (the smallest beyond them: {seen or 'none has a figure'})"

    def why(self, code: Code) -> str:
        """Return in which costs an architecture is beyond the limits."""
        found = []
        for cost in self._costs:
            if self._beyond(cost, code) > 0:
                name, unit = cost.metric.name, cost.metric.unit
                try:
                    said = f"{cost.of(code):.4g} {unit}"
                except (BenchmarkError, ArchitectureError):
                    said = "not known"
                found.append(f"{name} {said} > {self.bounds[name]:g} {unit}")
        return ", ".join(found)

    @property
    def are_known(self) -> bool:
        """Whether no cost is measured anew each time."""
        return all(cost.is_known for cost in self._costs)

    def require_known(self, who: str) -> None:
        """Raise if a limit is on a cost that is measured anew each time.

        Args:
            who: Which method needs to know, for the message.

        Raises:
            ConfigError: Naming it.
        """
        for cost in self._costs:
            if not cost.is_known:
                raise ConfigError(
                    f"{_PLACE}.{cost.metric.name}: {who} judges proposals by it, and a search that goes on has to "
                    "judge them alike: measure a table of operations once (python -m naslib.hardware.measure), or name "
                    "a device"
                )
