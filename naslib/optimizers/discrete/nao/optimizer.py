"""NAO: steps uphill in the space of an encoder's outputs ([Luo2018nao])."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from naslib.optimizers.discrete.sequences.base import SequenceSearch
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code


@OPTIMIZERS.register("nao")
class NAO(SequenceSearch):
    """Learn to read, to judge and to write architectures, and write better ones ([Luo2018nao]).

    The values of all trials are mapped to [0, 1], the least to 0 and the largest to 1, and the head of the predictor is
    a sigmoid, as in the authors' code. The rest is `SequenceSearch`. The paper has 600 random architectures, the best
    100 as seeds, 300 new ones in each of three rounds, and 1000 epochs; the defaults here are for some hundred
    evaluations.
    """

    IS_BOUNDED = True

    def targets(self, values: np.ndarray) -> np.ndarray:
        """Return values `(n,)` on a scale from the least, 0, to the largest, 1; halves where all are equal."""
        span = float(np.ptp(values))
        return (values - values.min()) / span if span else np.full(len(values), 0.5)

    def learn(self, codes: Sequence[Code], targets: np.ndarray) -> list[tuple[Code, float]]:
        """Train on the labels alone."""
        _, controller = self.parts()
        spellings = self.spelled(codes, self.spellings)
        controller.train(spellings, targets, self.epochs_of_round(), self.rng.getrandbits(31))
        return []
