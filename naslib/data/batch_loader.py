"""Batches of items that live in memory: one gather, one augmentation, no workers."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.augment import Augmentation
from naslib.data.epoch_loader import Batch, EpochLoader, Ranks
from naslib.data.image_data import ImageSet
from naslib.data.info import DatasetInfo
from naslib.data.pipeline import Share, to_layout


class ImageBank:
    """Keep the images of a set on a device, in a layout, for several loaders to share.

    Args:
        images: The set.
        device: Where to keep it.
        memory_format: `torch.contiguous_format` or `torch.channels_last`.
    """

    def __init__(
        self,
        images: ImageSet,
        device: torch.device | str = "cpu",
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        self.channels_last = memory_format == torch.channels_last
        self.memory_format = memory_format
        self.device = torch.device(device)
        self.raw = to_layout(images.images.to(self.device), self.channels_last)
        self.labels = images.labels.to(self.device)
        self.label_array = images.label_array


class BatchLoader(EpochLoader):
    """Yield `(images, labels)` of a set in memory; for other kinds and tasks `(inputs, targets)`.

    Args:
        images: The set, or an `ImageBank` that several loaders share (then its device and format count).
        info: What it is.
        batch_size: Images per batch.
        seed: Seed of the run.
        indices: The images that belong to this loader; None for all.
        stream: Name within the run; two loaders of different names draw different numbers.
        shuffle: Whether each epoch has an order of its own.
        augmentation: What is done to the images; None for evaluation.
        drop_single: Whether a trailing batch of one image is left out; as `shuffle` if None.
        device: Where images and batches are.
        memory_format: `torch.contiguous_format` or `torch.channels_last`.
        prefetch: Whether a thread makes batches ahead.
    """

    def __init__(
        self,
        images: ImageSet | ImageBank,
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
        prefetch: bool = False,
    ) -> None:
        bank = images if isinstance(images, ImageBank) else ImageBank(images, device, memory_format)
        super().__init__(
            info,
            bank.label_array,
            indices=indices,
            batch_size=batch_size,
            seed=seed,
            stream=stream,
            shuffle=shuffle,
            augmentation=augmentation,
            drop_single=shuffle if drop_single is None else drop_single,
            device=bank.device,
            memory_format=bank.memory_format,
            prefetch=prefetch,
        )
        self.bank = bank

    def _batches(self, epoch: int, start: int, ranks: Ranks) -> Generator[Batch, None, None]:
        order = torch.from_numpy(self._order(epoch)).to(self.device)
        for number in range(start, len(self)):
            chosen, rows = order[self._span(number)], self._rows_of(number, ranks)
            share = None if rows is None else Share(rows, len(chosen))
            chosen = chosen if rows is None else chosen[rows]
            raw, labels = self.bank.raw.index_select(0, chosen), self.bank.labels.index_select(0, chosen)
            yield self._pipeline.batch(raw, labels, *self._key(epoch, number), share=share)

    def as_eval(self) -> BatchLoader:
        """Return a loader of the same images that keeps every one, in order, without augmentation."""
        return BatchLoader(
            self.bank,
            self.info,
            batch_size=self.batch_size,
            seed=self.seed,
            indices=self.indices,
            stream=f"{self.stream}-eval",
            shuffle=False,
            prefetch=self.prefetch,
        )
