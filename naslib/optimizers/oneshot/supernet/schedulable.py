"""Which keywords of all weight-sharing methods can follow a schedule, and where they stand."""

from __future__ import annotations

from collections.abc import Mapping

OF_TRAINING: Mapping[str, str] = {
    "momentum": "",
    "weight_decay": "",
    "grad_clip": "",
    "arch_learning_rate": "",
    "arch_weight_decay": "",
    "learning_rate": "it has schedules of its own, search.scheduler",
    "label_smoothing": "it is part of the loss, which is made once",
}
IN_OPTIMIZERS: Mapping[str, tuple[str, str]] = {
    "momentum": ("op_optimizer", "momentum"),
    "weight_decay": ("op_optimizer", "weight_decay"),
    "arch_learning_rate": ("arch_optimizer", "lr"),
    "arch_weight_decay": ("arch_optimizer", "weight_decay"),
}
_UNTRAINED = "no architecture parameter is trained"
OF_NO_ARCHITECTURE: Mapping[str, str] = {"arch_learning_rate": _UNTRAINED, "arch_weight_decay": _UNTRAINED}
AT_THE_END = "it is read once, after the last epoch"
