"""SNAS: weights and architecture from one loss, through a concrete relaxation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Batch, StepResult
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.relaxations import linear_temperature
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.graph import EdgeView
from naslib.utils.joined_buffers import buffer_versions, join_buffers

# Mean and standard deviation of the initial log alpha (authors' code)
_INITIAL_MEAN, _INITIAL_DEVIATION = 1.0, 0.01


@OPTIMIZERS.register("snas")
class SNASOptimizer(OneShotOptimizer):
    """Search by stochastic relaxation ([Xie2019snas]).

    Each forward draws `Z = softmax((log alpha + G) / tau)` for every decision, G standard Gumbel, the same Z in all
    copies of a cell, and returns `sum_k Z_k o_k(x)`: all candidates run. Operation weights and log alpha are trained by
    the gradient of the same training batch; the validation batch is only looked at. tau falls linearly from `tau_first`
    at the first epoch to `tau_last` at the last. In evaluation, and to compare candidates, Z is softmax(log alpha).

    Args:
        epochs: Number of epochs of the search.
        tau_first: Temperature of the first epoch.
        tau_last: Temperature of the last epoch.
        arch_grad_clip: Largest norm of the architecture gradient; 0 or None for no clipping.
        tau: The temperature, or its schedule, in place of `tau_first` and `tau_last`; None for these.
        **kwargs: See `OneShotOptimizer`.

    Raises:
        ConfigError: If a temperature is not positive.
    """

    SCHEDULABLE = {
        "arch_grad_clip": "",
        "tau": "",
        "tau_first": "tau falls from it to tau_last: give tau the schedule",
        "tau_last": "see tau_first",
    }
    SCHEDULED = ("tau",)

    def __init__(
        self,
        epochs: int = 50,
        tau_first: float = 1.0,
        tau_last: float = 0.03,
        arch_grad_clip: float | None = 10.0,
        tau: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not (tau_first > 0 and tau_last > 0):
            raise ConfigError(f"temperatures must be positive, got tau_first={tau_first}, tau_last={tau_last}")
        if tau is not None and not tau > 0:
            raise ConfigError(f"temperatures must be positive, got tau={tau}")
        self.epochs = epochs
        self.tau_first = tau_first
        self.tau_last = tau_last
        self.arch_grad_clip = arch_grad_clip
        self._falls = tau is None
        first = tau_first if tau is None else tau
        strategy = Strategy(sampler="all", forward="relaxed", gradient="autodiff", tau=first)
        self._relaxation = StrategyRelaxation(strategy)

    @property
    def tau(self) -> float:
        """The current temperature."""
        return self._relaxation.strategy.tau

    @tau.setter
    def tau(self, value: float) -> None:
        self._relaxation.strategy = replace(self._relaxation.strategy, tau=value)

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha`, the log alpha of the paper, on an edge: normal draws of mean 1 and deviation .01."""
        alpha = _INITIAL_MEAN + _INITIAL_DEVIATION * torch.randn(len(edge.data.op))
        edge.data.set("alpha", nn.Parameter(alpha), shared=True)

    def relaxation(self) -> StrategyRelaxation:
        """Return the concrete relaxation of this optimizer."""
        return self._relaxation

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not: a gradient of the validation loss."""
        return {
            Ability.VALIDATION_GRADIENT: "it trains all on one batch: the part {part} finds no two gradients to compare"
        }

    def new_epoch(self, epoch: int) -> None:
        """Set the temperature of the epoch."""
        super().new_epoch(epoch)
        if self._falls:
            self.tau = linear_temperature(epoch, self.epochs, self.tau_first, self.tau_last)

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Update weights and architecture parameters on the training batch.

        Args:
            data_train: Inputs and targets.
            data_val: Inputs and targets for the validation loss, which is returned and not learned from.

        Returns:
            Detached `(logits_train, logits_val, train_loss, val_loss)`.
        """
        self._require_adapted()
        self.outcome = None
        logits_val, val_loss = self.validation_forward(data_val)
        if not self._trains_architecture():
            logits_train, train_loss = self.weight_step(data_train)
        else:
            logits_train, train_loss = self.joint_step(data_train, data_val)
        return logits_train, logits_val, train_loss, val_loss

    def joint_step(self, data: Batch, data_val: Batch) -> tuple[Tensor, Tensor]:
        """Update weights and architecture parameters by one backward.

        Logits `(n, classes)`, the loss a scalar.

        The weights get the gradient of the training loss alone, the architecture parameters that of
        `architecture_loss`.

        Args:
            data: The training batch.
            data_val: The validation batch, for parts that measure on it.

        Returns:
            Detached logits and loss.
        """
        parts = self.parts.values()
        for part in parts:
            part.before_architecture_step(data_val)
            part.before_weight_step(data)
        self.op_optimizer.zero_grad(set_to_none=True)
        self.arch_optimizer.zero_grad(set_to_none=True)
        with ExitStack() as stack:
            for part in parts:
                stack.enter_context(part.during_architecture_step(data))
                stack.enter_context(part.during_weight_step(data))
            before = buffer_versions(self.graph)
            logits, loss = self.add_gradients(data, self.task.weight_loss)
        self.join_gradients([*self.weights, *self.architecture_parameters])
        join_buffers(self.graph, before, self.sync_batch_norm)
        gradient = self.with_terms(loss, [alpha.grad for alpha in self.architecture_parameters])
        for alpha, value in zip(self.architecture_parameters, gradient, strict=True):
            alpha.grad = value
        for part in parts:
            part.weight_gradient(data)
        for parameters, limit in (
            (self.weights, self.grad_clip),
            (self.architecture_parameters, self.arch_grad_clip),
        ):
            if limit:
                nn.utils.clip_grad_norm_(parameters, limit)
        self.op_optimizer.step()
        self.update_architecture()
        for part in parts:
            part.after_architecture_step(data_val)
            part.after_weight_step(data)
        return logits, loss
