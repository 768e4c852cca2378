"""Evolution over codes: ask for a generation, tell its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

from naslib.errors import ConfigError
from naslib.search_spaces.core.codec import Code

# Attempts per child, as in the authors' code of SPOS
_ATTEMPTS = 10
# Attempts per random member: in a space that is nearly exhausted, new ones are rare
_RANDOM_ATTEMPTS = 200


class Genetics(Protocol):
    """What evolution needs to know of a space (`PathSpace` has it)."""

    def random(self, rng: Random) -> Code:
        """Draw an individual."""

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Draw every gene anew with probability `rate`."""

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Take every gene from one of two parents."""


@dataclass(frozen=True)
class EvolutionSettings:
    """Sizes of an evolution; the defaults are those of [Guo2020spos].

    Attributes:
        population: Individuals in a generation.
        generations: Number of generations, the random first one included.
        parents: How many of the best individuals seen so far may have children.
        mutations: Children by mutation in a generation.
        crossovers: Children by crossover in a generation; random individuals make up what is missing.
        mutation_rate: Probability with which a mutation draws a gene anew.

    Raises:
        ConfigError: For sizes that are impossible.
    """

    population: int = 50
    generations: int = 20
    parents: int = 10
    mutations: int = 25
    crossovers: int = 25
    mutation_rate: float = 0.1

    def __post_init__(self) -> None:
        least = {"population": 1, "generations": 1, "parents": 1, "mutations": 0, "crossovers": 0}
        problems = [
            f"{name} must be at least {low}, not {getattr(self, name)}"
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        if self.mutations + self.crossovers > self.population:
            problems.append(
                f"mutations and crossovers ({self.mutations} + {self.crossovers}) must fit in the population of "
                f"{self.population}"
            )
        if not 0 <= self.mutation_rate <= 1:
            problems.append(f"mutation_rate is a probability, not {self.mutation_rate}")
        if problems:
            raise ConfigError(problems)


class Evolution:
    """The evolutionary search of [Guo2020spos]; no individual is asked for twice.

    The first generation is random. Every other one consists of mutations of the best individuals of all generations so
    far, of crossovers of two of them (which may coincide), and of random individuals.

    Args:
        genetics: Draws, mutates and crosses individuals.
        settings: Sizes.
        rng: Source of randomness.
        is_allowed: Whether an individual may be in a generation; asked once per individual.

    Attributes:
        history: `(value, code)` of all individuals told, the best first; of equals the earlier one first.
    """

    def __init__(
        self,
        genetics: Genetics,
        settings: EvolutionSettings,
        rng: Random,
        is_allowed: Callable[[Code], bool] = lambda code: True,
    ) -> None:
        self.genetics, self.settings, self.rng = genetics, settings, rng
        self.history: list[tuple[float, Code]] = []
        self._is_allowed = is_allowed
        self._seen: set[Code] = set()

    def ask(self) -> list[Code]:
        """Return the next generation; it is smaller, or empty, where no further individuals are found."""
        settings, generation = self.settings, list[Code]()
        if self.history:
            self._fill(generation, self._mutate, settings.mutations, _ATTEMPTS * settings.mutations)
            self._fill(generation, self._cross, settings.crossovers, _ATTEMPTS * settings.crossovers)
        missing = settings.population - len(generation)
        self._fill(generation, self._draw, missing, _RANDOM_ATTEMPTS * missing)
        return generation

    def tell(self, codes: Sequence[Code], values: Sequence[float]) -> None:
        """Take note of the values of individuals; larger is better."""
        self.history += zip(values, codes, strict=True)
        self.history.sort(key=lambda pair: -pair[0])

    @property
    def best(self) -> Code:
        """The best individual told so far."""
        return self.history[0][1]

    def _fill(self, generation: list[Code], make: Callable[[], Code], count: int, attempts: int) -> None:
        wanted = len(generation) + count
        while len(generation) < wanted and attempts > 0:
            attempts -= 1
            code = make()
            if code not in self._seen:
                self._seen.add(code)
                if self._is_allowed(code):
                    generation.append(code)

    def _parent(self) -> Code:
        return self.rng.choice(self.history[: self.settings.parents])[1]

    def _mutate(self) -> Code:
        return self.genetics.perturb(self._parent(), self.settings.mutation_rate, self.rng)

    def _cross(self) -> Code:
        return self.genetics.crossover(self._parent(), self._parent(), self.rng)

    def _draw(self) -> Code:
        return self.genetics.random(self.rng)
