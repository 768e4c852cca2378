"""Slices of a weight, and weighted sums of zero-padded slices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from .in_force import Mixture, Point

# Axis of a tensor -> dimension of the layer that its length is; axes that are not named keep their length
Axes = dict[int, int]


def sliced(weight: Tensor, lengths: Sequence[int], centred: Sequence[int] = ()) -> Tensor:
    """Return the first entries of a weight along every axis, or those in the middle.

    Args:
        weight: Of any shape.
        lengths: How many of each axis.
        centred: Axes of which the middle is taken.

    Returns:
        The weight itself if that is all of it, else the entries in a tensor of their own, laid out as the weight is (a
        view would let the kernels of convolutions choose another order of sums than for the extracted layer).
    """
    found = weight
    for axis, (length, full) in enumerate(zip(lengths, weight.shape, strict=True)):
        if length != full:
            found = found.narrow(axis, (full - length) // 2 if axis in centred else 0, length)
    if found is weight:
        return weight
    if weight.dim() == 4 and not weight.is_contiguous() and weight.is_contiguous(memory_format=torch.channels_last):
        return found.contiguous(memory_format=torch.channels_last)
    return found.contiguous()


def mixed(weight: Tensor, mixture: Mixture, axes: Axes, centred: Sequence[int] = ()) -> Tensor:
    """Return the weighted sum of the zero-padded slices of a weight: one product with a tensor of coefficients.

    The result has the shape of `weight`.

    Args:
        weight: As large as the mixture's box along the axes.
        mixture: Sizes and their weights.
        axes: What lengths along the axes are.
        centred: Axes of which the middle is taken.
    """
    for group in mixture.groups:
        if group.weights is not None:
            weight = weight * _coefficients(weight, group.dims, group.points, group.weights, axes, centred)
    return weight


def _coefficients(
    weight: Tensor, dims: Sequence[int], points: Sequence[Point], row: Tensor, axes: Axes, centred: Sequence[int]
) -> Tensor:
    """Return what the mixture of one group multiplies a weight by, in a shape that broadcasts to it."""
    row = row.to(weight.dtype)
    factors: list[Tensor] = []
    kept: list[int] = []
    for axis, dim in axes.items():
        if dim not in dims:
            continue
        lengths = [point[dims.index(dim)] for point in points]
        full = weight.shape[axis]
        if any(length != full for length in lengths):
            kept.append(axis)
            factors.append(_masks(lengths, full, axis in centred, weight))
    if not factors:
        return row.sum()
    letters = "abcdefgh"[: len(factors)]
    found = torch.einsum(f"z,{','.join('z' + letter for letter in letters)}->{letters}", row, *factors)
    return found.reshape([weight.shape[axis] if axis in kept else 1 for axis in range(weight.dim())])


def _masks(lengths: Sequence[int], full: int, centred: bool, like: Tensor) -> Tensor:
    """Return `(n_points, full)`: 1 where a slice is, 0 elsewhere."""
    positions = torch.arange(full, device=like.device)
    n = torch.tensor(list(lengths), device=like.device).unsqueeze(1)
    start = (full - n) // 2 if centred else torch.zeros_like(n)
    return ((positions >= start) & (positions < start + n)).to(like.dtype)


def padded(x: Tensor, axis: int, length: int) -> Tensor:
    """Return `x` with zeros behind it along an axis, up to a length.

    `x` has any shape.
    """
    missing = length - x.shape[axis]
    if not missing:
        return x
    behind = x.dim() - 1 - axis % x.dim()
    return F.pad(x, [0, 0] * behind + [0, missing])
