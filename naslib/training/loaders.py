"""Loaders: cursors over batches that can be put down and taken up again, for our loaders and for anybody's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from naslib.errors import CheckpointError, DataError
from naslib.utils.seeding import rng_restore, rng_snapshot

Batch = tuple[Tensor, Tensor]


class BatchSource(ABC):
    """Epochs of batches that can be opened at any position."""

    @abstractmethod
    def open(self, epoch: int, start: int, replay: dict[str, Any] | None) -> Iterator[Any]:
        """Return the batches of `epoch` from number `start` on.

        Args:
            epoch: Number of the epoch.
            start: How many batches to leave out.
            replay: What `opening_state` returned when this epoch was first opened; None for a fresh epoch.
        """

    @abstractmethod
    def opening_state(self) -> dict[str, Any] | None:
        """Return what `open` needs to repeat the epoch that begins now, None if its number suffices."""


class SeededSource(BatchSource):
    """A loader of ours, whose batches derive from (seed, epoch, index)."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def open(self, epoch: int, start: int, replay: dict[str, Any] | None) -> Iterator[Any]:
        """Return the batches from `start` on, without making those before."""
        return iter(self.loader.batches(epoch, start))

    def opening_state(self) -> dict[str, Any] | None:
        """Return None."""
        return None


class ReplayedSource(BatchSource):
    """Any iterable of batches: the random state an epoch began with is kept, and consumed batches are replayed."""

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader = loader

    def open(self, epoch: int, start: int, replay: dict[str, Any] | None) -> Iterator[Any]:
        """Return the batches from `start` on; with `replay` under the random state that the epoch began with."""
        if replay is None:
            return self._begin(epoch)
        now = rng_snapshot()
        rng_restore(replay["rng"])
        for generator, state in zip(self._generators(), replay["generators"], strict=True):
            generator.set_state(state)
        iterator = self._begin(epoch)
        for index in range(start):
            if next(iterator, None) is None:
                raise CheckpointError(
                    f"the loader ended after {index} batches, but the checkpoint was made after {start}"
                )
        rng_restore(now)
        return iterator

    def _begin(self, epoch: int) -> Iterator[Any]:
        for part in (self.loader, getattr(self.loader, "sampler", None)):
            set_epoch = getattr(part, "set_epoch", None)
            if callable(set_epoch):
                set_epoch(epoch)
        return iter(self.loader)

    def opening_state(self) -> dict[str, Any]:
        """Return the global random state and that of the loader's own generators."""
        return {"rng": rng_snapshot(), "generators": [generator.get_state() for generator in self._generators()]}

    def _generators(self) -> list[torch.Generator]:
        sampler = getattr(self.loader, "sampler", None)
        owners = (self.loader, sampler, getattr(self.loader, "batch_sampler", None))
        found = [getattr(owner, "generator", None) for owner in owners]
        return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())


class BatchCursor:
    """A place in the batches of a loader; its iterator lives as long as the epoch does.

    Args:
        loader: A loader of ours, or any iterable of `(images, labels)`.
        device: Where batches go.
        channels_last: Whether images get the channels-last memory format.
        name: For messages ("training", "validation").
    """

    def __init__(self, loader: Any, device: torch.device, channels_last: bool = False, name: str = "training") -> None:
        self.source: BatchSource = (
            SeededSource(loader) if callable(getattr(loader, "batches", None)) else ReplayedSource(loader)
        )
        self.name = name
        self.epoch = 0
        self.position = 0
        self._device = device
        self._format = torch.channels_last if channels_last else torch.preserve_format
        self._iterator: Iterator[Any] | None = None
        self._replay: dict[str, Any] | None = None
        self._length = len(loader) if hasattr(loader, "__len__") else None

    @property
    def length(self) -> int | None:
        """Number of batches of an epoch, None if the loader does not tell."""
        return self._length

    def begin(self, epoch: int) -> None:
        """Go to the first batch of `epoch`."""
        self.epoch, self.position = epoch, 0
        self._replay = self.source.opening_state()
        self._iterator = self.source.open(epoch, 0, None)

    def next_in_epoch(self) -> Batch | None:
        """Return the next batch of the epoch, None at its end."""
        if self._iterator is None:
            self._iterator = self.source.open(self.epoch, self.position, self._replay)
        batch = next(self._iterator, None)
        if batch is None:
            return None
        self.position += 1
        return self._to_device(batch)

    def next_cycling(self) -> Batch:
        """Return the next batch, beginning the next epoch where one ends.

        Raises:
            DataError: If the loader is empty.
        """
        if self._iterator is None and self._replay is None and self.position == 0:
            self.begin(self.epoch)
        batch = self.next_in_epoch()
        if batch is None:
            self.begin(self.epoch + 1)
            batch = self.next_in_epoch()
        if batch is None:
            raise DataError(f"the {self.name} loader has no batches; are there fewer images than a batch?")
        return batch

    def _to_device(self, batch: Any) -> Batch:
        images, labels = batch[0], batch[1]
        images = images.to(self._device, non_blocking=True)
        if images.dim() == 4:
            images = (
                images.contiguous(memory_format=self._format) if self._format is not torch.preserve_format else images
            )
        return images, labels.to(self._device, non_blocking=True)

    def state_dict(self) -> dict[str, Any]:
        """Return the place."""
        return {"epoch": self.epoch, "position": self.position, "replay": self._replay}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place of a checkpoint; batches are replayed when the next one is asked for."""
        self.epoch, self.position, self._replay = state["epoch"], state["position"], state["replay"]
        self._iterator = None


def move_batches(loader: Iterable[Any], device: torch.device, channels_last: bool = False) -> Iterator[Batch]:
    """Yield all batches of a loader once, on `device`, without disturbing its order in training."""
    cursor = BatchCursor(loader, device, channels_last)
    cursor.begin(0)
    while (batch := cursor.next_in_epoch()) is not None:
        yield batch


class OnePass:
    """One pass over the batches of a loader on the device, as often as it is iterated; its training order is kept.

    Args:
        loader: A loader of ours, or any iterable of `(images, labels)`.
        device: Where batches go.
        channels_last: Whether images get the channels-last memory format.
    """

    def __init__(self, loader: Any, device: torch.device, channels_last: bool = False) -> None:
        self._arguments = (loader, device, channels_last)

    def __iter__(self) -> Iterator[Batch]:
        """Return an iterator over all batches."""
        return move_batches(*self._arguments)


def image_shape(loader: Any) -> tuple[int, ...]:
    """Return (channels, height, width) of a loader's images; of one that does not tell, the first batch is looked at.

    Raises:
        DataError: If it has no batches.
    """
    info = getattr(loader, "info", None)
    if info is not None:
        return info.in_channels, info.image_size, info.image_size
    random_state = rng_snapshot()
    batch = next(iter(loader), None)
    rng_restore(random_state)
    if batch is None:
        raise DataError("the loader has no batches")
    return tuple(batch[0].shape[1:])
