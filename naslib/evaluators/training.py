"""How the network of a trial is trained; the network in training, and all that it takes to go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from naslib.tasks import Measured, Task
from naslib.training.randomness import LoaderState
from naslib.training.schedule import Schedule
from naslib.utils.seeding import rng_restore, rng_snapshot


@dataclass(frozen=True)
class TrainingOfTrials:
    """How the network of a trial is trained.

    Attributes:
        learning_rate: Of SGD, at the first epoch.
        learning_rate_min: At the last, by a cosine.
        momentum: Of SGD.
        weight_decay: Of SGD.
        nesterov: Whether the momentum is Nesterov's.
        grad_clip: Largest norm of the gradient; 0 or None for no clipping.
        label_smoothing: Share of each label that the training loss spreads over all classes.
        scheduler: Learning-rate schedule by name.
        scheduler_args: Its arguments.
        warmup_epochs: Epochs in which the rate rises linearly.
        amp: Whether forwards run under bfloat16 autocast.
        device: Where it is trained.
        channels_last: Memory format of images.
    """

    learning_rate: float = 0.025
    learning_rate_min: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    nesterov: bool = False
    grad_clip: float | None = 5.0
    label_smoothing: float = 0.0
    scheduler: str = "cosine"
    scheduler_args: Mapping[str, Any] = field(default_factory=dict)
    warmup_epochs: int = 0
    amp: bool = False
    device: str = "cpu"
    channels_last: bool = False


class Training:
    """A network, what trains it, and how far it is.

    Args:
        network: The network.
        optimizer: Of its weights.
        schedule: Of the learning rate.
        task: What learning means.
        carried: What the loaders carry from epoch to epoch.

    Attributes:
        epoch: Epochs that are over.
        curve: The first objective after each epoch, where it is measured.
        score: What the validation part said last; None where it was not asked since.
        trained: What the last epoch measured on the training part.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        task: Task,
        carried: Sequence[LoaderState],
    ) -> None:
        self.network, self.optimizer, self.schedule, self.task = network, optimizer, schedule, task
        self._carried = list(carried)
        self.epoch = 0
        self.curve: list[float] = []
        self.score: Measured | None = None
        self.trained = Measured.nothing()

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the epochs to come depend on, the global generators among it."""
        scheduler = self.schedule.scheduler
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if scheduler is None else scheduler.state_dict(),
            "task": self.task.state_dict(),
            "loaders": [state.capture() for state in self._carried],
            "random": rng_snapshot(),
            "curve": [*self.curve],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state; the global generators, too."""
        self.epoch = int(state["epoch"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule.scheduler is not None:
            self.schedule.scheduler.load_state_dict(state["scheduler"])
        self.task.load_state_dict(state["task"])
        for loader, carried in zip(self._carried, state["loaders"], strict=True):
            loader.restore(carried)
        rng_restore(state["random"])
        self.curve = [float(value) for value in state["curve"]]
