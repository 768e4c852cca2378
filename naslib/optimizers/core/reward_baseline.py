"""What every policy-gradient update needs: a baseline that follows the rewards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ConfigError


class RewardBaseline:
    """Subtract an exponential moving average from rewards; the first reward is the average to begin with.

    `b <- decay b + (1 - decay) r`, updated before it is subtracted, as in the authors' code of ENAS, or after it, as
    in [Zoph2017nasrl] (`previous`).

    Args:
        decay: In [0, 1): how much of the old average is kept.
        correct_bias: Whether all rewards so far have weights that sum to 1, as in the code of NAS-Bench-201, in place
            of the first one standing for all before it: `b = n / w` with `n <- decay n + (1 - decay) r` and
            `w <- decay w + (1 - decay)`, both from 0.
        previous: Whether the average of the rewards before this one is subtracted, of which the first has its own.

    Attributes:
        value: The average; None before the first reward.
        weight: The sum w of the weights; 0 before the first reward.

    Raises:
        ConfigError: If `decay` is not in [0, 1).
    """

    def __init__(self, decay: float = 0.99, correct_bias: bool = False, previous: bool = False) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"the baseline's decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.correct_bias = correct_bias
        self.previous = previous
        self.value: float | None = None
        self.weight = 0.0

    def advantage(self, reward: float) -> float:
        """Take note of a reward and return what it is above the average."""
        before = self.value
        self.weight = self.decay * self.weight + (1 - self.decay)
        if self.value is None:
            self.value = reward
        elif self.correct_bias:
            self.value += (1 - self.decay) / self.weight * (reward - self.value)
        else:
            self.value = self.decay * self.value + (1 - self.decay) * reward
        return reward - (before if self.previous and before is not None else self.value)

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return {"value": self.value, "weight": self.weight}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over an average."""
        self.value = state_dict["value"]
        self.weight = float(state_dict.get("weight", 0.0))
