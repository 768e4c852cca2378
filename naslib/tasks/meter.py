"""Meter: loss and scores of a task, summed on the device and read only at log points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from .score import Measured, Score


class Counted(Protocol):
    """What a meter asks of a task."""

    @property
    def scores(self) -> tuple[Score, ...]:
        """What is measured."""

    def device_of(self, batch: Any) -> torch.device:
        """Return where a batch is."""

    def statistics(self, outputs: Any, batch: Any) -> Sequence[Tensor | float]:
        """Return the sums of a batch, the number of predictions last.

        Each sum is a scalar.
        """

    def summarize(self, sums: Sequence[float]) -> Sequence[float | None]:
        """Return the scores that sums of `statistics` amount to."""


class Meter:
    """Sum the loss and the statistics of batches without waiting for the device.

    `state_dict` carries the sums, so an epoch that is resumed in its middle ends with the same averages.

    Args:
        task: Says what is summed (`Task.statistics`) and what becomes of it (`Task.summarize`).
        device: Where the sums live.
    """

    def __init__(self, task: Counted, device: torch.device | str = "cpu") -> None:
        self.task = task
        self._device = torch.device(device)
        self._dtype = _sum_dtype(self._device)
        self._sums = self._nothing()
        self._bad_step = torch.full((), -1, dtype=torch.int64, device=device)

    def _nothing(self) -> Tensor:
        return torch.zeros(0, dtype=self._dtype, device=self._device)

    def reset(self) -> None:
        """Forget everything."""
        self._sums = self._nothing()
        self._bad_step.fill_(-1)

    @torch.no_grad()
    def update(self, outputs: Any, batch: Any, loss: Tensor, step: int = 0) -> None:
        """Add a batch.

        Args:
            outputs: What `task.forward` returned.
            batch: What `task.to_device` returned.
            loss: Mean loss of the batch, a scalar.
            step: Number of the step, remembered if the loss is the first that is not finite.
        """
        loss = loss.detach().to(self._device, self._dtype)
        found = [_as_sums(value, loss) for value in self.task.statistics(outputs, batch)]
        sums = _joined([loss * found[-1], *found])
        self._sums = self._sums + sums if len(self._sums) else sums
        first = (self._bad_step < 0) & ~torch.isfinite(loss)
        self._bad_step.masked_fill_(first, step)

    def first_bad_step(self) -> int | None:
        """Return the step of the first loss that was NaN or infinite, None if all were finite."""
        step = int(self._bad_step)
        return step if step >= 0 else None

    def read(self) -> Measured:
        """Return the averages (waits for the device)."""
        sums = self._sums.tolist()
        if not sums or not sums[-1]:
            return Measured.nothing(self.task.scores)
        values = tuple(self.task.summarize(sums[1:]))
        return Measured(sums[0] / sums[-1], values, int(sums[-1]), self.task.scores)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums."""
        return {"sums": self._sums.clone(), "bad_step": self._bad_step.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the sums of a checkpoint."""
        self._sums = state["sums"].to(self._device, self._dtype, copy=True)
        self._bad_step.copy_(state["bad_step"])


class Tally:
    """Sum the statistics of batches alone, without a loss, for the deciding score of a task.

    Args:
        task: The task.
    """

    def __init__(self, task: Counted) -> None:
        self.task = task
        self._sums: Tensor | None = None

    @torch.no_grad()
    def add(self, outputs: Any, batch: Any) -> None:
        """Add a batch; see `Meter.update`."""
        device = self.task.device_of(batch)
        zero = torch.zeros((), dtype=_sum_dtype(device), device=device)
        sums = _joined([_as_sums(value, zero) for value in self.task.statistics(outputs, batch)])
        self._sums = sums if self._sums is None else self._sums + sums

    def value(self) -> float | None:
        """Return the deciding score (waits for the device); None where nothing was counted."""
        sums = [] if self._sums is None else self._sums.tolist()
        return self.task.summarize(sums)[0] if sums and sums[-1] else None


def _as_sums(value: Any, like: Tensor) -> Tensor:
    return value.detach().to(like) if isinstance(value, Tensor) else like.new_full((), value)


def _joined(sums: Sequence[Tensor]) -> Tensor:
    if all(value.dim() == 0 for value in sums):
        return torch.stack(list(sums))
    return torch.cat([value.reshape(-1) for value in sums])


def _sum_dtype(device: torch.device) -> torch.dtype:
    # Apple's GPUs have no double; elsewhere a double keeps the sum of an epoch exact to the last digit shown.
    return torch.float32 if device.type == "mps" else torch.float64
