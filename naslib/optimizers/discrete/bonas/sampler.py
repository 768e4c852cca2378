"""Tournaments: which of the architectures evaluated last candidates are made of."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from naslib.history.pareto import ranks


def winner(merits: np.ndarray, size: int, rng: Random) -> int:
    """Return the row that wins a tournament among `size` rows drawn without replacement.

    The best front wins; of several members of it, one drawn at random.

    Args:
        merits: `(n, m)`, larger is better.
        size: How many are drawn; all where there are fewer.
        rng: Where they are drawn from.
    """
    drawn = rng.sample(range(len(merits)), min(size, len(merits)))
    front = ranks(merits[drawn])
    best: Sequence[int] = [row for row, rank in zip(drawn, front.tolist(), strict=True) if rank == 0]
    return best[rng.randrange(len(best))]
