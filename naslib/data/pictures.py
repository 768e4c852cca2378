"""Anything that holds pictures into a tensor of pixels."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from naslib.data.decode import open_as_it_is, open_image, to_bytes
from naslib.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

# Pillow's integer weights of red, green and blue in grey (ITU-R 601), in 65536ths.
_LUMA = (19595, 38470, 7471)
# Floats may leave 0..1 by half a grey level, as resampled images do.
_SLACK = 0.5 / 255
_CHANNEL_COUNTS = (1, 3, 4)
# A level that was divided by 255 in single precision and multiplied again is as near as this to itself.
_EXACT = 1e-4
# The scale of images of 8 bits.
BYTE = 255.0


def read_pixels(
    image: Any, channels: int, decode: Callable[[Image], NDArray[Any]], bytes_only: bool = True, deep: float = 0.0
) -> Tensor:
    """Return pictures as pixels: integers 0..255 or floats 0..1.

    Args:
        image: What `Preprocess` takes, but no list.
        channels: What the network sees; arrays are converted, tensors are not.
        decode: Turns a PIL image into `(h, w, c)`.
        bytes_only: Whether other values are refused; False takes any that are finite.
        deep: The level that is white in files of more than 8 bits, and in arrays of uint16; see `open_image`.

    Returns:
        `(n, c, h, w)`.

    Raises:
        DataError: If it is nothing of the kind.
    """
    if isinstance(image, str | os.PathLike):
        image = open_image(Path(image), channels, deep) if bytes_only else open_as_it_is(Path(image))
    if isinstance(image, np.ndarray):
        if deep and image.dtype == np.uint16:  # what files of 16 bits hold
            image = to_bytes(image, deep, "an array of uint16")
        return _from_array(image, channels, bytes_only)
    if isinstance(image, Tensor):
        if deep and image.dtype == torch.uint16:
            image = torch.from_numpy(to_bytes(image.cpu().numpy(), deep, "a tensor of uint16"))
        return _checked(_with_batch(image), bytes_only)
    if not callable(getattr(image, "convert", None)):
        raise DataError(
            "expected an image (PIL image, array, tensor or the path of a file) or a list of images, got "
            f"{type(image).__name__}"
        )
    return torch.from_numpy(np.array(decode(image))).permute(2, 0, 1)[None]


def _from_array(array: NDArray[np.generic], channels: int, bytes_only: bool) -> Tensor:
    pixels = _checked(torch.from_numpy(_as_plain(_to_nchw(array, channels))), bytes_only)
    if channels not in (1, 3):
        return pixels
    if pixels.shape[1] == 4:  # opacity, which Pillow's conversion drops too
        pixels = pixels[:, :3]
    if pixels.shape[1] == channels:
        return pixels
    if channels == 3:
        return pixels.expand(-1, 3, -1, -1)
    if bytes_only and pixels.is_floating_point() and are_levels(pixels * BYTE):  # as the same picture of bytes
        return _to_grey((pixels * BYTE).round().to(torch.int64)).to(pixels.dtype) / BYTE
    return _to_grey(pixels)


def are_levels(pixels: Tensor) -> bool:
    """Return whether floats are levels of 8 bits, as those of a picture divided by 255 and multiplied again.

    Pixels of any shape.
    """
    return not pixels.requires_grad and bool(((pixels - pixels.round()).abs() < _EXACT).all())


def _to_nchw(array: NDArray[np.generic], channels: int) -> NDArray[np.generic]:
    """Return an array of pictures as `(n, c, h, w)`, c in 1, 3, 4, or what the network sees where that is another."""
    shape = array.shape
    if channels not in (1, 3):
        return _to_nchw_of(array, channels)
    if array.ndim == 2:
        return array[None, None]
    if array.ndim == 3 and shape[2] in _CHANNEL_COUNTS:
        return array.transpose(2, 0, 1)[None]
    if array.ndim == 3 and channels == 1:
        return array[:, None]
    if array.ndim == 3 and shape[0] in _CHANNEL_COUNTS:
        return array[None]
    if array.ndim == 4 and shape[3] in _CHANNEL_COUNTS:
        return array.transpose(0, 3, 1, 2)
    if array.ndim == 4 and shape[1] in _CHANNEL_COUNTS:
        return array
    raise DataError(
        f"expected an array (h, w), (h, w, c), (c, h, w), (n, h, w, c) or (n, c, h, w) with 1, 3 or 4 channels, got "
        f"shape {shape}"
    )


def _to_nchw_of(array: NDArray[np.generic], channels: int) -> NDArray[np.generic]:
    """Return an array of pictures of a number of channels that no picture file has."""
    if array.ndim == 3:
        array = array[None]
    if array.ndim == 4 and array.shape[1] == channels:
        return array
    if array.ndim == 4 and array.shape[3] == channels:
        return array.transpose(0, 3, 1, 2)
    raise DataError(
        f"expected an array (h, w, c), (c, h, w), (n, h, w, c) or (n, c, h, w) with the network's {channels} channels, "
        f"got shape {array.shape}"
    )


def _as_plain(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return a copy of a type that torch has, contiguous and in this machine's byte order."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind not in "biuf":
        raise DataError(f"images must hold numbers, got an array of dtype {array.dtype}")
    plain = {"b": np.bool_, "i": np.int64, "u": np.uint8 if size == 1 else np.int64, "f": np.float32}[kind]
    return np.array(array, dtype=np.float64 if kind == "f" and size > 4 else plain, order="C")


def _with_batch(image: Tensor) -> Tensor:
    """Return a tensor `(h, w)`, `(c, h, w)` or `(n, c, h, w)` with all four axes; others as they are."""
    return image[None, None] if image.ndim == 2 else image[None] if image.ndim == 3 else image


def _checked(pixels: Tensor, bytes_only: bool) -> Tensor:
    """Return pixels whose values mean what they should; booleans become black and white."""
    if pixels.dtype == torch.bool:
        return pixels.to(torch.uint8) * (255 if bytes_only else 1)
    if 0 in pixels.shape[1:]:
        raise DataError(f"images must have pixels, got shape {tuple(pixels.shape)}")
    if pixels.dtype == torch.uint8 or len(pixels) == 0:
        return pixels
    if pixels.is_complex() or pixels.layout != torch.strided:
        raise DataError(f"images must be dense and hold numbers, got a {pixels.layout} tensor of {pixels.dtype}")
    if not pixels.is_floating_point():
        pixels = pixels.to(torch.int64)  # torch has little arithmetic for wide unsigned types
    low, high = (float(value) for value in pixels.detach().aminmax())
    if not bytes_only:
        if not (-float("inf") < low and high < float("inf")):  # also refuses NaN
            raise DataError(f"images must be finite, found {low:g}..{high:g}")
        return pixels
    if pixels.is_floating_point() and not (low >= -_SLACK and high <= 1 + _SLACK):  # also refuses NaN
        raise DataError(
            f"images of floats must lie in 0..1, found {low:g}..{high:g}: divide grey levels by 255, or give integers; "
            "normalised images go to the network itself, network(x)"
        )
    if not pixels.is_floating_point() and not (low >= 0 and high <= 255):
        raise DataError(f"images of integers must lie in 0..255, found {low:g}..{high:g}")
    return pixels


def _to_grey(pixels: Tensor) -> Tensor:
    """Return `(n, 1, h, w)` of colours, with Pillow's weights and, for integers, its rounding."""
    red, green, blue = (pixels if pixels.is_floating_point() else pixels.to(torch.int64)).split(1, dim=1)
    weighted = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    return weighted / 65536 if pixels.is_floating_point() else (weighted + 0x8000) >> 16
