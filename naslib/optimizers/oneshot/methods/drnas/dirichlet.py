"""Dirichlet distributions over the weights of candidates: pure functions of the architecture logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.distributions import Dirichlet


def concentration(logits: Tensor) -> Tensor:
    """Return `elu(logits) + 1`, the concentrations of [Chen2021drnas]: `logits + 1` above zero, `exp(logits)` below.

    It is positive for any logits: `elu + 1` itself is rounded to zero in float32 below about -17.

    Args:
        logits: `(..., n_ops)`.
    """
    is_above = logits > 0
    # the slope is 1 from both sides at 0; clamp(max=0) would make it 0 there
    below = logits.masked_fill(is_above, 0).exp().clamp_min(torch.finfo(logits.dtype).tiny)
    return torch.where(is_above, logits + 1, below)


def dirichlet_mean(logits: Tensor) -> Tensor:
    """Return the mean of the Dirichlet distribution of each row, `(..., n_ops)`."""
    beta = concentration(logits)
    return beta / beta.sum(-1, keepdim=True)


def dirichlet_sample(logits: Tensor) -> Tensor:
    """Draw one point of the simplex per row; its pathwise gradient reaches the logits.

    Args:
        logits: `(..., n_ops)`.
    """
    # positive by construction; validating would wait for the device
    return Dirichlet(concentration(logits), validate_args=False).rsample()


def divergence_from_uniform(logits: Tensor) -> Tensor:
    """Return KL(Dir(concentration(logits)) || Dir(1, ..., 1)) of each row.

    Args:
        logits: `(..., n_ops)`; each row is a distribution of its own.

    Returns:
        `(...)`: non-negative, 0 where all logits are 0.
    """
    beta = concentration(logits)
    total = beta.sum(-1)
    # the uniform distribution on the simplex has the constant density (K - 1)!
    log_density = torch.lgamma(beta.new_tensor(float(beta.shape[-1])))
    normaliser = torch.lgamma(total) - torch.lgamma(beta).sum(-1)
    expected_logs = torch.digamma(beta) - torch.digamma(total).unsqueeze(-1)
    return normaliser + ((beta - 1) * expected_logs).sum(-1) - log_density


def total_divergence(alphas: Sequence[Tensor]) -> Tensor:
    """Return the sum of `divergence_from_uniform` over decisions, which may differ in width.

    Args:
        alphas: One `(n_ops,)` per decision.
    """
    by_width: dict[int, list[Tensor]] = {}
    for alpha in alphas:
        by_width.setdefault(alpha.shape[-1], []).append(alpha)
    return torch.stack([divergence_from_uniform(torch.stack(rows)).sum() for rows in by_width.values()]).sum()
