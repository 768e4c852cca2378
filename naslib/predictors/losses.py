"""Losses that a predictor is trained with: of values, and of their order."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from naslib.errors import ConfigError, did_you_mean

Loss = Callable[[Tensor, Tensor], Tensor]


def mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of `(n,)` predictions as a scalar."""
    return (predicted - target).square().mean()


def weighted_mse(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the squared error weighted by (e^y - 1) / (e - 1), which counts good architectures more, as a scalar.

    Shi et al. (2020, eq. 5), [Shi2020bonas]; the released code weighs by e^(y - 1) instead.

    Args:
        predicted: `(n,)`.
        target: `(n,)` in [0, 1]; what is beyond (a label that a predictor gave) weighs as the nearest end.
    """
    return (torch.expm1(target.clamp(0, 1)) / math.expm1(1.0) * (predicted - target).square()).mean()


def hinge_pair(predicted: Tensor, target: Tensor, margin: float = 0.1) -> Tensor:
    """Return the mean of max(0, margin - (p_i - p_j)) over all pairs with y_i > y_j as a scalar; 0 without any.

    Ning et al. (2020, eq. 5), [Ning2020gates].

    Args:
        predicted: `(n,)`.
        target: `(n,)`, larger is better.
        margin: By how much the better one of a pair has to lead, in units of the predictions.
    """
    is_better = target[:, None] > target[None, :]
    short = (margin - (predicted[:, None] - predicted[None, :])).clamp(min=0)
    return (short * is_better).sum() / is_better.sum().clamp(min=1)


def list_mle(predicted: Tensor, target: Tensor) -> Tensor:
    """Return the negative log-likelihood of the true order under the Plackett-Luce model, per item, as a scalar.

    With items sorted by target, best first: -(1/n) sum_i (s_i - log sum_{j >= i} exp(s_j)). Xia et al. (2008),
    [Xia2008listmle]; equal targets are in the order given.

    Args:
        predicted: `(n,)` scores s.
        target: `(n,)`, larger is better.
    """
    scores = predicted[torch.argsort(target, descending=True, stable=True)]
    rest = torch.logcumsumexp(scores.flip(0), 0).flip(0)
    return (rest - scores).mean()


LOSSES: dict[str, Loss] = {"mse": mse, "weighted_mse": weighted_mse, "hinge_pair": hinge_pair, "list_mle": list_mle}
# Losses whose predictions have no scale: only their order is learned
RANKING = frozenset({"hinge_pair", "list_mle"})


def get_loss(name: str) -> Loss:
    """Return the loss of that name, a function of `(n,)` predictions and targets that returns a scalar.

    Raises:
        ConfigError: If there is none.
    """
    key = str(name).lower()
    if key not in LOSSES:
        raise ConfigError(f"no loss {name!r} of predictors{did_you_mean(key, LOSSES)} (there are: {', '.join(LOSSES)})")
    return LOSSES[key]
