"""Metrics: loss and accuracies accumulated on the device, read only at log points."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

_LOSS, _TOP1, _TOP5, _COUNT = range(4)


class Score(NamedTuple):
    """Mean loss and accuracies in percent; None where nothing was measured."""

    loss: float | None
    top1: float | None
    top5: float | None
    images: int


class Meter:
    """Sum losses and hits of batches without waiting for the device.

    `state_dict` carries the sums, so an epoch that is resumed in its middle ends with the same averages.

    Args:
        device: Where the sums live.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self._sums = torch.zeros(4, dtype=_sum_dtype(device), device=device)
        self._bad_step = torch.full((), -1, dtype=torch.int64, device=device)

    def reset(self) -> None:
        """Forget everything."""
        self._sums.zero_()
        self._bad_step.fill_(-1)

    @torch.no_grad()
    def update(self, logits: Tensor, target: Tensor, loss: Tensor, step: int = 0) -> None:
        """Add a batch.

        Args:
            logits: `(batch, classes)`.
            target: `(batch,)` class numbers, or `(batch, classes)` probabilities.
            loss: Mean loss of the batch.
            step: Number of the step, remembered if the loss is the first that is not finite.
        """
        if target.dim() == logits.dim():
            target = target.argmax(dim=1)
        n = target.shape[0]
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices
        hits = best.eq(target.reshape(-1, 1))
        loss = loss.detach().to(self._sums.device, self._sums.dtype)
        batch = torch.stack([loss * n, hits[:, 0].sum().to(loss), hits.sum().to(loss), loss.new_full((), n)])
        self._sums += batch
        first = (self._bad_step < 0) & ~torch.isfinite(loss)
        self._bad_step.masked_fill_(first, step)

    def first_bad_step(self) -> int | None:
        """Return the step of the first loss that was NaN or infinite, None if all were finite."""
        step = int(self._bad_step)
        return step if step >= 0 else None

    def read(self) -> Score:
        """Return the averages (waits for the device)."""
        sums = self._sums.tolist()
        count = int(sums[_COUNT])
        if count == 0:
            return Score(None, None, None, 0)
        return Score(sums[_LOSS] / count, 100 * sums[_TOP1] / count, 100 * sums[_TOP5] / count, count)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums."""
        return {"sums": self._sums.clone(), "bad_step": self._bad_step.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the sums of a checkpoint."""
        self._sums.copy_(state["sums"])
        self._bad_step.copy_(state["bad_step"])


def _sum_dtype(device: torch.device | str) -> torch.dtype:
    # Apple's GPUs have no double; elsewhere a double keeps the sum of an epoch exact to the last digit shown.
    return torch.float32 if torch.device(device).type == "mps" else torch.float64
