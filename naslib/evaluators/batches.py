"""The batches of an epoch, as a task takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from naslib.errors import DataError
from naslib.tasks import Task
from naslib.training.lengths import explain_no_batches
from naslib.training.sources import ReplayedSource, SeededSource, is_seeded


def on_device(
    loader: Any, name: str, epoch: int, task: Task, device: torch.device, channels_last: bool
) -> Iterator[Any]:
    """Yield what `task.to_device` makes of the batches of an epoch.

    Args:
        loader: A loader of ours, or any iterable of batches.
        name: For messages ("training", "validation").
        epoch: Number of the epoch, from 0.
        task: What learning means.
        device: Where batches go.
        channels_last: Memory format of images.

    Raises:
        DataError: If there is no batch, or one cannot be understood.
    """
    source = SeededSource(loader) if is_seeded(loader) else ReplayedSource(loader, name)
    form = torch.channels_last if channels_last else torch.preserve_format
    empty, memory = True, None
    for batch in source.open(epoch, 0, None):
        empty = False
        moved = task.to_device(batch, device, form)
        memory = task.remember(moved, memory)
        yield moved
    if empty:
        raise DataError(explain_no_batches(loader, name, epoch))
