"""MeanBaseline: the moving average of mean rewards of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class MeanBaseline:
    """Subtract a moving average from the rewards of a round: `b <- b + rate (mean r - b)` from 0, updated first.

    Args:
        rate: In (0, 1].

    Attributes:
        value: The average.
    """

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.value = 0.0

    def advantages(self, rewards: Sequence[float]) -> list[float]:
        """Take note of the rewards of a round, and return what each is above the average."""
        self.value += self.rate * (sum(rewards) / len(rewards) - self.value)
        return [reward - self.value for reward in rewards]

    def state_dict(self) -> dict[str, Any]:
        """Return the average."""
        return {"value": self.value}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over an average."""
        self.value = float(state_dict["value"])
