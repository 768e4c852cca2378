"""Smaller versions of a data set: fewer training images, fewer pixels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from naslib.data.image_data import ImageData, ImageSet, channel_statistics
from naslib.data.info import DatasetInfo, default_crop_padding
from naslib.data.splits import TEST_SPLIT_SEED, stratified_split
from naslib.errors import ConfigError, DataError

_CHUNK = 1000


def reduced(data: ImageData, train_images: int | None = None, image_size: int | None = None) -> ImageData:
    """Return the data set with a stratified share of its training images, averaged down to fewer pixels.

    The share is the same in every run; test images are averaged down likewise, and all of them are kept.

    Args:
        data: A data set in memory.
        train_images: Number of training images; None keeps all.
        image_size: Side of the images in pixels; None keeps it.

    Raises:
        ConfigError: If there are not so many images or pixels.
        DataError: If the data set is streamed.
    """
    if train_images is None and image_size is None:
        return data
    train, test, info = data.train, data.test, data.info
    if not (isinstance(train, ImageSet) and isinstance(test, ImageSet)):
        raise DataError(f"data set {info.name!r} is streamed; only one in memory can be reduced")
    if train_images is not None:
        if not info.num_classes <= train_images <= len(train):
            raise ConfigError(
                f"train_images must be between {info.num_classes} (classes) and {len(train)} (images), "
                f"not {train_images}"
            )
        kept, _ = stratified_split(train.label_array, train_images / len(train), TEST_SPLIT_SEED, "reduced")
        train = ImageSet(train.images[kept], train.labels[kept])
    if image_size is not None and image_size != info.image_size:
        info = smaller(info, image_size)
        train, test = _averaged(train, image_size), _averaged(test, image_size)
        mean, std = channel_statistics(train.images)
        info = replace(info, mean=mean, std=std)
    return ImageData(info, train, test)


def smaller(info: DatasetInfo, image_size: int | None) -> DatasetInfo:
    """Return the description of a data set whose images are averaged down; mean and std are left as they are.

    Raises:
        ConfigError: If there are not so many pixels.
    """
    if image_size is None or image_size == info.image_size:
        return info
    if not 1 <= image_size < info.image_size:
        raise ConfigError(f"image_size must be between 1 and {info.image_size}, the set's own, not {image_size}")
    padding = default_crop_padding(image_size)
    return replace(info, image_size=image_size, crop_padding=padding, cutout_max=image_size // 2)


def _averaged(images: ImageSet, size: int) -> ImageSet:
    chunks = images.images.split(_CHUNK)  # as floats all images at once would take four times their memory
    pixels = torch.cat([F.adaptive_avg_pool2d(chunk.float(), size).round_().byte() for chunk in chunks])
    return ImageSet(pixels, images.labels)
