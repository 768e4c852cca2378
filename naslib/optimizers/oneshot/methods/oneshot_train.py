"""OneShotNAS: train the sum of all candidates under path dropout, then take the best of many random paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, ClassVar, TypeVar

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.selection import check_counts, random_selection
from naslib.optimizers.oneshot.paths.weight_sharing import WeightSharingOptimizer
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.codec import Code

T = TypeVar("T")


def path_dropout(incoming: Sequence[T], rate: float, strength: float, rng: Random) -> list[T]:
    """Drop each of the paths into a node independently; one of them, drawn uniformly, stays in any case.

    Args:
        incoming: The paths, k of them.
        rate: r in [0, 1): each is dropped with probability `strength * r ** (1 / k)`. At full strength all would be
            dropped with probability r, whatever k is.
        strength: In [0, 1].
        rng: Source of randomness.
    """
    probability = strength * rate ** (1 / len(incoming))
    return [path for path in incoming if rng.random() >= probability] or [rng.choice(incoming)]


@OPTIMIZERS.register("one_shot", "oneshot")
class OneShotNASOptimizer(WeightSharingOptimizer):
    """One-shot search by path dropout ([Bender2018oneshot]).

    The supernet sums the outputs of all candidates on all edges into a node, `Zero` left out. In every step each of
    these k paths is dropped with a probability that grows linearly from 0 in the first epoch to `drop_rate ** (1 / k)`
    in the last, the same in all copies of a cell, and at least one stays. Weights of what was dropped are not decayed.
    At the end random architectures are measured and the best is taken, as in `RandomNASOptimizer`.

    Args:
        epochs: Number of epochs of the search.
        drop_rate: r in [0, 1), the probability that a node would lose all its inputs in the last epoch.
        num_samples: Random architectures that are measured.
        sample_batches: Validation batches on which each is measured; every architecture gets the next ones.
        num_finalists: How many of the best are measured on the whole validation set; 0 for none.
        **kwargs: See `WeightSharingOptimizer`; `batch_norm="batch"` is the authors' choice.
    """

    SCHEDULABLE = {"drop_rate": ""}
    SCHEDULED: ClassVar[tuple[str, ...]] = ("steps", "path", "strength")

    def __init__(
        self,
        epochs: int = 50,
        drop_rate: float = 0.1,
        num_samples: int = 1000,
        sample_batches: int = 10,
        num_finalists: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= drop_rate < 1:
            raise ConfigError(f"drop_rate must be in [0, 1), not {drop_rate}")
        check_counts(num_samples=num_samples, sample_batches=sample_batches)
        check_counts(0, num_finalists=num_finalists)
        self.epochs = epochs
        self.drop_rate = drop_rate
        self.num_samples = num_samples
        self.sample_batches = sample_batches
        self.num_finalists = num_finalists
        self.strength = 0.0

    def new_epoch(self, epoch: int) -> None:
        """Set the strength of the dropout."""
        super().new_epoch(epoch)
        self.strength = min(1.0, epoch / max(1, self.epochs - 1))

    def prepare_step(self) -> None:
        """Drop paths; outside of a step everything runs."""
        self.path = None
        self.graph.assignment = self.sample()

    def needs(self) -> Mapping[Ability, str]:
        """Return operations, whose outputs can be summed at a node."""
        return {Ability.OPERATIONS: "it sums what a node gets, and a network has one of the sizes"}

    def sample(self, training: bool = True) -> Assignment:
        """Drop paths as in a step of the training; without `training`, return what forwards outside of a step run.

        Args:
            training: Whether to drop.
        """
        self._require_adapted()
        if not training:
            return self.standing()
        kept: list[list[int]] = [[] for _ in self.places]
        for incoming in self._nodes():
            for decision, op in path_dropout(incoming, self.drop_rate, self.strength, self.rng):
                kept[decision].append(op)
        return self.keeping(kept)

    def _nodes(self) -> list[list[tuple[int, int]]]:
        """Return for each node the (decision, candidate) pairs whose outputs are summed in it, without `Zero`."""
        nodes: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for decision, (place, entry) in enumerate(zip(self.places, self.entries, strict=True)):
            nodes.setdefault((place.number, place.tail), []).extend((decision, op) for op in entry.computing)
        return [incoming for incoming in nodes.values() if incoming]

    def select_path(self, scorer: PathScorer) -> Code:
        """Return the best of the random architectures."""
        codes = [self.paths.random(self.rng) for _ in range(self.num_samples)]
        return random_selection(scorer, codes, self.sample_batches, self.num_finalists)[1]
