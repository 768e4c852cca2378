"""Image files to arrays: upright, of one number of channels and one scale."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from naslib.data.arrays import to_uint8
from naslib.data.info import ImageSize, height_and_width
from naslib.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image


def open_image(path: Path | str, channels: int, deep: float = 0.0) -> Image:
    """Read an image file as grey or colour of 8 bits, upright as its EXIF orientation says.

    Args:
        path: The file.
        channels: 1 or 3.
        deep: See `to_channels`.

    Raises:
        DataError: If it cannot be decoded; the message names the file.
    """
    from PIL import Image as pil

    try:
        with pil.open(path) as image:
            return to_channels(image, channels, deep)
    except Exception as err:  # damaged bytes make decoders raise anything: OSError, SyntaxError, struct.error ...
        raise unreadable(path, err) from err


def open_levels(path: Path | str, scale: float) -> Image:
    """Read an image file as grey with all its bits, mode "F", upright.

    Args:
        path: The file.
        scale: The level that is white; pictures of 8 bits, whose white is 255, are brought to it.

    Raises:
        DataError: If it cannot be decoded; the message names the file.
    """
    return to_levels(open_as_it_is(path), scale)


def to_levels(image: Image, scale: float) -> Image:
    """Return an image as grey with all its bits, mode "F".

    Args:
        image: Of any mode; what has more than 8 bits keeps its numbers.
        scale: The level that is white; pictures of 8 bits, whose white is 255, are brought to it.
    """
    from PIL import Image as pil

    if is_deep(image.mode):
        return pil.fromarray(np.asarray(image).astype(np.float32))
    grey = np.asarray(_without_palette(image).convert("L"), dtype=np.float32)
    return pil.fromarray(grey * np.float32(scale / 255))


def open_as_it_is(path: Path | str) -> Image:
    """Read an image file with all its bits, upright.

    Raises:
        DataError: If it cannot be decoded; the message names the file.
    """
    from PIL import Image as pil

    try:
        with pil.open(path) as image:
            image.load()
            return upright(image).copy()
    except Exception as err:
        raise unreadable(path, err) from err


def to_channels(image: Image, channels: int, deep: float = 0.0) -> Image:
    """Return an image as grey or colour of 8 bits, upright. Opacity is dropped.

    Args:
        image: Of any mode.
        channels: 1 or 3.
        deep: The level of integers of more than 8 bits that is white, 65535 for 16 bits; 0 where that is not known.

    Raises:
        DataError: If it has more than 8 bits and levels above what is white (255 where that is not known), or floats
            outside [0, 1]: Pillow would cut them off.
    """
    from PIL import Image as pil

    image = upright(image)
    if is_deep(image.mode):
        levels, what = np.asarray(image), f"an image of mode {image.mode!r}"
        if deep and levels.dtype.kind != "f":
            image = pil.fromarray(to_bytes(levels, deep, what))
        else:
            image = pil.fromarray(to_uint8(levels, what))
    return _without_palette(image).convert("L" if channels == 1 else "RGB")


def to_bytes(levels: NDArray[Any], deep: float, what: str) -> NDArray[np.uint8]:
    """Return integers of more than 8 bits as bytes, by the level that is white.

    Args:
        levels: Of any shape.
        deep: The level that becomes 255.
        what: What they are, for messages.

    Raises:
        DataError: If they are negative, or larger than that.
    """
    low, high = (int(levels.min()), int(levels.max())) if levels.size else (0, 0)
    if low < 0 or high > deep:
        raise DataError(f"{what} must lie in 0..{deep:g}, found {low}..{high}; say which level is white: scale")
    return np.rint(levels * (255.0 / deep)).astype(np.uint8)


def is_deep(mode: str) -> bool:
    """Return whether a Pillow mode has more than 8 bits: `F`, `I`, `I;16` ..."""
    return mode[0] in "FI"


def upright(image: Image) -> Image:
    """Return an image turned as its EXIF orientation says; the image itself where that says nothing."""
    from PIL import ImageOps

    return ImageOps.exif_transpose(image)


def _without_palette(image: Image) -> Image:
    """Return an image of a palette with opacity as colours; others as they are."""
    return image.convert("RGBA") if image.mode in ("P", "PA") and "transparency" in image.info else image


def unreadable(path: Path | str, err: Exception) -> DataError:
    """Return the error for an image file that could not be decoded: there is none, it is empty, cut off ..."""
    try:
        is_file, is_empty = Path(path).is_file(), Path(path).stat().st_size == 0
    except (OSError, ValueError):  # also of a name that no file can have
        is_file = is_empty = False
    if not is_file:
        return DataError(f"cannot read the image {path}: there is no such file")
    reason = str(err) or type(err).__name__
    if is_empty:
        reason = "it is empty (0 bytes)"
    elif str(path) in reason:  # Pillow's message for a file that is no image names it a second time
        reason = "it is no image that Pillow knows"
    return DataError(f"cannot read the image {path}: {reason}; remove or repair it")


def centre_crop(image: Image, resize: int, size: ImageSize) -> Image:
    """Resize an image (bilinear, antialiased) so that it just covers a box, then cut the centre of a size.

    Args:
        image: The image.
        resize: The shorter side of the box, which has the proportions of `size`.
        size: Side, or height and width, of the result.
    """
    from PIL.Image import Resampling

    target = covering(image.size[::-1], resize, size)
    if target != image.size[::-1]:
        image = image.resize((target[1], target[0]), Resampling.BILINEAR)
    height, width = height_and_width(size)
    left, top = (target[1] - width) // 2, (target[0] - height) // 2
    return image.crop((left, top, left + width, top + height))


def covering(given: tuple[int, int], resize: int, size: ImageSize) -> tuple[int, int]:
    """Return height and width to which an image is resized, its proportions kept, so that it just covers a box.

    Args:
        given: Height and width of the image.
        resize: The shorter side of the box.
        size: What has the proportions of the box; square ones make `resize` the short side of the image.
    """
    height, width = given
    sides = height_and_width(size)
    box_height, box_width = (max(side, round(side * resize / min(sides))) for side in sides)
    if box_height * width >= box_width * height:  # the height decides
        return box_height, max(box_width, round(width * box_height / height))
    return max(box_height, round(height * box_width / width)), box_width


def resized_crop(image: Image, size: ImageSize, draws: NDArray[np.float64]) -> Image:
    """Cut a random area (8-100 % of the image, aspect 3/4 to 4/3 times that of `size`) and resize it.

    Args:
        image: The raw image.
        size: Side, or height and width, of the result.
        draws: `(4, tries)` uniforms: area, aspect, top, left. Where no try fits the image, the centre is taken.
    """
    from PIL.Image import Resampling

    width, height = image.size
    out = height_and_width(size)
    for area, aspect, top_share, left_share in draws.T:
        target = width * height * (0.08 + 0.92 * area)
        ratio = float(np.exp(np.log(3 / 4) + aspect * (np.log(4 / 3) - np.log(3 / 4)))) * out[1] / out[0]
        w, h = round((target * ratio) ** 0.5), round((target / ratio) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            left, top = int(left_share * (width - w + 1)), int(top_share * (height - h + 1))
            return image.resize((out[1], out[0]), Resampling.BILINEAR, box=(left, top, left + w, top + h))
    return centre_crop(image, min(out), size)


def to_array(image: Image) -> NDArray[Any]:
    """Return a grey or colour image as `(h, w, c)` uint8; float32 for one of mode "F"."""
    array = np.asarray(image, dtype=np.float32 if image.mode == "F" else np.uint8)
    return array[:, :, None] if array.ndim == 2 else array
