"""LocalSearch: evaluate the neighbours of the best architecture until none is better ([White2021local])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric

# Draws of an architecture that has not been evaluated yet, before one that has been is taken
_ATTEMPTS = 100


class Climb:
    """Where a local search is.

    Attributes:
        best: The best architecture of the current climb, None before it has one.
        best_value: Its merit.
        best_number: The number of its trial.
        centre: The architecture whose neighbours are being evaluated, None while the first ones are drawn.
        centre_number: The number of its trial.
        waiting: Neighbours of the centre that have not been asked for, the next one last.
        started: How many random architectures were asked for at the beginning.
        seen: All architectures that were asked for.
    """

    def __init__(self) -> None:
        self.best: Code | None = None
        self.best_value = float("-inf")
        self.best_number: int | None = None
        self.centre: Code | None = None
        self.centre_number: int | None = None
        self.waiting: list[Code] = []
        self.started = 0
        self.seen: dict[Code, None] = {}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "best": None if self.best is None else list(self.best),
            "best_value": self.best_value,
            "best_number": self.best_number,
            "centre": None if self.centre is None else list(self.centre),
            "centre_number": self.centre_number,
            "waiting": [list(code) for code in self.waiting],
            "started": self.started,
            "seen": [list(code) for code in self.seen],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        best, centre = state_dict["best"], state_dict["centre"]
        self.best = None if best is None else tuple(best)
        self.best_value = float(state_dict["best_value"])
        self.best_number = state_dict["best_number"]
        self.centre = None if centre is None else tuple(centre)
        self.centre_number = state_dict["centre_number"]
        self.waiting = [tuple(code) for code in state_dict["waiting"]]
        self.started = int(state_dict["started"])
        self.seen = {tuple(code): None for code in state_dict["seen"]}


@OPTIMIZERS.register("ls", "local_search")
class LocalSearch(DiscreteOptimizer):
    """Climb from the best of some random architectures to a local optimum, and begin anew ([White2021local]).

    The first `num_init` architectures are random. Then all neighbours of the best one are evaluated in random order,
    and the best architecture of the climb takes its place; where that is the same one, it is a local optimum, and a new
    climb begins at a random architecture. An architecture is evaluated once, so that neighbours of two centres cost
    nothing the second time. Where several trials run at once, a climb goes on when all neighbours of its centre are
    over; trials that have failed are never the best.

    Args:
        num_init: Random architectures at the beginning.
        query_until_improvement: Go to the first better neighbour at once, without looking at the others.
        fidelity: Epochs of the benchmark's training schedule that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        climb: Where the search is.

    Raises:
        ConfigError: For an unknown keyword, or `num_init` below one.
    """

    def __init__(
        self,
        *,
        num_init: int = 10,
        query_until_improvement: bool = False,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        if num_init < 1:
            raise ConfigError(f"num_init must be at least 1, not {num_init}")
        self.num_init = num_init
        self.query_until_improvement = query_until_improvement
        self.climb = Climb()

    def propose(self) -> tuple[Code, int | None] | None:
        """Return a random architecture, or a neighbour of the best one with its number; None while the climb waits."""
        climb = self.climb
        if climb.started < self.num_init:
            climb.started += 1
            return self._fresh(), None
        while not climb.waiting:
            if self.record.pending:
                return None
            if climb.best is None or climb.best == climb.centre:
                climb.best, climb.best_value, climb.best_number, climb.centre = None, float("-inf"), None, None
                # what is told next is where the new climb begins; where it fails, another one is drawn
                return self._fresh(), None
            self._move(climb.best)
        code = climb.waiting.pop()
        climb.seen[code] = None
        return code, climb.centre_number

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the climb beside the record and the random state."""
        return {**super().get_checkpointables(), "climb": self.climb}

    def _move(self, centre: Code) -> None:
        """Make the best architecture the centre, and its neighbours what is evaluated next."""
        climb = self.climb
        climb.centre, climb.centre_number = centre, climb.best_number
        around = [code for code in self.codec.neighbours(centre) if code not in climb.seen]
        self.rng.shuffle(around)
        climb.waiting = around

    def _fresh(self) -> Code:
        """Return a random architecture, if possible one that was not asked for yet."""
        codec, seen = self.codec, self.climb.seen
        code = codec.random(self.rng)
        for _ in range(_ATTEMPTS):
            if code not in seen:
                break
            code = codec.random(self.rng)
        seen[code] = None
        return code

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        climb = self.climb
        climb.seen[code] = None
        if merit > climb.best_value:
            climb.best, climb.best_value, climb.best_number = code, merit, number
            if self.query_until_improvement and climb.centre is not None:
                climb.waiting = []

    def _reset(self) -> None:
        self.climb = Climb()
