"""SVHN, street view house numbers, cropped digits."""

from __future__ import annotations

from pathlib import Path

import torch

from naslib.data.image_data import ImageData, ImageSet
from naslib.data.registry import DATASETS
from naslib.data.sets._known import download, first_present, known_info
from naslib.data.verify import read_each
from naslib.errors import DataError
from naslib.utils.locations import subfolders

_MEAN = (0.4377, 0.4438, 0.4728)
_STD = (0.1980, 0.2010, 0.1970)


@DATASETS.register("svhn")
def load_svhn(data_dir: Path | None, seed: int) -> ImageData:
    """Load SVHN: 73,257 + 26,032 colour 32x32 digits, the official split (without the extra images). No flips.

    Args:
        data_dir: The folder that holds `train_32x32.mat` and `test_32x32.mat`, or `svhn/` with them.
        seed: Not used.
    """
    info = known_info("svhn", 32, _MEAN, _STD, [str(digit) for digit in range(10)], flip=False)
    folders = subfolders(data_dir, ("", "svhn", "SVHN"))
    folder = first_present(folders, ("train_32x32.mat", "test_32x32.mat"))
    if folder is None:
        by_hand = "Put train_32x32.mat and test_32x32.mat (http://ufldl.stanford.edu/housenumbers) into <data>"
        folder = Path(download(info, data_dir, _fetch, by_hand))
    return ImageData(info, *read_each(_read, [folder / "train_32x32.mat", folder / "test_32x32.mat"]))


def _fetch(root: str) -> str:
    import torchvision.datasets

    for split in ("train", "test"):
        torchvision.datasets.SVHN(root, split=split, download=True)
    return root


def _read(path: Path) -> ImageSet:
    """Read a MATLAB file of X `(32, 32, 3, n)` and y, where the digit 0 has the label 10."""
    from scipy.io import loadmat

    try:
        content = loadmat(path)
        images, labels = content["X"], content["y"].reshape(-1)
    except Exception as err:  # damaged files raise anything: MatReadError, zlib.error, struct.error ...
        raise DataError(f"cannot read {path}: {err!r}; fetch it again") from err
    digits = torch.from_numpy(labels.astype("int64")) % 10
    return ImageSet(torch.from_numpy(images.transpose(3, 2, 0, 1).copy()), digits)
