"""NSGA2: evolution towards a front of several objectives ([Deb2002nsga2])."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.history.pareto import crowding, ranks, survivors
from naslib.optimizers.discrete.generations import Child, GenerationalOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.query_metrics import Metric

# Draws after which a child that is in the population already is mutated, and taken whatever comes of it
_ATTEMPTS = 20


@OPTIMIZERS.register("nsga2")
class NSGA2(GenerationalOptimizer):
    """Evolve a population by non-dominated sorting and crowding distance ([Deb2002nsga2]).

    The first population is random. Then as many children are made as there are members: two binary tournaments (the
    lower front wins, within a front the less crowded) choose the parents; with `crossover_prob` the child has each
    decision from either of them, else it is a copy of the first; then each gene is drawn anew with `mutation_rate`. Of
    parents and children together the best fronts survive, and of the last one what is least crowded. With one objective
    this is an elitist genetic algorithm.

    Where results are told as they come (`search.tell: by_arrival`), the next generation is bred as soon as all of the
    last one was asked for, and what is pending then joins the one after it: no worker waits for a straggler.

    Args:
        population_size: Members, and children of a generation.
        crossover_prob: In [0, 1].
        mutation_rate: Of a gene, in [0, 1]; None for one gene on average, 1 over their number.
        unique: Whether a child that was a member or a child of this generation already is drawn again, at last mutated.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    IS_ASYNCHRONOUS = True
    overlaps = True
    weighs_all = True

    SCHEDULABLE = dict.fromkeys(("crossover_prob", "mutation_rate"), "")

    def __init__(
        self,
        *,
        population_size: int = 30,
        crossover_prob: float = 0.9,
        mutation_rate: float | None = None,
        unique: bool = True,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            population_size=population_size,
            fidelity=fidelity,
            metric=metric,
            objectives=objectives,
            evaluator=evaluator,
            **kwargs,
        )
        rates = {"crossover_prob": crossover_prob, "mutation_rate": 0.0 if mutation_rate is None else mutation_rate}
        problems = [f"{key} must be in [0, 1], not {rate}" for key, rate in rates.items() if not 0 <= rate <= 1]
        if problems:
            raise ConfigError(problems)
        self.crossover_prob, self.mutation_rate, self.unique = crossover_prob, mutation_rate, unique

    def breed(self) -> list[Child]:
        """Let the best of parents and children survive, and return children of theirs."""
        generation = self.generation
        both = [*generation.population, *generation.told]
        kept = survivors(np.array([member.merits for member in both]), self.population_size)
        population = generation.population = [both[index] for index in kept]
        merits = np.array([member.merits for member in population])
        rank = ranks(merits)
        crowded = np.zeros(len(population))
        for front in range(int(rank.max()) + 1):
            rows = np.flatnonzero(rank == front)
            crowded[rows] = crowding(merits[rows])
        keys = list(zip((-rank).tolist(), crowded.tolist(), strict=True))
        seen = {member.code for member in population} | {trial.code for trial in self.record.pending.values()}
        children: list[Child] = []
        for _ in range(self.population_size):
            child = self._child(keys)
            for _ in range(_ATTEMPTS if self.unique else 0):
                if child[0] not in seen:
                    break
                child = self._child(keys)
            if self.unique and child[0] in seen:
                child = self.codec.mutate(child[0], self.rng), child[1]
            seen.add(child[0])
            children.append(child)
        return children

    def _child(self, keys: Sequence[tuple[int, float]]) -> Child:
        """Return a child of two winners of tournaments, and the number of the first."""
        codec, rng, population = self.codec, self.rng, self.generation.population
        first, second = population[self._winner(keys)], population[self._winner(keys)]
        code = first.code
        if rng.random() < self.crossover_prob:
            code = codec.crossover(code, second.code, rng)
        rate = 1 / max(1, len(code)) if self.mutation_rate is None else self.mutation_rate
        return codec.perturb(code, rate, rng), first.number

    def _winner(self, keys: Sequence[tuple[int, float]]) -> int:
        one, other = (int(self.rng.random() * len(keys)) for _ in range(2))
        return other if keys[other] > keys[one] else one
