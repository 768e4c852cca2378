"""FairNAS: every candidate is trained once per step."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from torch import Tensor

from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.paths.evolved import EvolvedPathOptimizer
from naslib.optimizers.oneshot.paths.paths import PathChoices
from naslib.optimizers.registry import OPTIMIZERS


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
class FairNASOptimizer(EvolvedPathOptimizer):
    """Train all candidates equally often ([Chu2021fairnas], strict fairness), then search the paths by evolution.

    A step draws for every decision a permutation of its candidates; the first candidates of all decisions are the first
    model, the second ones the second, and so on. All of them are run on the same batch, their gradients are summed, and
    the optimizer takes one step. The models have all edges of the supernet: where the space prunes edges, that happens
    in the selection only.

    Args:
        **kwargs: See `EvolvedPathOptimizer`.
    """

    def training_backward(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Add the gradients of all models of the step; return logits and loss of the last.

        Logits `(n, classes)`, the loss a scalar.
        """
        for choices in fair_choices([entry.n_ops for entry in self.entries], self.rng):
            with self.assigned(self.assignment_of_choices(choices)):
                last = super().training_backward(data_train)
        return last
