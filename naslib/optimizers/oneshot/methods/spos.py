"""SPOS: train uniform single paths, then search them by evolution with recalibrated batch norm."""

from __future__ import annotations

from typing import Any

from naslib.optimizers.oneshot.paths.evolution import EvolutionSettings
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.selection import check_counts, evolution_selection
from naslib.optimizers.oneshot.paths.sizes import SizeLimits
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code


@OPTIMIZERS.register("spos")
class SPOSOptimizer(WeightSharingOptimizer):
    """Single path one-shot ([Guo2020spos]).

    Every batch trains an architecture drawn uniformly. At the end an evolution looks for the architecture with the best
    validation accuracy; before each is measured, the statistics of batch norm are estimated anew for it on training
    batches, and the supernet's own return afterwards.

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
            the whole validation set (the authors: 40 batches of 200).
        recalibration_batches: On how many training batches the statistics of batch norm are estimated; 0 keeps those
            of the supernet.
        **kwargs: See `WeightSharingOptimizer`.
    """

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
        recalibration_batches: int = 200,
        **kwargs: Any,
    ) -> None:
        super().__init__(recalibration_batches, **kwargs)
        check_counts(valid_batches=valid_batches)
        self.settings = EvolutionSettings(population, generations, parents, mutations, crossovers, mutation_rate)
        self.max_params, self.max_macs = max_params, max_macs
        self.valid_batches = valid_batches

    def select_path(self, scorer: PathScorer) -> Code:
        """Return the best architecture of the evolution."""
        limits = SizeLimits(self, self.max_params, self.max_macs, scorer)
        return evolution_selection(scorer, self.paths, self.rng, self.settings, self.valid_batches, limits)
