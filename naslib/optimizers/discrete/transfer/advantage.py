"""TaskAdvantages: rewards of several tasks on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.optimizers.core.reward_baseline import RewardBaseline


class TaskAdvantages:
    """Say how good a reward is for its task ([Wong2018transfer], section 3).

    Each task t has an average b of its rewards and an average v of its squared advantages, both moving and corrected
    for their start (`RewardBaseline`). In this order:

        b <- average of r,  a = r - b,  v <- average of a^2,  A = a / sqrt(v)

    so that a task whose rewards are ten times as far apart moves the controller no further. A is 0 where v is.

    Args:
        names: The tasks.
        decay: In [0, 1): how much of the old averages is kept.
        correct_bias: Whether the averages are corrected for their start; v begins with the first one otherwise.
        normalize: Whether advantages are divided by `sqrt(v)`.

    Raises:
        ConfigError: If `decay` is not in [0, 1).
    """

    def __init__(
        self, names: Sequence[str], decay: float = 0.9, correct_bias: bool = True, normalize: bool = True
    ) -> None:
        self.normalize = normalize
        self.baselines = {name: RewardBaseline(decay, correct_bias) for name in names}
        self.squares = {name: RewardBaseline(decay, correct_bias) for name in names}
        self._decay = decay

    @property
    def decay(self) -> float:
        """How much of the old averages is kept."""
        return self._decay

    @decay.setter
    def decay(self, decay: float) -> None:
        self._decay = decay
        for average in (*self.baselines.values(), *self.squares.values()):
            average.decay = decay

    def advantage(self, name: str, reward: float) -> float:
        """Take note of a reward of a task, and return its advantage."""
        found = self.baselines[name].advantage(reward)
        if not self.normalize:
            return found
        squares = self.squares[name]
        squares.advantage(found * found)
        variance = squares.value or 0.0
        return found / variance**0.5 if variance > 0 else 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return the averages by task."""
        return {name: [b.state_dict(), self.squares[name].state_dict()] for name, b in self.baselines.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over averages."""
        for name, baseline in self.baselines.items():
            rewards, squares = state_dict[name]
            baseline.load_state_dict(rewards)
            self.squares[name].load_state_dict(squares)
