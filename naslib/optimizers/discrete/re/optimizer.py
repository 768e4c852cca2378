"""RegularizedEvolution: tournaments in a population from which the oldest dies ([Real2019regularized], algorithm 1)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import CheckpointError, ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric


class AgingPopulation:
    """A population of fixed size in which a new member takes the place of the oldest.

    Args:
        size: Largest number of members.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.codes: list[Code] = []
        self.values: list[float] = []
        self.numbers: list[int | None] = []
        self._oldest = 0

    def __len__(self) -> int:
        return len(self.codes)

    def is_full(self) -> bool:
        """Say whether the next member replaces the oldest."""
        return len(self.codes) >= self.size

    def add(self, code: Code, value: float, number: int | None = None) -> None:
        """Add a member, with the number of its trial; the oldest dies if the population is full."""
        codes, oldest = self.codes, self._oldest
        if len(codes) < self.size:
            codes.append(code)
            self.values.append(value)
            self.numbers.append(number)
            return
        codes[oldest], self.values[oldest], self.numbers[oldest] = code, value, number
        self._oldest = (oldest + 1) % self.size

    def tournament(self, sample_size: int, rng: random.Random) -> Code:
        """Return the best of `sample_size` members drawn uniformly with replacement."""
        return self.codes[self.winner(sample_size, rng)]

    def winner(self, sample_size: int, rng: random.Random) -> int:
        """Return the place of the best of `sample_size` members drawn uniformly with replacement."""
        count, values, draw = len(self.codes), self.values, rng.random
        best = int(draw() * count)  # randrange is exact only where count nears 2**53, and costs five times as much
        for _ in range(sample_size - 1):
            other = int(draw() * count)
            if values[other] > values[best]:
                best = other
        return best

    def by_age(self) -> list[tuple[Code, float]]:
        """Return the members with their values, the oldest first."""
        order = [*range(self._oldest, len(self.codes)), *range(self._oldest)]
        return [(self.codes[i], self.values[i]) for i in order]

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {
            "size": self.size,
            "oldest": self._oldest,
            "codes": [list(c) for c in self.codes],
            "values": [*self.values],
            "numbers": [*self.numbers],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If it is of a population of another size.
        """
        if state_dict["size"] != self.size:
            raise CheckpointError(f"the checkpoint has population_size {state_dict['size']}, this search {self.size}")
        self.codes = [tuple(code) for code in state_dict["codes"]]
        self.values = [float(value) for value in state_dict["values"]]
        self.numbers = list(state_dict.get("numbers", [None] * len(self.codes)))  # older checkpoints have none
        self._oldest = int(state_dict["oldest"])


@OPTIMIZERS.register("re", "regularized_evolution")
class RegularizedEvolution(DiscreteOptimizer):
    """Evolve architectures by aging evolution ([Real2019regularized], algorithm 1).

    The first `population_size` architectures are random. Then each step mutates the best of `sample_size` members,
    drawn with replacement, and the child takes the place of the oldest member. Trials that have failed are no members;
    while others are pending, children are made of the members there are.

    Args:
        sample_size: Members in a tournament.
        population_size: Members in the population.
        fidelity: Epochs of the benchmark's training schedule that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        population: The living members.

    Raises:
        ConfigError: For an unknown keyword, or a size below one.
    """

    IS_ASYNCHRONOUS = True

    SCHEDULABLE = {"sample_size": ""}

    def __init__(
        self,
        *,
        sample_size: int = 10,
        population_size: int = 100,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        sizes = {"sample_size": sample_size, "population_size": population_size}
        problems = [f"{key} must be at least 1, not {size}" for key, size in sizes.items() if size < 1]
        if problems:
            raise ConfigError(problems)
        self.sample_size = sample_size
        self.population_size = population_size
        self.population = AgingPopulation(population_size)

    def propose(self) -> tuple[Code, int | None]:
        """Return a random architecture while the population fills, then a mutated winner of a tournament."""
        population, codec, rng = self.population, self._codec or self.codec, self.rng
        codes, size = population.codes, population.size
        if len(codes) < size and (not codes or len(codes) + len(self.record.pending) < size):
            return codec.random(rng), None
        parent = population.winner(self.sample_size, rng)
        return codec.mutate(codes[parent], rng), population.numbers[parent]

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the population beside the record and the random state."""
        return {**super().get_checkpointables(), "population": self.population}

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self.population.add(code, merit, number)

    def _reset(self) -> None:
        self.population = AgingPopulation(self.population_size)
