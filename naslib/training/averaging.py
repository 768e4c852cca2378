"""Averaged SGD: from when validation no longer becomes better, the network is the mean of its weights over steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.batch_norm import batch_norm_modules
from naslib.utils.log import get_logger

logger = get_logger(__name__)


class WeightAverage:
    """Begin to average when the validation loss is worse than the best of all but the last epochs.

    That is the rule of [Merity2018awdlstm]: at the end of an epoch whose loss is above the smallest loss of all epochs
    but the last `patience`. From then on SGD goes on as it did, and the mean of its weights is validated and kept, as
    `torch.optim.ASGD(t0=0, lambd=0)` computes it.

    Args:
        network: Whose weights are averaged.
        patience: Epochs whose losses are not compared with; at least one more must have passed.

    Attributes:
        is_on: Whether the mean is computed.

    Raises:
        ConfigError: If the network has batch norms with running statistics, which belong to weights that are not the
            mean.
    """

    def __init__(self, network: nn.Module, patience: int) -> None:
        if any(norm.track_running_stats for norm in batch_norm_modules(network)):
            raise ConfigError(
                "evaluation.averaging: the network has batch norms, and their running statistics are not those of "
                "averaged weights; leave the key out"
            )
        self.patience = patience
        self.is_on = False
        self.losses: list[float] = []
        self._weights: list[Tensor] = [weight for weight in network.parameters() if weight.requires_grad]
        self._mean: list[Tensor] = []
        self._own: list[Tensor] = []  # of the steps, while the network has the mean
        self._steps = 0

    @torch.no_grad()
    def after_step(self) -> None:
        """Take the present weights into the mean."""
        if not self.is_on:
            return
        self._steps += 1
        if self._steps <= 2:  # torch's ASGD begins anew at its second step
            self._mean = [weight.detach().clone() for weight in self._weights]
            return
        torch._foreach_lerp_(self._mean, [weight.detach() for weight in self._weights], 1.0 / (self._steps - 1))

    def after_epoch(self, loss: float | None) -> None:
        """Decide by the validation loss of an epoch whether to average from now on."""
        if self.is_on or loss is None:
            return
        earlier = self.losses[: -self.patience]
        if earlier and loss > min(earlier):
            logger.info("averaging weights from now on: the validation loss was smaller %d epochs ago", self.patience)
            self.is_on = True
        self.losses.append(loss)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the network have the mean inside, where there is one."""
        was_in = bool(self._own)
        self.put()
        try:
            yield
        finally:
            if not was_in:
                self.take_back()

    @torch.no_grad()
    def put(self) -> None:
        """Give the network the mean, where there is one."""
        if self._mean and not self._own:
            self._own = [weight.detach().clone() for weight in self._weights]
            torch._foreach_copy_(self._weights, self._mean)

    @torch.no_grad()
    def take_back(self) -> None:
        """Give the network the weights of the last step again, where it has the mean."""
        if self._own:
            torch._foreach_copy_(self._weights, self._own)
            self._own = []

    def state_dict(self) -> dict[str, Any]:
        """Return the mean, what it was made of, and the losses."""
        state = {"is_on": self.is_on, "losses": list(self.losses), "steps": self._steps}
        return {**state, "mean": list(self._mean), "own": list(self._own)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.is_on, self.losses, self._steps = state["is_on"], list(state["losses"]), state["steps"]
        self._mean, self._own = (
            [value.to(weight, copy=True) for value, weight in zip(state[key], self._weights, strict=False)]
            for key in ("mean", "own")
        )
