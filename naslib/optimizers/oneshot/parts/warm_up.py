"""Warm-up: train the weights alone at first."""

from __future__ import annotations

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.part import PARTS, Part


@PARTS.register("warm_up")
class WarmUp(Part):
    """Leave the architecture parameters alone in the first epochs, as PC-DARTS, P-DARTS and DrNAS do.

    Args:
        epochs: Number of epochs.

    Raises:
        ConfigError: If it is negative.
    """

    def __init__(self, epochs: int = 15) -> None:
        if epochs < 0:
            raise ConfigError(f"epochs must not be negative, got {epochs}")
        self.epochs = epochs
        self._epoch = 0

    def new_epoch(self, epoch: int) -> None:
        """Take note of the epoch."""
        self._epoch = epoch

    @property
    def trains_architecture(self) -> bool:
        """Whether the warm-up is over."""
        return self._epoch >= self.epochs
