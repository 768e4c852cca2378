"""Which candidates are expected to enlarge the fronts of all devices most."""

from __future__ import annotations

import numpy as np

from naslib.optimizers.discrete.model_based.improvement import volume_gains

from .fronts import front_of_two, reference_of


def most_gained(told: np.ndarray, predicted: np.ndarray, count: int) -> list[int]:
    """Return the candidates that are expected to enlarge the fronts most, each known with the choice of the former.

    Args:
        told: `(n, 1 + devices)` merits.
        predicted: `(draws, candidates, 1 + devices)`.
        count: How many at most.
    """
    draws, candidates, width = predicted.shape
    if width == 1:
        gains = np.maximum(predicted[..., 0] - told[:, 0].max(), 0.0).mean(0) + 1e-6 * predicted[..., 0].mean(0)
        return [int(place) for place in np.argsort(-gains, kind="stable")[:count]]
    mean, left, chosen = predicted.mean(0), np.ones(candidates, dtype=bool), []
    fronts = []
    for column in range(1, width):
        merits = told[:, [0, column]]
        front = merits[front_of_two(merits)]
        reference = reference_of(front)
        area = max(float(np.prod(front.max(0) - reference)), 1e-12)
        fronts.append((column, front, reference, area))
    for _ in range(min(count, candidates)):
        total = np.zeros(candidates)
        for column, front, reference, area in fronts:
            points = predicted[..., [0, column]].reshape(-1, 2)
            total += volume_gains(front, points, reference).reshape(draws, candidates).mean(0) / area
        place = int(np.where(left, total, -np.inf).argmax())
        left[place] = False
        chosen.append(place)
        fronts = [
            (column, _with_point(front, mean[place, [0, column]]), reference, area)
            for column, front, reference, area in fronts
        ]
    return chosen


def _with_point(front: np.ndarray, point: np.ndarray) -> np.ndarray:
    both = np.concatenate([front, point[None]])
    return both[front_of_two(both)]
