"""CIFAR-10 as one file of JPEGs, decoded once."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.image_data import ImageSet
from naslib.data.locations import is_writable, user_cache
from naslib.errors import DataError
from naslib.utils.files import atomic_write

FILE = "cifar10_jpeg_full.npz"
_KEYS = ("header", "data", "offset", "label", "is_test")
_CACHE_FOLDER = "naslib-cache"
_logger = logging.getLogger("naslib.data")


def load_jpeg(path: Path) -> tuple[ImageSet, ImageSet]:
    """Read the compact file; the decoded pixels are kept beside it, or in the user's cache where that is read-only.

    Args:
        path: The `.npz`: image i is the JPEG `header + data[offset[i]:offset[i + 1]]`, with `label` and `is_test`.

    Returns:
        Training part, test part, each in the order of the file.

    Raises:
        DataError: If the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {key: archive[key] for key in _KEYS}
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as err:
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
    places = [folder / f"cifar10-jpeg-{stamp}.npy" for folder in (path.parent / _CACHE_FOLDER, user_cache())]
    for place in places:
        cached = _read_cache(place, n)
        if cached is not None:
            return torch.from_numpy(cached)
    _logger.info("decoding the %d JPEG images of %s (once)", n, path)
    pixels = _decode_all(path, content, n)
    for place in places if is_writable(path.parent) else places[1:]:
        try:
            atomic_write(place, lambda file: np.lib.format.write_array(file, pixels, allow_pickle=False))
            break
        except OSError as err:
            _logger.debug("not cached at %s: %s", place, err)
    else:
        _logger.warning("the decoded images could not be cached in %s: the next run decodes again", places)
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
    from PIL import Image

    header, data = content["header"].tobytes(), content["data"].tobytes()
    offsets = content["offset"].tolist()
    pixels = np.empty((n, 3, 32, 32), dtype=np.uint8)

    def decode(index: int) -> None:
        stream = io.BytesIO(header + data[offsets[index] : offsets[index + 1]])
        with Image.open(stream) as image:
            pixels[index] = np.asarray(image.convert("RGB")).transpose(2, 0, 1)

    try:
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for _ in pool.map(decode, range(n), chunksize=256):
                pass
    except (OSError, ValueError, SyntaxError) as err:
        raise DataError(f"an image in {path} cannot be decoded: {err}; fetch it again") from err
    return pixels
