"""ProxylessNAS: train one sampled path at a time, and the path's probabilities by binary gates or by REINFORCE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from naslib.errors import ConfigError, did_you_mean
from naslib.optimizers.core.metaclasses import Batch, StepResult
from naslib.optimizers.core.reward_baseline import RewardBaseline
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.estimators import rescale
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.assignment import Assignment, Draw, assigned

from .sampler import PathSampler

MODES = ("full", "full_v2", "two")
UPDATES = ("gradient", "reinforce")


@OPTIMIZERS.register("proxylessnas", "proxyless")
class ProxylessNASOptimizer(OneShotOptimizer):
    """Search with the memory of one path ([Cai2019proxylessnas]).

    Each forward runs one operation per decision, drawn by p = softmax(alpha), the same for all copies of a cell. A step
    trains the drawn path on the training batch; the other operations get no gradient, no decay and no momentum. Every
    `arch_interval`-th step then trains alpha on the validation batch, the weights fixed, in one of two ways.

    `gradient`: y = sum_k g_k o_k(x) with one-hot gates g, and `dL/dalpha_i = sum_j dL/dg_j p_j (delta_ij - p_i)` (Eq.
    4), where `dL/dg_j = <dL/dy, o_j(x)>`. In the mode `two` the sum is over a pair of operations and their softmax
    (Sec. 3.2.1); after the step the pair is shifted so that all other probabilities are what they were.

    `reinforce`: several networks are drawn and rewarded by their accuracy on the batch, and alpha follows
    `mean (R - b) grad log p(network)`, b being an average of former rewards.

    The architecture is the most likely operation of each decision, as the space's selection rule has it.

    Args:
        mode: `"full"` keeps the outputs of all operations; `"full_v2"` those of the drawn one, and runs the others in
            the backward without a graph: the same gradient at the memory of one path; `"two"` looks at two operations.
        update: `"gradient"` or `"reinforce"`.
        arch_interval: One architecture update in so many steps.
        warm_up_epochs: Epochs in which the weights are trained alone; short for `parts: {warm_up: {epochs: ...}}`. In
            the authors' code the first epoch of the search has no updates.
        n_networks: How many networks an update by REINFORCE draws.
        baseline_decay: How much of the old average of rewards is kept per update by REINFORCE.
        parts: See `OneShotOptimizer`.
        arch_learning_rate: Of alpha.
        arch_weight_decay: Of alpha; it moves operations that were not looked at.
        **kwargs: See `OneShotOptimizer`.

    Attributes:
        n_steps: Steps taken.
        reward_average: Average of the rewards; None before the first.

    Raises:
        ConfigError: For an unknown mode or update, or a number out of range.
    """

    # neither momentum nor decay: an operation that is not in the pair must not move
    ARCH_BETAS = (0.0, 0.999)
    SCHEDULABLE = {"arch_interval": "", "n_networks": "", "baseline_decay": ""}
    HELD_BY = {"baseline_decay": ("_baseline", "decay")}
    SCHEDULED = ("n_steps", "reward_average")
    PARTS: ClassVar = {"warm_up": {"epochs": 1}}

    def __init__(
        self,
        mode: str = "full_v2",
        update: str = "gradient",
        arch_interval: int = 1,
        warm_up_epochs: int | None = None,
        n_networks: int = 10,
        baseline_decay: float = 0.99,
        parts: dict | None = None,
        arch_learning_rate: float = 1e-3,
        arch_weight_decay: float = 0.0,
        **kwargs: Any,
    ) -> None:
        if warm_up_epochs is not None:
            parts = {"warm_up": {"epochs": warm_up_epochs}, **(parts or {})}
        super().__init__(
            parts=parts, arch_learning_rate=arch_learning_rate, arch_weight_decay=arch_weight_decay, **kwargs
        )
        problems = [
            f"{key} must be one of {', '.join(known)}, not {value!r}{did_you_mean(str(value), known)}"
            for key, value, known in (("mode", mode, MODES), ("update", update, UPDATES))
            if value not in known
        ]
        problems += [
            f"{key} must be at least 1, got {value}"
            for key, value in (("arch_interval", arch_interval), ("n_networks", n_networks))
            if value < 1
        ]
        if problems:
            raise ConfigError(problems)
        self.mode = mode
        self.update = update
        self.arch_interval = arch_interval
        self.n_networks = n_networks
        self.n_steps = 0
        self._baseline = RewardBaseline(baseline_decay)
        self._sampler = PathSampler(mode)

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name in ("n_networks", "baseline_decay") and self.update != "reinforce":
            return "only update: reinforce reads it"
        return super().unscheduled(name)

    @property
    def reward_average(self) -> float | None:
        """The baseline of REINFORCE."""
        return self._baseline.value

    @reward_average.setter
    def reward_average(self, value: float | None) -> None:
        self._baseline.value = value

    def relaxation(self) -> PathSampler:
        """Return the sampler of this optimizer."""
        return self._sampler

    def choice_probabilities(self) -> list[Tensor]:
        """Return the softmax of each decision; in the mode `two` that over the pair that was drawn, 0 elsewhere.

        `(n_ops,)` per decision.
        """
        if self.mode != "two" or self.last_sample is None:
            return super().choice_probabilities()
        involved = self._involved(self.last_sample)
        masked = zip(self.architectural_weights, involved, strict=True)
        return [alpha.masked_fill(~mask, -torch.inf).softmax(-1) for alpha, mask in masked]

    def removes(self) -> Mapping[Ability, str]:
        """Return what updates by REINFORCE do not have."""
        if self.update == "gradient":
            return {}
        why = "update 'reinforce' has no gradient for the part {part}; use 'gradient'"
        return dict.fromkeys((Ability.GRADIENT, Ability.TERM, Ability.VALIDATION_GRADIENT), why)

    # the step

    def before_training(self) -> None:
        """Move everything to `device`, and check that updates find what was drawn.

        Raises:
            ConfigError: If updates do not see what was drawn.
        """
        super().before_training()
        if self.mode == "two" or self.update == "reinforce":
            self._check_draws()

    def step(self, data_train: Batch, data_val: Batch) -> StepResult:
        """Update the weights of a path on the training batch, then alpha on the validation batch if it is its turn.

        Args:
            data_train: Inputs and targets for the weights.
            data_val: Inputs and targets for the architecture.

        Returns:
            Detached `(logits_train, logits_val, train_loss, val_loss)`.
        """
        self._require_adapted()
        self.outcome = None  # chosen for other weights
        logits_train, train_loss = self.weight_step(data_train)
        self.n_steps += 1
        if self.n_steps % self.arch_interval == 0 and self._trains_architecture():
            logits_val, val_loss = self.architecture_step(data_train, data_val)
        else:
            logits_val, val_loss = self.validation_forward(data_val)
        return logits_train, logits_val, train_loss, val_loss

    def update_architecture(self) -> None:
        """Step, and in the mode `two` give back what operations outside the pair gained or lost."""
        if self.mode != "two" or self.update == "reinforce" or self.last_sample is None:
            super().update_architecture()
            return
        before = [alpha.detach().clone() for alpha in self.architectural_weights]
        super().update_architecture()
        involved = self._involved(self.last_sample)
        with torch.no_grad():
            for alpha, old, mask in zip(self.architectural_weights, before, involved, strict=True):
                alpha.copy_(rescale(old.unsqueeze(0), alpha.unsqueeze(0), mask.unsqueeze(0)).squeeze(0))

    def architecture_gradient(self, data_train: Batch, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return the gradient by gates or by REINFORCE, and the detached logits and loss of a drawn network.

        Gradients have the shape of their parameters; logits `(n, classes)`, the loss a scalar.
        """
        if self.update == "gradient":
            return super().architecture_gradient(data_train, data_val)
        return self._policy_gradient(data_val)

    @torch.no_grad()
    def _policy_gradient(self, data_val: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        rewards, choices = [], []
        for _ in range(self.n_networks):
            sample = self.sample(self.graph.training)
            with assigned(sample):
                logits, loss = self.forward_loss(data_val)
            choices.append(self._active(sample))
            reward = self.paid(logits, data_val)
            for part in self.parts.values():
                reward = part.reward(reward, choices[-1])
            rewards.append(reward)
        self._baseline.advantage(sum(rewards) / len(rewards))
        average = self._baseline.value
        gradient = [torch.zeros_like(alpha) for alpha in self.architecture_parameters]
        for reward, choice in zip(rewards, choices, strict=True):
            for total, alpha, active in zip(gradient, self.architectural_weights, choice, strict=True):
                # grad log p(active) = one-hot - p; the optimizer descends
                total.add_(active.to(alpha) - alpha.softmax(-1), alpha=-(reward - average) / self.n_networks)  # type: ignore[operator]
        return gradient, logits, loss

    # what was drawn

    def _active(self, assignment: Assignment) -> list[Tensor]:
        """Return what runs: one-hot booleans, `(n_ops,)` per decision."""
        return [self._mask(assignment.indices(name), name) for name in self.decision_names]

    def _involved(self, assignment: Assignment) -> list[Tensor]:
        """Return what is looked at for the gradient: booleans, `(n_ops,)` per decision."""
        found = []
        for name in self.decision_names:
            value = assignment[name]
            pair = (*value.on, *value.evaluated) if isinstance(value, Draw) and value.evaluated else None
            found.append(self._mask(pair, name))
        return found

    def _mask(self, indices: Sequence[int] | None, name: str) -> Tensor:
        """Return booleans of one decision: True for some candidates, for all if None."""
        alpha = self.architectural_weights[self.decision_names.index(name)]
        mask = torch.full(alpha.shape, indices is None, dtype=torch.bool)
        if indices is not None:
            mask[list(indices)] = True
        return mask.to(alpha.device)

    def _check_draws(self) -> None:
        """Raise `ConfigError` if a decision is not drawn once for all its edges."""
        edges = [data for sites in self._sites for data in sites.edges]
        alone = {id(data.alpha) for data in edges if not data.op.relaxes_in_batch()}
        if alone:
            raise ConfigError(
                f"mode 'two' and update 'reinforce' must know what was drawn, but {len(alone)} decisions are drawn on "
                "their own (a hook on a MixedOp); use mode 'full_v2'"
            )
