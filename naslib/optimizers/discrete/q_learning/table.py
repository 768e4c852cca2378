"""QTable: what each next word is worth, given the words before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces.core.decisions import Code

# The slot that is to be filled, and the words before it that the state remembers
State = tuple[int, ...]


class StateAction(NamedTuple):
    """A word of an architecture, and where it was chosen.

    Attributes:
        state: The slot and the words before it.
        allowed: The words that were possible.
        word: The one that is there.
    """

    state: State
    allowed: tuple[int, ...]
    word: int


class QTable:
    """Values of words in states, all `initial` until they are learned.

    Args:
        steps: How architectures are written.
        memory: How many of the words before a slot its state has.
        initial: Value of what was never updated.

    Attributes:
        values: By state, one value per word of its slot.
    """

    def __init__(self, steps: Steps, memory: int, initial: float) -> None:
        self.steps, self.memory, self.initial = steps, memory, initial
        self.values: dict[State, list[float]] = {}

    def sample(self, epsilon: float, rng: Random) -> Code:
        """Return an architecture whose words are uniform with probability `epsilon` each, else of the largest value.

        Of words with the same value each is as likely. A word that the other way of deciding leads to in more ways is
        not more likely: a state is a slot, as in [Baker2017metaqnn].
        """
        words: list[int] = []

        def choose(slot: int, allowed: Sequence[int], ways: Sequence[int]) -> int:
            values = self.values.get(self._state(slot, words))
            if rng.random() < epsilon or values is None:
                word = rng.choice(allowed)
            else:
                best = max(values[word] for word in allowed)
                word = rng.choice([word for word in allowed if values[word] == best])
            words.append(word)
            return word

        return self.steps.decode(choose)

    def trajectory(self, code: Code) -> list[StateAction]:
        """Return the words of a canonical code of the decision space, in their order."""
        words: list[int] = []
        found: list[StateAction] = []

        def choose(slot: int, allowed: Sequence[int], ways: Sequence[int], word: int) -> None:
            found.append(StateAction(self._state(slot, words), tuple(allowed), word))
            words.append(word)

        self.steps.follow(code, choose)
        return found

    def update(self, trajectory: Sequence[StateAction], reward: float, rate: float, discount: float) -> None:
        """Move the values of an architecture's words, the last first ([Baker2017metaqnn], algorithm 3).

        `Q(s, u) <- (1 - rate) Q(s, u) + rate * target`; the target of the last word is the reward, that of another
        `discount` times the largest value in the state after it.
        """
        target = reward
        for step in reversed(trajectory):
            values = self.values.get(step.state)
            if values is None:
                values = self.values[step.state] = [self.initial] * self.steps.slots[step.state[0]].width
            values[step.word] += rate * (target - values[step.word])
            target = discount * max(values[word] for word in step.allowed)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"values": [[list(state), [*values]] for state, values in self.values.items()]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.values = {tuple(state): [float(v) for v in values] for state, values in state_dict["values"]}

    def _state(self, slot: int, words: Sequence[int]) -> State:
        return (slot, *words[len(words) - min(self.memory, len(words)) :])
