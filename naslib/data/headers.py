"""Headers of image files, and what is chosen by them: size, channels, the level that is white."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from naslib.data.decode import is_deep, unreadable
from naslib.data.info import ImageSize, height_and_width, plain_size, size_text
from naslib.errors import DataError

_logger = logging.getLogger("naslib.data")
# Larger images are streamed; the usual side of a network's input where images are larger still.
LARGEST_IN_MEMORY = 64
_USUAL_SIDE = 224
# Sides that are chosen from files of several sizes are multiples of this, from four times it on.
_STEP = 8
# Which share of the files must have one size for it to be that of all.
_NEARLY_ALL = 0.9
_BYTE = 255.0
# White in files of 16 bits.
WHITE_16 = 65535.0
# Which share of a picture may be cut off by a square without a word.
_SEEN = 0.6
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_THREADS, _CHUNK = 8, 256


class Header(NamedTuple):
    """What the header of an image file says.

    Attributes:
        height: In pixels, of the upright picture.
        width: Likewise.
        mode: Pillow's word for its pixels: `L`, `RGB`, `I;16` ...
    """

    height: int
    width: int
    mode: str

    @property
    def is_grey(self) -> bool:
        """Whether it has no colours (a palette counts as colours)."""
        return self.mode in ("1", "L", "LA", "La") or is_deep(self.mode)


class ImageKind(NamedTuple):
    """How the files of a data set become images of one kind.

    Attributes:
        size: Of the images a network sees.
        channels: 1 or 3.
        scale: The level that is white in what is stored: 255 for 8 bits.
        deep: The level that is white in files of more than 8 bits that are stored as 8 bits; 0 where there are none.
    """

    size: ImageSize
    channels: int
    scale: float
    deep: float


def read_header(path: str) -> Header:
    """Return what the header of a file says.

    Raises:
        DataError: If it has none that can be read; the message names the file.
    """
    from PIL import Image as pil

    try:
        with pil.open(path) as image:
            width, height = image.size
            # of a PNG only what stands before the pixels is asked for, as the rest would be decoded
            # and Pillow turns a TIFF, and its size, itself
            asks = "exif" in image.info if image.format == "PNG" else image.format != "TIFF"
            exif = image.getexif() if asks else {}
            turned = exif.get(_ORIENTATION) in _TURNED
            return Header(*((width, height) if turned else (height, width)), image.mode)
    except Exception as err:
        raise unreadable(path, err) from err


def read_headers(paths: Sequence[str]) -> tuple[list[Header | None], dict[int, DataError]]:
    """Return the header of each file, None where it cannot be read, and the errors of those by number."""
    found: list[Header | None] = [None] * len(paths)
    errors: dict[int, DataError] = {}

    def read(start: int) -> None:
        for index in range(start, min(start + _CHUNK, len(paths))):
            try:
                found[index] = read_header(paths[index])
            except DataError as error:
                errors[index] = error

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(read, range(0, len(paths), _CHUNK)))
    return found, errors


def choose(
    headers: Sequence[Header],
    image_size: ImageSize | Sequence[int] | None = None,
    channels: int | None = None,
    scale: float | None = None,
) -> ImageKind:
    """Choose what nobody said.

    * Size: that of the files where at least nine of ten have the same one, of at most 64 pixels a side; else a square
      of the median of their shorter sides, which is rounded to a multiple of 8 from 32 pixels on where the files have
      several sizes, and at most 224.
    * Channels: 1 where all files are grey, else 3.
    * Scale: 65535 where all files are grey and at least one has 16 bits (those of 8 bits are brought to it); 1 where
      all are of floats; else 255, to which files of more bits are brought.

    Args:
        headers: Of all files, at least one.
        image_size: The size that was said, None for none.
        channels: Likewise.
        scale: Likewise.

    Raises:
        DataError: If the size that was said is none.
    """
    size = plain_size(_usual_size(headers) if image_size is None else image_size)
    chosen = channels or (1 if all(header.is_grey for header in headers) else 3)
    kinds = {_depth(header.mode) for header in headers}
    if scale is not None:
        return ImageKind(size, chosen, float(scale), 0.0)
    if chosen == 1 and all(header.is_grey for header in headers):
        if kinds == {"float"}:
            return ImageKind(size, chosen, 1.0, 0.0)
        if "deep" in kinds and "float" not in kinds:
            return ImageKind(size, chosen, WHITE_16, 0.0)
    return ImageKind(size, chosen, _BYTE, WHITE_16 if "deep" in kinds else 0.0)


def _depth(mode: str) -> str:
    return "byte" if not is_deep(mode) else "float" if mode[0] == "F" else "deep"


def _usual_size(headers: Sequence[Header]) -> ImageSize:
    counts = Counter((header.height, header.width) for header in headers)
    (size, count), *others = counts.most_common(2)
    if max(size) <= LARGEST_IN_MEMORY and count >= _NEARLY_ALL * len(headers):
        return size
    median = sorted(min(header.height, header.width) for header in headers)[len(headers) // 2]
    if others and median >= 4 * _STEP:
        median = round(median / _STEP) * _STEP
    return min(_USUAL_SIDE, median)


def say_choice(name: str, headers: Sequence[Header], choice: ImageKind, said: Sequence[str]) -> None:
    """Log what was chosen, and warn where much of the pictures is cut off.

    Args:
        name: The data set.
        headers: Of all its files.
        choice: What is done with them.
        said: Which of `image_size`, `channels`, `scale` were not chosen but given.
    """
    sizes = sorted({(header.height, header.width) for header in headers}, key=lambda size: size[0] * size[1])
    span = size_text(sizes[0]) + (f" to {size_text(sizes[-1])}" if len(sizes) > 1 else "")
    parts = [f"{len(headers)} image files of {span} pixels"]
    for key, text in (
        ("image_size", f"image_size {size_text(choice.size)}"),
        ("channels", f"channels {choice.channels} ({_colours(headers)})"),
        ("scale", f"white is {choice.scale:g}{_bits(headers, choice)}"),
    ):
        if key != "scale" or choice.scale != _BYTE or choice.deep:
            parts.append(f"{text}{'' if key in said else ' was chosen'}")
    _logger.info("data set %r: %s", name, "; ".join(parts))
    seen = float(np.median([_share_seen(header, choice.size) for header in headers]))
    if seen < _SEEN:
        _logger.warning(
            "data set %r: images of %s pixels show %.0f %% of a picture, what is left and right, or above and below, "
            "is cut off; image_size: [height, width] of other proportions keeps it",
            name, size_text(choice.size), 100 * seen,
        )  # fmt: skip


def _colours(headers: Sequence[Header]) -> str:
    coloured = sum(not header.is_grey for header in headers)
    return "all files are grey" if not coloured else f"{coloured} of {len(headers)} files have colours"


def _bits(headers: Sequence[Header], choice: ImageKind) -> str:
    deep = sum(_depth(header.mode) == "deep" for header in headers)
    if choice.deep:
        return f" ({deep} of {len(headers)} files have 16 bits, which become 8: divided by {choice.deep / _BYTE:g})"
    return f" ({deep} of {len(headers)} files have 16 bits)" if deep else ""


def _share_seen(header: Header, size: ImageSize) -> float:
    """Return which share of a picture is left when it is cut to the proportions of a size."""
    height, width = height_and_width(size)
    ratio = (header.width / header.height) / (width / height)
    return min(ratio, 1 / ratio)
