"""Where the architectures come from that an acquisition function chooses among."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ConfigError, UnsupportedBySpaceError, did_you_mean
from naslib.search_spaces.core.codec import Code, Codec

SOURCES = ("mutation", "random_sampling", "local_search", "neighbours")
_ALIASES = {"random": "random_sampling"}
# An architecture and the number of the trial of its parent
Parent = tuple[Code, int | None]
Score = Callable[[Sequence[Code]], np.ndarray]
# Steps of one climb on the acquisition function
_STEPS = 20


def as_source(name: str) -> str:
    """Return the name of a source of candidates, in any case and also given by another name of it.

    Raises:
        ConfigError: If there is none of that name.
    """
    key = str(name).lower()
    key = _ALIASES.get(key, key)
    if key not in SOURCES:
        raise ConfigError(
            f"search.acq_fn_optimization: there is no {name!r}{did_you_mean(key, SOURCES)} "
            f"(there are: {', '.join(SOURCES)})"
        )
    return key


class Candidates:
    """Collect architectures that have not been asked for, each once, in the order in which they are found.

    Args:
        codec: Of the space.
        seen: What was asked for.
        rng: Where everything is drawn from.

    Attributes:
        parents: The number of the parent's trial, by architecture; None for what was drawn without a parent.
    """

    def __init__(self, codec: Codec[Any], seen: Collection[Code], rng: Random) -> None:
        self.codec, self.rng = codec, rng
        self._seen = seen
        self.parents: dict[Code, int | None] = {}

    def __len__(self) -> int:
        return len(self.parents)

    @property
    def codes(self) -> list[Code]:
        """The architectures."""
        return list(self.parents)

    def add(self, code: Code, parent: int | None) -> None:
        """Take an architecture that is new."""
        if code not in self._seen and code not in self.parents:
            self.parents[code] = parent

    def first(self, order: np.ndarray, count: int) -> list[Parent]:
        """Return the first `count` architectures in an order of their places, with the numbers of their parents."""
        codes = self.codes
        return [(codes[place], self.parents[codes[place]]) for place in order[:count]]

    def draw(self, count: int) -> None:
        """Draw so many architectures at random."""
        for _ in range(count):
            self.add(self.codec.random(self.rng), None)

    def mutate(self, parents: Sequence[Parent], count: int, mutations: int) -> None:
        """Mutate each parent `count // len(parents) // mutations` times, `mutations` decisions each."""
        each = max(1, count // max(1, len(parents)) // mutations)
        for code, number in parents:
            for _ in range(each):
                child = code
                for _ in range(mutations):
                    child = self.codec.mutate(child, self.rng)
                self.add(child, number)

    def surround(self, parents: Sequence[Parent], count: int, mutations: int) -> None:
        """Take all neighbours of the parents, and where walks from those lead.

        Args:
            parents: Where to look.
            count: How many neighbours of one parent are taken at most, drawn where it has more; and how many walks
                there are, of all parents together.
            mutations: How far from the parent a walk ends; each step of it beyond the neighbours is a candidate.
        """
        for code, number in parents:
            try:
                around = self.codec.neighbours(code)
            except UnsupportedBySpaceError:  # too many, or not defined
                around = [self.codec.mutate(code, self.rng) for _ in range(count)]
            for neighbour in around if len(around) <= count else self.rng.sample(around, count):
                self.add(neighbour, number)
            for _ in range(count // len(parents) if around and mutations > 1 else 0):
                child = self.rng.choice(around)
                for _ in range(mutations - 1):
                    child = self.codec.mutate(child, self.rng)
                    self.add(child, number)

    def climb(self, starts: Sequence[Parent], score: Score) -> None:
        """From each start, go to the neighbour with the largest score until none is larger; take all that are seen.

        Args:
            starts: Where the climbs begin.
            score: Returns the acquisition of architectures, `(n,)`.
        """
        for code, number in starts:
            value = float(score([code])[0])
            for _ in range(_STEPS):
                around = self.codec.neighbours(code)
                if not around:
                    break
                values = score(around)
                for neighbour in around:
                    self.add(neighbour, number)
                place = int(np.argmax(values))
                if values[place] <= value:
                    break
                code, value = around[place], float(values[place])
