"""SearchInRounds: evaluate some random architectures, then, some at a time, what is chosen by what is known."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces.core.codec import Code

from .candidates import Candidates, Parent
from .state import ModelState

# Draws of an architecture that was not asked for yet, before one that was is taken
_ATTEMPTS = 100
# Labels that no model goes without
FEWEST_LABELS = 2


class SearchInRounds(DiscreteOptimizer):
    """Ask for random architectures, and then for those of rounds, which a method chooses by what was told.

    A round begins when all of the last one was asked for; pending trials are not asked for twice. Where nothing that
    was chosen is new, an architecture is drawn at random. Trials that have failed teach nothing.

    Args:
        num_init: Random architectures before the first round.
        max_labels: From how many trials is learned at most: the best half, and the newest of the others.
        **kwargs: See `DiscreteOptimizer`.

    Attributes:
        state: Labels and queue.

    Raises:
        ConfigError: For an unknown keyword, or a number below one.
    """

    def __init__(
        self,
        *,
        num_init: int = 10,
        max_labels: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(num_init=num_init, max_labels=max_labels)
        self.num_init, self.max_labels = num_init, max_labels
        self.state = ModelState()
        self._fewest = FEWEST_LABELS

    @abstractmethod
    def next_round(self) -> list[Parent]:
        """Return the architectures of a round, the most promising first, with the numbers of their parents.

        There are as many labels as the method needs (`_fewest`).
        """

    def propose(self) -> tuple[Code, int | None] | None:
        """Return a random architecture, later one of a round; None while there are too few labels for one."""
        state = self.state
        if state.asked < self.num_init:
            return self._taken(self._fresh(), None)
        if not state.queue:
            if len(state.codes) < self._fewest:
                return None if self.record.pending else self._taken(self._fresh(), None)
            state.rounds += 1
            state.queue = self.next_round()[::-1]
        while state.queue:
            code, parent = state.queue.pop()
            if code not in state.seen:  # somebody may have told it in between
                return self._taken(code, parent)
        return self._taken(self._fresh(), None)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; labels and queue beside the record and the random state."""
        return {**super().get_checkpointables(), "labels": self.state}

    def new_candidates(self) -> Candidates:
        """Return an empty collection of architectures that were not asked for."""
        return Candidates(self.codec, self.state.seen, self.rng)

    def best_parents(self, count: int) -> list[Parent]:
        """Return the best `count` architectures with the numbers of their trials, the best first."""
        state = self.state
        return [(state.codes[place], state.numbers[place]) for place in state.best(count)]

    def filled(self, chosen: Sequence[Parent], count: int) -> list[Parent]:
        """Return what was chosen and, where that is fewer than `count`, random architectures that are new."""
        found = self.new_candidates()
        for code, parent in chosen:
            found.add(code, parent)
        for _ in range(_ATTEMPTS):
            if len(found) >= count:
                break
            found.draw(count - len(found))
        return list(found.parents.items())

    def _taken(self, code: Code, parent: int | None) -> tuple[Code, int | None]:
        self.state.seen[code] = None
        self.state.asked += 1
        return code, parent

    def _fresh(self) -> Code:
        """Return a random architecture, if possible one that was not asked for yet."""
        codec, seen = self.codec, self.state.seen
        code = codec.random(self.rng)
        for _ in range(_ATTEMPTS):
            if code not in seen:
                break
            code = codec.random(self.rng)
        return code

    def _learn(self, code: Code, merit: float, number: int | None) -> None:
        state = self.state
        state.seen[code] = None
        state.codes.append(code)
        state.merits.append(merit)
        state.numbers.append(number)

    def _reset(self) -> None:
        self.state = ModelState()


def check_counts(**counts: int) -> None:
    """Raise a ConfigError that names all numbers below one."""
    problems = [f"{name} must be at least 1, not {count}" for name, count in counts.items() if count < 1]
    if problems:
        raise ConfigError(problems)
