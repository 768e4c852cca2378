"""CodeClasses: a decision space in which codes that differ can be the same architecture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

from naslib.errors import ArchitectureError, UnsupportedBySpaceError

from .decisions import Code, as_random
from .schema import DecisionSpace

# Attempts at a draw before it is given up
_ATTEMPTS = 200


class CodeClasses(DecisionSpace, ABC):
    """Decisions of which several combinations make one architecture; one code of each, the representative, counts.

    A subclass says which one that is, and lists the codes of an architecture. Two architectures are neighbours where
    codes of theirs differ in one decision, so that neighbourhoods are symmetric. `random` is uniform over
    architectures, however many codes they have.
    """

    @abstractmethod
    def representative(self, code: Code) -> Code:
        """Return the one code that stands for the architecture of a code; that of a representative is itself.

        Args:
            code: One that the decisions allow, with what is not decided masked.

        Raises:
            ArchitectureError: If it is no architecture of the space.
        """

    @abstractmethod
    def members(self, code: Code) -> Iterable[Code]:
        """Yield all codes of the architecture that a representative stands for."""

    def canonical(self, code: Sequence[int]) -> Code:
        """Return the code that stands for the architecture.

        Raises:
            ArchitectureError: If it is no code of this space.
        """
        return self.representative(super().canonical(code))

    def size(self) -> int | None:
        """Return the number of architectures; None where too many codes would have to be tried."""
        return sum(1 for _ in self.iterate()) if self._count <= 2_000_000 else None

    def iterate(self) -> Iterator[Code]:
        """Yield the code of every architecture once, in a fixed order."""
        return (code for code in super().iterate() if self._found(code) == code)

    def random(self, rng: Any = None) -> Code:
        """Draw an architecture uniformly.

        Raises:
            UnsupportedBySpaceError: If representatives are too rare to be found.
        """
        rng = as_random(rng)
        for _ in range(100 * _ATTEMPTS):
            code = self._drawn(rng)
            if self._allows(code) and self._found(code) == code:
                return code
        raise UnsupportedBySpaceError(f"none of {100 * _ATTEMPTS} draws is a representative of the space")

    def neighbours(self, code: Sequence[int]) -> list[Code]:
        """Return every architecture with a code that differs in one decision from a code of this one, each once.

        Raises:
            ArchitectureError: If it is no code of this space.
        """
        code = self.canonical(code)
        around = (near for member in self.members(code) for near in self._around(member))
        found = {self._found(near) for near in around} - {code, None}
        return sorted(near for near in found if near is not None)

    def mutate(self, code: Sequence[int], rng: Any = None) -> Code:
        """Return a neighbour: of a code of the architecture, drawn uniformly, a decision takes another choice.

        Raises:
            ArchitectureError: If it is no code of this space.
            UnsupportedBySpaceError: If it has no neighbour.
        """
        rng, code = as_random(rng), self.canonical(code)
        members = list(self.members(code))
        for _ in range(_ATTEMPTS):
            found = self._found(self._varied(members[int(rng.random() * len(members))], rng))
            if found is not None and found != code:
                return found
        neighbours = self.neighbours(code)
        if not neighbours:
            raise UnsupportedBySpaceError("the architecture has no neighbour in its space")
        return rng.choice(neighbours)

    def perturb(self, code: Sequence[int], rate: float | Sequence[float], rng: Any = None) -> Code:
        """Return the architecture of a copy of `code` in which each gene is drawn anew with probability `rate`.

        Where no attempt gives one, `code` itself is returned.
        """
        rng, code = as_random(rng), self.canonical(code)
        for _ in range(_ATTEMPTS):
            found = self._found(self._perturbed(code, rate, rng))
            if found is not None:
                return found
        return code

    def crossover(self, first: Sequence[int], second: Sequence[int], rng: Any = None) -> Code:
        """Return the architecture that has each decision from one of two parents; one of them where none comes out."""
        rng, parents = as_random(rng), (self.canonical(first), self.canonical(second))
        for _ in range(_ATTEMPTS):
            found = self._found(self._crossed(parents, rng))
            if found is not None:
                return found
        return rng.choice(parents)

    def _found(self, code: Code) -> Code | None:
        """Return the representative, None where the code is no architecture."""
        try:
            return self.representative(code) if self._allows(code) else None
        except ArchitectureError:
            return None

    def _around(self, code: Code) -> list[Code]:
        """Return the codes that differ from one in one decision."""
        return DecisionSpace.neighbours(_Plain(self), code)

    def _varied(self, code: Code, rng: Random) -> Code:
        return DecisionSpace.mutate(_Plain(self), code, rng)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.decisions, self.constraints)


class _Plain(DecisionSpace):
    """The decisions of a space without its classes."""

    def __init__(self, space: DecisionSpace) -> None:
        self.__dict__ = space.__dict__
