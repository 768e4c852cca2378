"""HierarchicalEvolution: tournaments in a population that nobody leaves ([Liu2018hierarchical])."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, ConfigError, UnsupportedBySpaceError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.discrete.steps import Steps
from naslib.optimizers.discrete.variation import groups_of, known, varied
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.query_metrics import Metric
from naslib.search_spaces.core.schema import DecisionSpace

# What names an operation that returns its input, and what names none
_IDENTITIES = ("identity", "skip_connect", "skip")
_NOTHING = ("none", "zero")
# Draws of a gene that can change
_ATTEMPTS, _STARTS = 100, 20


def levels_of(space: DecisionSpace) -> list[list[list[int]]]:
    """Return the decisions by level and motif, as indices: `levels[level][motif]`.

    A motif is a graph with decisions. It is above the motifs that candidates of its decisions are called after: the
    operations of a motif of the lowest level are primitives. Where no candidate names a motif there is one level.
    """
    groups = groups_of(space)
    below = {
        name: {other for index in indices for other in map(str, space.decisions[index].candidates) if other in groups}
        for name, indices in groups.items()
    }
    level: dict[str, int] = {}

    def level_of(name: str, above: tuple[str, ...] = ()) -> int:
        if name not in level:
            others = [other for other in below[name] if other != name and other not in above]
            level[name] = 1 + max((level_of(other, (*above, name)) for other in others), default=-1)
        return level[name]

    found: list[list[list[int]]] = [[] for _ in range(1 + max(map(level_of, groups)))]
    for name, indices in groups.items():
        found[level_of(name)].append(indices)
    return [motifs for motifs in found if motifs]


def trivial_code(steps: Steps) -> Code:
    """Return the architecture to begin with: identities where there are some, else the first candidate but none.

    Of inputs it has the first ones, of a subset all.
    """
    space = steps.space

    def choose(slot: int, allowed: Sequence[int], ways: Sequence[int]) -> int:
        decision = space.decisions[steps.slots[slot].decision]
        if decision.n_chosen is None:
            return 1
        return allowed[0] if decision.kind == "inputs" else _trivial(decision)

    return steps.decode(choose)


def _trivial(decision: Decision) -> int:
    names = [str(candidate).lower() for candidate in decision.candidates]
    identities = [index for index, name in enumerate(names) if name in _IDENTITIES]
    something = [index for index, name in enumerate(names) if name not in _NOTHING]
    return [*identities, *something, 0][0]


class Members:
    """A population that grows.

    Attributes:
        codes: The architectures, in the order in which they were told.
        merits: Their values.
        numbers: Their trials.
    """

    def __init__(self) -> None:
        self.codes: list[Code] = []
        self.merits: list[float] = []
        self.numbers: list[int | None] = []

    def __len__(self) -> int:
        return len(self.codes)

    def add(self, code: Code, merit: float, number: int | None) -> None:
        """Take in a member."""
        self.codes.append(code)
        self.merits.append(merit)
        self.numbers.append(number)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"codes": [list(code) for code in self.codes], "merits": [*self.merits], "numbers": [*self.numbers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.codes = [tuple(code) for code in state_dict["codes"]]
        self.merits = [float(merit) for merit in state_dict["merits"]]
        self.numbers = list(state_dict["numbers"])


@OPTIMIZERS.register("hierarchical_evolution")
class HierarchicalEvolution(DiscreteOptimizer):
    """Mutate winners of tournaments, asynchronously, and remove nobody ([Liu2018hierarchical], section 3).

    The first `population_size` individuals are the trivial architecture (`trivial_code`: identities) after
    `initial_mutations` random mutations each. Then each child is a mutation of the best of a share `tournament` of the
    population, drawn without replacement. A mutation draws a level, a motif of this level and a decision of this motif,
    each uniformly, and makes another choice there; so it adds, alters or removes an edge where `none` is a candidate.
    In a space whose candidates name no motifs there is one level, whose motifs are its cells. The population grows by
    every trial, in memory and in checkpoints.

    Args:
        population_size: Individuals to begin with.
        tournament: Share of the population in a tournament, in (0, 1]; at least one individual.
        initial_mutations: Of the trivial architecture.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Attributes:
        population: All individuals.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    IS_ASYNCHRONOUS = True

    SCHEDULABLE = {"tournament": ""}

    def __init__(
        self,
        *,
        population_size: int = 200,
        tournament: float = 0.05,
        initial_mutations: int = 1000,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(fidelity=fidelity, metric=metric, objectives=objectives, evaluator=evaluator, **kwargs)
        problems = []
        if population_size < 1 or initial_mutations < 0:
            problems.append(
                "population_size must be at least 1 and initial_mutations not negative, got "
                f"{population_size}, {initial_mutations}"
            )
        if not 0 < tournament <= 1:
            problems.append(f"tournament is a share of the population, in (0, 1], not {tournament}")
        if problems:
            raise ConfigError(problems)
        self.population_size, self.tournament = population_size, tournament
        self.initial_mutations = initial_mutations
        self.population = Members()
        self._steps: Steps
        self._levels: list[list[list[int]]]

    def propose(self) -> tuple[Code, int | None]:
        """Return a mutated trivial architecture while the population fills, then a mutated winner of a tournament."""
        population, rng, codec = self.population, self.rng, self.codec
        if len(population) == 0 or len(population) + len(self.record.pending) < self.population_size:
            made = self._allowed(trivial_code(self._steps), self.initial_mutations)
            return codec.random(rng) if made is None else made, None
        size = max(1, round(self.tournament * len(population)))
        best = max(rng.sample(range(len(population)), size), key=population.merits.__getitem__)
        parent = population.codes[best]
        found = self._allowed(codec.to_decisions(parent), 1, parent)
        if found is None:  # no mutation is allowed: what is drawn instead is nobody's child
            return codec.random(rng), None
        return found, population.numbers[best]

    def _allowed(self, start: Code, mutations: int, parent: Code | None = None) -> Code | None:
        """Return what some mutations make of a code of the decision space, as one of the codec; tried again if none.

        None where the start is none of the space (a cell with all edges, where some are too many), or no attempt makes
        one.
        """
        try:
            self._steps.space.canonical(start)
        except ArchitectureError:
            return None
        for _ in range(_STARTS):
            decided = start
            for _ in range(mutations):
                decided = self.mutated(decided)
            try:
                return known(self.codec, self._steps.space.canonical(decided), self.rng, parent)
            except ArchitectureError:  # with too many edges, say
                continue
        return None

    def mutated(self, decided: Code) -> Code:
        """Return another choice of one decision that the architecture makes.

        Args:
            decided: A canonical code of the decision space.
        """
        rng, steps = self.rng, self._steps
        for _ in range(_ATTEMPTS):
            target = rng.choice(rng.choice(rng.choice(self._levels)))
            decision = steps.space.decisions[target]
            at = steps.space.genes(decision.name)
            if decided[at.start] < 0 or decision.n_chosen == len(decision.candidates):
                continue  # it is not made, or there is no other choice
            part = int(rng.random() * decision.n_genes)
            found = varied(steps, decided, lambda index, gene, t=target, p=part: (index, gene) == (t, p), rng)  # type: ignore[misc]
            if found != decided:
                return found
        return decided

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        self.population.add(code, merit, number)

    def _reset(self) -> None:
        space = self.codec.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"{type(self).__name__} needs the decisions of {self.codec.name}")
        self.population, self._steps, self._levels = Members(), Steps(space), levels_of(space)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the population beside the record and the random state."""
        return {**super().get_checkpointables(), "population": self.population}
