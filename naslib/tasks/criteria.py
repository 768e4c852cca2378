"""Criteria: losses by name, class or as they are, and what a task adds to them."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import Tensor, nn

from naslib.errors import ConfigError

Criterion = Callable[[Any, Any], Tensor]

# What `loss_criteria` is where nobody chose it: each task takes its own loss then.
UNCHOSEN = "CrossEntropyLoss"
# Criteria of measured values, and of several labels at once: classes of torch.nn and functions of torch.nn.functional
OF_VALUES = (
    *("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "GaussianNLLLoss"),
    *("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "poisson_nll_loss", "gaussian_nll_loss"),
)
OF_MANY_LABELS = (
    *("BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss"),
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss"),
)
# Of these the outputs are probabilities already
OF_PROBABILITIES = ("BCELoss", "binary_cross_entropy")
OF_ONE_CLASS = (
    *("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"),
    *("cross_entropy", "nll_loss", "multi_margin_loss"),
)


def is_chosen(loss: Any) -> bool:
    """Return whether a person chose a loss: None and the schema's default mean the task's own."""
    return loss is not None and not (isinstance(loss, str) and loss == UNCHOSEN)


def name_of(criterion: Any) -> str:
    """Return the name of a criterion: of its class, or of the function."""
    if isinstance(criterion, functools.partial):
        return name_of(criterion.func)
    return str(getattr(criterion, "__name__", type(criterion).__name__))


def is_one_of(criterion: Any, names: Sequence[str]) -> bool:
    """Return whether a criterion is one of torch's by these names: an object or function of it, or of a class of it."""
    if isinstance(criterion, nn.Module):
        return any(cls.__module__.startswith("torch.") and cls.__name__ in names for cls in type(criterion).__mro__)
    function = criterion.func if isinstance(criterion, functools.partial) else criterion
    return getattr(function, "__module__", "").startswith("torch.") and name_of(function) in names


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
