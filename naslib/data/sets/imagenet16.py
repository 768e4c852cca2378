"""ImageNet16-120: the first 120 classes of ImageNet at 16x16 pixels, as NAS-Bench-201 uses them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from naslib.data.image_data import ImageData, ImageSet, joined
from naslib.data.info import default_class_names
from naslib.data.registry import DATASETS
from naslib.data.sets._known import first_present, known_info, not_downloadable
from naslib.data.sets._pickles import read_batch
from naslib.data.verify import read_each
from naslib.errors import DataError
from naslib.utils.locations import subfolders

_CLASSES = 120
_SIZE = 16
_TRAIN = tuple(f"train_data_batch_{number}" for number in range(1, 11))
_TEST = ("val_data",)
# NAS-Bench-201's constants
_MEAN = tuple(value / 255 for value in (122.68, 116.66, 104.01))
_STD = tuple(value / 255 for value in (63.22, 61.26, 65.09))


@DATASETS.register("imagenet16-120", "imagenet16_120", "imagenet16")
def load_imagenet16(data_dir: Path | None, seed: int) -> ImageData:
    """Load ImageNet16-120: 151,700 training images; the 6,000 validation images are the test part.

    Args:
        data_dir: The folder that holds the official `train_data_batch_1` ... `10` and `val_data`, or `ImageNet16/` with
            them.
        seed: Not used.
    """
    folders = subfolders(data_dir, ("", "ImageNet16", "ImageNet16-120", "imagenet16", "imagenet16-120"))
    folder = first_present(folders, (*_TRAIN, *_TEST))
    if folder is None:
        raise not_downloadable(
            "ImageNet16-120",
            data_dir,
            "Download the 16x16 ImageNet batches (train_data_batch_1 to 10 and val_data, from image-net.org after "
            "registration, or from the NAS-Bench-201 page) into <data>/ImageNet16",
        )
    info = known_info("ImageNet16-120", _SIZE, _MEAN, _STD, default_class_names(_CLASSES), flip=True)
    *train, test = read_each(_read, [folder / file for file in (*_TRAIN, *_TEST)])
    return ImageData(info, joined(train), test)


def _read(path: Path) -> ImageSet:
    """Read a batch and keep the first 120 classes; the files count classes from 1."""
    batch = read_batch(path)
    try:
        data, classes = np.asarray(batch["data"]), np.asarray(batch["labels"], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as err:
        raise DataError(f"{path} is not a batch of ImageNet16: it lacks data and labels") from err
    if data.dtype != np.uint8 or data.shape != (len(classes), 3 * _SIZE * _SIZE):
        raise DataError(f"{path}: expected uint8 ({len(classes)}, {3 * _SIZE * _SIZE}), got {data.dtype} {data.shape}")
    keep = (classes >= 1) & (classes <= _CLASSES)
    return ImageSet(torch.from_numpy(data[keep].reshape(-1, 3, _SIZE, _SIZE)), torch.from_numpy(classes[keep] - 1))
