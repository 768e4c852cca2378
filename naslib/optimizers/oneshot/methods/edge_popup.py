"""edge-popup, read for architecture search: the operations with the largest scores run, as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation
from naslib.optimizers.registry import OPTIMIZERS

GRADIENTS = ("straight_through", "gates")


@OPTIMIZERS.register("edge_popup")
class EdgePopupOptimizer(OneShotOptimizer):
    """Search for the best subnetwork by scores with a straight-through gradient (after [Ramanujan2020hidden]).

    The paper scores single weights of a random network. Here every candidate of a decision has a score; the `n_on`
    operations with the largest run, each with weight 1, without randomness. The scores get
    `dL/ds_k = <dL/dy, o_k(x)>`, whether k ran or not: the backward of the architecture step runs the other candidates
    without a graph. Scores decide in the end.

    Args:
        n_on: How many operations of a decision run.
        gradient: `"straight_through"` as in the paper, or `"gates"`: through a softmax of the scores, which keeps
            their sum.
        train_weights: Whether the operation weights are trained; False leaves them as they were drawn, and only the
            statistics of batch norm follow the training batches.
        **kwargs: See `OneShotOptimizer`.

    Raises:
        ConfigError: For an unknown gradient, or if no operation is to run.
    """

    def __init__(
        self, n_on: int = 1, gradient: str = "straight_through", train_weights: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if gradient not in GRADIENTS:
            raise ConfigError(f"gradient must be one of {', '.join(GRADIENTS)}, not {gradient!r}")
        self.train_weights = train_weights
        self._strategy = Strategy(sampler="top_k", n_on=n_on, forward="sum", gradient=gradient)

    def relaxation(self) -> StrategyRelaxation:
        """Return the deterministic sampler."""
        return StrategyRelaxation(self._strategy)

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not, where the weights stay as they are."""
        if self.train_weights:
            return {}
        return dict.fromkeys(
            (Ability.TRAINED_WEIGHTS, Ability.VALIDATION_GRADIENT), "its weights are not trained (train_weights: false)"
        )

    def adapted(self) -> None:
        """Check how many operations are to run.

        Raises:
            ConfigError: If they are more than a decision has.
        """
        super().adapted()
        for scores in self.architectural_weights:
            self._strategy.check_width(len(scores))

    def weight_step(self, data_train: Batch) -> tuple[Tensor, Tensor]:
        """Update the operation weights, unless they are frozen.

        Logits `(n, classes)`, the loss a scalar.

        Returns:
            Detached training logits and loss.
        """
        if self.train_weights:
            return super().weight_step(data_train)
        with torch.no_grad():
            return self.forward_loss(data_train)
