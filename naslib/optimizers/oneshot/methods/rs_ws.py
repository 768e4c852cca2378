"""RandomNAS: train random paths of a supernet, then take the best of many random ones."""

from __future__ import annotations

from typing import Any

from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.selection import best_first, check_counts, random_selection
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code

# The authors' number of training batches per round of the selection
_STEPS_PER_ROUND = 10_000


@OPTIMIZERS.register("random_nas", "rsws", "rs_ws")
class RandomNASOptimizer(WeightSharingOptimizer):
    """Random search with weight sharing ([Li2019random]).

    Every batch trains an architecture drawn uniformly from the space. At the end, in each round, `num_samples` random
    architectures are measured on `sample_batches` validation batches each, and the `num_finalists` best of them on all;
    the best finalist of all rounds is the outcome.

    Args:
        rounds: Number of rounds; None as in the authors' code: one per 10,000 training batches, at least one.
        num_samples: Architectures drawn in a round.
        sample_batches: Validation batches on which each is measured; every architecture gets the next ones.
        num_finalists: How many of them are measured on the whole validation set; 0 takes the best of the first
            measurement (with 100 samples and one batch: the variant of NAS-Bench-201).
        **kwargs: See `WeightSharingOptimizer`.
    """

    def __init__(
        self,
        rounds: int | None = None,
        num_samples: int = 1000,
        sample_batches: int = 10,
        num_finalists: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(rounds=rounds, num_samples=num_samples, sample_batches=sample_batches)
        check_counts(0, num_finalists=num_finalists)
        self.rounds = rounds
        self.num_samples = num_samples
        self.sample_batches = sample_batches
        self.num_finalists = num_finalists

    def select_path(self, scorer: PathScorer) -> Code:
        """Return the best finalist of all rounds; of equals the first."""
        rounds = self.rounds or max(1, self.steps // _STEPS_PER_ROUND)
        winners = []
        for _ in range(rounds):
            codes = [self.paths.random(self.rng) for _ in range(self.num_samples)]
            winners.append(random_selection(scorer, codes, self.sample_batches, self.num_finalists))
        return best_first(winners)[0][1]
