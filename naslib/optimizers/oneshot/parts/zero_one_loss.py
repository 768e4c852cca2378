"""The zero-one loss of FairDARTS: it pushes sigmoid weights away from one half."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from naslib.errors import ConfigError

from .base import PARTS, Part

# Mean distance of the sigmoids from one half
DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "l2": lambda weights: (weights - 0.5).square().mean(),
    "l1": lambda weights: (weights - 0.5).abs().mean(),
}


@PARTS.register("zero_one_loss")
class ZeroOneLoss(Part):
    """Subtract `weight * mean_i (sigmoid(alpha_i) - 1/2)^2` from the architecture loss ([Chu2020fairdarts]).

    The mean runs over all entries of all alphas. The weight step is not concerned: the term does not depend on the
    operation weights. Its gradient is zero at alpha = 0, so the loss of the data decides on the direction.

    Args:
        weight: Of the term.
        norm: `"l2"`, or `"l1"` for `mean_i |sigmoid(alpha_i) - 1/2|`.

    Raises:
        ConfigError: For an unknown norm or a negative weight.
    """

    def __init__(self, weight: float = 10.0, norm: str = "l2") -> None:
        problems = []
        if norm not in DISTANCES:
            problems.append(f"norm must be one of {', '.join(DISTANCES)}, not {norm!r}")
        if weight < 0:
            problems.append(f"weight must not be negative, got {weight}")
        if problems:
            raise ConfigError(problems)
        self.weight = weight
        self.norm = norm

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the loss minus the term."""
        alphas = torch.cat([alpha.flatten() for alpha in self.optimizer.architectural_weights])
        return loss - self.weight * DISTANCES[self.norm](torch.sigmoid(alphas))
