"""WithCosts: an evaluator whose trials also have costs: parameters, multiply-accumulates, memory, latency, energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import BenchmarkError, ConfigError, TrialFailed
from naslib.hardware.costs import HardwareCosts
from naslib.hardware.metrics import ALIASES, METRICS
from naslib.history import Outcome, Trial

from .base import Evaluator, ShouldStop, never


def split_objectives(names: Sequence[str] | None, own: Sequence[str]) -> tuple[list[str] | None, list[str]]:
    """Return what an evaluator measures itself, and which costs are found beside it, both in the order given.

    Args:
        names: What a person asks for.
        own: Costs that the evaluator measures itself, as people write them.

    Raises:
        ConfigError: If costs alone are asked for.
    """
    if not names:
        return (None if names is None else list(names)), []
    mine = {name.lower() for name in own}
    costs = [str(n) for n in names if _cost_name(n) is not None and str(n).lower() not in mine]
    rest = [str(n) for n in names if str(n) not in costs]
    if costs and not rest:
        raise ConfigError(
            f"search.objectives: {', '.join(costs)} are costs, which take no evaluation; name a score as well, such as "
            "accuracy"
        )
    return rest, [str(_cost_name(name)) for name in costs]


def _cost_name(name: Any) -> str | None:
    """Return the name of a cost, None for something else; as a metric of tables (`LATENCY`) it is none of these."""
    key = str(name).lower()
    key = ALIASES.get(key, key)
    return key if key in METRICS else None


class WithCosts(Evaluator):
    """Give a trial the values of another evaluator, and its costs, in the order in which objectives are named.

    Args:
        inner: The other evaluator.
        costs: The costs.
        names: All objectives, as they are named in the config.

    Raises:
        ConfigError: If the first objective is a cost where trials may be stopped by their learning curves.
    """

    def __init__(self, inner: Evaluator, costs: HardwareCosts, names: Sequence[str]) -> None:
        self.inner, self.costs = inner, costs
        rest = iter(inner.objectives)
        found = []
        for name in names:
            cost = costs.by_name.get(str(_cost_name(name)))
            found.append(next(rest) if cost is None else cost.metric.objective)
        twice = sorted({o.name for o in found if [other.name for other in found].count(o.name) > 1})
        if twice:
            raise ConfigError(f"search.objectives: {', '.join(twice)} is there twice")
        self.objectives = tuple(found)
        self.fidelity, self.is_instant, self.is_timed = inner.fidelity, inner.is_instant, inner.is_timed
        self.can_continue, self.carries_state = inner.can_continue, inner.carries_state
        # curves are of the first objective, which has to be the other evaluator's
        self.has_curves = inner.has_curves and found[0] == inner.objectives[0]

    def evaluate(self, trial: Trial, should_stop: ShouldStop = never) -> Outcome:
        """Return the values of a trial; costs are found first, so that one that has none is not trained.

        Raises:
            TrialFailed: If a table has no figure of the architecture, or the other evaluator says so.
            TrialStopped: If it was given up.
        """
        try:
            found = self.costs.of(tuple(trial.code))
        except BenchmarkError as error:
            raise TrialFailed(str(error)) from error
        user = self.costs.user()
        outcome = self.inner.evaluate(trial, should_stop)
        rest = iter(outcome.values)
        values = tuple(found[o.name] if o.name in found else next(rest) for o in self.objectives)
        return outcome._replace(values=values, user={**outcome.user, **user})

    def check(self, code: tuple[int, ...]) -> None:
        """Raise now if an architecture could not be evaluated, or has no costs."""
        self.inner.check(code)
        try:
            self.costs.of(tuple(code))
        except BenchmarkError:  # of this one; others may have figures
            return

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the other evaluator, where it carries one."""
        state: dict[str, Any] = self.inner.state_dict()  # type: ignore[attr-defined]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state of the other evaluator."""
        self.inner.load_state_dict(state_dict)  # type: ignore[attr-defined]

    def describe(self) -> dict[str, Any]:
        """Return what must be the same for values to be of the same evaluator; where costs come from is part of it."""
        own = {"objectives": [objective.name for objective in self.objectives], "costs": self.costs.describe()}
        return {**self.inner.describe(), **own}
