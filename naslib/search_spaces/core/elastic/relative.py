"""Relative positions for attention: of the patches of an image, and of the tokens of a sequence."""

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


def rotated(x: Tensor, n: int, base: float = 10_000.0) -> Tensor:
    """Turn the first entries of queries or keys by angles that grow with the position ([Su2021roformer]).

    Entries i and i + n / 2 are the coordinates that are turned together, by `position * base ** (-2 i / n)`: products
    of a query with a key then depend on how far they are apart, and not on where they are.

    Args:
        x: `(..., tokens, head_dim)`.
        n: How many entries, an even number.
        base: Of the angles.

    Returns:
        `(..., tokens, head_dim)`.
    """
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    frequencies = base ** (-torch.arange(0, n, 2, device=x.device, dtype=exact) / n)
    angles = torch.arange(x.shape[-2], device=x.device, dtype=exact).unsqueeze(1) * frequencies
    cosine, sine = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second, rest = x.split((n // 2, n // 2, x.shape[-1] - n), dim=-1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine, rest), dim=-1)
