"""Smaller versions of a data set: fewer training images, fewer pixels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.nn import functional as F

from naslib.data.image_data import ImageData, ImageSet, channel_statistics, default_augmentation
from naslib.data.info import (
    DatasetInfo,
    ImageSize,
    height_and_width,
    plain_size,
    size_text,
)
from naslib.data.splits import TEST_SPLIT_SEED, stratified_split
from naslib.errors import ConfigError, DataError

_CHUNK = 1000


def reduced(data: ImageData, train_images: int | None = None, image_size: ImageSize | None = None) -> ImageData:
    """Return the data set with a stratified share of its training images, averaged down to fewer pixels.

    The share is the same in every run; test images are averaged down likewise, and all of them are kept.

    Args:
        data: A data set in memory.
        train_images: Number of training images; None keeps all.
        image_size: Side of the images in pixels, or height and width; None keeps it.

    Raises:
        ConfigError: If there are not so many images or pixels.
        DataError: If the data set is streamed, or fewer pixels are asked for of one that holds no images or masks of
            their size.
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
    if image_size is not None and plain_size(image_size) != info.image_size:
        if info.kind != "image" or info.task == "segmentation":
            raise DataError(f"data set {info.name!r}: image_size is for images whose targets have no size of their own")
        info = smaller(info, image_size)
        train, test = _averaged(train, info.image_size), _averaged(test, info.image_size)
        mean, std = channel_statistics(train.images, info.scale)
        info = replace(info, mean=mean, std=std)
    return ImageData(info, train, test)


def smaller(info: DatasetInfo, image_size: ImageSize | None) -> DatasetInfo:
    """Return the description of a data set whose images are averaged down; mean and std are left as they are.

    Raises:
        ConfigError: If there are not so many pixels.
    """
    if image_size is None or plain_size(image_size) == info.image_size:
        return info
    height, width = height_and_width(image_size)
    if not (1 <= height <= info.height and 1 <= width <= info.width):
        own = info.image_size if isinstance(info.image_size, int) else size_text(info.image_size)
        raise ConfigError(f"image_size must be between 1 and {own}, the set's own, not {image_size}")
    padding, cutout = default_augmentation(info.task, image_size)
    # resize 0: the side of the new images, so that what is predicted is averaged down too, not cut out
    return replace(info, image_size=image_size, crop_padding=padding, cutout_max=cutout, resize=0)


def _averaged(images: ImageSet, size: ImageSize) -> ImageSet:
    chunks = images.images.split(_CHUNK)  # as floats all images at once would take four times their memory
    pooled = [F.adaptive_avg_pool2d(chunk.float(), size) for chunk in chunks]
    whole = not images.images.is_floating_point()
    kept = [(chunk.round_() if whole else chunk).to(images.images.dtype) for chunk in pooled]
    return ImageSet(torch.cat(kept), images.labels)
