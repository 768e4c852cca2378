"""Named schedules: the learning-rate schedules of a config, from torch's own, and a warm-up before any of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer, lr_scheduler

from naslib.config.schedules import schedule_name
from naslib.errors import ConfigError, UnknownNameError, did_you_mean


@dataclass(frozen=True)
class Span:
    """What a schedule has to fit into.

    Attributes:
        epochs: Epochs of the schedule, at least 1, a warm-up not counted.
        steps_per_epoch: Steps of an epoch; None where the loader does not tell.
        rate: The largest learning rate.
        rate_min: The smallest.
    """

    epochs: int
    steps_per_epoch: int | None
    rate: float
    rate_min: float


Made = Callable[[Optimizer, Span, Mapping[str, Any]], Any]


def _one_cycle(optimizer: Optimizer, span: Span, arguments: Mapping[str, Any]) -> Any:
    if span.steps_per_epoch is None:
        raise ConfigError(
            "the schedule one_cycle is stepped after every batch, and this loader does not tell how many an epoch has; "
            "give it a __len__, or choose another schedule"
        )
    # The config's momentum is kept unless cycling it is asked for
    chosen = {"cycle_momentum": False, **arguments}
    steps = span.epochs * span.steps_per_epoch
    try:
        return lr_scheduler.OneCycleLR(optimizer, max_lr=span.rate, total_steps=steps, **chosen)
    except ValueError as error:
        raise ConfigError(f"the schedule one_cycle: {error}") from error


_MAKERS: dict[str, Made] = {
    "cosine": lambda optimizer, span, given: lr_scheduler.CosineAnnealingLR(
        optimizer, **{"T_max": span.epochs, "eta_min": span.rate_min, **given}
    ),
    "linear": lambda optimizer, span, given: lr_scheduler.LinearLR(
        optimizer,
        **{"start_factor": 1.0, "end_factor": min(span.rate_min / span.rate, 1.0), "total_iters": span.epochs, **given},
    ),
    "step": lambda optimizer, span, given: lr_scheduler.StepLR(
        optimizer, **{"step_size": max(span.epochs // 3, 1), **given}
    ),
    "multi_step": lambda optimizer, span, given: lr_scheduler.MultiStepLR(
        optimizer, **{"milestones": [max(span.epochs // 2, 1), max(3 * span.epochs // 4, 1)], **given}
    ),
    "exponential": lambda optimizer, span, given: lr_scheduler.ExponentialLR(optimizer, **{"gamma": 0.97, **given}),
    "one_cycle": _one_cycle,
    "plateau": lambda optimizer, span, given: lr_scheduler.ReduceLROnPlateau(
        optimizer, **{"min_lr": span.rate_min, **given}
    ),
    "constant": lambda optimizer, span, given: lr_scheduler.ConstantLR(optimizer, factor=1.0, total_iters=0),
}


def build_schedule(
    optimizer: Optimizer,
    name: str,
    epochs: int,
    *,
    rate_min: float = 0.0,
    arguments: Mapping[str, Any] | None = None,
    warmup_epochs: int = 0,
    steps_per_epoch: int | None = None,
) -> Any:
    """Return a learning-rate schedule by name (`naslib.config.schedules` lists them).

    The optimizer's present learning rate is the largest; where the optimizer had a schedule before, it is that one's.
    Called again on the same optimizer, the schedule begins anew.

    Args:
        optimizer: The optimizer.
        name: Of the schedule.
        epochs: Of the whole run (or of a stage of it), the warm-up included.
        rate_min: The rate that `cosine` and `linear` end with and below which `plateau` does not go.
        arguments: Arguments of torch's class.
        warmup_epochs: Epochs in which the rate rises linearly first.
        steps_per_epoch: Needed by `one_cycle`, which is stepped after every batch.

    Raises:
        UnknownNameError: If there is no such schedule.
        ConfigError: If it cannot be made here.
    """
    known = schedule_name(name)
    if known is None:
        raise UnknownNameError(f"unknown schedule {name!r}{did_you_mean(name, _MAKERS)} (known: {', '.join(_MAKERS)})")
    rewind(optimizer)
    span = Span(max(epochs - warmup_epochs, 1), steps_per_epoch, optimizer.param_groups[0]["lr"], rate_min)
    schedule = _MAKERS[known](optimizer, span, arguments or {})
    return AfterWarmUp(schedule, warmup_epochs) if warmup_epochs else schedule


def rewind(optimizer: Optimizer) -> None:
    """Give an optimizer back the learning rates that its schedule began with (of `one_cycle` its largest)."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] = group.get("max_lr", group.get("initial_lr", group["lr"]))


class AfterWarmUp:
    """Raise the learning rate linearly over some epochs, then follow another schedule from its beginning.

    Epoch e of w (from 0) has (e + 1) / (w + 1) of the rate that the other begins with, and epoch w exactly that. Unlike
    torch's SequentialLR it can be followed by a schedule that is stepped with a measured value.

    Args:
        then: The schedule that follows; freshly made, and stepped after each epoch.
        epochs: Length of the warm-up.
    """

    def __init__(self, then: Any, epochs: int) -> None:
        self.then = then
        self.optimizer: Optimizer = then.optimizer
        self.epochs = epochs
        self.done = 0
        self._tops = [group["lr"] for group in self.optimizer.param_groups]
        self._set_rates()

    def _set_rates(self) -> None:
        share = (self.done + 1) / (self.epochs + 1)
        for group, top in zip(self.optimizer.param_groups, self._tops, strict=True):
            group["lr"] = top * share

    def step(self, *metrics: float) -> None:
        """Go to the next epoch; what follows the warm-up gets the measured value, if there is one."""
        if self.done < self.epochs:
            self.done += 1
            self._set_rates()
        else:
            self.then.step(*metrics)

    def get_last_lr(self) -> list[float]:
        """Return the present rates."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""
        return {"epochs": self.epochs, "done": self.done, "tops": list(self._tops), "then": self.then.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state; the rates are in the optimizer's."""
        self.epochs, self.done = int(state_dict["epochs"]), int(state_dict["done"])
        self._tops = list(state_dict["tops"])
        self.then.load_state_dict(state_dict["then"])
