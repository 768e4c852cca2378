"""The zero-one loss of FairDARTS: it pushes sigmoid weights away from one half."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.part import PARTS, Part
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import Zero
from naslib.utils.placed import Placed

# Mean distance of the sigmoids from one half
DISTANCES: dict[str, Callable[[Tensor], Tensor]] = {
    "l2": lambda weights: (weights - 0.5).square().mean(),
    "l1": lambda weights: (weights - 0.5).abs().mean(),
}


@PARTS.register("zero_one_loss")
class ZeroOneLoss(Part):
    """Subtract `weight * mean_i (sigmoid(alpha_i) - 1/2)^2` from the architecture loss ([Chu2020fairdarts]).

    The mean runs over the entries of all alphas that belong to an operation: the authors have seven of them and no
    `none`, and a `Zero` among the candidates neither gets the term nor dilutes it for the others. The weight step is
    not concerned: the term does not depend on the operation weights. Its gradient is zero at alpha = 0, so the loss of
    the data decides on the direction.

    Args:
        weight: Of the term.
        norm: `"l2"`, or `"l1"` for `mean_i |sigmoid(alpha_i) - 1/2|`.

    Raises:
        ConfigError: For an unknown norm or a negative weight.
    """

    STATIC = True
    SCHEDULABLE = {"weight": ""}

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
        self._entries: Placed | None = None

    def adapt(self, graph: Graph) -> None:
        """Forget where the operations were."""
        self._entries = None

    def restructured(self) -> None:
        """Forget where the operations were."""
        self._entries = None

    def _operations(self) -> Placed:
        """Return which entries of all alphas, in a row, belong to an operation other than `Zero`."""
        if self._entries is None:
            candidates = [op for data in self.optimizer.decisions for op in data.op.primitives]
            kept = [index for index, op in enumerate(candidates) if not isinstance(op, Zero)]
            self._entries = Placed([torch.tensor(kept, dtype=torch.long)])
        return self._entries

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the loss minus the term.

        Both are scalars.
        """
        alphas = torch.cat([alpha.flatten() for alpha in self.optimizer.architectural_weights])
        (entries,) = self._operations().on(alphas.device)
        if not len(entries):
            return loss
        if len(entries) < len(alphas):
            alphas = alphas[entries]
        return loss - self.weight * DISTANCES[self.norm](torch.sigmoid(alphas))
