"""Any folder of images in class folders."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.decode import size_of_file
from naslib.data.image_data import ImageData, ImageSet, channel_statistics
from naslib.data.info import (
    DatasetInfo,
    ImageSize,
    default_crop_padding,
    default_cutout_max,
    height_and_width,
    plain_size,
)
from naslib.data.labels import check_enough_images, only_in_test
from naslib.data.registry import DATASETS, locate
from naslib.data.sets._class_folders import scan_class_folders
from naslib.data.splits import TEST_SPLIT_SEED, split_test
from naslib.data.stream_set import BYTE, StreamSet
from naslib.data.verify import check_images, read_all
from naslib.errors import DataError
from naslib.utils.locations import data_directories

_TEST_FOLDERS = ("test", "val", "valid", "validation")
_logger = logging.getLogger("naslib.data")
# Larger images are streamed; the usual side of a network's input where images are larger still.
_LARGEST_IN_MEMORY = 64
_USUAL_SIDE = 224
_MEMORY_LIMIT = 2**30
# Images whose pixels give mean and std where not all are in memory.
_SAMPLE = 512


@DATASETS.register("imagefolder", "image_folder")
def load_imagefolder(
    data_dir: Path | None,
    seed: int,
    *,
    path: str | None = None,
    image_size: ImageSize | None = None,
    channels: int = 3,
    in_memory: bool | None = None,
    flip: bool = False,
    resized_crop: bool | None = None,
    test_portion: float = 0.2,
    split_seed: int = TEST_SPLIT_SEED,
    scale: float | None = None,
) -> ImageData:
    """Load a folder of class folders: `train/` and `test/` (or `val/`), or one folder that is split, stratified.

    Args:
        data_dir: The folder itself where no path is given; else where a relative path is looked for.
        seed: Not used: the test split does not depend on the run.
        path: The folder.
        image_size: Side of the images a network sees, or height and width; if None, the size of the images where the
            first hundred have the same one of at most 64 pixels, else the median short side, at most 224.
        channels: 3, or 1 for grey.
        in_memory: Whether to decode all images once. If None: up to 64x64 pixels and 1 GiB.
        flip: Whether labels survive a horizontal flip.
        resized_crop: Whether training takes random areas of the images (ImageNet's recipe; streamed sets only). If
            None: where images are streamed and larger than 64x64.
        test_portion: Stratified share that becomes the test part where there is no test folder.
        split_seed: Seed of that split.
        scale: The level that is white in grey files of more than 8 bits, 65535 for 16; pixels are divided by it. None
            reads files as 8 bits, and refuses those with levels above 255.

    Raises:
        DatasetMissing: If there is no such folder.
        DataError: If it has no classes, no images, or images that cannot be decoded.
    """
    if channels not in (1, 3):
        raise DataError(f"channels must be 1 or 3, got {channels}")
    if scale is not None and (channels != 1 or not 0 < scale < float("inf")):
        raise DataError(f"scale is for grey images (channels: 1) and positive, got {scale} for {channels} channels")
    white = BYTE if scale is None else float(scale)
    root = locate(path or data_dir or data_directories()[0], data_dir, "folder of images")
    classes, train, test = _parts(root, test_portion, split_seed)
    size = plain_size(image_size or _usual_size([file for file, _ in train + test], len(train), channels))
    height, width = height_and_width(size)
    short = min(height, width)
    n = len(train) + len(test)
    is_large = max(height, width) > _LARGEST_IN_MEMORY
    if in_memory is None:
        in_memory = not is_large and n * channels * height * width <= _MEMORY_LIMIT
    areas = not in_memory and (is_large if resized_crop is None else resized_crop)
    resize = round(short * 256 / 224) if areas else short
    train_set, test_set = (_stream(part, channels, size, resize, areas, white) for part in (train, test))
    if in_memory:
        in_ram = decode_sets([(train_set, np.arange(len(train))), (test_set, np.arange(len(test)))])
    else:
        in_ram = []
        check_images([*train_set.paths, *test_set.paths], channels, white)
    mean, std = channel_statistics(in_ram[0].images if in_ram else _sample(train_set), white)
    info = DatasetInfo(
        name=root.name,
        num_classes=len(classes),
        in_channels=channels,
        image_size=size,
        mean=mean,
        std=std,
        class_names=tuple(classes),
        flip=flip,
        crop_padding=default_crop_padding(size),
        cutout_max=default_cutout_max(size),
        resize=resize,
        resized_crop=areas,
        scale=white,
    )
    return ImageData(info, *in_ram) if in_ram else ImageData(info, train_set, test_set)


def decode_all(files: StreamSet, indices: NDArray[np.int64] | None = None) -> ImageSet:
    """Decode all images of a set (or those of the indices) into memory."""
    return decode_sets([(files, np.arange(len(files)) if indices is None else indices)])[0]


def decode_sets(chosen: Sequence[tuple[StreamSet, NDArray[np.int64]]]) -> list[ImageSet]:
    """Decode images of several sets into memory.

    Args:
        chosen: Sets and the indices of their images.

    Raises:
        DataError: If some cannot be decoded: one message that lists those of all sets.
    """
    pixels = [
        np.empty((len(indices), files.channels, *height_and_width(files.image_size)), dtype=files.dtype)
        for files, indices in chosen
    ]
    places = [(number, place) for number, (_, indices) in enumerate(chosen) for place in range(len(indices))]

    def decode(item: int) -> None:
        number, place = places[item]
        files, indices = chosen[number]
        pixels[number][place] = files.load(int(indices[place])).transpose(2, 0, 1)

    read_all(decode, len(places), "images")
    return [
        ImageSet(torch.from_numpy(part), torch.from_numpy(files.label_array[indices]))
        for part, (files, indices) in zip(pixels, chosen, strict=True)
    ]


_Sample = tuple[str, int]


def _parts(root: Path, test_portion: float, split_seed: int) -> tuple[list[str], list[_Sample], list[_Sample]]:
    """Return class names, training samples and test samples."""
    test_root = next((root / name for name in _TEST_FOLDERS if (root / name).is_dir()), None)
    unused = [name for name in _TEST_FOLDERS if (root / name).is_dir() and root / name != test_root]
    if unused:
        _logger.info("%s: the test part is %s; %s is not used", root, test_root, ", ".join(unused))
    if (root / "train").is_dir() and test_root is not None:
        classes, train = scan_class_folders(root / "train")
        test_classes, test = scan_class_folders(test_root)
        unknown = [index for index, name in enumerate(test_classes) if name not in classes]
        if unknown:
            raise only_in_test(
                root.name, {test_classes[index]: sum(label == index for _, label in test) for index in unknown}
            )
        check_enough_images(root.name, len(classes), len(train))
        return classes, train, [(file, classes.index(test_classes[label])) for file, label in test]
    classes, samples = scan_class_folders(root / "train" if (root / "train").is_dir() else root)
    check_enough_images(root.name, len(classes), len(samples))
    first, second = split_test(np.array([label for _, label in samples], dtype=np.int64), test_portion, split_seed)
    return classes, [samples[index] for index in first], [samples[index] for index in second]


def _stream(
    samples: list[_Sample], channels: int, size: ImageSize, resize: int, areas: bool, scale: float
) -> StreamSet:
    files, labels = [file for file, _ in samples], [label for _, label in samples]
    return StreamSet(files, labels, channels=channels, image_size=size, resize=resize, resized_crop=areas, scale=scale)


def _sample(files: StreamSet) -> torch.Tensor:
    """Decode evenly spaced images, for the statistics."""
    chosen = np.unique(np.linspace(0, len(files) - 1, min(_SAMPLE, len(files))).astype(np.int64))
    return decode_all(files, chosen).images


def _usual_size(files: list[str], n_train: int, channels: int) -> ImageSize:
    """Return the size of up to a hundred training images, from their headers: theirs, or the median short side.

    Raises:
        DataError: If none of them can be read; the message lists all bad files, also those of the test part.
    """
    sizes = []
    for file in files[: n_train : max(1, n_train // 100)]:
        try:
            sizes.append(size_of_file(file))
        except DataError:  # named with all others when all images are decoded
            continue
    if not sizes:
        check_images(files, channels)
        raise DataError(f"none of the first images such as {files[0]} tells its size")
    width, height = sizes[0]
    if len(set(sizes)) == 1 and max(width, height) <= _LARGEST_IN_MEMORY:
        return height, width
    return min(_USUAL_SIDE, sorted(min(size) for size in sizes)[len(sizes) // 2])
