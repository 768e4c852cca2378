"""FactorisedPolicy: every word by itself."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor, nn

from naslib.optimizers.discrete.steps import Steps

from .base import Policy, PolicyMemory

# Standard deviation of the scores to begin with, as in the code of NAS-Bench-201
INITIAL_SCALE = 1e-3


class FactorisedPolicy(Policy):
    """Decide each word by a softmax of its own scores, whatever the other words are.

    Args:
        steps: How architectures are written.
        rng: Of the scores to begin with, normal with a standard deviation of 1e-3.

    Attributes:
        scores: `(n_slots, largest width)`.
    """

    def __init__(self, steps: Steps, rng: Random) -> None:
        super().__init__(steps)
        width = max(slot.width for slot in steps.slots)
        drawn = [[rng.gauss(0.0, INITIAL_SCALE) for _ in range(width)] for _ in steps.slots]
        self.scores = nn.Parameter(torch.tensor(drawn))

    def begin(self) -> PolicyMemory:
        """Return what is known before the first word: nothing that is ever added to."""
        return _Rows(self.scores, self.steps)


class _Rows(PolicyMemory):
    def __init__(self, scores: Tensor, steps: Steps) -> None:
        self.scores, self.slots = scores, steps.slots

    def logits(self, slot: int) -> Tensor:
        return self.scores[slot, : self.slots[slot].width]

    def take(self, slot: int, word: int) -> None:
        """Take no note: words do not depend on each other."""
