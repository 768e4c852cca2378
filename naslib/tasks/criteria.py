"""Criteria: losses by name, class or as they are, and what a task adds to them."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

from naslib.errors import ConfigError

Criterion = Callable[[Any, Any], Tensor]

# What `loss_criteria` is where nobody chose it: each task takes its own loss then.
UNCHOSEN = "CrossEntropyLoss"
# Their targets are as many numbers as there are outputs; some broadcast silently otherwise.
ELEMENTWISE = (
    *(nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.BCELoss, nn.BCEWithLogitsLoss, nn.SoftMarginLoss),
    *(nn.MultiLabelSoftMarginLoss, nn.PoissonNLLLoss, nn.KLDivLoss),
)
# Those of them that are of measured values.
OF_VALUES = (nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.PoissonNLLLoss)
# Those of several labels at once.
OF_MANY_LABELS = (nn.BCELoss, nn.BCEWithLogitsLoss, nn.MultiLabelSoftMarginLoss)


def name_of(criterion: Any) -> str:
    """Return the name of a criterion: of its class, or of the function."""
    if isinstance(criterion, functools.partial):
        return name_of(criterion.func)
    return str(getattr(criterion, "__name__", type(criterion).__name__))


def with_label_smoothing(criterion: Criterion, share: float, key: str = "label_smoothing") -> Criterion:
    """Return a criterion that spreads a share of each label evenly over all classes; the criterion itself for 0.

    Args:
        criterion: `(outputs, targets)` -> loss.
        share: In [0, 1].
        key: What a person set, for messages.

    Raises:
        ConfigError: If the criterion knows no label smoothing.
    """
    if not share:
        return criterion
    if isinstance(criterion, nn.CrossEntropyLoss):
        smoothed = copy.copy(criterion)
        smoothed.label_smoothing = share
        return smoothed
    if not isinstance(criterion, nn.Module) and "label_smoothing" in inspect.signature(criterion).parameters:
        return functools.partial(cast("Callable[..., Tensor]", criterion), label_smoothing=share)
    raise ConfigError(f"{key}={share}: the loss {name_of(criterion)} knows none; it goes with a cross entropy")
