"""SuccessiveHalving: of many architectures trained briefly the best go on ([Jamieson2016nonstochastic])."""

from __future__ import annotations

from typing import Any

from naslib.errors import ConfigError
from naslib.optimizers.discrete.fidelities.bracket import Bracket
from naslib.optimizers.discrete.fidelities.bracket_search import BracketSearch
from naslib.optimizers.discrete.fidelities.levels import halving_sizes
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("sh", "successive_halving")
class SuccessiveHalving(BracketSearch):
    """Halve one random set of architectures after the other ([Jamieson2016nonstochastic], figure 3).

    A bracket trains `num_configs` random architectures at the lowest level, the best `1 / eta` of them at the next one,
    and so on to the highest. When it is over the next bracket begins, until the search ends.

    Args:
        num_configs: Architectures at the lowest level; None: as many as leave one at the highest.
        **kwargs: Those of `MultiFidelityOptimizer`.

    Raises:
        ConfigError: For an unknown keyword, levels that are none, or less than one architecture.
    """

    def __init__(self, *, num_configs: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_configs is not None and num_configs < 1:
            raise ConfigError(f"search.num_configs must be at least 1, not {num_configs}")
        self.num_configs = num_configs

    def plan(self, number: int) -> Bracket:
        """Return bracket number `number`, from 0: all are alike."""
        rungs = len(self.levels)
        count = self.num_configs if self.num_configs is not None else self.eta ** (rungs - 1)
        return Bracket(self.levels, halving_sizes(count, rungs, self.eta))
