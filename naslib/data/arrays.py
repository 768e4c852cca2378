"""Users' arrays into uint8 images, with an error for everything that is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.errors import DataError


def as_array(x: ArrayLike | Tensor, what: str) -> NDArray[Any]:
    """Return anything array-like as an array.

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


def to_uint8_nchw(x: ArrayLike | Tensor, what: str) -> Tensor:
    """Return images as a contiguous uint8 tensor `(n, c, h, w)`.

    Args:
        x: `(n, h, w)`, `(n, c, h, w)` or `(n, h, w, c)`; uint8, integers 0..255, booleans, or floats in [0, 1].
        what: The name of the array, for messages.

    Raises:
        DataError: If shape, channels, type or range is something else.
    """
    array = as_array(x, what)
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim != 4:
        raise DataError(f"{what} must be (n, h, w), (n, c, h, w) or (n, h, w, c), got shape {array.shape}")
    if array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.shape[1] not in (1, 3):
        raise DataError(f"{what} of shape {array.shape} has no axis of 1 (grey) or 3 (colour) channels")
    if array.shape[2] != array.shape[3]:
        raise DataError(
            f"{what} must hold square images, got {array.shape[2]}x{array.shape[3]}: pad or crop them first"
        )
    if 0 in array.shape:
        raise DataError(f"{what} is empty: shape {array.shape}")
    return torch.from_numpy(np.ascontiguousarray(to_uint8(array, what)))


def to_uint8(array: NDArray[np.generic], what: str) -> NDArray[np.uint8]:
    """Return pixels as bytes.

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
