"""Codec: the face of an architecture as a tuple of small ints, without building a module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, Generic, NamedTuple, TypeVar

from naslib.errors import UnsupportedBySpaceError

from .decisions import Code as Code
from .decisions import as_random as as_random
from .schema import DecisionSpace

# The kind of graph that a codec reads and changes
G = TypeVar("G", contravariant=True)
# In a list of choices: the architecture does not have this edge
NO_EDGE = -1


class Place(NamedTuple):
    """Where in a supernet a decision is, and what it is between.

    Attributes:
        graph: Name of the graph (of the first copy, where several share the decision).
        head: Source of the edge.
        tail: Its target.
        ops: Names of the candidates, in order.
    """

    graph: str
    head: int
    tail: int
    ops: tuple[str, ...]


class Codec(ABC, Generic[G]):
    """Turn architectures of one space into hashable codes and back.

    Random sampling, mutation, neighbours, hashes, encodings and table look-ups work on codes alone; only `from_graph`
    and `apply` see a graph, of the kind that the codec names: `class MyCodec(Codec[Graph])`.
    """

    name: str = ""

    @property
    def decision_space(self) -> DecisionSpace | None:
        """The decisions of the space, as its graph states them; None where the codec does not know them."""
        return None

    @abstractmethod
    def random(self, rng: Random) -> Code:
        """Draw a valid code uniformly (each space's docstring says over what)."""

    @abstractmethod
    def from_graph(self, graph: G) -> Code:
        """Read the code off a discretized graph; raise `ArchitectureError` where it is none of this space."""

    @abstractmethod
    def apply(self, graph: G, code: Code) -> None:
        """Put the operations that `code` names on the edges of `graph`, in place."""

    def mutate(self, code: Code, rng: Random) -> Code:
        """Return a neighbour of `code` drawn at random."""
        raise UnsupportedBySpaceError(f"{self.name} does not define a mutation")

    def neighbours(self, code: Code) -> list[Code]:
        """Return every code that differs from `code` in one decision."""
        raise UnsupportedBySpaceError(f"{self.name} does not define a neighbourhood")

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a copy of `code` in which each gene is drawn anew with probability `rate`; `code` itself at worst."""
        raise UnsupportedBySpaceError(f"{self.name} does not define the perturbation of genes")

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return a valid code that has each gene from one of two parents, with equal probability."""
        raise UnsupportedBySpaceError(f"{self.name} does not define a crossover")

    def choices(self, code: Code, places: Sequence[Place]) -> tuple[int, ...]:
        """Return which candidate `code` has at each place of a supernet, `NO_EDGE` where it has not the edge."""
        raise UnsupportedBySpaceError(f"{self.name} does not say what an architecture is in a supernet")

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` belongs to the space."""
        raise UnsupportedBySpaceError(f"{self.name} does not define validity")

    def iterate(self) -> Iterator[Code]:
        """Yield every code of the space once, in a fixed order."""
        raise UnsupportedBySpaceError(f"{self.name} is too large to enumerate")

    def encode(self, code: Code, encoding_type: Any) -> Any:
        """Return the encoding of `code` for a predictor (`EncodingType`)."""
        raise UnsupportedBySpaceError(f"{self.name} has no encoding {encoding_type}")

    def canonical(self, spec: Any) -> Code:
        """Return the code of a user's spec: a code, a benchmark string or a genotype."""
        return tuple(int(value) for value in spec)

    def identity(self, code: Code) -> Any:
        """Return what is hashed as an architecture, such that `canonical` reads it: the code."""
        return code

    def genotype(self, code: Code) -> Any:
        """Return the JSON-able genotype that people of this space write."""
        return list(code)
