"""Paths: the architectures of a space as routes through its supernet, drawn, mutated and crossed without training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

from naslib.optimizers.oneshot.supernet.stated import StatedSupernet, stated
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.schema import DecisionSpace

PathChoices = tuple[int, ...]


class PathDraws(Protocol):
    """What draws until a path keeps to limits."""

    @property
    def limits(self) -> Any:
        """The limits, by whose `allow` a path is judged."""

    def drawn(self, draw: Callable[[], Code], otherwise: Callable[[], Code] | None = None) -> Code:
        """Return the first draw that keeps to the limits, or after some in vain what there is otherwise."""


class PathSpace:
    """The architectures of a space as paths of its supernet, each a tuple of ints: one choice per decision.

    Where the codec of the space states the same decisions, paths are its codes; else those of the decision space.

    Args:
        supernet: The decisions, and where they are.
        codec: The codec of the space, None without one.

    Attributes:
        codec: The codec, None where paths are codes of the decision space.
        limited: What draws until a path keeps to limits, in a selection that has some; None: all paths.
    """

    def __init__(self, supernet: StatedSupernet, codec: Codec[Any] | None = None) -> None:
        self.supernet = supernet
        self.codec = codec if codec is not None and supernet.same_decisions(codec.decision_space) else None
        self._space: DecisionSpace | Codec[Any] = supernet.space if self.codec is None else self.codec
        self.limited: PathDraws | None = None

    def random(self, rng: Random) -> Code:
        """Draw an architecture uniformly, as its space does; within limits, until one keeps to them.

        Raises:
            ConfigError: If none does.
        """
        space = self._space
        return space.random(rng) if self.limited is None else self.limited.drawn(lambda: space.random(rng))

    def perturb(self, code: Code, rate: float, rng: Random) -> Code:
        """Return a copy in which every gene is drawn anew with probability `rate`; within limits, or a random one."""
        return self._varied(lambda: self._space.perturb(code, rate, rng), rng)

    def crossover(self, first: Code, second: Code, rng: Random) -> Code:
        """Return an architecture that has every decision from one of two parents; within limits, or a random one."""
        return self._varied(lambda: self._space.crossover(first, second, rng), rng)

    def _varied(self, draw: Callable[[], Code], rng: Random) -> Code:
        return draw() if self.limited is None else self.limited.drawn(draw, lambda: self.random(rng))

    def choices(self, code: Code) -> PathChoices:
        """Return the chosen candidate per decision, `NO_EDGE` where the architecture has not the edge.

        Raises:
            ArchitectureError: If `code` is not of this space.
        """
        if self.codec is not None:
            return self.supernet.choices(self.codec.to_decisions(self.codec.canonical(code)))
        return self.supernet.choices(self.supernet.space.canonical(code))

    def size(self) -> int | None:
        """Return the number of architectures, None where it is not known."""
        return self.supernet.space.size()

    def iterate(self) -> Iterator[Code]:
        """Yield every architecture once; within limits, those that keep to them.

        Raises:
            UnsupportedBySpaceError: If there are too many for the codec.
        """
        found = self._space.iterate()
        return found if self.limited is None else filter(self.limited.limits.allow, found)


def paths_of(graph: Graph, scope: Scope) -> PathSpace:
    """Return the paths of a supernet, which need not be parsed."""
    return PathSpace(stated(graph, scope), graph.codec)
