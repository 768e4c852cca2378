"""A proposer that draws nothing and needs nobody: what the others can be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from naslib.search_spaces.core.codec import Code

from .view import Request

# Random architectures that are looked at before the space counts as exhausted
_DRAWS = 1000


def untried_neighbours(request: Request) -> Sequence[Code]:
    """Return the first neighbours of the best trials that were not tried: the best one's, then the second's, and so on.

    Where there are none, or no trial has values, random architectures that were not tried.
    """
    tried, found = request.tried(), list[Code]()
    for seen in request.best_first():
        for code in request.codec.neighbours(seen.code):
            if code not in tried:
                tried.add(code)
                found.append(code)
            if len(found) == request.n:
                return found
    rng = Random(request.seed)
    for _ in range(_DRAWS):
        code = request.codec.random(rng)
        if code not in tried:
            tried.add(code)
            found.append(code)
        if len(found) == request.n:
            break
    return found
