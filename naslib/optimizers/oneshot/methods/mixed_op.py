"""The generic optimizer: who runs, with which weights, what is evaluated and how alpha gets its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError, OptimizerStateError
from naslib.optimizers.core.metaclasses import Batch, Stateful
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.strategy import Strategy, StrategyRelaxation
from naslib.optimizers.oneshot.supernet.strategy_optimizer import StrategyOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.tasks.fields import detached

REWARDS = ("accuracy", "loss")


@OPTIMIZERS.register("mixed_op")
class MixedOpOptimizer(StrategyOptimizer):
    """Search by a strategy put together from four independent choices, see `Strategy` for their meaning.

    With `gradient="reinforce"` nothing is differentiated but the log probability of what was drawn:
    `dJ/dalpha = -(R - b) dlog pi/dalpha`, R the reward of the validation batch, b its moving average.

    Args:
        sampler: Who runs: `"all"`, `"top_k"`, `"gumbel_top_k"`, `"multinomial"` or `"uniform"`.
        num_on_samples: How many operations of a decision run.
        forward: Their weights: `"sum"`, `"p"`, `"sigmoid"` or `"relaxed"`.
        num_eval_samples: How many are evaluated for a gradient by gates, those included; None for all.
        gradient: `"autodiff"`, `"gates"`, `"masked"`, `"masked_baseline"`, `"renormalized"`, `"moving_average"` or
            `"reinforce"`.
        tau: Temperature of the weights `"relaxed"`.
        moving_average_rate: Of the running means of outputs, for `"moving_average"`.
        reward: For `"reinforce"`: `"accuracy"`, in [0, 1] (of other tasks their deciding score), or `"loss"`, negated.
        baseline_decay: For `"reinforce"`: how much of the average reward is kept in a step.
        **kwargs: See `OneShotOptimizer`.

    Raises:
        ConfigError: For an unknown choice, or choices that contradict each other.
    """

    SCHEDULABLE = {"tau": "", "baseline_decay": ""}
    HELD_BY = {"baseline_decay": ("baseline", "decay")}

    def __init__(
        self,
        sampler: str = "gumbel_top_k",
        num_on_samples: int = 1,
        forward: str = "sum",
        num_eval_samples: int | None = None,
        gradient: str = "gates",
        tau: float = 1.0,
        moving_average_rate: float = 0.01,
        reward: str = "accuracy",
        baseline_decay: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if reward not in REWARDS:
            raise ConfigError(f"reward must be one of {', '.join(REWARDS)}, not {reward!r}")
        self.strategy = Strategy(sampler, num_on_samples, forward, num_eval_samples, gradient, tau)
        self.moving_average_rate = moving_average_rate
        self.reward = reward
        self.baseline = RewardBaseline(baseline_decay)
        self._relaxation = StrategyRelaxation(self.strategy)

    @property
    def tau(self) -> float:
        """The temperature of the weights `"relaxed"`."""
        return self.strategy.tau

    @tau.setter
    def tau(self, value: float) -> None:
        self.strategy = self._relaxation.strategy = replace(self.strategy, tau=value)

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name == "tau" and self.strategy.forward != "relaxed":
            return "only forward: relaxed has a temperature"
        if name == "baseline_decay" and self.strategy.gradient != "reinforce":
            return "only gradient: reinforce has a baseline"
        return super().unscheduled(name)

    def relaxation(self) -> StrategyRelaxation:
        """Return what draws all decisions of a forward."""
        return self._relaxation

    def removes(self) -> Mapping[Ability, str]:
        """Return what REINFORCE does not have."""
        if self.strategy.gradient != "reinforce":
            return {}
        refusal = "gradient 'reinforce' does not go with the part {part}, which "
        return {
            Ability.GRADIENT: refusal + "has parameters of its own",
            Ability.VALIDATION_GRADIENT: refusal + "has to see gradients of weights",
        }

    def architecture_gradient(self, data_train: Batch, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the gradient by architecture parameter, and the detached validation logits and loss.

        Gradients have the shape of their parameters; logits `(n, classes)`, the loss a scalar.

        Raises:
            OptimizerStateError: If the supernet is in evaluation mode, in which nothing is drawn.
        """
        if self.strategy.gradient != "reinforce":
            return super().architecture_gradient(data_train, data_val)
        with self._relaxation.recording() as record, self._fixed_weights():
            logits, loss = self.forward_loss(data_val)
        if not record:
            raise OptimizerStateError("no decision was drawn: the supernet is in evaluation mode, call graph.train()")
        advantage = self.baseline.advantage(self._reward(logits, loss, data_val))
        surrogate = -advantage * torch.cat(record).sum()
        found = torch.autograd.grad(surrogate, self.architecture_parameters, allow_unused=True)
        return self.with_terms(loss, found), detached(logits), loss.detach()

    @contextmanager
    def _fixed_weights(self) -> Iterator[None]:
        """Let the forwards inside keep no activations."""
        trained = [weight for weight in self.weights if weight.requires_grad]
        for weight in trained:
            weight.requires_grad_(False)
        try:
            yield
        finally:
            for weight in trained:
                weight.requires_grad_(True)

    def _reward(self, logits: Tensor, loss: Tensor, data: Batch) -> float:
        return -float(loss) if self.reward == "loss" else self.paid(logits, data)

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return what every weight-sharing optimizer has, and the reward's baseline."""
        return {**super().get_checkpointables(), "baseline": self.baseline}
