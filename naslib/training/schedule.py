"""Learning-rate schedules that go on under another number of epochs."""

from __future__ import annotations

import math
import warnings
from typing import Any

from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR


def step_schedule(scheduler: Any) -> None:
    """Step a schedule at the end of an epoch; None is no schedule."""
    if scheduler is None:
        return
    with warnings.catch_warnings():
        # In an epoch that was resumed after its last step the optimizer has stepped, but not in this process.
        warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`")
        scheduler.step()


def continue_schedule(scheduler: Any, done: int, epochs: int) -> None:
    """Bend a cosine schedule that was made for another number of epochs to the present one.

    A checkpoint restores the length that a schedule was made with, and the rate of its next epoch. Where the run's
    length has changed since, the schedule goes on at its place on the cosine of the new length; nothing happens where
    it has not.

    Args:
        scheduler: Any schedule; only `CosineAnnealingLR` and `LambdaLR` are changed.
        done: Epochs that are complete.
        epochs: The present number of epochs.
    """
    epochs = max(epochs, 1)
    if isinstance(scheduler, LambdaLR):  # its functions are those of the present length
        factors = [function(scheduler.last_epoch) for function in scheduler.lr_lambdas]
        rates = [base * factor for base, factor in zip(scheduler.base_lrs, factors, strict=True)]
    elif isinstance(scheduler, CosineAnnealingLR) and epochs != scheduler.T_max:
        scheduler.T_max = epochs
        share = (1 + math.cos(math.pi * min(done, epochs) / epochs)) / 2
        rates = [scheduler.eta_min + (base - scheduler.eta_min) * share for base in scheduler.base_lrs]
    else:
        return
    for group, rate in zip(scheduler.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
