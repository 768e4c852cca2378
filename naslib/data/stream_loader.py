"""Batches of images that stay in files: worker processes decode, the batch is augmented as a whole."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from naslib.data.augment import Augmentation
from naslib.data.epoch_loader import ALONE, Batch, EpochLoader, Ranks
from naslib.data.info import DatasetInfo
from naslib.data.pipeline import Share
from naslib.data.stream_set import StreamSet

# One request to a worker: the index of the image and what seeds its area crop.
_Request = tuple[int, tuple[int | str, ...]]


class _Decoder(Dataset[tuple[Tensor, Tensor]]):
    """Answer requests with decoded images; has no state, so that workers may live through all epochs."""

    def __init__(self, images: StreamSet, channels_last: bool) -> None:
        self.images = images
        self.channels_last = channels_last

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, request: _Request) -> tuple[Tensor, Tensor]:
        index, key = request
        pixels = torch.from_numpy(np.array(self.images.load(index, *key)))
        label = self.images.labels[index]
        return (pixels if self.channels_last else pixels.permute(2, 0, 1).contiguous()), label


class _Requests:
    """Yield the requests of one epoch, batch by batch; the epoch is set before each iteration."""

    def __init__(self) -> None:
        self.batches: list[list[_Request]] = []

    def __iter__(self) -> Iterator[list[_Request]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class StreamLoader(EpochLoader):
    """Yield `(images, labels)` of a `StreamSet`; the face of `BatchLoader`, and its bits where the images are the same.

    Args:
        images: The files.
        info: What they are.
        batch_size: Images per batch.
        seed: Seed of the run.
        indices: The images that belong to this loader; None for all.
        stream: Name within the run.
        shuffle: Whether each epoch has an order of its own.
        augmentation: What is done to the images; None for evaluation.
        drop_single: Whether a trailing batch of one image is left out; as `shuffle` if None.
        device: Where batches are augmented.
        memory_format: `torch.contiguous_format` or `torch.channels_last`.
        workers: Processes that decode; they stay from epoch to epoch. 0 decodes in this process.
        prefetch: Whether a thread makes batches ahead (the workers work ahead anyway).
    """

    def __init__(
        self,
        images: StreamSet,
        info: DatasetInfo,
        *,
        batch_size: int,
        seed: int = 0,
        indices: NDArray[np.int64] | None = None,
        stream: str = "train",
        shuffle: bool = True,
        augmentation: Augmentation | None = None,
        drop_single: bool | None = None,
        device: torch.device | str = "cpu",
        memory_format: torch.memory_format = torch.contiguous_format,
        workers: int = 0,
        prefetch: bool = False,
    ) -> None:
        super().__init__(
            info,
            images.label_array,
            indices=indices,
            batch_size=batch_size,
            seed=seed,
            stream=stream,
            shuffle=shuffle,
            augmentation=augmentation,
            drop_single=shuffle if drop_single is None else drop_single,
            device=device,
            memory_format=memory_format,
            prefetch=prefetch,
        )
        self.images = images
        self.workers = workers
        self._requests = _Requests()
        self._loader: DataLoader[Any] | None = None
        self._busy = False

    def _batches(self, epoch: int, start: int, ranks: Ranks) -> Generator[Batch, None, None]:
        # the persistent workers serve one iteration at a time; a second one at the same time gets its own
        shared = not self._busy
        requests = self._requests if shared else _Requests()
        requests.batches = self._plan(epoch, start, ranks)
        if not shared:
            loader = self._new_loader(requests, persistent=False)
        else:
            self._loader = self._loader or self._new_loader(requests, persistent=True)
            loader = self._loader
        self._busy = True
        try:
            for number, (pixels, labels) in enumerate(loader, start):
                raw, rows = pixels.to(self.device, non_blocking=True), self._rows_of(number, ranks)
                share = None if rows is None else Share(rows, self._size(number))
                inputs = self._pipeline(raw, *self._key(epoch, number), share=share)
                yield inputs, labels.to(self.device, non_blocking=True)
        finally:
            if shared:
                self._busy = False

    def _plan(self, epoch: int, start: int, ranks: Ranks = ALONE) -> list[list[_Request]]:
        order = self._order(epoch)
        key: tuple[int | str, ...] = ()
        if self.augmentation is not None and self.images.resized_crop:
            key = (self.seed, self.stream, "area", epoch)
        numbers = range(start, len(self))
        chosen = [order[self._span(number)][self._rows_of(number, ranks) or slice(None)] for number in numbers]
        return [[(index, key) for index in batch.tolist()] for batch in chosen]

    def _new_loader(self, requests: _Requests, persistent: bool) -> DataLoader[Any]:
        return DataLoader(
            _Decoder(self.images, self.memory_format == torch.channels_last),
            batch_sampler=requests,
            num_workers=self.workers,
            persistent_workers=persistent and self.workers > 0,
            pin_memory=self.device.type == "cuda",
            # its own generator: the default would draw from the global one, and a resumed run would differ
            generator=torch.Generator().manual_seed(0),
        )

    def as_eval(self) -> StreamLoader:
        """Return a loader of the same images that keeps every one, in order, without augmentation."""
        return StreamLoader(
            self.images,
            self.info,
            batch_size=self.batch_size,
            seed=self.seed,
            indices=self.indices,
            stream=f"{self.stream}-eval",
            shuffle=False,
            device=self.device,
            memory_format=self.memory_format,
            workers=self.workers,
            prefetch=self.prefetch,
        )
