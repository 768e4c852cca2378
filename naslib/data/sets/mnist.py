"""MNIST and Fashion-MNIST, from their IDX files, plain or gzipped."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.image_data import ImageData, ImageSet
from naslib.data.info import DatasetInfo
from naslib.data.registry import DATASETS
from naslib.data.sets._known import download, known_info
from naslib.data.verify import read_each
from naslib.errors import DataError
from naslib.utils.locations import subfolders

_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
# Where Debian's package dataset-fashion-mnist puts them.
_DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@DATASETS.register("mnist")
def load_mnist(data_dir: Path | None, seed: int) -> ImageData:
    """Load MNIST: 60,000 + 10,000 grey 28x28 digits, the official split.

    Args:
        data_dir: The folder that holds `MNIST/raw/*-ubyte` (torchvision's layout) or `mnist/*-ubyte[.gz]`.
        seed: Not used.
    """
    info = known_info("mnist", 28, (0.1307,), (0.3081,), [str(digit) for digit in range(10)], flip=False)
    # not the data directory itself: Fashion-MNIST's files have the same names
    folders = subfolders(data_dir, ("MNIST/raw", "MNIST", "mnist", "mnist/raw"))
    return _load(info, data_dir, folders, "MNIST", "Put the four *-ubyte.gz files of MNIST into <data>/mnist")


@DATASETS.register("fashion_mnist", "fashion-mnist", "fashionmnist")
def load_fashion_mnist(data_dir: Path | None, seed: int) -> ImageData:
    """Load Fashion-MNIST: 60,000 + 10,000 grey 28x28 articles of clothing, the official split.

    Args:
        data_dir: The folder that holds `FashionMNIST/raw/*-ubyte` (torchvision's layout) or `*-ubyte[.gz]` itself;
            the folder of Debian's package dataset-fashion-mnist is looked at too.
        seed: Not used.
    """
    info = known_info("fashion_mnist", 28, (0.2860,), (0.3530,), _FASHION_CLASSES, flip=True)
    folders = subfolders(data_dir, ("FashionMNIST/raw", "FashionMNIST", "fashion-mnist", "fashion_mnist", ""))
    by_hand = (
        "Put its four *-ubyte.gz files into <data>/fashion-mnist (on Debian: apt-get install dataset-fashion-mnist)"
    )
    return _load(info, data_dir, [*folders, _DEBIAN_FASHION], "FashionMNIST", by_hand)


def _load(
    info: DatasetInfo,
    data_dir: str | os.PathLike[str] | None,
    folders: Sequence[Path],
    torchvision_name: str,
    by_hand: str,
) -> ImageData:
    found = next((files for files in map(_idx_files, folders) if files), None)
    if found is None:
        root = download(info, data_dir, lambda root: _fetch(torchvision_name, root), by_hand)
        found = _idx_files(Path(root) / torchvision_name / "raw")
    if found is None:
        raise DataError(f"torchvision downloaded {info.name!r}, but its IDX files are not where they should be")
    x_train, y_train, x_test, y_test = map(torch.from_numpy, read_each(read_idx, found))
    return ImageData(
        info, ImageSet(x_train[:, None], y_train.to(torch.int64)), ImageSet(x_test[:, None], y_test.to(torch.int64))
    )


def _fetch(torchvision_name: str, root: str) -> str:
    import torchvision.datasets

    getattr(torchvision.datasets, torchvision_name)(root, train=True, download=True)
    return root


def _idx_files(folder: Path) -> list[Path] | None:
    """Return the four files of a folder, plain ones first; None if one is missing."""
    found = []
    for name in _FILES:
        file = next((file for file in (folder / name, folder / f"{name}.gz") if file.is_file()), None)
        if file is None:
            return None
        found.append(file)
    return found


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, gzipped if its name ends in `.gz`.

    Raises:
        DataError: If it is damaged or holds something else.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as err:
        raise DataError(f"cannot read {path}: {err}; fetch it again") from err
    # two zero bytes, the type (8 is unsigned byte), the number of axes, their sizes as big-endian 32-bit integers
    if len(content) < 4 or content[:3] != b"\x00\x00\x08":
        raise DataError(f"{path} is not an IDX file of bytes")
    axes = content[3]
    start = 4 + 4 * axes
    if len(content) < start:
        raise DataError(f"{path} is truncated: {len(content)} bytes")
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], dtype=">u4"))
    if len(content) - start != int(np.prod(shape)):
        raise DataError(f"{path} is truncated: {len(content) - start} bytes for an array of shape {shape}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape).copy()
