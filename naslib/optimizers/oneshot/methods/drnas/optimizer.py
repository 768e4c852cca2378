"""DrNAS: search for the distribution of the mixing weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.registry import OPTIMIZERS

from .dirichlet import dirichlet_mean, dirichlet_sample, total_divergence

REGULARIZERS = ("l2", "kl")


class DirichletRelaxation:
    """Draw the weights of each decision from a Dirichlet distribution; take their mean in evaluation."""

    def __call__(self, logits: Tensor, training: bool) -> Sequence[Tensor]:
        """Return one row of weights per decision: positive, of sum 1.

        Args:
            logits: `(n_decisions, n_ops)`.
            training: Whether to sample.
        """
        return (dirichlet_sample(logits) if training else dirichlet_mean(logits)).unbind(0)


@OPTIMIZERS.register("drnas")
class DrNASOptimizer(OneShotOptimizer):
    """Learn a Dirichlet distribution over the weights of each mixture ([Chen2021drnas]).

    Each forward draws theta ~ Dir(elu(alpha) + 1) per decision, the same for all copies of a cell, and sums all
    candidates by it; the pathwise derivative of the sample trains alpha. The distance to the uniform distribution is
    regularised: by weight decay on alpha (`"l2"`, `arch_weight_decay`), or by the Kullback-Leibler divergence of every
    decision's distribution from Dir(1) (`"kl"`), in which case there is no weight decay on alpha.

    Args:
        regularizer: `"l2"` or `"kl"`.
        reg_scale: Factor of the divergence, at least 0.
        **kwargs: See `OneShotOptimizer`.

    Raises:
        ConfigError: If the regularizer is unknown or its factor negative.
    """

    STATIC_STEP = True
    SCHEDULABLE = {"reg_scale": ""}

    def __init__(self, regularizer: str = "l2", reg_scale: float = 1e-3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if regularizer not in REGULARIZERS:
            raise ConfigError(f"regularizer must be one of {', '.join(REGULARIZERS)}, not {regularizer!r}")
        if reg_scale < 0:
            raise ConfigError(f"reg_scale must not be negative, got {reg_scale}")
        self.regularizer = regularizer
        self.reg_scale = reg_scale
        if regularizer == "kl":
            self.arch_weight_decay = 0.0  # one regularizer or the other, as in the authors' code

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        by_kl = self.regularizer == "kl"
        if name == ("arch_weight_decay" if by_kl else "reg_scale"):
            return f"regularizer: {self.regularizer} does not read it"
        return super().unscheduled(name)

    def relaxation(self) -> DirichletRelaxation:
        """Return the Dirichlet sampler."""
        return DirichletRelaxation()

    def decision_weights(self, alpha: Tensor) -> Tensor:
        """Return softmax(alpha): its largest entry is that of the mean, and the authors' code compares edges by it.

        `(n_ops,)` for `(n_ops,)`.
        """
        return torch.softmax(alpha.detach(), dim=-1)

    def choice_probabilities(self) -> list[Tensor]:
        """Return the mean of each decision's distribution.

        `(n_ops,)` per decision.
        """
        return [dirichlet_mean(alpha) for alpha in self.architectural_weights]

    def architecture_loss(self, loss: Tensor) -> Tensor:
        """Return the validation loss with the parts' terms and the divergence.

        Both are scalars.
        """
        loss = super().architecture_loss(loss)
        if self.regularizer == "kl":
            loss = loss + self.reg_scale * total_divergence(list(self.architectural_weights))
        return loss
