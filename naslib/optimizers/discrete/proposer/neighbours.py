"""A proposer that needs nobody, and draws as little as it can: what the others can be compared with."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from naslib.errors import UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code

from .view import Request

# Random architectures that are looked at before the space counts as exhausted
_DRAWS = 1000
# Mutations that are looked at for each architecture that is wanted
_MUTATIONS = 20


def untried_neighbours(request: Request) -> Sequence[Code]:
    """Return the first neighbours of the best trials that were not tried: the best one's, then the second's, and so on.

    Of an architecture with too many neighbours to list, mutations. Where there are none, or no trial has values, random
    architectures that were not tried.
    """
    tried, found, rng = request.tried(), list[Code](), Random(request.seed)
    for seen in request.best_first():
        try:
            around = request.codec.neighbours(seen.code)
        except UnsupportedBySpaceError:
            around = [request.codec.mutate(seen.code, rng) for _ in range(_MUTATIONS * request.n)]
        for code in around:
            if code not in tried:
                tried.add(code)
                found.append(code)
            if len(found) == request.n:
                return found
    for _ in range(_DRAWS):
        code = request.codec.random(rng)
        if code not in tried:
            tried.add(code)
            found.append(code)
        if len(found) == request.n:
            break
    return found
