"""The shortest convex combination of gradients: a direction in which no device loses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Enough for a hundred gradients at the tolerance below
_STEPS = 250
_TOLERANCE = 1e-10


def min_norm_weights(gram: Tensor) -> Tensor:
    """Return the weights of the shortest point in the convex hull of vectors.

    Minimises `w' G w` over `w >= 0, sum(w) = 1`. It begins at the best pair, which has a closed form, and goes on by
    the method of Frank and Wolfe with an exact line search, as [Desideri2012mgda] and [Sener2018mgda] (algorithm 2) do.
    The negative of the combination is a direction along which no loss rises to first order; it is 0 where none exists.

    Args:
        gram: `(n, n)` inner products of the vectors.

    Returns:
        `(n,)` weights, float64.
    """
    inner = gram.detach().double().cpu().numpy()
    if len(inner) == 1:
        return torch.ones(1, dtype=torch.float64)
    weights = _best_pair(inner)
    slopes = inner @ weights
    enough = _TOLERANCE * max(float(inner.diagonal().max()), np.finfo(np.float64).tiny)
    for _ in range(_STEPS):
        towards = int(slopes.argmin())
        now, there = float(weights @ slopes), float(slopes[towards])
        if now - there <= enough:
            break
        # (1 - s) w + s e is the shortest at this s; beyond 1 it is e itself
        step = min(1.0, (now - there) / (now - 2 * there + float(inner[towards, towards])))
        weights *= 1 - step
        weights[towards] += step
        slopes = (1 - step) * slopes + step * inner[:, towards]
    return torch.from_numpy(weights)


def _best_pair(inner: np.ndarray) -> np.ndarray:
    """Return the weights of the shortest point between any two of the vectors."""
    squares = inner.diagonal()
    first, second = squares[:, None], squares[None, :]
    spread = first + second - 2 * inner
    # the share of the second of a pair; of equal vectors any will do
    share = np.clip(np.divide(first - inner, spread, out=np.zeros_like(spread), where=spread > 0), 0.0, 1.0)
    norms = (1 - share) ** 2 * first + share**2 * second + 2 * share * (1 - share) * inner
    i, j = divmod(int(norms.argmin()), len(inner))
    weights = np.zeros(len(inner))
    weights[i] += 1 - share[i, j]
    weights[j] += share[i, j]
    return weights
