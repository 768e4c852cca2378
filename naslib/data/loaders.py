"""From a data set to the loaders of a search or of an evaluation."""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.augment import Augmentation, AugmentOptions
from naslib.data.batch_loader import BatchLoader, ImageBank
from naslib.data.episode_loader import EpisodeLoader
from naslib.data.epoch_loader import EpochLoader
from naslib.data.image_data import ImageData, ImageSet
from naslib.data.info import DatasetInfo
from naslib.data.labels import listed
from naslib.data.splits import keep_single, stratified_split
from naslib.data.stream_loader import StreamLoader
from naslib.data.stream_set import StreamSet
from naslib.data.text_loader import TextLoader
from naslib.errors import ConfigError, DataError

_logger = logging.getLogger("naslib.data")


class Loaders(NamedTuple):
    """Hold the loaders of one phase; `valid` is None where the train portion is 1."""

    train: EpochLoader
    valid: EpochLoader | None
    test: EpochLoader


def build_search_loaders(
    data: ImageData,
    *,
    batch_size: int,
    train_portion: float,
    seed: int,
    device: torch.device | str = "cpu",
    workers: int = 0,
    augmentation: AugmentOptions | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
    prefetch: bool = False,
) -> Loaders:
    """Build the loaders of a search: both halves of the training part are trained on, each in an order of its own.

    The validation part is shuffled, since architecture steps draw from it, and not augmented; `valid.as_eval()` keeps
    its order and every image. The test part is that of the data set.

    Args:
        data: The data set.
        batch_size: Images per batch.
        train_portion: Share of the training part for the weights, stratified; the rest is the validation part.
        seed: Seed of the run: split, orders and augmentation.
        device: Where batches are made (and images in memory are kept).
        workers: Processes that decode streamed images.
        augmentation: What is done to training images; crop and flip of the data set if None.
        memory_format: Of the images.
        prefetch: Whether a thread makes batches ahead.

    Raises:
        ConfigError: If an option cannot be used with this data set.
        DataError: If the training part has fewer images than a batch.
    """
    return _build(data, batch_size, train_portion, seed, device, workers, augmentation, memory_format, prefetch, True)


def build_eval_loaders(
    data: ImageData,
    *,
    batch_size: int,
    train_portion: float = 1.0,
    seed: int,
    device: torch.device | str = "cpu",
    workers: int = 0,
    augmentation: AugmentOptions | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
    prefetch: bool = False,
) -> Loaders:
    """Build the loaders of a training from scratch: the validation part is only looked at, in order and complete.

    Args:
        data: The data set.
        batch_size: Images per batch.
        train_portion: Share of the training part that is trained on; 1 leaves no validation part.
        seed: Seed of the run; for the same portion the split is that of the search.
        device: Where batches are made.
        workers: Processes that decode streamed images.
        augmentation: What is done to training images; crop and flip of the data set if None.
        memory_format: Of the images.
        prefetch: Whether a thread makes batches ahead.

    Raises:
        ConfigError: If an option cannot be used with this data set.
        DataError: If the training part has fewer images than a batch.
    """
    return _build(data, batch_size, train_portion, seed, device, workers, augmentation, memory_format, prefetch, False)


def _build(
    data: ImageData,
    batch_size: int,
    train_portion: float,
    seed: int,
    device: torch.device | str,
    workers: int,
    augmentation: AugmentOptions | None,
    memory_format: torch.memory_format,
    prefetch: bool,
    search: bool,
) -> Loaders:
    chosen = (augmentation or AugmentOptions()).resolve(data.info)
    train, valid = _split(data, batch_size, train_portion, seed, search)
    make = _Maker(data.info, batch_size, seed, torch.device(device), workers, memory_format, prefetch)
    source = make.source(data.train)
    loaders = Loaders(
        train=make(source, "train", train, shuffle=True, augmentation=chosen, varies=data.info.varies and not search),
        valid=None if valid is None else make(source, "valid", valid, shuffle=search),
        test=make(make.source(data.test), "test", None, shuffle=False),
    )
    loaders.test.test_sets = {
        name: make(make.source(images), f"test set {name}", None, shuffle=False)
        for name, images in data.test_sets.items()
    }
    loaders.test.about = {
        **data.about,
        "class_counts": list(data.info.class_counts) or None,
        "items": {
            "train": len(data.train),
            "test": len(data.test),
            **{f"test set {name}": len(images) for name, images in data.test_sets.items()},
        },
    }
    return loaders


def _split(
    data: ImageData, batch_size: int, train_portion: float, seed: int, search: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Return the indices of the training and of the validation part."""
    if not 0.0 < train_portion <= 1.0:
        raise ConfigError(f"train_portion must be above 0 and at most 1, got {train_portion}")
    labels = data.train.label_array
    if data.info.goes_on:
        train, valid = _split_text(len(labels), train_portion)
    else:
        train, valid = keep_single(labels, *stratified_split(labels, train_portion, seed))
    if len(train) < batch_size and not data.info.ways:
        raise DataError(
            f"the training part of {data.info.name!r} has {len(train)} images (train_portion {train_portion} of "
            f"{len(data.train)}), fewer than a batch: set batch_size below {batch_size} or raise train_portion"
        )
    if train_portion == 1.0:
        return train, None
    if len(valid) < (2 if search else 1):
        raise ConfigError(
            f"train_portion {train_portion} of {len(data.train)} images leaves {len(valid)} for validation: "
            "lower it, or set it to 1.0 for no validation part"
        )
    absent = np.setdiff1d(labels, labels[train])
    if len(absent):
        names = listed(data.info.class_names[index] for index in absent)
        _logger.warning(
            "train_portion %g leaves no image of %d class(es) to train the weights on: %s",
            train_portion, len(absent), names,
        )  # fmt: skip
    return train, valid


def _split_text(windows: int, train_portion: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the windows of a text up to a place, and those after it."""
    place = round(windows * train_portion)
    return np.arange(place), np.arange(place, windows)


class _Maker(NamedTuple):
    """Make loaders that share everything but their images."""

    info: DatasetInfo
    batch_size: int
    seed: int
    device: torch.device
    workers: int
    memory_format: torch.memory_format
    prefetch: bool

    def source(self, images: ImageSet | StreamSet) -> ImageBank | StreamSet:
        """Return what loaders of these images share."""
        return images if isinstance(images, StreamSet) else ImageBank(images, self.device, self.memory_format)

    def __call__(
        self,
        source: ImageBank | StreamSet,
        stream: str,
        indices: NDArray[np.int64] | None,
        *,
        shuffle: bool,
        augmentation: Augmentation | None = None,
        varies: bool = False,
    ) -> EpochLoader:
        """Return the loader called `stream`."""
        if isinstance(source, ImageBank) and self.info.goes_on:
            return TextLoader(
                source,
                self.info,
                batch_size=self.batch_size,
                seed=self.seed,
                indices=indices,
                stream=stream,
                varies=varies,
                prefetch=self.prefetch,
            )
        if isinstance(source, ImageBank) and self.info.ways:
            return EpisodeLoader(
                source,
                self.info,
                episodes=self.info.test_episodes if stream == "test" else self.info.episodes,
                seed=self.seed,
                indices=indices,
                stream=stream,
                fixed=not shuffle,
                augmentation=augmentation,
                prefetch=self.prefetch,
            )
        if isinstance(source, ImageBank):
            return BatchLoader(
                source,
                self.info,
                batch_size=self.batch_size,
                seed=self.seed,
                indices=indices,
                stream=stream,
                shuffle=shuffle,
                augmentation=augmentation,
                prefetch=self.prefetch,
            )
        return StreamLoader(
            source,
            self.info,
            batch_size=self.batch_size,
            seed=self.seed,
            indices=indices,
            stream=stream,
            shuffle=shuffle,
            augmentation=augmentation,
            device=self.device,
            memory_format=self.memory_format,
            workers=self.workers,
            prefetch=self.prefetch,
        )
