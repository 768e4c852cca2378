"""PPOController: proximal policy optimization ([Schulman2017ppo]) as NASNet was found ([Zoph2018nasnet])."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.core.metaclasses import Stateful
from naslib.optimizers.discrete.policies.experience import Experience
from naslib.optimizers.discrete.policies.optimizer import Drawn, PolicyOptimizer
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.query_metrics import Metric


def clipped_objective(log_probs: Tensor, before: Tensor, advantage: float, clip: float) -> Tensor:
    """Return the sum over words of `min(q A, clamp(q, 1 - clip, 1 + clip) A)` ([Schulman2017ppo], equation 7).

    Args:
        log_probs: `(n_words,)` under the policy.
        before: `(n_words,)` under the policy that drew them; `q = exp(log_probs - before)`.
        advantage: A.
        clip: In (0, 1).
    """
    ratio = (log_probs - before).exp()
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage).sum()


@OPTIMIZERS.register("ppo")
class PPOController(PolicyOptimizer):
    """Update an LSTM by proximal policy optimization after every `policy_batch` architectures.

    The objective is the mean over the batch of `clipped_objective`, plus `entropy_weight` times the entropy; each
    update takes `passes` steps of Adam on it. The advantage is the reward less the moving average of rewards. Learning
    rate 3.5e-4, entropy 1e-5, decay .95, batches of 20 and one layer of 100 units are those of NASNet; `clip` and
    `passes`, which its paper does not say, are of [Schulman2017ppo].

    Args:
        policy_batch: Architectures in an update.
        passes: Steps on each of them.
        clip: In (0, 1).
        controller: See `PolicyOptimizer`.
        controller_hidden: Units of the LSTM.
        softmax: `"own"` for a softmax of each prediction, as in NASNet's controller; see `PolicyOptimizer`.
        arch_learning_rate: Of Adam.
        baseline_decay: Of the moving average.
        correct_bias: Whether the average is corrected for its start.
        entropy_weight: Of the entropy of the policy.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    SCHEDULABLE = dict.fromkeys(("policy_batch", "passes", "clip"), "")

    def __init__(
        self,
        *,
        policy_batch: int = 20,
        passes: int = 10,
        clip: float = 0.2,
        controller: str = "lstm",
        controller_hidden: int = 100,
        softmax: str = "shared",
        arch_learning_rate: float = 3.5e-4,
        baseline_decay: float = 0.95,
        correct_bias: bool = False,
        entropy_weight: float = 1e-5,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            controller=controller,
            controller_hidden=controller_hidden,
            softmax=softmax,
            arch_learning_rate=arch_learning_rate,
            baseline_decay=baseline_decay,
            correct_bias=correct_bias,
            entropy_weight=entropy_weight,
            fidelity=fidelity,
            metric=metric,
            objectives=objectives,
            evaluator=evaluator,
            **kwargs,
        )
        problems = []
        if policy_batch < 1 or passes < 1:
            problems.append(f"policy_batch and passes must be at least 1, got {policy_batch}, {passes}")
        if not 0 < clip < 1:
            problems.append(f"clip must be in (0, 1), got {clip}")
        if problems:
            raise ConfigError(problems)
        self.policy_batch, self.passes, self.clip = policy_batch, passes, clip
        self._experience = Experience()

    def reinforce(self, drawn: Drawn, reward: float) -> None:
        """Take note of the reward; update when the batch is full."""
        rows = self._experience.rows
        rows.append((drawn, self.baseline.advantage(reward)))
        if len(rows) < self.policy_batch:
            return
        for _ in range(self.passes):
            self.ascend(torch.stack([self._objective(d, advantage) for d, advantage in rows]).mean())
        rows.clear()

    def _objective(self, drawn: Drawn, advantage: float) -> Tensor:
        found = self.policy.follow(drawn.decided)
        before = torch.tensor(drawn.log_probs, dtype=found.log_probs.dtype)
        objective = clipped_objective(found.log_probs, before, advantage, self.clip)
        return objective + self.entropy_weight * found.entropies.sum()

    def _reset(self) -> None:
        super()._reset()
        self._experience = Experience()

    def get_checkpointables(self) -> dict[str, Stateful]:
        """Return everything stateful by name; the batch that is not full yet beside the policy."""
        return {**super().get_checkpointables(), "experience": self._experience}
