"""Encodings of all codes of a small space at once, so that a batch is a look-up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..decisions import Decision
from ..schema import DecisionSpace

# Spaces up to this many codes have a table, made when a batch is at least a quarter of it
_LARGEST = 20_000
_TABLES = 8
_Key = tuple[tuple[Decision, ...], str, str]
_made: dict[_Key, np.ndarray] = {}


def looked_up(
    space: DecisionSpace, genes: np.ndarray, name: str, fixed: str, encode: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return `encode(genes)`, from a table of the whole space where that is cheaper.

    Args:
        space: The decisions.
        genes: `(n, n_genes)` ints.
        name: Of the encoding.
        fixed: What else the encoding depends on.
        encode: Takes `(n, n_genes)` ints, and returns `(n, width)`.
    """
    bases = [len(decision.candidates) for decision in space.decisions]
    is_product = all(d.condition is None and d.n_genes == 1 and d.n_chosen == 1 for d in space.decisions)
    size = int(np.prod(bases, dtype=np.float64)) if is_product else 0
    key = (space.decisions, name, fixed)
    if not is_product or size > _LARGEST or (key not in _made and 4 * len(genes) < size):
        return encode(genes)
    if key not in _made:
        while len(_made) >= _TABLES:
            del _made[next(iter(_made))]
        _made[key] = encode(np.stack(np.unravel_index(np.arange(size), bases), axis=1))
    return np.take(_made[key], np.ravel_multi_index(tuple(genes.T), bases), axis=0)
