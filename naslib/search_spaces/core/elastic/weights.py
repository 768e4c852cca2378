"""Slices of a weight, and weighted sums of zero-padded slices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .in_force import Group, Mixture

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
            weight = weight * coefficients(weight, group, axes, centred)
    return weight


def coefficients(weight: Tensor, group: Group, axes: Axes, centred: Sequence[int] = ()) -> Tensor:
    """Return what the mixture of one group, which has weights, multiplies a weight by.

    It has as many axes as `weight`, of length 1 where it is the same along one; a scalar where it is the same for all.

    Args:
        weight: As large as the mixture's box along the axes.
        group: Sizes that depend on the same decisions, and their weights.
        axes: What lengths along the axes are.
        centred: Axes of which the middle is taken.
    """
    row: Tensor = group.weights.to(weight.dtype)  # type: ignore[union-attr]
    shape = [1] * weight.dim()
    parts: list[_Part] = []
    for axis, dim in axes.items():
        if dim not in group.dims:
            continue
        at, full = group.dims.index(dim), weight.shape[axis]
        lengths = tuple(point[at] for point in group.points)
        if any(length != full for length in lengths):
            shape[axis] = full
            parts.append((lengths, full, axis in centred))
    if not parts:
        return row.sum()
    tables = _tables(tuple(parts), weight)
    if len(tables) == 1:
        return (row @ tables[0]).view(shape)
    letters = "abcdefgh"[: len(tables)]
    found = torch.einsum(f"z,{','.join('z' + letter for letter in letters)}->{letters}", row, *tables)
    return found.reshape(shape)


# Lengths of the slices along an axis, the length of the axis, and whether slices are in its middle
_Part = tuple[tuple[int, ...], int, bool]
# Several axes are one table up to so many entries
_ENTRIES = 4096


def _tables(parts: tuple[_Part, ...], like: Tensor) -> tuple[Tensor, ...]:
    """Return per axis, or for several small ones together, `(n_points, entries)`: 1 where a slice is, 0 elsewhere."""
    plain = type(like) in (Tensor, nn.Parameter) and not torch.compiler.is_compiling()
    if not plain or torch._C._functorch.peek_interpreter_stack() is not None:
        return _made(parts, like.device, like.dtype)
    return _kept(parts, like.device, like.dtype)


def _made(parts: tuple[_Part, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
    masks = []
    for lengths, full, centred in parts:
        positions = torch.arange(full, device=device)
        n = torch.tensor(lengths, device=device).unsqueeze(1)
        start = (full - n) // 2 if centred else torch.zeros_like(n)
        masks.append(((positions >= start) & (positions < start + n)).to(dtype))
    entries = math.prod(full for _, full, _ in parts)
    if len(masks) == 1 or entries > _ENTRIES:
        return tuple(masks)
    table = masks[0]
    for mask in masks[1:]:
        table = (table.unsqueeze(2) * mask.unsqueeze(1)).flatten(1)
    return (table,)


@lru_cache(maxsize=4096)
def _kept(parts: tuple[_Part, ...], device: torch.device, dtype: torch.dtype) -> tuple[Tensor, ...]:
    with torch.inference_mode(False), torch.no_grad():  # they are used with gradients later
        return _made(parts, device, dtype)


def padded(x: Tensor, axis: int, length: int) -> Tensor:
    """Return `x` with zeros behind it along an axis, up to a length.

    `x` has any shape.
    """
    missing = length - x.shape[axis]
    if not missing:
        return x
    behind = x.dim() - 1 - axis % x.dim()
    return F.pad(x, [0, 0] * behind + [0, missing])
