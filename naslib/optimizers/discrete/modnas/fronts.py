"""What the costs of a few architectures say of a device, and fronts of two objectives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from naslib.history import Objective
from naslib.history.fronts import reference_point

# What merits of score and cheapness are, larger being better in both
_MERITS = (Objective("score"), Objective("cheapness"))


def features_of(costs: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return what the costs of the reference architectures say of devices: standardised, so that units do not matter.

    Latencies of fixed architectures are how [Lee2021help] describes a device. A device on which all cost the same has
    features of 0.

    Args:
        costs: `(..., n_references)`, in one order.
    """
    rows = np.asarray(costs, dtype=np.float64)
    spread = rows.std(-1, keepdims=True)
    return np.asarray((rows - rows.mean(-1, keepdims=True)) / np.where(spread > 0, spread, 1.0))


def front_of_two(merits: np.ndarray) -> np.ndarray:
    """Return the rows of merits `(n, 2)` that none dominates, from the best by the first; of equals the first row."""
    order = np.lexsort((np.arange(len(merits)), -merits[:, 1], -merits[:, 0]))
    found, best = [], -np.inf
    for row in order:
        if merits[row, 1] > best:
            best = merits[row, 1]
            found.append(row)
    return np.array(found, dtype=np.int64)


def reference_of(front: np.ndarray) -> np.ndarray:
    """Return the worst of a front of merits `(n, 2)` in each objective, with 5 % of its range as slack, `(2,)`."""
    return np.array(reference_point([front], _MERITS))
