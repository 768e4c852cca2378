"""Learning-rate schedules of any kind: when they are stepped and with what, and how they go on at another length."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, LambdaLR, OneCycleLR, ReduceLROnPlateau

from naslib.errors import ConfigError
from naslib.utils.log import get_logger

from .metrics import Measured
from .named_schedules import AfterWarmUp, rewind

logger = get_logger(__name__)

_PROTOCOL = ("step", "state_dict", "load_state_dict")
# Config keys that give a schedule its shape
_SHAPING = ("epochs", "learning_rate_min", "scheduler", "scheduler_args", "warmup_epochs")


class Schedule:
    """A schedule as the loops use it: any object with `step`, `state_dict` and `load_state_dict`.

    It is stepped after every epoch, with these exceptions. One whose `step` needs an argument (`ReduceLROnPlateau`)
    gets the validation loss; the validation score if its `mode` is `"max"` (accuracy; negated where less is better);
    those of the training where there is no validation part. `OneCycleLR` (unless it was made for as many steps as there
    are epochs), `CyclicLR` and whatever has a true attribute `per_step` are stepped after every batch.

    Args:
        scheduler: The schedule; None for a constant rate.
        optimizer: Whose learning rate it sets.
        epochs: Of the run.
        validates: Whether there is a validation part.

    Attributes:
        scheduler: The schedule.
        per_step: Whether it is stepped after every batch.
        needs_metric: Whether it is stepped with a measured value.

    Raises:
        ConfigError: If the object is no schedule.
    """

    def __init__(self, scheduler: Any, optimizer: Any, epochs: int, validates: bool = True) -> None:
        missing = [name for name in _PROTOCOL if scheduler is not None and not callable(getattr(scheduler, name, None))]
        if missing:
            raise ConfigError(
                f"{type(scheduler).__name__} is no learning-rate schedule: it has no {' and no '.join(missing)}; "
                "expected one of torch.optim.lr_scheduler, or an object with step(), state_dict() and load_state_dict()"
            )
        self.scheduler, self.optimizer = scheduler, optimizer
        self.per_step = _is_per_step(scheduler, epochs)
        self.needs_metric = _needs_metric(scheduler)
        if self.needs_metric and not validates:
            logger.warning(
                "%s follows the training loss, as there is no validation part (train_portion=1, or no valid_loader)",
                type(scheduler).__name__,
            )

    @property
    def rate(self) -> float | None:
        """The present learning rate, None for an optimizer that has none."""
        groups = getattr(self.optimizer, "param_groups", None)
        return float(groups[0]["lr"]) if groups and "lr" in groups[0] else None

    def after_step(self) -> None:
        """Step a schedule that follows the batches."""
        total = getattr(self.scheduler, "total_steps", None)
        if self.per_step and not (total is not None and self.scheduler.last_epoch >= total):
            _step(self.scheduler)

    def after_epoch(self, train: Measured, valid: Measured) -> None:
        """Step a schedule that follows the epochs, with what was measured where it wants that."""
        if self.scheduler is None or self.per_step:
            return
        if not self.needs_metric:
            _step(self.scheduler)
            return
        measured = valid if valid.count else train
        if _mode(self.scheduler) == "max" and measured.deciding is not None:
            _step(self.scheduler, measured.scores[0].quality(measured.deciding))
        else:
            _step(self.scheduler, measured.loss)

    def refit(
        self,
        recorded: Mapping[str, Any],
        present: Mapping[str, Any],
        position: tuple[int, int],
        steps_per_epoch: int | None,
        remake: Callable[[], Any] | None,
    ) -> None:
        """Let a schedule that was loaded go on in a shape that the config has given it since.

        A checkpoint restores the shape that it was made with. Where the config has another one now (more epochs, or
        another schedule), the schedule is made anew and taken to its place; nothing happens where it has not. A
        schedule that follows what is measured stays as it is.

        Args:
            recorded: The section of the config that the checkpoint was made with.
            present: The same section now.
            position: Complete epochs, and steps of the next.
            steps_per_epoch: None where it is not known.
            remake: Makes the schedule of the present config on the same optimizer; None for a method's own schedule.
        """
        changed = [key for key in _SHAPING if key in recorded and recorded[key] != present.get(key)]
        if not changed or self.scheduler is None or self.needs_metric:
            return
        epochs, steps = position
        as_planned = getattr(self.scheduler, "T_max", None) == max(int(recorded.get("epochs", 0)), 1)
        if remake is None or (changed == ["epochs"] and as_planned):
            continue_schedule(self.scheduler, epochs, int(present["epochs"]))  # without the rounding of many steps
            return
        rewind(self.optimizer)
        fresh = remake()
        for _ in range(epochs * (steps_per_epoch or 0) + steps if self.per_step else epochs):
            _step(fresh)
        self.scheduler.load_state_dict(fresh.state_dict())


@contextmanager
def scaled_rate(optimizer: Any, share: float) -> Iterator[None]:
    """Multiply the learning rates of an optimizer by a share for the step inside."""
    if share == 1.0:
        yield
        return
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] * share
    try:
        yield
    finally:
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


def _is_per_step(scheduler: Any, epochs: int) -> bool:
    if isinstance(scheduler, OneCycleLR):
        return getattr(scheduler, "total_steps", None) != epochs
    return isinstance(scheduler, CyclicLR) or bool(getattr(scheduler, "per_step", False))


def _needs_metric(scheduler: Any) -> bool:
    if isinstance(scheduler, AfterWarmUp):
        return _needs_metric(scheduler.then)
    if scheduler is None or isinstance(scheduler, ReduceLROnPlateau):
        return scheduler is not None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(scheduler.step).parameters.values()
    return any(p.default is p.empty and p.kind in positional for p in parameters)


def _mode(scheduler: Any) -> str:
    return _mode(scheduler.then) if isinstance(scheduler, AfterWarmUp) else getattr(scheduler, "mode", "min")


def _step(scheduler: Any, *metrics: Any) -> None:
    with warnings.catch_warnings():
        # In an epoch that was resumed after its last step the optimizer has stepped, but not in this process.
        warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler.step\(\)` before `optimizer.step\(\)`")
        scheduler.step(*metrics)


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
