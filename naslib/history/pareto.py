"""What several objectives come to: dominance, fronts, crowding, hypervolume. Merits are larger where better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from naslib.errors import ConfigError
from naslib.utils.extras import require


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Say whether the first is nowhere worse and somewhere better than the second."""
    return all(a >= b for a, b in zip(first, second, strict=True)) and tuple(first) != tuple(second)


def domination(merits: np.ndarray) -> np.ndarray:
    """Return `(n, n)` booleans: whether row i dominates row j of merits `(n, m)`."""
    no_worse = (merits[:, None, :] >= merits[None, :, :]).all(-1)
    better = (merits[:, None, :] > merits[None, :, :]).any(-1)
    return np.asarray(no_worse & better)


def ranks(merits: np.ndarray) -> np.ndarray:
    """Return in which non-dominated front each row is, `(n,)` from 0 ([Deb2002nsga2], section III A).

    Args:
        merits: `(n, m)`.
    """
    over = domination(merits)
    found = np.full(len(merits), -1)
    left = np.ones(len(merits), dtype=bool)
    front = 0
    while left.any():
        now = left & ~over[left].any(0)
        found[now] = front
        left &= ~now
        front += 1
    return found


def crowding(merits: np.ndarray) -> np.ndarray:
    """Return the crowding distances within one front, `(n,)` ([Deb2002nsga2], section III B).

    Per objective the distance between the two neighbours over the range of the front; infinite at both ends. An
    objective in which all are equal tells nothing.

    Args:
        merits: `(n, m)`.
    """
    n, m = merits.shape
    distances = np.zeros(n)
    for column in range(m):
        order = np.argsort(merits[:, column], kind="stable")
        values = merits[order, column]
        span = values[-1] - values[0]
        if span <= 0:
            continue
        distances[order[0]] = distances[order[-1]] = np.inf
        distances[order[1:-1]] += (values[2:] - values[:-2]) / span
    return distances


def survivors(merits: np.ndarray, size: int) -> list[int]:
    """Return the rows that NSGA-II keeps: whole fronts, and of the last one the least crowded.

    Args:
        merits: `(n, m)`.
        size: How many at most.
    """
    rank = ranks(merits)
    kept: list[int] = []
    for front in range(int(rank.max(initial=-1)) + 1):
        rows = np.flatnonzero(rank == front)
        if len(kept) + len(rows) > size:
            order = np.argsort(-crowding(merits[rows]), kind="stable")
            rows = rows[order[: size - len(kept)]]
        kept += rows.tolist()
        if len(kept) == size:
            break
    return kept


def hypervolume(merits: np.ndarray, reference: Sequence[float]) -> float:
    """Return the volume that merits `(n, m)` dominate above a reference point, by `moocore`.

    What is not better than the reference in every objective adds nothing; 0 for no rows.

    Args:
        merits: `(n, m)`.
        reference: `(m,)`, as merits.

    Raises:
        ConfigError: If moocore is not installed, or the reference has another length.
    """
    rows = np.asarray(merits, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(reference):
        raise ConfigError(f"the reference point has {len(reference)} values, the merits have the shape {rows.shape}")
    if not len(rows):
        return 0.0
    moocore = require("moocore", "the hypervolume of a front")
    return float(moocore.hypervolume(rows, ref=list(reference), maximise=True))
