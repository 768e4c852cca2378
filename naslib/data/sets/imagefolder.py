"""Any folder of images in class folders."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from naslib.data.image_data import ImageData
from naslib.data.image_files import FileOptions, Files, read_files
from naslib.data.image_files import decode_all as decode_all
from naslib.data.info import ImageSize
from naslib.data.labels import check_enough_images, listed, only_in_test
from naslib.data.registry import DATASETS, locate
from naslib.data.sets._class_folders import scan_class_folders
from naslib.data.sets._test_sets import with_test_sets
from naslib.data.splits import TEST_SPLIT_SEED, split_test
from naslib.errors import DataError
from naslib.utils.locations import data_directories

_TEST_FOLDERS = ("test", "val", "valid", "validation")
_logger = logging.getLogger("naslib.data")


@DATASETS.register("imagefolder", "image_folder")
def load_imagefolder(
    data_dir: Path | None,
    seed: int,
    *,
    path: str | None = None,
    image_size: ImageSize | None = None,
    channels: int | None = None,
    in_memory: bool | None = None,
    flip: bool = False,
    resized_crop: bool | None = None,
    test_portion: float = 0.2,
    split_seed: int = TEST_SPLIT_SEED,
    scale: float | None = None,
    skip_corrupt: bool = False,
    test_sets: Mapping[str, str] | None = None,
) -> ImageData:
    """Load a folder of class folders: `train/` and `test/` (or `val/`), or one folder that is split, stratified.

    Args:
        data_dir: The folder itself where no path is given; else where a relative path is looked for.
        seed: Not used: the test split does not depend on the run.
        path: The folder.
        image_size: Side of the images a network sees, or height and width; if None, the size of the images where nine
            of ten have the same one of at most 64 pixels, else a square of their median short side, at most 224,
            rounded to a multiple of 8 where sizes differ.
        channels: 3, or 1 for grey; if None, 1 where all files are grey.
        in_memory: Whether to decode all images once. If None: up to 64x64 pixels and 1 GiB.
        flip: Whether labels survive a horizontal flip.
        resized_crop: Whether training takes random areas of the images (ImageNet's recipe; streamed sets only). If
            None: where images are streamed and larger than 64x64.
        test_portion: Stratified share that becomes the test part where there is no test folder.
        split_seed: Seed of that split.
        scale: The level that is white in grey files of more than 8 bits; pixels are divided by it. If None, 65535 where
            all files are grey and some have 16 bits; 16 bits among files of 8 bits or colours become 8.
        skip_corrupt: Whether files that cannot be read are left out, in place of an error that lists them.
        test_sets: More test sets by name, each a folder, a table or an `.npz` file.

    Raises:
        DatasetMissing: If there is no such folder.
        DataError: If it has no classes, no images, or images that cannot be decoded.
    """
    options = FileOptions(image_size, channels, in_memory, resized_crop, scale, bool(skip_corrupt))
    root = locate(path or data_dir or data_directories()[0], data_dir, "folder of images")
    found = _scan(root)
    labels = np.array([label for _, label in found.samples], dtype=np.int64)
    files = read_files(root.name, [file for file, _ in found.samples], labels, options)
    _check_left(root.name, found, labels, files)
    if found.n_train is None:
        first, second = split_test(labels[files.kept], test_portion, split_seed)
    else:
        is_train = files.kept < found.n_train
        first, second = np.flatnonzero(is_train), np.flatnonzero(~is_train)
    train, test = files.images.take(first), files.images.take(second)
    info = files.info(root.name, train, "classification", found.classes, flip)
    return with_test_sets(ImageData(info, train, test, about=files.about()), test_sets, data_dir, options)


class _Found(NamedTuple):
    """Classes, samples of the training part and then of the test part, and how many are of the first; None: all."""

    classes: list[str]
    samples: list[tuple[str, int]]
    n_train: int | None


def _scan(root: Path) -> _Found:
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
        tests = [(file, classes.index(test_classes[label])) for file, label in test]
        return _Found(classes, train + tests, len(train))
    classes, samples = scan_class_folders(root / "train" if (root / "train").is_dir() else root)
    check_enough_images(root.name, len(classes), len(samples))
    return _Found(classes, samples, None)


def _check_left(name: str, found: _Found, labels: np.ndarray, files: Files) -> None:
    """Raise if a class, or a part, lost all of its files to `skip_corrupt`."""
    if not files.left_out:
        return
    n_train = len(labels) if found.n_train is None else found.n_train
    left = set(labels[files.kept[files.kept < n_train]].tolist())
    empty = [label for index, label in enumerate(found.classes) if index not in left]
    if empty:
        raise DataError(
            f"data set {name!r}: {len(empty)} class(es) have no training image that can be read: {listed(empty)}; "
            "repair their files, or take these class folders away"
        )
