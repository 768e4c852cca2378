"""SETN: train weights on uniform paths, learn by the mixture which paths are worth measuring."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

from torch import Tensor

from naslib.optimizers.core.metaclasses import Batch, StepResult
from naslib.optimizers.oneshot.paths.scoring import PathScorer
from naslib.optimizers.oneshot.paths.selection import best_first, check_counts, random_selection
from naslib.optimizers.oneshot.paths.weight_sharing import PROVISIONAL, WeightSharingOptimizer
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.assignment import Assignment
from naslib.search_spaces.core.codec import NO_EDGE, Code
from naslib.search_spaces.core.drawing import draw
from naslib.search_spaces.core.graph import EdgeView

# Draws after which a path without an operation into some node is taken all the same
_ATTEMPTS = 100
# Spaces up to this size (NAS-Bench-201 is one) are enumerated, however small the pool
_ENUMERABLE = 20_000


@OPTIMIZERS.register("setn")
class SETNOptimizer(WeightSharingOptimizer):
    """Self-evaluated template network ([Dong2019setn]).

    A step first trains the weights on a uniformly random path in which every node has an input other than `Zero`, then
    the architecture parameters alpha on the validation batch, by the softmax mixture of all candidates. At the end the
    `num_samples` architectures with the largest sum of log softmax(alpha) are measured, and the best is taken.

    Args:
        num_samples: Architectures that are measured.
        pool: Random architectures among which they are, where the space has more (and more than 20,000) architectures.
        sample_batches: Validation batches on which each is measured; every architecture gets the next ones.
        num_finalists: How many of the best are measured on the whole validation set; 0 as the authors.
        **kwargs: See `OneShotOptimizer`; the keys of the architecture parameters have their effect.
    """

    LEARNS_ARCHITECTURE = True
    SCHEDULABLE = {"arch_learning_rate": "", "arch_weight_decay": ""}
    RUNS_ONE_PATH = False

    def __init__(
        self, num_samples: int = 100, pool: int = 10_000, sample_batches: int = 1, num_finalists: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_counts(num_samples=num_samples, pool=pool, sample_batches=sample_batches)
        check_counts(0, num_finalists=num_finalists)
        self.num_samples = num_samples
        self.pool = pool
        self.sample_batches = sample_batches
        self.num_finalists = num_finalists

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha` on an edge with candidates: 1e-3 times a standard normal draw for each."""
        OneShotOptimizer.add_alphas(edge)

    def random_path(self) -> Code:
        """Draw a path in which every node has an input."""
        code = self.paths.random(self.rng)
        for _ in range(_ATTEMPTS):
            if self._reaches_every_node(code):
                break
            code = self.paths.random(self.rng)
        return code

    def mixture(self) -> Assignment:
        """Return the assignment that mixes all candidates by the softmax of the architecture parameters."""
        return draw(self._sites)

    def _reaches_every_node(self, code: Code) -> bool:
        reached: dict[tuple[int, int], bool] = {}
        for place, entry, choice in zip(self.places, self.entries, self.paths.choices(code), strict=True):
            if place.head is None:  # a size, which is on no edge
                continue
            node = place.number, place.tail
            reached[node] = reached.get(node, False) or choice in entry.computing
        return all(reached.values())

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Update the weights on a random path, then alpha through the mixture; see the parent."""
        self.begin_step(data_val)
        self.outcome = None  # chosen for other weights
        logits_train, train_loss = self.weight_step(data_train)
        with self.assigned(self.mixture()):
            step = self.architecture_step if self._trains_architecture() else self._look
            logits_val, val_loss = step(data_train, data_val)
        return logits_train, logits_val, train_loss, val_loss

    def _look(self, data_train: Batch, data_val: Batch) -> tuple[Tensor, Tensor]:
        return self.validation_forward(data_val)

    def log_probabilities(self, codes: Iterable[Code]) -> list[float]:
        """Return for each architecture the sum of log softmax(alpha) over what it has."""
        rows = [alpha.detach().log_softmax(-1).tolist() for alpha in self.architectural_weights]
        return [
            sum(row[k] for row, k in zip(rows, self.paths.choices(code), strict=True) if k != NO_EDGE) for code in codes
        ]

    def candidates(self) -> list[Code]:
        """Return the most likely architectures, at most `num_samples`, the most likely first."""
        size = self.paths.size()
        if size is not None and size <= max(self.pool, _ENUMERABLE):
            codes = list(self.paths.iterate())
        else:
            codes = [self.paths.random(self.rng) for _ in range(self.pool)]
        return self._most_likely(codes, self.num_samples)

    def provisional_codes(self, rng: Random) -> list[Code]:
        """Return the most likely of some random architectures; see the parent."""
        return self._most_likely([self.paths.random(rng) for _ in range(10 * PROVISIONAL)], PROVISIONAL)

    def _most_likely(self, codes: Iterable[Code], count: int) -> list[Code]:
        distinct = list(dict.fromkeys(codes))
        ranked = best_first(zip(self.log_probabilities(distinct), distinct, strict=True))
        return [code for _, code in ranked[:count]]

    def select_path(self, scorer: PathScorer) -> Code:
        """Return the best of the most likely architectures."""
        return random_selection(scorer, self.candidates(), self.sample_batches, self.num_finalists)[1]
