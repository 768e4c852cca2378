"""What the loaders have in common: the order of an epoch, and where it starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from naslib.data._draws import permutation
from naslib.data._prefetch import prefetched
from naslib.data.augment import Augmentation
from naslib.data.info import DatasetInfo
from naslib.data.pipeline import BatchPipeline
from naslib.errors import ConfigError, DataError
from naslib.utils.distributed import LocalRows, is_shared, share_of

Batch: TypeAlias = tuple[Tensor, Tensor]
# The number of a rank, and how many there are
Ranks: TypeAlias = tuple[int, int]
ALONE: Ranks = (0, 1)
# Rows that every rank has of a batch that is shared out: batch norms cannot be trained on one
_LEAST_ROWS = 2


class EpochLoader(ABC):
    """Yield batches whose order and augmentation are a function of (seed, stream, epoch, batch index) alone.

    Nothing is drawn from a global generator, and no state but the epoch counter is kept: a resumed run asks for
    `batches(epoch, start)` and gets the rest of the epoch bit for bit, at no cost.

    Args:
        info: The data set.
        labels: `(n,)` labels of all images of the set, for checks.
        indices: The images that belong to this loader; None for all.
        batch_size: Images per batch; the last batch may be smaller.
        seed: Seed of the run.
        stream: Name of this loader within the run, so that two of them draw different numbers.
        shuffle: Whether each epoch has an order of its own.
        augmentation: What is done to the images; None for evaluation.
        drop_single: Whether a trailing batch of one image is left out (batch normalization cannot train on it).
        device: Where batches are made.
        memory_format: `torch.contiguous_format` or `torch.channels_last`.
        prefetch: Whether a thread makes batches ahead.

    Raises:
        ConfigError: If the batch size or memory format cannot be used.
        DataError: If there are no images, or one that is left out.
    """

    def __init__(
        self,
        info: DatasetInfo,
        labels: NDArray[np.int64],
        *,
        indices: NDArray[np.int64] | None,
        batch_size: int,
        seed: int,
        stream: str,
        shuffle: bool,
        augmentation: Augmentation | None,
        drop_single: bool,
        device: torch.device | str,
        memory_format: torch.memory_format,
        prefetch: bool,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
        if memory_format not in (torch.contiguous_format, torch.channels_last):
            raise ConfigError(f"memory_format must be contiguous_format or channels_last, got {memory_format}")
        self.info = info
        self.indices = np.arange(len(labels)) if indices is None else np.asarray(indices, dtype=np.int64)
        if len(self.indices) == 0:
            raise DataError(f"the {stream} loader of {info.name!r} has no images")
        self.batch_size = batch_size
        self.drop_single = drop_single
        if len(self) == 0:
            raise DataError(
                f"the {stream} loader of {info.name!r} has one image, and batch normalization cannot train on a batch "
                "of one; give it more images (another train_portion, or more data)"
            )
        self.seed = seed
        self.stream = stream
        self.shuffle = shuffle
        self.augmentation = augmentation
        self.device = torch.device(device)
        self.memory_format = memory_format
        self.prefetch = prefetch
        self.epoch = 0
        # of the loaders of a data set: more test sets by name, at its test loader; and what is said of the data set
        self.test_sets: dict[str, EpochLoader] = {}
        self.about: dict[str, Any] = {}
        channels_last = memory_format == torch.channels_last
        self._pipeline = BatchPipeline(info, augmentation, device=self.device, channels_last=channels_last)

    @property
    def n_images(self) -> int:
        """Return the number of images of this loader."""
        return len(self.indices)

    def __len__(self) -> int:
        full, rest = divmod(self.n_images, self.batch_size)
        # a batch size of one is the user's wish, and then no batch is a trailing one
        return full + (rest > (1 if self.drop_single else 0))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the next `iter()`, from 0."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        epoch, self.epoch = self.epoch, self.epoch + 1
        return self.batches(epoch)

    def batches(self, epoch: int, start: int = 0, ranks: Ranks = ALONE) -> Generator[Any, None, None]:
        """Return the batches of an epoch from number `start` on, without touching the epoch counter.

        Args:
            epoch: Which epoch, from 0.
            start: How many batches are left out; the others are those of the whole epoch, bit for bit.
            ranks: The number of a rank and how many there are: only its rows of each batch are made, bit for bit those
                of the joined batch (`share_of`).

        Returns:
            Pairs on the device: float32 `(n, c, h, w)` images or `(n, c, t)` sequences, or int64 `(n, t)` tokens; and
            int64 `(n,)` classes, `(n, h, w)` masks or `(n, t)` tokens, or float32 `(n, k)` values. Of several ranks
            `LocalRows` of such pairs; a batch with fewer than two rows for each is made whole on every rank.

        Raises:
            ConfigError: If `start` is not in 0..len(self).
        """
        if not 0 <= start <= len(self):
            raise ConfigError(
                f"an epoch of the {self.stream} loader has {len(self)} batches, it cannot start at {start}"
            )
        items = self._marked(epoch, start, ranks) if ranks[1] > 1 else self._batches(epoch, start, ranks)
        return prefetched(items) if self.prefetch else items

    def _marked(self, epoch: int, start: int, ranks: Ranks) -> Generator[Any, None, None]:
        """Yield the rows of a rank, with how many there are in all."""
        for number, batch in enumerate(self._batches(epoch, start, ranks), start):
            total = self._size(number)
            yield batch if self._rows_of(number, ranks) is None else LocalRows(batch, total)

    @abstractmethod
    def _batches(self, epoch: int, start: int, ranks: Ranks) -> Generator[Batch, None, None]:
        """Yield the batches, of each the rows of a rank (`_rows_of`)."""

    def _size(self, number: int) -> int:
        """Return how many rows batch `number` has."""
        span = self._span(number)
        return int(span.stop - span.start)

    def _rows_of(self, number: int, ranks: Ranks) -> slice | None:
        """Return which rows of batch `number` a rank makes, None for all of them."""
        total = self._size(number)
        return share_of(total, *ranks) if is_shared(total, _LEAST_ROWS, ranks[1]) else None

    @abstractmethod
    def as_eval(self) -> EpochLoader:
        """Return a loader of the same images that keeps every one, in order, without augmentation."""

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Return the images of an epoch in their order."""
        if not self.shuffle:
            return self.indices
        return self.indices[permutation(self.n_images, self.seed, self.stream, "order", epoch)]

    def _span(self, number: int) -> slice:
        """Return which places of the order are batch `number`."""
        return slice(number * self.batch_size, min((number + 1) * self.batch_size, self.n_images))

    def _key(self, epoch: int, number: int) -> tuple[int | str, ...]:
        """Return what the augmentation of a batch is a function of."""
        return (self.seed, self.stream, "augment", epoch, number)
