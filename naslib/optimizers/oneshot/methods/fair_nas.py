"""FairNAS: every candidate is trained once per step."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from torch import Tensor

from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.paths.evolution import EvolutionSettings
from naslib.optimizers.oneshot.paths.paths import PathChoices
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.selection import check_counts, evolution_selection
from naslib.optimizers.oneshot.paths.sizes import SizeLimits
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code


def fair_choices(widths: Sequence[int], rng: Random) -> list[PathChoices]:
    """Return single paths in which every candidate of every decision is once.

    Args:
        widths: Number of candidates per decision.
        rng: Source of randomness.

    Returns:
        As many paths as the widest decision has candidates: for each decision they go through a random permutation. A
        narrower decision begins another one when one is through, so its candidates differ by one path at most.
    """
    n_paths = max(widths)
    rows = []
    for width in widths:
        row: list[int] = []
        while len(row) < n_paths:
            row += rng.sample(range(width), width)
        rows.append(row[:n_paths])
    return list(zip(*rows, strict=True))


@OPTIMIZERS.register("fair_nas")
class FairNASOptimizer(WeightSharingOptimizer):
    """Train all candidates equally often ([Chu2021fairnas], strict fairness), then search the paths by evolution.

    A step draws for every decision a permutation of its candidates; the first candidates of all decisions are the first
    model, the second ones the second, and so on. All of them are run on the same batch, their gradients are summed, and
    the optimizer takes one step. The models have all edges of the supernet: where the space prunes edges, that happens
    in the selection only.

    Args:
        population: Architectures in a generation of the selection.
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

    def training_backward(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Add the gradients of all models of the step; return logits and loss of the last.

        Logits `(n, classes)`, the loss a scalar.
        """
        for choices in fair_choices([entry.n_ops for entry in self.entries], self.rng):
            with self.assigned(self.assignment_of_choices(choices)):
                last = super().training_backward(data_train)
        return last

    def select_path(self, scorer: PathScorer) -> Code:
        """Return the best architecture of the evolution."""
        limits = SizeLimits(self, self.max_params, self.max_macs, scorer)
        return evolution_selection(scorer, self.paths, self.rng, self.settings, self.valid_batches, limits)
