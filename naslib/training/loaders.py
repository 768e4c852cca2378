"""Loaders: cursors over batches that can be put down and taken up again, for our loaders and for anybody's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from naslib.errors import DataError
from naslib.utils.seeding import rng_restore, rng_snapshot

from .lengths import explain_no_batches, length_of
from .randomness import LoaderState
from .sources import BatchSource, ReplayedSource, SeededSource, is_seeded

Batch = tuple[Tensor, Tensor]


class BatchCursor:
    """A place in the batches of a loader; its iterator lives as long as the epoch does.

    Args:
        loader: A loader of ours, or any iterable of `(images, labels)`.
        device: Where batches go.
        channels_last: Whether images get the channels-last memory format.
        name: For messages ("training", "validation").
    """

    def __init__(self, loader: Any, device: torch.device, channels_last: bool = False, name: str = "training") -> None:
        self.source: BatchSource = SeededSource(loader) if is_seeded(loader) else ReplayedSource(loader, name)
        self.loader = loader
        self.name = name
        self.epoch = 0
        self.position = 0
        self._device = device
        self._format = torch.channels_last if channels_last else torch.preserve_format
        self._iterator: Iterator[Any] | None = None
        self._replay: dict[str, Any] | None = None
        self._ended = False
        self._length = length_of(loader)

    @property
    def length(self) -> int | None:
        """Number of batches of an epoch, None if the loader does not tell."""
        return self._length

    def begin(self, epoch: int) -> None:
        """Go to the first batch of `epoch`."""
        self.epoch, self.position, self._ended = epoch, 0, False
        self._replay = self.source.opening_state()
        self._iterator = self.source.open(epoch, 0, None)

    def next_in_epoch(self) -> Batch | None:
        """Return the next batch of the epoch, None at its end.

        Raises:
            DataError: If the epoch has not a single batch.
        """
        if self._iterator is None:
            self._iterator = self.source.open(self.epoch, self.position, self._replay)
        batch = next(self._iterator, None)
        if batch is None:
            if self.position == 0:
                raise DataError(explain_no_batches(self.loader, self.name, self.epoch))
            self._ended = True
            return None
        self.position += 1
        return self._to_device(batch)

    def next_cycling(self) -> Batch:
        """Return the next batch, beginning the next epoch where one ends.

        Raises:
            DataError: If an epoch has not a single batch.
        """
        if self._iterator is None and self._replay is None and self.position == 0:
            self.begin(self.epoch)
        batch = self.next_in_epoch()
        if batch is None:
            self.begin(self.epoch + 1)
            batch = self.next_in_epoch()
        if batch is None:  # cannot be: `next_in_epoch` raises at the beginning of an epoch
            raise DataError(explain_no_batches(self.loader, self.name, self.epoch))
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
        state = {"epoch": self.epoch, "position": self.position, "replay": self._replay}
        return {**state, "ended": self._ended, "now": self.source.position_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the place of a checkpoint; batches are replayed when the next one is asked for."""
        self.epoch, self.position, self._replay = state["epoch"], state["position"], state["replay"]
        self._iterator = None
        self._ended = state.get("ended", False)
        if state.get("now") is not None:
            self.source.go_to(state["now"], self._ended or self._replay is None)


def move_batches(
    loader: Iterable[Any], device: torch.device, channels_last: bool = False, name: str = "training"
) -> Iterator[Batch]:
    """Yield all batches of a loader once, on `device`, without disturbing its order in training.

    Raises:
        DataError: If there is none.
    """
    cursor = BatchCursor(loader, device, channels_last, name)
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
        return tuple(info.input_shape)
    random_state, carried = rng_snapshot(), LoaderState(loader)
    before = carried.capture()
    batch = next(iter(loader), None)
    carried.restore(before)
    rng_restore(random_state)
    if batch is None:
        raise DataError(explain_no_batches(loader, "test"))
    return tuple(batch[0].shape[1:])
