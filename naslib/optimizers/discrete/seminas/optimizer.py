"""SemiNAS: the search of NAO with labels that the controller gives itself ([Luo2020seminas])."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
import torch

from naslib.optimizers.discrete.model_based.rounds import check_counts
from naslib.optimizers.discrete.sequences.base import SequenceSearch
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code


@OPTIMIZERS.register("seminas")
class SemiNAS(SequenceSearch):
    """Train on the labels, label random architectures, train on both, and move the best of both ([Luo2020seminas]).

    In each round the controller is trained on the labels (`first_epochs`, later `controller_epochs`), predicts the
    values of `num_unlabelled` random architectures, and is trained on these and the labels, each repeated `up_sample`
    times (`epochs_on_both`). What is moved are the best by label or prediction. The rest is `SequenceSearch`; the
    weights go on from round to round, as in the authors' code.

    Values are standardised by the mean and the deviation of the trials told so far. The authors' code has the constants
    .9082 and .0240, which are of the whole benchmark and so of architectures that the search has not seen.

    Args:
        num_unlabelled: Random architectures that the controller labels in a round; 10,000 in the paper.
        up_sample: How often a label stands beside the others; None for as often that both are equally many, rounded up.
            10 in the authors' code.
        epochs_on_both: Passes of the second training.
        **kwargs: Keywords of `SequenceSearch`.

    Raises:
        ConfigError: For an unknown keyword, or a number out of its range.
    """

    def __init__(
        self, *, num_unlabelled: int = 300, up_sample: int | None = None, epochs_on_both: int = 5, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_counts(
            num_unlabelled=num_unlabelled,
            up_sample=1 if up_sample is None else up_sample,
            epochs_on_both=epochs_on_both,
        )
        self.num_unlabelled, self.up_sample, self.epochs_on_both = num_unlabelled, up_sample, epochs_on_both

    def targets(self, values: np.ndarray) -> np.ndarray:
        """Return values `(n,)` with mean 0 and deviation 1; zeros where all are equal."""
        spread = float(values.std())
        return (values - values.mean()) / spread if spread else np.zeros(len(values))

    def learn(self, codes: Sequence[Code], targets: np.ndarray) -> list[tuple[Code, float]]:
        """Train on the labels, then on these and on what the controller says of random architectures."""
        writing, controller = self.parts()
        labelled = self.spelled(codes, self.spellings)
        controller.train(labelled, targets, self.epochs_of_round(), self.rng.getrandbits(31))
        drawn = self.new_candidates()
        drawn.draw(self.num_unlabelled)
        others = drawn.codes
        if not others:
            return []
        guessed = controller.values(writing.write(others))
        times = ceil(len(others) / len(codes)) if self.up_sample is None else self.up_sample
        unlabelled = self.spelled(others, self.spellings)
        both = [torch.cat([one.repeat(times, 1), other]) for one, other in zip(labelled, unlabelled, strict=True)]
        all_targets = np.concatenate([np.tile(targets, times), guessed])
        controller.train(both, all_targets, self.epochs_on_both, self.rng.getrandbits(31))
        return list(zip(others, guessed.tolist(), strict=True))
