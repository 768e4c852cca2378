"""CIFAR-10 as one file of JPEGs, decoded once."""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.image_data import ImageSet
from naslib.data.verify import read_all
from naslib.errors import DataError
from naslib.utils.files import atomic_write
from naslib.utils.locations import user_cache

FILE = "cifar10_jpeg_full.npz"
_KEYS = ("header", "data", "offset", "label", "is_test")
# Beside the file, where earlier versions wrote; still read.
_OLD_CACHE_FOLDER = "naslib-cache"
_logger = logging.getLogger("naslib.data")


def load_jpeg(path: Path) -> tuple[ImageSet, ImageSet]:
    """Read the compact file; the decoded pixels are kept in the user's cache.

    Args:
        path: The `.npz`: image i is the JPEG `header + data[offset[i]:offset[i + 1]]`, with `label` and `is_test`.

    Returns:
        Training part, test part, each in the order of the file.

    Raises:
        DataError: If the file is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            content = {key: archive[key] for key in _KEYS}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as err:
        raise DataError(f"cannot read {path}: {err}; fetch it again") from err
    n = len(content["label"])
    if content["offset"].shape != (n + 1,) or content["is_test"].shape != (n,):
        raise DataError(f"{path} is damaged: {n} labels, but offsets of shape {content['offset'].shape}")
    images = _decoded(path, content, n)
    labels = torch.from_numpy(content["label"].astype(np.int64))
    is_test = torch.from_numpy(content["is_test"].astype(bool))
    return ImageSet(images[~is_test], labels[~is_test]), ImageSet(images[is_test], labels[is_test])


def _decoded(path: Path, content: Mapping[str, NDArray[Any]], n: int) -> torch.Tensor:
    """Return all images `(n, 3, 32, 32)`, from the cache where it has them."""
    state = path.stat()
    stamp = hashlib.sha256(f"{path.resolve()}:{state.st_size}:{state.st_mtime_ns}".encode()).hexdigest()[:12]
    places = [folder / f"cifar10-jpeg-{stamp}.npy" for folder in (user_cache(), path.parent / _OLD_CACHE_FOLDER)]
    for place in places:
        cached = _read_cache(place, n)
        if cached is not None:
            return torch.from_numpy(cached)
    _logger.info("decoding the %d JPEG images of %s (once)", n, path)
    pixels = _decode_all(path, content, n)
    try:
        atomic_write(places[0], lambda file: np.lib.format.write_array(file, pixels, allow_pickle=False))
    except OSError as err:
        _logger.warning(
            "the decoded images could not be kept in %s (%s), so the next run decodes again; NASLIB_CACHE names "
            "another folder", places[0].parent, err,
        )  # fmt: skip
    return torch.from_numpy(pixels)


def _read_cache(place: Path, n: int) -> NDArray[np.uint8] | None:
    try:
        cached = np.load(place, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as err:
        _logger.warning("the cache %s is damaged (%s): decoding again", place, err)
        return None
    return cached if cached.dtype == np.uint8 and cached.shape == (n, 3, 32, 32) else None


def _decode_all(path: Path, content: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.uint8]:
    from PIL import Image, UnidentifiedImageError

    header, data = content["header"].tobytes(), content["data"].tobytes()
    offsets = content["offset"].tolist()
    pixels = np.empty((n, 3, 32, 32), dtype=np.uint8)

    def decode(index: int) -> None:
        stream = io.BytesIO(header + data[offsets[index] : offsets[index + 1]])
        try:
            with Image.open(stream) as image:
                pixels[index] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
        except Exception as err:  # see open_image
            reason = "it is no image" if isinstance(err, UnidentifiedImageError) else err
            raise DataError(f"image {index} in {path} cannot be decoded: {reason}; fetch it again") from err

    read_all(decode, n, f"images in {path}")
    return pixels
