"""Relative positions of the patches of an image, for attention."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from naslib.errors import GraphError


def relative_vectors(table: Tensor, n: int) -> Tensor:
    """Return a vector for every pair of tokens: one for their rows apart plus one for their columns apart.

    The first token is no patch (a class token); its pairs have entry 0 of both tables. The others are a square.

    Args:
        table: `(2, 2 * max_distance + 2, head_dim)`, for rows and for columns; larger distances count as the largest.
        n: Number of tokens.

    Returns:
        `(n, n, head_dim)`, query first.

    Raises:
        GraphError: If the patches are no square.
    """
    side = math.isqrt(n - 1)
    if side * side != n - 1 or not side:
        raise GraphError(
            f"relative positions are those of a square of patches behind one class token, not of {n} tokens"
        )
    largest = (table.shape[1] - 2) // 2
    place = torch.arange(n - 1, device=table.device)
    found = []
    for vectors, coordinate in zip(table.unbind(0), (place // side, place % side), strict=True):
        distance = (coordinate[None, :] - coordinate[:, None]).clamp(-largest, largest) + largest + 1
        found.append(vectors[F.pad(distance, (1, 0, 1, 0))])
    return found[0] + found[1]
