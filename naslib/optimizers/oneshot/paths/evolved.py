"""EvolvedPathOptimizer: search the paths of a trained supernet by evolution."""

from __future__ import annotations

from typing import Any

from naslib.optimizers.oneshot.supernet.schedulable import AT_THE_END
from naslib.search_spaces.core.codec import Code

from .evolution import EvolutionSettings
from .scoring import PathScorer
from .selection import check_counts, evolution_selection
from .sizes import SizeLimits
from .weight_sharing import WeightSharingOptimizer


class EvolvedPathOptimizer(WeightSharingOptimizer):
    """Choose the architecture by an evolution over paths, at the end of the search.

    Args:
        population: Architectures in a generation.
        generations: Number of generations, the random first one included.
        parents: How many of the best architectures so far may have children.
        mutations: Children by mutation in a generation.
        crossovers: Children by crossover in a generation; random architectures make up what is missing.
        mutation_rate: Probability with which a mutation draws a gene anew.
        max_params: Millions of parameters that the architecture, of the supernet's size, may have; None for any number.
        max_macs: Millions of its multiply-accumulates for one image; None for any number.
        valid_batches: On how many validation batches an architecture is measured, the next ones each time; None for
            the whole validation set.
        **kwargs: See `WeightSharingOptimizer`.
    """

    SCHEDULABLE = dict.fromkeys(
        (
            *("population", "generations", "parents", "mutations", "crossovers", "mutation_rate"),
            *("max_params", "max_macs", "valid_batches"),
        ),
        AT_THE_END,
    )

    def __init__(
        self,
        population: int = 50,
        generations: int = 20,
        parents: int = 10,
        mutations: int = 25,
        crossovers: int = 25,
        mutation_rate: float = 0.1,
        max_params: float | None = None,
        max_macs: float | None = None,
        valid_batches: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(valid_batches=valid_batches)
        self.settings = EvolutionSettings(population, generations, parents, mutations, crossovers, mutation_rate)
        self.max_params, self.max_macs = max_params, max_macs
        self.valid_batches = valid_batches

    def select_path(self, scorer: PathScorer) -> Code:
        """Return the best architecture of the evolution."""
        limits = SizeLimits(self, self.max_params, self.max_macs, scorer)
        return evolution_selection(scorer, self.paths, self.rng, self.settings, self.valid_batches, limits)
