"""Files of masks: a class for each pixel, cut as the image that goes with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslib.data.decode import covering, open_as_it_is
from naslib.data.headers import read_header
from naslib.data.info import ImageSize, height_and_width
from naslib.data.verify import attempt_all
from naslib.errors import DataError

_logger = logging.getLogger("naslib.data")
# What image editors write for "yes" where a mask has two classes.
_YES = 255
_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")


def read_mask_files(
    name: str, paths: Sequence[str], images: Sequence[str], size: ImageSize
) -> tuple[NDArray[np.int64], dict[int, DataError]]:
    """Return the masks that go with images, resized without mixing classes and cut as they are, and the errors.

    Numbers are those in the files: levels of grey, or places in a palette. Where all files hold 0 and 255 alone, which
    are no and yes, 255 becomes 1.

    Args:
        name: The data set, for messages.
        paths: The masks.
        images: The image that each goes with, of the same size.
        size: Of the images a network sees.

    Returns:
        `(n, h, w)` class numbers (0 where a mask cannot be read), and what is wrong with those by number.
    """
    masks = np.zeros((len(paths), *height_and_width(size)), dtype=np.int64)

    def read(index: int) -> None:
        masks[index] = _read(paths[index], images[index], size)

    errors = attempt_all(read, len(paths))
    if set(np.unique(masks).tolist()) == {0, _YES}:
        _logger.info("data set %r: its masks hold 0 and %d alone, which are taken as 0 and 1", name, _YES)
        masks[masks == _YES] = 1
    return masks, errors


def _read(path: str, image: str, size: ImageSize) -> NDArray[Any]:
    from PIL import Image as pil
    from PIL.Image import Resampling

    mask = open_as_it_is(path)
    if mask.mode not in _MODES:
        raise DataError(
            f"the mask {path} has pixels of mode {mask.mode}, expected one class number for each: grey levels"
        )
    header = read_header(image)
    if mask.size != (header.width, header.height):
        raise DataError(
            f"the mask {path} has {mask.size[1]}x{mask.size[0]} pixels, its image {image} has "
            f"{header.height}x{header.width}"
        )
    height, width = height_and_width(size)
    target = covering((header.height, header.width), min(height, width), size)
    numbers = pil.fromarray(np.asarray(mask).astype(np.int32))
    if target != (header.height, header.width):
        numbers = numbers.resize((target[1], target[0]), Resampling.NEAREST)
    top, left = (target[0] - height) // 2, (target[1] - width) // 2
    return np.asarray(numbers)[top : top + height, left : left + width]
