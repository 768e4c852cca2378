"""GeneticCNN: a genetic algorithm with selection by fitness ([Xie2017genetic])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.generations import Child, GenerationalOptimizer, Member
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.discrete.variation import crossed, groups_of, known, varied
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.core.schema import DecisionSpace


def selection_weights(merits: Sequence[float]) -> list[float]:
    """Return how likely each individual is selected: what it is above the worst, over the sum of that.

    So the worst is never selected; where all are equal, each is as likely as any.

    Args:
        merits: `(n,)`.
    """
    above = [merit - min(merits) for merit in merits]
    total = sum(above)
    return [value / total for value in above] if total > 0 else [1 / len(above)] * len(above)


def stages_of(space: DecisionSpace) -> list[list[int]]:
    """Return what a crossover exchanges: the decisions of one graph; in a space of a single graph those into one node.

    So the stages of a network, or its cells; in a single cell, each node with its inputs and operations.
    """
    by_graph = groups_of(space)
    if len(by_graph) > 1:
        return list(by_graph.values())
    by_node: dict[str, list[int]] = {}
    for index, name in enumerate(space.names):
        by_node.setdefault(name.rpartition("/")[2].rpartition("-")[2].partition(":")[0], []).append(index)
    return list(by_node.values())


class Fitness:
    """The mean merit of the architectures of a population over all their evaluations.

    Attributes:
        sums: Sum and number by architecture.
    """

    def __init__(self) -> None:
        self.sums: dict[Code, tuple[float, int]] = {}

    def add(self, code: Code, merit: float) -> None:
        """Take note of an evaluation."""
        total, count = self.sums.get(code, (0.0, 0))
        self.sums[code] = total + merit, count + 1

    def of(self, code: Code) -> float:
        """Return the mean."""
        total, count = self.sums[code]
        return total / count

    def keep(self, codes: set[Code]) -> None:
        """Forget all others."""
        self.sums = {code: entry for code, entry in self.sums.items() if code in codes}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"sums": [[list(code), total, count] for code, (total, count) in self.sums.items()]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.sums = {tuple(code): (float(total), int(count)) for code, total, count in state_dict["sums"]}


@OPTIMIZERS.register("genetic", "genetic_cnn")
class GeneticCNN(GenerationalOptimizer):
    """Evolve generations by selection, crossover of stages and mutation of genes ([Xie2017genetic], algorithm 1).

    Of each generation as many individuals are drawn, with replacement, as it has, each with a probability proportional
    to what it is better than the worst. Neighbours in this list are paired. With `crossover_prob` a pair exchanges each
    stage with `stage_prob`; otherwise each of the two is mutated with `mutation_prob`: each of its genes changes with
    `gene_prob`. Sizes and probabilities are those of the paper on CIFAR-10. Its codes are bits, one per edge of a
    stage; here any decision is a gene, and `stages_of` says what a stage is.

    Args:
        population_size: Individuals of a generation.
        crossover_prob: Of a pair.
        stage_prob: Of a stage in a crossover.
        mutation_prob: Of an individual that was not crossed.
        gene_prob: Of a gene in a mutation.
        reevaluate: Whether an individual that has not changed is evaluated again, as in the paper; its fitness is the
            mean. Otherwise it keeps what it has, and takes no part of the budget.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        stages: Indices of the decisions of each stage (after adapting).

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    SCHEDULABLE = dict.fromkeys(("crossover_prob", "stage_prob", "mutation_prob", "gene_prob"), "")

    def __init__(
        self,
        *,
        population_size: int = 20,
        crossover_prob: float = 0.2,
        stage_prob: float = 0.2,
        mutation_prob: float = 0.8,
        gene_prob: float = 0.05,
        reevaluate: bool = True,
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
        self.crossover_prob, self.stage_prob = crossover_prob, stage_prob
        self.mutation_prob, self.gene_prob, self.reevaluate = mutation_prob, gene_prob, reevaluate
        names = ("crossover_prob", "stage_prob", "mutation_prob", "gene_prob")
        wrong = [f"{name} must be in [0, 1], not {getattr(self, name)}" for name in names]
        problems = [text for name, text in zip(names, wrong, strict=True) if not 0 <= getattr(self, name) <= 1]
        if problems:
            raise ConfigError(problems)
        self.fitness = Fitness()
        self.stages: list[list[int]] = []
        self._steps: Steps

    def breed(self) -> list[Child]:
        """Select, cross and mutate; return whom to evaluate."""
        generation, fitness = self.generation, self.fitness
        for member in generation.told:
            fitness.add(member.code, member.merits[0])
        individuals = [*generation.population, *generation.told]
        weights = selection_weights([fitness.of(member.code) for member in individuals])
        selected = self.rng.choices(individuals, weights, k=self.population_size)
        children = [child for first in range(0, len(selected), 2) for child in self._pair(selected[first : first + 2])]
        fitness.keep({code for code, _ in children})
        known = [] if self.reevaluate else [code for code, _ in children if code in fitness.sums]
        generation.population = [Member(code, (fitness.of(code),)) for code in known]
        new = [child for child in children if child[0] not in fitness.sums] if not self.reevaluate else children
        if new:
            return new
        generation.population = []
        return children  # nobody has changed: all are evaluated again

    def _pair(self, pair: Sequence[Member]) -> list[Child]:
        rng = self.rng
        before = [self.codec.to_decisions(member.code) for member in pair]
        if len(pair) == 2 and rng.random() < self.crossover_prob:
            decided = list(crossed(self._steps, before[0], before[1], self.stages, self.stage_prob, rng))
        else:
            decided = [self._mutated(code) if rng.random() < self.mutation_prob else code for code in before]
        changes = zip(decided, before, pair, strict=True)
        return [(self._child(now, then, member.code), member.number) for now, then, member in changes]

    def _child(self, decided: Code, before: Code, parent: Code) -> Code:
        """Return the architecture of what was decided; the parent where that has not changed, or is none."""
        if decided == before:
            return parent
        try:
            return known(self.codec, decided, self.rng, parent)
        except ArchitectureError:  # with too many edges, say
            return parent

    def _mutated(self, decided: Code) -> Code:
        rng, rate = self.rng, self.gene_prob
        return varied(self._steps, decided, lambda index, part: rng.random() < rate, rng)

    def _reset(self) -> None:
        super()._reset()
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"{type(self).__name__} needs the decisions of {self.codec.name}")
        self.fitness, self._steps, self.stages = Fitness(), Steps(space), stages_of(space)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; means of evaluations beside the generation."""
        return {**super().get_checkpointables(), "fitness": self.fitness}
