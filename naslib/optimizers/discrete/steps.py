"""Steps: the decisions of a space as a sequence of words, one architecture being one sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb
from typing import NamedTuple

from naslib.search_spaces.core.decisions import MASKED, Code, Decision
from naslib.search_spaces.core.schema import DecisionSpace

# The number of a slot, the words that are possible in it, and in how many ways the decision can go on after each
Choose = Callable[[int, Sequence[int], Sequence[int]], int]


class Slot(NamedTuple):
    """A word that an architecture may have.

    Attributes:
        decision: Index of the decision.
        part: Which of its words; 0 for operations and values.
        width: Number of words.
        vocabulary: A number that slots with the same candidates have in common.
    """

    decision: int
    part: int
    width: int
    vocabulary: int


class Steps:
    """Write architectures as sequences of words.

    An operation or a value is one word. Of n inputs, k of them are k words in ascending order, any subset n words, each
    0 or 1. What a condition excludes has no word. Decisions come behind those that their conditions name. So a code and
    its words say the same, and the probability of an architecture is the product of those of its words.

    Args:
        space: The decisions.

    Attributes:
        space: The decisions.
        slots: All words that an architecture may have.
        n_vocabularies: How many vocabularies there are.
    """

    def __init__(self, space: DecisionSpace) -> None:
        self.space = space
        self._order = _parents_first(space.decisions)
        self._index = {decision.name: index for index, decision in enumerate(space.decisions)}
        self._first: list[int] = []
        self.slots: list[Slot] = []
        known: dict[tuple[object, ...], int] = {}
        for index, decision in enumerate(space.decisions):
            is_subset = decision.n_chosen is None
            candidates = (False, True) if is_subset else decision.candidates
            vocabulary = known.setdefault((decision.kind, is_subset, *map(repr, candidates)), len(known))
            self._first.append(len(self.slots))
            for part in range(decision.n_genes):
                self.slots.append(Slot(index, part, len(candidates), vocabulary))
        self.n_vocabularies = len(known)

    def decode(self, choose: Choose) -> Code:
        """Make all decisions, and return the code.

        Args:
            choose: Makes each of them; returns one of the possible words.
        """
        genes = [MASKED] * self.space.n_genes
        for index in self._order:
            decision = self.space.decisions[index]
            if not self.is_made(decision, genes):
                continue
            start, first = self.space.genes(decision.name).start, self._first[index]
            for part in range(decision.n_genes):
                allowed, ways = _possible(decision, part, genes[start + part - 1] if part else -1)
                genes[start + part] = choose(first + part, allowed, ways)
        return tuple(genes)

    def follow(self, code: Sequence[int], choose: Callable[[int, Sequence[int], Sequence[int], int], None]) -> None:
        """Go through the words of a canonical code.

        Args:
            code: An architecture.
            choose: Is told each slot, its possible words, the ways to go on, and the word that is there.
        """

        def told(slot: int, allowed: Sequence[int], ways: Sequence[int]) -> int:
            decision = self.space.decisions[self.slots[slot].decision]
            word = code[self.space.genes(decision.name).start + self.slots[slot].part]
            choose(slot, allowed, ways, word)
            return word

        self.decode(told)

    def in_order(self) -> list[Decision]:
        """Return the decisions, each behind that of its condition."""
        return [self.space.decisions[index] for index in self._order]

    def is_made(self, decision: Decision, genes: Sequence[int]) -> bool:
        """Say whether a decision is made, given the genes of those before it in this order."""
        if decision.condition is None:
            return True
        other = self.space.decisions[self._index[decision.condition[0]]]
        own = genes[self.space.genes(other.name)]
        if own[0] == MASKED:
            return False
        chosen = [i for i, bit in enumerate(own) if bit] if other.n_chosen is None else own
        return not set(chosen).isdisjoint(decision.condition_indices)


def _possible(decision: Decision, part: int, before: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the possible words of a slot, and in how many ways the rest of the decision can be made after each."""
    width, number = len(decision.candidates), decision.n_chosen
    if number is None:
        return (0, 1), (1, 1)
    if decision.kind != "inputs" or number == 1:
        return range(width), (1,) * width
    left = number - part - 1
    allowed = range(before + 1, width - left)
    return allowed, [comb(width - word - 1, left) for word in allowed]


def _parents_first(decisions: Sequence[Decision]) -> list[int]:
    """Return the indices of decisions, each behind that of its condition, otherwise in their order."""
    index = {decision.name: i for i, decision in enumerate(decisions)}
    order: list[int] = []
    done: set[int] = set()

    def visit(i: int) -> None:
        if i in done:
            return
        condition = decisions[i].condition
        if condition is not None:
            visit(index[condition[0]])
        done.add(i)
        order.append(i)

    for i in range(len(decisions)):
        visit(i)
    return order
