"""Learning-rate schedules of searches in stages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.optim.lr_scheduler import LambdaLR

from .stages import locate


def cosine_in_each_stage(
    optimizer: torch.optim.Optimizer,
    rate: float,
    rate_min: float,
    lengths: Sequence[int],
    rates: Sequence[float] | None = None,
) -> LambdaLR:
    """Return the schedule that falls from `rate` to `rate_min` by a cosine in every stage.

    Args:
        optimizer: Of the weights.
        rate: At the first epoch of a stage.
        rate_min: After its last; a stage that begins below it stays where it begins.
        lengths: Number of epochs per stage.
        rates: At the first epoch of each stage, where these differ.
    """

    def factor(epoch: int) -> float:
        stage, done, length = locate(lengths, epoch)
        first = rate if rates is None else rates[stage]
        last = min(rate_min, first)
        return (last + (first - last) * _cosine(done, length)) / rate

    return LambdaLR(optimizer, factor)


def restarting_cosine(
    optimizer: torch.optim.Optimizer, rate: float, rate_min: float, epochs: int, starts: Sequence[int]
) -> LambdaLR:
    """Return the cosine over a whole search, stretched so that it is at `rate` where a stage starts.

    This is what the authors' code of DrNAS does: a new stage has a new optimizer at the full rate, and a new cosine
    schedule over all epochs that takes over the old one's count of epochs, so that it falls from there by the
    cosine's own ratios, and reaches `rate_min` at the end of the search.

    Args:
        optimizer: Of the weights.
        rate: At the first epoch of a stage.
        rate_min: After the last epoch of the search.
        epochs: Number of epochs of the search.
        starts: First epochs of the later stages, below `epochs`.
    """

    def factor(epoch: int) -> float:
        start = max((first for first in starts if first <= epoch), default=0)
        share = _cosine(epoch, epochs) / _cosine(start, epochs)
        return (rate_min + (rate - rate_min) * share) / rate

    return LambdaLR(optimizer, factor)


def _cosine(done: int, length: int) -> float:
    return (1 + math.cos(math.pi * min(done, length) / length)) / 2
