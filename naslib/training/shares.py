"""Shares: what several ranks see of the batches of a loader, of ours and of anybody's."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from naslib.data.epoch_loader import ALONE, EpochLoader, Ranks
from naslib.errors import DataError
from naslib.tasks import Task
from naslib.tasks.joined import is_joined
from naslib.utils.distributed import (
    LocalRows,
    gather_objects,
    is_distributed,
    rank,
    world_size,
)


def joins_ranks(task: Task | None) -> bool:
    """Say whether a task joins what several ranks compute of a batch (`naslib.tasks.joined`)."""
    return task is not None and is_distributed() and is_joined(task) and task.SHARES_ROWS


def ranks_of(loader: Any, joins: bool) -> Ranks:
    """Return whose rows a loader is to make: this rank's where the task joins them and the loader is one of ours."""
    return (rank(), world_size()) if joins and isinstance(loader, EpochLoader) else ALONE


def count_rows(batch: Any) -> int:
    """Return how many rows the joined batch has that this one is, or is a share of; 0 where that cannot be seen."""
    if isinstance(batch, LocalRows):
        return batch.total
    first = next(_tensors(batch), None)
    return len(first) if first is not None and first.dim() else 0


def check_not_shared_out(loader: Any, name: str) -> None:
    """Raise if a loader of a script gives each rank other batches: every rank is to see the joined ones.

    Args:
        loader: Any loader.
        name: What messages call it.

    Raises:
        DataError: If its sampler is torch's DistributedSampler.
    """
    if not is_distributed():
        return
    from torch.utils.data.distributed import DistributedSampler

    samplers = [getattr(loader, "sampler", None), getattr(getattr(loader, "batch_sampler", None), "sampler", None)]
    if any(isinstance(sampler, DistributedSampler) and sampler.num_replicas > 1 for sampler in samplers):
        raise DataError(
            f"the {name} loader has a DistributedSampler, which gives each rank other batches. Here every rank goes "
            "through the joined batches and takes its rows of each: give the loader that one process would have, with "
            "the batch size of all ranks together"
        )


def check_same(batch: Any, name: str, epoch: int, number: int) -> None:
    """Raise if ranks were given different batches by a loader of a script.

    Args:
        batch: What it yielded.
        name: What messages call the loader.
        epoch: Of the batch.
        number: Of the batch in the epoch.

    Raises:
        DataError: Saying what to change.
    """
    found = gather_objects(_checksum(batch))
    others = [str(number) for number, value in enumerate(found) if value != found[0]]
    if others:
        raise DataError(
            f"batch {number} of epoch {epoch} (counted from 0) of the {name} loader is another one on rank "
            f"{', '.join(others)} than on rank 0. Every rank must go through the same joined batches, and takes its "
            "rows of them: let what shuffles or augments draw from a generator that is seeded alike on all ranks"
        )


def _checksum(batch: Any) -> int:
    found = 0
    for tensor in _tensors(batch):
        held = tensor.detach().cpu().contiguous()
        found = zlib.crc32(f"{held.dtype}{tuple(held.shape)}".encode(), found)
        found = zlib.crc32(held.reshape(-1).view(torch.uint8).numpy().tobytes(), found)
    return found


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _tensors(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _tensors(entry)
    elif hasattr(value, "__array__"):
        yield torch.as_tensor(np.ascontiguousarray(value))  # an array may run backwards, a tensor not
