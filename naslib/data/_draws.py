"""Random numbers that are a function of a key alone, the same on every platform and numpy version.

Only the raw output of PCG64 is used: numpy promises that stream, but not what `Generator`'s methods make of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from naslib.utils.seeding import derive_seed


def raw_words(n: int, *key: int | str) -> NDArray[np.uint64]:
    """Return `n` random 64-bit words for this key."""
    return np.asarray(np.random.PCG64(derive_seed(*key)).random_raw(n), dtype=np.uint64)


def uniforms(rows: int, n: int, *key: int | str) -> NDArray[np.float64]:
    """Return `(rows, n)` numbers in [0, 1) for this key."""
    words = raw_words(rows * n, *key)
    return ((words >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(rows, n)


def permutation(n: int, *key: int | str) -> NDArray[np.int64]:
    """Return a permutation of `range(n)` for this key."""
    return np.argsort(raw_words(n, *key), kind="stable").astype(np.int64)
