"""Users' arrays into uint8 images and int64 labels, with an error for everything that is neither."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.errors import DataError


def to_uint8_nchw(x: ArrayLike | Tensor, what: str) -> Tensor:
    """Return images as a contiguous uint8 tensor `(n, c, h, w)`.

    Args:
        x: `(n, h, w)`, `(n, c, h, w)` or `(n, h, w, c)`; uint8, integers 0..255, booleans, or floats in [0, 1].
        what: The name of the array, for messages.

    Raises:
        DataError: If shape, channels, type or range is something else.
    """
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
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
    return torch.from_numpy(np.ascontiguousarray(_to_uint8(array, what)))


def _to_uint8(array: NDArray[np.generic], what: str) -> NDArray[np.uint8]:
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


def labels_to_int64(
    y: ArrayLike | Tensor, n: int, what: str, class_names: Sequence[str] | None = None
) -> tuple[Tensor, tuple[str, ...] | None]:
    """Return labels as int64, and the class names where they are known.

    Args:
        y: `(n,)` or `(n, 1)` integers from 0 (floats without a fraction count), or class names.
        n: Number of images.
        what: The name of the array, for messages.
        class_names: Names of the classes in order.

    Raises:
        DataError: If they are of another shape or type, negative, or names that `class_names` does not contain.
    """
    array = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise DataError(f"{what} must be one label for each of the {n} images, got shape {array.shape}")
    names = None if class_names is None else tuple(str(name) for name in class_names)
    if array.dtype.kind == "U":
        names = names or tuple(str(name) for name in np.unique(array))
        position = {name: index for index, name in enumerate(names)}
        unknown = sorted({str(label) for label in array} - set(position))
        if unknown:
            raise DataError(f"{what} holds {unknown[:5]}, which are not among the classes {list(names)[:20]}")
        array = np.array([position[str(label)] for label in array], dtype=np.int64)
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.rint(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise DataError(f"{what} must be integers from 0 or class names, got dtype {array.dtype}")
    if array.min() < 0:
        raise DataError(f"{what} must not be negative, found {array.min()}")
    if names is not None and array.max() >= len(names):
        raise DataError(f"{what} must lie in 0..{len(names) - 1} ({len(names)} class names), found {array.max()}")
    return torch.from_numpy(array.astype(np.int64)), names
