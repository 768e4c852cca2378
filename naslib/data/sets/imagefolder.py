"""Any folder of images in class folders."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.image_data import ImageData, ImageSet, channel_statistics
from naslib.data.info import DatasetInfo, default_crop_padding
from naslib.data.locations import data_directories
from naslib.data.registry import DATASETS, locate
from naslib.data.splits import TEST_SPLIT_SEED, stratified_split
from naslib.data.stream_set import StreamSet
from naslib.errors import DataError

_TEST_FOLDERS = ("test", "val", "valid", "validation")
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
    image_size: int | None = None,
    channels: int = 3,
    in_memory: bool | None = None,
    flip: bool = False,
    resized_crop: bool | None = None,
    test_portion: float = 0.2,
    split_seed: int = TEST_SPLIT_SEED,
) -> ImageData:
    """Load a folder of class folders: `train/` and `test/` (or `val/`), or one folder that is split, stratified.

    Args:
        data_dir: The folder itself where no path is given; else where a relative path is looked for.
        seed: Not used: the test split does not depend on the run.
        path: The folder.
        image_size: Side of the images a network sees; if None, the median short side, at most 224.
        channels: 3, or 1 for grey.
        in_memory: Whether to decode all images once. If None: up to 64x64 pixels and 1 GiB.
        flip: Whether labels survive a horizontal flip.
        resized_crop: Whether training takes random areas of the images (ImageNet's recipe; streamed sets only). If
            None: where images are streamed and larger than 64x64.
        test_portion: Stratified share that becomes the test part where there is no test folder.
        split_seed: Seed of that split.

    Raises:
        DatasetMissing: If there is no such folder.
        DataError: If it has no classes, no images, or images that cannot be decoded.
    """
    if channels not in (1, 3):
        raise DataError(f"channels must be 1 or 3, got {channels}")
    root = locate(path or data_dir or data_directories()[0], data_dir, "folder of images")
    classes, train, test = _parts(root, test_portion, split_seed)
    size = image_size or _median_side([file for file, _ in train], channels)
    n = len(train) + len(test)
    if in_memory is None:
        in_memory = size <= _LARGEST_IN_MEMORY and n * channels * size * size <= _MEMORY_LIMIT
    areas = (not in_memory and size > _LARGEST_IN_MEMORY) if resized_crop is None else resized_crop and not in_memory
    resize = round(size * 256 / 224) if areas else size
    train_set = _stream(train, channels, size, resize, areas)
    test_set = _stream(test, channels, size, resize, areas)
    train_images = decode_all(train_set) if in_memory else None
    mean, std = channel_statistics(train_images.images if train_images else _sample(train_set))
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
        cutout_max=size // 2,
        resize=resize,
        resized_crop=areas,
    )
    if train_images is not None:
        return ImageData(info, train_images, decode_all(test_set))
    return ImageData(info, train_set, test_set)


def decode_all(files: StreamSet, indices: NDArray[np.int64] | None = None) -> ImageSet:
    """Decode all images of a set (or those of the indices) into memory."""
    chosen = np.arange(len(files)) if indices is None else indices
    pixels = np.empty((len(chosen), files.channels, files.image_size, files.image_size), dtype=np.uint8)

    def decode(place: int) -> None:
        pixels[place] = files.load(int(chosen[place])).transpose(2, 0, 1)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for _ in pool.map(decode, range(len(chosen))):
            pass
    return ImageSet(torch.from_numpy(pixels), torch.from_numpy(files.label_array[chosen]))


_Sample = tuple[str, int]


def _parts(root: Path, test_portion: float, split_seed: int) -> tuple[list[str], list[_Sample], list[_Sample]]:
    """Return class names, training samples and test samples."""
    test_root = next((root / name for name in _TEST_FOLDERS if (root / name).is_dir()), None)
    if (root / "train").is_dir() and test_root is not None:
        classes, train = _scan(root / "train")
        test_classes, test = _scan(test_root)
        unknown = sorted(set(test_classes) - set(classes))
        if unknown:
            raise DataError(f"{test_root} has classes that {root / 'train'} lacks: {', '.join(unknown[:10])}")
        return classes, train, [(file, classes.index(test_classes[label])) for file, label in test]
    classes, samples = _scan(root / "train" if (root / "train").is_dir() else root)
    labels = np.array([label for _, label in samples], dtype=np.int64)
    first, rest = stratified_split(labels, test_portion, split_seed, "test")
    if len(first) == 0 or len(rest) == 0:
        raise DataError(f"{root}: a test portion of {test_portion} of {len(samples)} images leaves a part empty")
    return classes, [samples[index] for index in rest], [samples[index] for index in first]


def _scan(folder: Path) -> tuple[list[str], list[_Sample]]:
    from torchvision.datasets import ImageFolder

    try:
        found = ImageFolder(str(folder))
    except (FileNotFoundError, NotADirectoryError) as err:
        raise DataError(f"{folder} is not a folder of class folders with images: {err}") from err
    return list(found.classes), [(str(file), int(label)) for file, label in found.samples]


def _stream(samples: list[_Sample], channels: int, size: int, resize: int, areas: bool) -> StreamSet:
    files, labels = [file for file, _ in samples], [label for _, label in samples]
    return StreamSet(files, labels, channels=channels, image_size=size, resize=resize, resized_crop=areas)


def _sample(files: StreamSet) -> torch.Tensor:
    """Decode evenly spaced images, for the statistics."""
    chosen = np.unique(np.linspace(0, len(files) - 1, min(_SAMPLE, len(files))).astype(np.int64))
    return decode_all(files, chosen).images


def _median_side(files: list[str], channels: int) -> int:
    """Return the median short side of up to a hundred images, at most 224."""
    from naslib.data.decode import open_image

    step = max(1, len(files) // 100)
    sides = sorted(min(open_image(file, channels).size) for file in files[::step])
    return min(_USUAL_SIDE, sides[len(sides) // 2])
