"""Combinations of what enters a node: functions of a list of tensors, ordered by source index."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def channel_concat(tensors: Sequence[Tensor]) -> Tensor:
    """Return the tensors concatenated along the channels.

    `(n, c_i, h, w)` to `(n, sum of c_i, h, w)`.
    """
    return torch.cat(list(tensors), dim=1)


def channel_maxout(tensors: Sequence[Tensor]) -> Tensor:
    """Return the elementwise maximum of the tensors.

    All have one shape, which stays.
    """
    return torch.stack(list(tensors), dim=0).amax(dim=0)


def mean(tensors: Sequence[Tensor]) -> Tensor:
    """Return the elementwise mean of the tensors.

    All have one shape, which stays.
    """
    return torch.stack(list(tensors), dim=0).mean(dim=0)
