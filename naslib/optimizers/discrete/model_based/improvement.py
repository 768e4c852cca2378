"""How much a front gains by a point: the volume in two objectives, a random scalarisation in any number of them."""

from __future__ import annotations

import numpy as np

# Weight of the sum beside the maximum, so that of equal maxima the better sum wins ([Knowles2006parego])
_SUM_WEIGHT = 0.05


def volume_gains(front: np.ndarray, points: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return by how much each point alone enlarges the dominated area, `(k,)`.

    Args:
        front: `(n, 2)` merits.
        points: `(k, 2)` merits.
        reference: `(2,)`: only what is better in both counts.
    """
    rows = np.maximum(front, reference)
    rows = rows[np.lexsort((-rows[:, 1], -rows[:, 0]))]
    best = np.maximum.accumulate(np.concatenate([[reference[1]], rows[:, 1]]))
    stairs = rows[best[1:] > best[:-1]]  # the first merit falls, the second rises
    below = np.concatenate([[reference[1]], stairs[:, 1]])
    above = np.concatenate([stairs[:, 1], [np.inf]])
    left = np.concatenate([stairs[:, 0], [reference[0]]])
    gains = np.zeros(len(points))
    for low, high, start in zip(below, above, left, strict=True):
        gains += np.maximum(np.minimum(points[:, 1], high) - low, 0) * np.maximum(points[:, 0] - start, 0)
    return gains


def scalarised(points: np.ndarray, ideal: np.ndarray, nadir: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the augmented Chebyshev scalarisation of each point, larger is better, `(k,)` ([Knowles2006parego]).

    Args:
        points: `(k, m)` merits.
        ideal: `(m,)`: the best of each objective.
        nadir: `(m,)`: what is as far away in each.
        weights: `(m,)`, of sum 1.
    """
    away = weights * (ideal - points) / np.maximum(ideal - nadir, 1e-12)
    return -(away.max(1) + _SUM_WEIGHT * away.sum(1))


def non_dominated(merits: np.ndarray) -> list[int]:
    """Return the rows of merits `(n, m)` that none dominates, of equals the first."""
    front: list[int] = []
    for index, row in enumerate(merits):
        if any((merits[other] >= row).all() for other in front):
            continue
        front = [other for other in front if not (row >= merits[other]).all()]
        front.append(index)
    return front
