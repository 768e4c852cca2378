"""Hyperband: successive halving with many architectures and few epochs, and with fewer and more ([Li2018hyperband])."""

from __future__ import annotations

from naslib.optimizers.discrete.fidelities.bracket import Bracket
from naslib.optimizers.discrete.fidelities.bracket_search import BracketSearch
from naslib.optimizers.discrete.fidelities.levels import hyperband_sizes
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("hyperband")
class Hyperband(BracketSearch):
    """Go through the brackets of Hyperband, again and again ([Li2018hyperband], algorithm 1).

    The first bracket begins at the lowest level with `eta^s_max` architectures, each further one a level higher with
    fewer, the last one at the highest. Takes the keywords of `MultiFidelityOptimizer`.
    """

    def plan(self, number: int) -> Bracket:
        """Return bracket number `number`, from 0."""
        sizes = hyperband_sizes(len(self.levels), self.eta)
        place = number % len(sizes)
        return Bracket(self.levels[place:], sizes[place])
