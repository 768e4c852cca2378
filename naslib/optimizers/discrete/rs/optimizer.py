"""RandomSearch: evaluate architectures drawn at random, keep the best."""

from __future__ import annotations

from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code


@OPTIMIZERS.register("rs", "random_search")
class RandomSearch(DiscreteOptimizer):
    """Draw architectures independently from the space's distribution, with replacement ([Li2019random], section 3)."""

    IS_ASYNCHRONOUS = True

    def propose(self) -> tuple[Code, int | None]:
        """Return a random architecture, which has no parent."""
        return (self._codec or self.codec).random(self.rng), None  # the property costs as much as the draw
