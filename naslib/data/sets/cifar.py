"""CIFAR-10 and CIFAR-100."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from naslib.data.image_data import ImageData, ImageSet, joined
from naslib.data.info import DatasetInfo, default_class_names
from naslib.data.reduced import reduced, smaller
from naslib.data.registry import DATASETS
from naslib.data.sets._known import download, first_present, known_info
from naslib.data.sets._pickles import read_batch
from naslib.data.sets.cifar_jpeg import FILE as JPEG_FILE
from naslib.data.sets.cifar_jpeg import load_jpeg
from naslib.data.verify import read_each
from naslib.errors import DataError
from naslib.utils.locations import subfolders

_CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# DARTS' constants
_CIFAR10_MEAN = (0.49139968, 0.48215827, 0.44653124)
_CIFAR10_STD = (0.24703233, 0.24348505, 0.26158768)
_CIFAR100_MEAN = tuple(value / 255 for value in (129.3, 124.1, 112.4))
_CIFAR100_STD = tuple(value / 255 for value in (68.2, 65.4, 70.4))
_CIFAR10_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))


@DATASETS.register("cifar10", "cifar-10")
def load_cifar10(
    data_dir: Path | None, seed: int, train_images: int | None = None, image_size: int | None = None
) -> ImageData:
    """Load CIFAR-10: 50,000 + 10,000 colour 32x32 images, the official split.

    Args:
        data_dir: The folder that holds `cifar-10-batches-py/` (the official files, torchvision's layout), or the
            compact `cifar10_jpeg_full.npz` (lossy), which is decoded once and kept.
        seed: Not used.
        train_images: Size of a stratified share of the training images, for scaled protocols; None keeps all.
        image_size: Side to which images are averaged down; None keeps 32.
    """
    info = known_info("cifar10", 32, _CIFAR10_MEAN, _CIFAR10_STD, _CIFAR10_CLASSES, flip=True)
    folder = first_present(subfolders(data_dir, ("cifar-10-batches-py", "")), (*_CIFAR10_FILES, "test_batch"))
    jpeg = first_present(subfolders(data_dir, ("",)), (JPEG_FILE,))
    if folder is None and jpeg is not None:
        return reduced(ImageData(info, *load_jpeg(jpeg / JPEG_FILE)), train_images, image_size)
    if folder is None:
        root = download(smaller(info, image_size), data_dir, lambda root: _fetch("CIFAR10", root), _by_hand("cifar-10"))
        folder = Path(root) / "cifar-10-batches-py"
    data = ImageData(info, *_read(folder, (*_CIFAR10_FILES, "test_batch"), "labels"))
    return reduced(data, train_images, image_size)


@DATASETS.register("cifar100", "cifar-100")
def load_cifar100(
    data_dir: Path | None, seed: int, train_images: int | None = None, image_size: int | None = None
) -> ImageData:
    """Load CIFAR-100: 50,000 + 10,000 colour 32x32 images of 100 fine classes, the official split.

    Args:
        data_dir: The folder that holds `cifar-100-python/` (the official files, torchvision's layout).
        seed: Not used.
        train_images: Size of a stratified share of the training images, for scaled protocols; None keeps all.
        image_size: Side to which images are averaged down; None keeps 32.
    """
    folder = first_present(subfolders(data_dir, ("cifar-100-python", "")), ("train", "test", "meta"))
    if folder is None:
        info = smaller(_cifar100_info(default_class_names(100)), image_size)
        root = download(info, data_dir, lambda root: _fetch("CIFAR100", root), _by_hand("cifar-100"))
        folder = Path(root) / "cifar-100-python"
    info = _cifar100_info(read_batch(folder / "meta").get("fine_label_names", default_class_names(100)))
    data = ImageData(info, *_read(folder, ("train", "test"), "fine_labels"))
    return reduced(data, train_images, image_size)


def _cifar100_info(names: Sequence[str]) -> DatasetInfo:
    return known_info("cifar100", 32, _CIFAR100_MEAN, _CIFAR100_STD, names, flip=True)


def _by_hand(name: str) -> str:
    return f"Unpack {name}-python.tar.gz (https://www.cs.toronto.edu/~kriz/cifar.html) into <data>"


def _fetch(torchvision_name: str, root: str) -> str:
    import torchvision.datasets

    getattr(torchvision.datasets, torchvision_name)(root, train=True, download=True)
    return root


def _read(folder: Path, files: Sequence[str], key: str) -> tuple[ImageSet, ImageSet]:
    """Return the training part, which all files but the last hold, and the test part."""

    def read(file: str) -> ImageSet:
        batch = read_batch(folder / file)
        data = np.asarray(batch.get("data"))
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3 * 32 * 32 or key not in batch:
            raise DataError(f"{folder / file} is not a batch of CIFAR: expected uint8 data (n, 3072) and {key}")
        labels = torch.from_numpy(np.asarray(batch[key], dtype=np.int64))
        return ImageSet(torch.from_numpy(data.reshape(-1, 3, 32, 32)), labels)

    *train, test = read_each(read, files)
    return joined(train), test
