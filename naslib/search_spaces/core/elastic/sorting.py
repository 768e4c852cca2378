"""Sorting the channels of a trained block by importance, so that smaller sizes keep the important ones."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .sizes import Number


@runtime_checkable
class Sortable(Protocol):
    """A block that can put its channels in another order without changing what it computes at the sizes in use."""

    def sort_channels(self, used: Mapping[str, Sequence[Number]]) -> None:
        """Put the channels that matter most first, in place.

        Args:
            used: By label of a value decision, the values that have been trained: the channels of each of them stay
                together, as a set.
        """


def order_of_importance(importance: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the order of channels, most important first, that keeps the first channels of some sizes together.

    Args:
        importance: `(n,)`.
        sizes: Numbers of channels, ascending or not; the first so many of them stay the first so many, as a set.

    Returns:
        `(n,)` indices.
    """
    bounds = sorted({0, len(importance), *(size for size in sizes if size < len(importance))})
    parts = [
        begin + importance[begin:end].argsort(descending=True, stable=True) for begin, end in itertools.pairwise(bounds)
    ]
    return torch.cat(parts)


@torch.no_grad()
def permute(module: nn.Module, order: Tensor, axis: int = 0) -> None:
    """Put the entries of a layer's parameters along an axis in another order, in place.

    Args:
        module: A convolution, a linear layer or batch norm. Along axis 0 bias and running statistics go along.
        order: `(n,)` indices.
        axis: 0 for outputs, 1 for inputs.
    """
    names = ("weight", "bias", "running_mean", "running_var") if axis == 0 else ("weight",)
    for name in names:
        tensor = getattr(module, name, None)
        if tensor is not None:
            tensor.copy_(tensor.index_select(axis, order))
