"""Steps: the decisions of a space as a sequence of words, one architecture being one sequence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import comb
from random import Random
from typing import NamedTuple

from naslib.errors import ArchitectureError, DecisionError, UnsupportedBySpaceError
from naslib.search_spaces.core.decisions import MASKED, Code, Decision
from naslib.search_spaces.core.schema import DecisionSpace

# Draws that the constraints of a space may refuse
ATTEMPTS = 1000
# How many of so many must be architectures; none is refused where the first ones all are
_ENOUGH, _ENOUGH_AT_ONCE = 20, 3
# The number of a slot, the words that are possible in it, and in how many ways the decision can go on after each
Choose = Callable[[int, Sequence[int], Sequence[int]], int]


class Slot(NamedTuple):
    """A word that an architecture may have.

    Attributes:
        decision: Index of the decision.
        part: Which of its words; 0 for operations and values.
        width: Number of words.
        vocabulary: A number that slots with the same candidates have in common.
        role: A number that slots have in common whose candidates are the same, and of whose decisions the names end
            alike after the last `/`, numbers apart (`layer_3/height` and `layer_4/height`).
        place: A number that only slots have in common of which an architecture has one: the operation on whichever
            input was chosen.
    """

    decision: int
    part: int
    width: int
    vocabulary: int
    role: int
    place: int


class Steps:
    """Write architectures as sequences of words.

    An operation or a value is one word. Of n inputs, k of them are k words in ascending order, any subset n words, each
    0 or 1. What a condition excludes has no word. Decisions come behind those that their conditions name. So a code and
    its words say the same, and the probability of an architecture is the product of those of its words.

    Args:
        space: The decisions.
        order: Names of all decisions, in the order in which they are made; that of the space if None.

    Attributes:
        space: The decisions.
        slots: All words that an architecture may have.
        n_vocabularies: How many vocabularies there are.
        n_roles: How many roles.
        n_places: How many places.

    Raises:
        DecisionError: If the order does not name every decision once.
    """

    def __init__(self, space: DecisionSpace, order: Sequence[str] | None = None) -> None:
        self.space = space
        names = space.names
        if order is not None and sorted(order) != sorted(names):
            odd = sorted(set(order) ^ set(names)) or sorted(order)
            raise DecisionError(f"an order names each of the {len(names)} decisions once; look at {odd[0]!r}")
        first = range(len(names)) if order is None else [names.index(name) for name in order]
        self._order = _parents_first(space.decisions, first)
        self._index = {decision.name: index for index, decision in enumerate(space.decisions)}
        self._first: list[int] = []
        self.slots: list[Slot] = []
        known: dict[tuple[object, ...], int] = {}
        roles: dict[tuple[object, ...], int] = {}
        places: dict[tuple[object, ...], int] = {}
        shared = _places(space)
        for index, decision in enumerate(space.decisions):
            is_subset = decision.n_chosen is None
            candidates = (False, True) if is_subset else decision.candidates
            written = (decision.kind, is_subset, *map(repr, candidates))
            vocabulary = known.setdefault(written, len(known))
            role = roles.setdefault((_tail(decision.name), *written), len(roles))
            self._first.append(len(self.slots))
            for part in range(decision.n_genes):
                number = places.setdefault((part, *shared[index]), len(places))
                self.slots.append(Slot(index, part, len(candidates), vocabulary, role, number))
        self.n_vocabularies, self.n_roles, self.n_places = len(known), len(roles), len(places)

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

    def check_draws(self, draw: Callable[[Random], Code], method: str, space_name: str) -> None:
        """Raise now where a method draws word by word, and the space refuses nearly all that it draws.

        Three architectures at once are enough; else twenty in a thousand draws, as with fewer a search would sooner or
        later draw a thousand times in vain.

        Args:
            draw: Draws a code as the method does; is given a generator of its own.
            method: Its name, for the message.
            space_name: That of the space.

        Raises:
            UnsupportedBySpaceError: If there are fewer.
        """
        rng, drawn, refused, why = Random(0), 0, 0, ""
        while drawn < (_ENOUGH if refused else _ENOUGH_AT_ONCE):
            try:
                self.space.canonical(draw(rng))
                drawn += 1
            except ArchitectureError as error:
                refused, why = refused + 1, str(error)
            if drawn + refused == ATTEMPTS:
                raise UnsupportedBySpaceError(
                    f"{method} draws architectures decision by decision, and of {ATTEMPTS} that it drew the "
                    f"constraints of {space_name} allow {drawn or 'none'}, as its decisions depend on each other in "
                    f"ways that they do not say (the last one: {why}). Take a method that draws or changes whole "
                    "architectures, such as rs or re, or another space"
                )

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


def _tail(name: str) -> str:
    """Return what the last part of a name says of a decision, nothing where it has numbers in it."""
    tail = name.rpartition("/")[2]
    return "" if any(character.isdigit() for character in tail) else tail


def _places(space: DecisionSpace) -> list[tuple[object, ...]]:
    """Return by decision what those have in common that exclude each other, and have the same candidates."""
    seen: Counter[tuple[object, ...]] = Counter()
    found: list[tuple[object, ...]] = []
    for decision in space.decisions:
        condition, needs = decision.condition, decision.condition_indices
        if condition is None or len(needs) > 1 or space.decision(condition[0]).n_chosen != 1:
            found.append((decision.name,))
            continue
        shape = (condition[0], decision.kind, decision.n_chosen, *map(repr, decision.candidates))
        rank = seen[(*needs, *shape)]
        seen[(*needs, *shape)] += 1
        found.append((rank, *shape))
    return found


def _parents_first(decisions: Sequence[Decision], first: Sequence[int]) -> list[int]:
    """Return the indices of decisions, each behind that of its condition, otherwise in a given order."""
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

    for i in first:
        visit(i)
    return order
