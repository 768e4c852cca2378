"""Stages: how the epochs of a search divide into parts of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from naslib.utils.renamed import renamed


class StagePosition(NamedTuple):
    """Where an epoch is.

    Attributes:
        stage: Index of the stage, from 0.
        epoch: Epoch within the stage, from 0.
        length: Number of epochs of the stage, at least 1.
    """

    stage: int
    epoch: int
    length: int


def locate(lengths: Sequence[int], epoch: int) -> StagePosition:
    """Return where an epoch is; epochs after the end belong to the last stage.

    Args:
        lengths: Number of epochs per stage, at least 0; a stage of length 0 is skipped.
        epoch: From 0.
    """
    start = 0
    for stage, length in enumerate(lengths):
        is_last = not any(lengths[stage + 1 :])
        if epoch < start + length or is_last:
            return StagePosition(stage, epoch - start, max(length, 1))
        start += length
    return StagePosition(0, epoch, max(epoch + 1, 1))


def equal_lengths(epochs: int, n_stages: int) -> list[int]:
    """Divide a number of epochs into stages as equally as possible, the later ones longer where it does not divide."""
    ends = [epochs * (stage + 1) // n_stages for stage in range(n_stages)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"Place": "StagePosition"})
