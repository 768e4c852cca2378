"""Relaxations: pure functions from architecture logits to the weights of the candidate operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def softmax_weights(logits: Tensor) -> Tensor:
    """Return softmax over the last axis ([Liu2019darts], Eq. 2).

    Args:
        logits: `(..., n_ops)` architecture logits.

    Returns:
        `(..., n_ops)`: positive weights that sum to one.
    """
    return F.softmax(logits, dim=-1)


def gumbel_noise(like: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw standard Gumbel noise of the shape of `like`, finite everywhere.

    Args:
        like: Gives shape, dtype and device.
        generator: Source of randomness; torch's global one if None.
    """
    exponential = torch.empty_like(like).exponential_(generator=generator)
    return -exponential.clamp_min(torch.finfo(like.dtype).tiny).log()


def straight_through(soft: Tensor) -> Tensor:
    """Return the one-hot of the largest entry, with the gradient of `soft`.

    Args:
        soft: `(..., n_ops)` weights.
    """
    hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
    return hard + (soft - soft.detach())  # the bracket is exactly zero


def straight_through_gumbel(logits: Tensor, tau: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Draw a one-hot sample whose gradient is that of the soft sample ([Dong2019gdas], Eqs. 3-5).

    Args:
        logits: `(..., n_ops)` architecture logits; each row is one decision.
        tau: Temperature > 0; smaller is closer to argmax.
        generator: Source of randomness; torch's global one if None.

    Returns:
        `(..., n_ops)`: one-hot in the forward pass, `softmax((log p + g) / tau)` in the backward pass.

    Raises:
        ValueError: If `tau` is not positive.
    """
    if not tau > 0:
        raise ValueError(f"tau must be positive, got {tau}")
    noisy = F.log_softmax(logits, dim=-1) + gumbel_noise(logits, generator=generator)
    return straight_through(F.softmax(noisy / tau, dim=-1))


def linear_temperature(epoch: int, epochs: int, tau_max: float, tau_min: float) -> float:
    """Return the temperature of an epoch: linear from `tau_max` at the first to `tau_min` at the last.

    Args:
        epoch: From 0.
        epochs: Number of epochs of the search.
        tau_max: Temperature of epoch 0.
        tau_min: Temperature of epoch `epochs - 1`.
    """
    if epochs <= 1:
        return tau_max
    return tau_max - (tau_max - tau_min) * min(epoch, epochs - 1) / (epochs - 1)
