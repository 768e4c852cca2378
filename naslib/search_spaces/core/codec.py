"""Codec: the face of an architecture as a tuple of small ints, without building a module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from random import Random
from typing import Any, Generic, TypeVar

import numpy as np

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.utils.encodings import EncodingType

from .decisions import Code as Code
from .decisions import as_random as as_random
from .encodings import FixedEdges, NestedGraphs, cells_of, encode_decided, first_of, fixed_edges_of, reads_cells
from .schema import DecisionSpace
from .widening import CellWidening

# The kind of graph that a codec reads and changes
G = TypeVar("G", contravariant=True)
# In a list of choices: the architecture does not have this edge
NO_EDGE = -1
# Codes beyond this number are not enumerated
_ENUMERABLE = 1_000_000


class Codec(ABC, Generic[G]):
    """Turn architectures of one space into hashable codes and back.

    Random sampling, mutation, neighbours, hashes, encodings and table look-ups work on codes alone; only `from_graph`
    and `apply` see a graph, of the kind that the codec names: `class MyCodec(Codec[Graph])`.

    A codec that states its `decision_space` has all variation from there, and overrides what it does otherwise or
    faster. Its own codes may be written in another way than those of the decision space: `to_decisions` and
    `from_decisions` translate.
    """

    name: str = ""

    @property
    def decision_space(self) -> DecisionSpace | None:
        """The decisions of the space, as its graph states them; None where the codec does not know them."""
        return None

    def to_decisions(self, code: Code) -> Code:
        """Return the code of the decision space that stands for a canonical `code`: the same unless overridden.

        Raises:
            ArchitectureError: If the decisions of the space do not have this architecture.
        """
        return code

    def from_decisions(self, decided: Code) -> Code:
        """Return the code that a code of the decision space stands for; the inverse of `to_decisions`."""
        return decided

    @abstractmethod
    def from_graph(self, graph: G) -> Code:
        """Read the code off a discretized graph; raise `ArchitectureError` where it is none of this space."""

    @abstractmethod
    def apply(self, graph: G, code: Code) -> None:
        """Put the operations that `code` names on the edges of `graph`, in place."""

    def random(self, rng: Random) -> Code:
        """Draw a valid code uniformly (each space's docstring says over what)."""
        return self.from_decisions(self._stated("random draws").random(rng))

    def mutate(self, code: Code, rng: Random) -> Code:
        """Return a neighbour of `code` drawn at random."""
        return self.from_decisions(self._stated("a mutation").mutate(self._decided(code), rng))

    def neighbours(self, code: Code) -> list[Code]:
        """Return every code that differs from `code` in one decision."""
        found = self._stated("a neighbourhood").neighbours(self._decided(code))
        return [self.from_decisions(neighbour) for neighbour in found]

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a copy of `code` in which each gene is drawn anew with probability `rate`; `code` itself at worst."""
        return self.from_decisions(self._stated("the perturbation of genes").perturb(self._decided(code), rate, rng))

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return a valid code that has each gene from one of two parents, with equal probability."""
        space = self._stated("a crossover")
        return self.from_decisions(space.crossover(self._decided(first), self._decided(second), rng))

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` belongs to the space, in the canonical spelling."""
        space = self._stated("validity")
        try:
            return space.is_valid(self.to_decisions(code))
        except ArchitectureError:
            return False

    def iterate(self) -> Iterator[Code]:
        """Yield every code of the space once, in a fixed order.

        Raises:
            UnsupportedBySpaceError: If there are more than a million.
        """
        space = self.decision_space
        size = space.size() if space is not None else None
        if space is None or size is None or size > _ENUMERABLE:
            raise UnsupportedBySpaceError(f"{self.name} is too large to enumerate")
        return map(self.from_decisions, space.iterate())

    def decision_order(self) -> Sequence[str] | None:
        """Return all decisions by name in the order in which a controller makes them; None for that of the space."""
        return None

    def depth_decision(self) -> str | None:
        """Return the name of the decision how many layers there are, ascending, each after the first conditional."""
        return None

    def fixed_edges(self) -> FixedEdges | None:
        """Return by cell the edges that every architecture has; None where the codec does not know them.

        Encodings that read cells need them; where a codec does not know them they are read off a graph of the space.
        """
        return None

    def widening(self) -> CellWidening:
        """Return how cells grow block by block, where those of fewer blocks are architectures of the space.

        Raises:
            UnsupportedBySpaceError: If they are none.
        """
        raise UnsupportedBySpaceError(
            f"cells of {self.name} do not grow block by block: what has fewer decisions is no architecture of the space"
        )

    def encode(
        self,
        code: Code,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encoding of `code` for a predictor; see `encode_batch`."""
        found = self.encode_batch([self.canonical(code)], encoding_type, graph)
        return tuple(found[0].tolist()) if _kind(encoding_type) == EncodingType.COMPACT.value else first_of(found)

    def encode_batch(
        self,
        codes: Sequence[Code] | np.ndarray,
        encoding_type: EncodingType | str = EncodingType.ADJACENCY_ONE_HOT,
        graph: NestedGraphs | None = None,
    ) -> Any:
        """Return the encodings of n canonical codes.

        Args:
            codes: n codes, or `(n, length)` ints.
            encoding_type: An `EncodingType` or its value.
            graph: A graph of the space, where the codec does not know the edges of its cells (`fixed_edges`).

        Returns:
            `(n, width)`, or for graph encodings a dictionary of arrays whose first axis is n.

        Raises:
            UnsupportedBySpaceError: If there is no such encoding, or the space does not state its decisions.
            ArchitectureError: If a code is none of this space.
        """
        known = {kind.value: kind for kind in EncodingType}
        if _kind(encoding_type) not in known:
            given = _kind(encoding_type)
            raise UnsupportedBySpaceError(f"{self.name} has no encoding {given!r} (it has: {', '.join(known)})")
        kind = known[_kind(encoding_type)]
        space, fixed = self._stated(f"the encoding {kind.value}"), self.fixed_edges()
        if fixed is None and graph is not None and reads_cells(kind) and any(cell.name for cell in cells_of(space)):
            fixed = fixed_edges_of(graph, space.names)
            if not fixed:
                raise UnsupportedBySpaceError(
                    f"this graph of {self.name} holds a code alone, and the encoding {kind.value} reads the edges of "
                    "its cells: give a search space as it is made"
                )
        return encode_decided(space, self.decided_batch(codes), kind, fixed)

    def decided_batch(self, codes: Sequence[Code] | np.ndarray) -> Sequence[Code] | np.ndarray:
        """Return the codes of the decision space that stand for canonical codes."""
        if type(self).to_decisions is Codec.to_decisions:
            return codes
        return [self.to_decisions(tuple(code)) for code in (codes.tolist() if isinstance(codes, np.ndarray) else codes)]

    def canonical(self, spec: Any) -> Code:
        """Return the code of a user's spec: a code, a benchmark string or a genotype."""
        return tuple(int(value) for value in spec)

    def identity(self, code: Code) -> Any:
        """Return what is hashed as an architecture, such that `canonical` reads it: the code."""
        return code

    def function_of(self, code: Code) -> Hashable:
        """Return what canonical codes have in common that are one function of input and weights: here the code."""
        return code

    def network_sizes(self, code: Code, graph: Any, input_shape: Sequence[int]) -> tuple[int, int] | None:
        """Return the parameters and multiply-accumulates of a network in closed form; None where there is none.

        Args:
            code: The architecture.
            graph: The search space with its sizes.
            input_shape: Of one input, without the batch.
        """
        return None

    def genotype(self, code: Code) -> Any:
        """Return the JSON-able genotype that people of this space write."""
        return list(code)

    def _stated(self, what: str) -> DecisionSpace:
        space = self.decision_space
        if space is None:
            raise UnsupportedBySpaceError(f"{self.name} does not define {what}")
        return space

    def _decided(self, spec: Any) -> Code:
        return self.to_decisions(self.canonical(spec))


def _kind(encoding_type: Any) -> Any:
    return getattr(encoding_type, "value", encoding_type)
