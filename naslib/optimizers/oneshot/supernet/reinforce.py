"""What every policy-gradient update needs: a baseline that follows the rewards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ConfigError


class RewardBaseline:
    """Subtract an exponential moving average from rewards; the first reward is the average to begin with.

    `b <- decay b + (1 - decay) r`, updated before it is subtracted, as in the authors' code of ENAS.

    Args:
        decay: In [0, 1): how much of the old average is kept.

    Attributes:
        value: The average; None before the first reward.

    Raises:
        ConfigError: If `decay` is not in [0, 1).
    """

    def __init__(self, decay: float = 0.99) -> None:
        if not 0 <= decay < 1:
            raise ConfigError(f"the baseline's decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.value: float | None = None

    def advantage(self, reward: float) -> float:
        """Take note of a reward and return what it is above the average."""
        self.value = reward if self.value is None else self.decay * self.value + (1 - self.decay) * reward
        return reward - self.value

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return {"value": self.value}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over an average."""
        self.value = state_dict["value"]
