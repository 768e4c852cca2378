"""Users' arrays into images of one numeric type and one scale, with an error for everything that is none."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.errors import DataError

Layout: TypeAlias = Literal["nchw", "nhwc"]

_logger = logging.getLogger("naslib.data")
_BYTE = 255.0
# Floats that are grey levels / 255 are so to the rounding of float32.
_ON_GRID = 1e-4
# Integers up to here are exact as int32; wider ones are kept as float32.
_INT32 = 2**31


class Images(NamedTuple):
    """Hold images of several parts of a data set, and what their pixels are divided by.

    Attributes:
        parts: `(n, c, h, w)` uint8, int32 or float32, the same type for all.
        scale: 255 for bytes, the largest value of other integer types, 1 for floats, or what the user said.
    """

    parts: list[Tensor]
    scale: float


def as_array(x: ArrayLike | Tensor, what: str) -> NDArray[Any]:
    """Return anything array-like as an array.

    Of any shape, which stays.

    Raises:
        DataError: If it is ragged.
    """
    if isinstance(x, Tensor):
        values = x.detach().cpu()
        return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())
    try:
        return np.asarray(x)
    except ValueError as err:
        raise DataError(f"{what} must be an array, one entry for each image: {err}") from err


def to_images(
    given: Sequence[tuple[str, ArrayLike | Tensor]],
    name: str,
    scale: float | None = None,
    layout: Layout | None = None,
) -> Images:
    """Return images of any size, number of channels and numeric type as tensors with one scale.

    * uint8, booleans, integers that all lie in 0..255, and floats that are such levels / 255 are bytes, scale 255.
    * Other integers keep their values; the scale is the largest value of their type (65535 for uint16).
    * Other floats are taken as they are, scale 1.

    Args:
        given: Name and array of each part of a data set: `(n, h, w)`, `(n, c, h, w)` or `(n, h, w, c)`.
        name: The data set, for messages.
        scale: By what pixels are divided, in place of the rules above.
        layout: Where the channels of arrays with four axes are; None finds out: an axis of 1 or 3, else the shorter.

    Raises:
        DataError: If shapes, types or values are something else.
    """
    arrays = [_checked(to_nchw(x, what, layout), what) for what, x in given]
    if scale is not None and not 0 < scale < float("inf"):
        raise DataError(f"data set {name!r}: scale must be a positive number, got {scale}")
    as_bytes = None if scale is not None else [_as_bytes(array) for array in arrays]
    if as_bytes is not None and all(part is not None for part in as_bytes):
        return Images([_tensor(part) for part in as_bytes if part is not None], _BYTE)
    kinds = {"f" if array.dtype.kind == "f" else array.dtype.name for array in arrays}
    if scale is None and len(kinds) > 1:
        found = ", ".join(f"{what} {array.dtype}" for (what, _), array in zip(given, arrays, strict=True))
        raise DataError(
            f"data set {name!r} has images of different types ({found}): give all parts in one, or say by what pixels "
            "are divided (scale=)"
        )
    divisor = _usual_scale(arrays[0].dtype) if scale is None else float(scale)
    _logger.info(
        "data set %r: pixels of type %s are %s, then normalised by mean and std of the training images",
        name, arrays[0].dtype, "taken as they are" if divisor == 1 else f"divided by {divisor:g}",
    )  # fmt: skip
    return Images([_tensor(_plain(array, arrays)) for array in arrays], divisor)


def to_nchw(x: ArrayLike | Tensor, what: str, layout: Layout | None = None) -> NDArray[Any]:
    """Return images as an array `(n, c, h, w)`.

    Raises:
        DataError: If they have another number of axes, or nothing in them.
    """
    if layout not in (None, "nchw", "nhwc"):
        raise DataError(f"layout must be 'nchw' or 'nhwc', got {layout!r}")
    array = as_array(x, what)
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and (layout or _layout_of(array.shape)) == "nhwc":
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4:
        raise DataError(f"{what} must be (n, h, w), (n, c, h, w) or (n, h, w, c), got shape {array.shape}")
    if 0 in array.shape:
        raise DataError(f"{what} is empty: shape {array.shape}")
    return array


def _layout_of(shape: Sequence[int]) -> Layout:
    """Return where the channels are: an axis of 1 or 3, else the shorter of the two that it can be."""
    for usual in ((1, 3), range(min(shape[1], shape[3]) + 1)):
        if shape[1] in usual:
            return "nchw"
        if shape[3] in usual:
            return "nhwc"
    return "nchw"


def _checked(array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return numbers that are finite.

    Raises:
        DataError: If they are none.
    """
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must hold numbers, got dtype {array.dtype}")
    if array.dtype.kind == "f" and not (np.abs(array) <= np.finfo(np.float32).max).all():  # also refuses NaN
        raise DataError(f"{what} of dtype {array.dtype} must be finite as float32, found NaN, infinity or larger")
    return array


def _as_bytes(array: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return pixels as bytes where that loses nothing, else None."""
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(_BYTE)
    low, high = float(np.min(array)), float(np.max(array))
    if kind != "f":
        return array.astype(np.uint8) if low >= 0 and high <= _BYTE else None
    if not (low >= 0 and high <= 1):
        return None
    levels = array.astype(np.float64) * _BYTE
    rounded = np.rint(levels)
    return rounded.astype(np.uint8) if np.abs(levels - rounded).max() < _ON_GRID else None


def _usual_scale(dtype: np.dtype[Any]) -> float:
    if dtype.kind in "iu":
        return float(np.iinfo(dtype).max)
    return 1.0


def _plain(array: NDArray[Any], parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return an array in the type that holds all parts: uint8, int32 or float32."""
    if all(part.dtype in (np.uint8, np.bool_) for part in parts):
        return array.astype(np.uint8)
    whole = all(part.dtype.kind != "f" and np.max(part) < _INT32 and np.min(part) >= -_INT32 for part in parts)
    return array.astype(np.int32 if whole else np.float32)


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def to_uint8(array: NDArray[np.generic], what: str) -> NDArray[np.uint8]:
    """Return the pixels of a picture as bytes.

    Args:
        array: uint8, integers 0..255, booleans, or floats in [0, 1].
        what: The name of the array, for messages.

    Raises:
        DataError: If it is of another type, or values are out of range.
    """
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if kind not in "iuf":
        raise DataError(f"{what} must hold numbers, got dtype {array.dtype}")
    low, high = float(np.min(array)), float(np.max(array))
    limit = 1.0 if kind == "f" else 255.0
    if not (low >= 0.0 and high <= limit):  # also refuses NaN
        raise DataError(f"{what} of dtype {array.dtype} must lie in 0..{limit:g}, found {low:g}..{high:g}")
    if kind == "f":
        return np.rint(array.astype(np.float64) * 255.0).astype(np.uint8)
    return array.astype(np.uint8)
