"""Generations: the template of evolutionary methods that evaluate many architectures and then breed the next ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric

Child = tuple[Code, int | None]


class Member(NamedTuple):
    """An architecture with its values.

    Attributes:
        code: The architecture.
        merits: One per objective, larger is better.
        number: Of its trial; None where it was told as a code.
    """

    code: Code
    merits: tuple[float, ...]
    number: int | None = None


class Generation:
    """What a generation consists of, as a checkpoint holds it.

    Attributes:
        waiting: Architectures that are still to be asked for, with the numbers of their parents.
        told: Those of this generation that have values.
        population: The members that children are made of; empty in the first generation.
        count: How many generations were bred.
    """

    def __init__(self) -> None:
        self.waiting: list[Child] = []
        self.told: list[Member] = []
        self.population: list[Member] = []
        self.count = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "waiting": [[list(code), parent] for code, parent in self.waiting],
            "told": _rows(self.told),
            "population": _rows(self.population),
            "count": self.count,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.waiting = [(tuple(code), parent) for code, parent in state_dict["waiting"]]
        self.told = _members(state_dict["told"])
        self.population = _members(state_dict["population"])
        self.count = int(state_dict["count"])


class GenerationalOptimizer(DiscreteOptimizer):
    """Evaluate a population, breed the next one from it, and so on.

    A generation is bred when every trial of the one before is told; until then `ask` may return fewer trials than it is
    asked for. A method whose generations may overlap does not wait where results are told as they come: it breeds from
    what is told, and what is pending joins the generation after. Trials that have failed are no members; where all
    have, the next generation is random.

    Args:
        population_size: Architectures in a generation.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        generation: The population, and what has been asked and told of the next.

    Raises:
        ConfigError: For an unknown keyword, or a population of fewer than two.
    """

    # Whether a generation may be bred while trials of the one before are pending
    overlaps = False

    def __init__(
        self,
        *,
        population_size: int = 20,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        if population_size < 2:
            raise ConfigError(f"population_size must be at least 2, not {population_size}")
        self.population_size = population_size
        self.generation = Generation()

    @abstractmethod
    def breed(self) -> list[Child]:
        """Settle the population, to which `generation.told` has come, and return what to evaluate next, at least one.

        Called with at least one member told, or in the population.
        """

    def propose(self) -> Child | None:
        """Return the next architecture of the generation; None while the last trials of one are pending."""
        generation = self.generation
        if not generation.waiting:
            if self.record.pending and not (self.overlaps and self.is_told_by_arrival):
                return None
            if generation.told or generation.population:
                generation.waiting = self.breed()
                generation.told = []
                generation.count += 1
            else:
                codec, rng = self.codec, self.rng
                generation.waiting = [(codec.random(rng), None) for _ in range(self.population_size)]
        return generation.waiting.pop(0)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the generation beside the record and the random state."""
        return {**super().get_checkpointables(), "generation": self.generation}

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self._learn_all(code, (merit,), number)

    def _learn_all(self, code: Code, merits: tuple[float, ...], number: int | None) -> None:
        self.generation.told.append(Member(code, merits, number))

    def _reset(self) -> None:
        self.generation = Generation()


def _rows(members: Sequence[Member]) -> list[list[Any]]:
    return [[list(member.code), list(member.merits), member.number] for member in members]


def _members(rows: Sequence[Sequence[Any]]) -> list[Member]:
    return [Member(tuple(code), tuple(map(float, merits)), number) for code, merits, number in rows]
