"""Targets of every kind: classes, sets of classes, values, masks."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.data.arrays import as_array
from naslib.data.info import DatasetInfo
from naslib.data.labels import assign_classes, check_enough_images, listed, read_labels
from naslib.errors import DataError

# What pixels of a mask hold that do not count, as in PASCAL VOC.
IGNORED = 255
_logger = logging.getLogger("naslib.data")
_IMAGE_TASKS = ("classification", "regression", "segmentation")


class Targets(NamedTuple):
    """Hold the targets of the parts of a data set.

    Attributes:
        parts: `(n,)` int64 classes, `(n, k)` float32 values or rows of 0 and 1, or `(n, h, w)` uint8 masks.
        names: Of the classes or values.
    """

    parts: list[Tensor]
    names: tuple[str, ...]


def read_targets(
    name: str,
    given: Sequence[tuple[str, ArrayLike | Tensor, Tensor]],
    task: str,
    multi_label: bool,
    class_names: Sequence[str] | None,
) -> Targets:
    """Return the targets of a data set of images.

    Args:
        name: The data set, for messages.
        given: Name, targets and images `(n, c, h, w)` of the training part, then of the test part if there is one.
        task: `"classification"`, `"regression"` or `"segmentation"`.
        multi_label: Whether an image has any number of classes.
        class_names: Names of classes or values; None takes them from the targets.

    Raises:
        DataError: If targets do not fit the task or the images.
    """
    if task not in _IMAGE_TASKS:
        raise DataError(f"data set {name!r}: task must be one of {', '.join(_IMAGE_TASKS)}, got {task!r}")
    if multi_label and task != "classification":
        raise DataError(f"data set {name!r}: multi_label is a kind of classification, not of {task}")
    if task == "regression":
        return _of_rows(name, class_names, [(what, read_values(y, len(x), what)) for what, y, x in given], "value")
    if multi_label:
        return _of_rows(name, class_names, [(what, read_label_sets(y, len(x), what)) for what, y, x in given], "class")
    if task == "segmentation":
        return number_masks(name, class_names, [(what, read_masks(y, tuple(x.shape), what)) for what, y, x in given])
    labels = [(what, read_labels(y, len(x), what)) for what, y, x in given]
    numbers, names = assign_classes(name, labels, class_names)
    check_enough_images(name, len(np.unique(numbers[0])), len(numbers[0]))
    return Targets([torch.from_numpy(part) for part in numbers], names)


def read_values(y: ArrayLike | Tensor, n: int, what: str) -> NDArray[np.float32]:
    """Return values to regress to as `(n, k)`.

    Args:
        y: `(n,)` or `(n, k)` finite numbers.
        n: Number of images.
        what: The name of the array, for messages.

    Raises:
        DataError: If they are something else.
    """
    array = as_array(y, what)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] == 0:
        raise DataError(f"{what} must be a value for each of the {n} images, (n,) or (n, k), got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must hold numbers, got dtype {array.dtype}")
    with np.errstate(over="ignore"):  # which is what the next line finds
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{what} must be finite as float32, found {(~np.isfinite(values)).sum()} that are not")
    return values


def read_label_sets(y: ArrayLike | Tensor, n: int, what: str) -> NDArray[np.float32]:
    """Return which classes images have, as `(n, k)` of 0 and 1.

    Raises:
        DataError: If they are something else.
    """
    array = as_array(y, what)
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] < 2:
        raise DataError(f"{what} must be (n, classes) of 0 and 1 for {n} images, got shape {array.shape}")
    if array.dtype.kind not in "biuf" or not ((array == 0) | (array == 1)).all():
        raise DataError(f"{what} must hold 0 and 1 (which classes an image has), got {array.dtype}: {array[0][:5]} ...")
    return array.astype(np.float32)


def read_masks(y: ArrayLike | Tensor, shape: tuple[int, ...], what: str) -> NDArray[np.int64]:
    """Return the class of each pixel as `(n, h, w)`.

    Args:
        y: `(n, h, w)` or `(n, 1, h, w)` integers from 0 (floats without a fraction and booleans count).
        shape: Of the images, `(n, c, h, w)`.
        what: The name of the array, for messages.

    Raises:
        DataError: If they are something else.
    """
    array = as_array(y, what)
    if array.ndim == 4 and array.shape[1] == 1:
        array = array[:, 0]
    expected = (shape[0], *shape[2:])
    if array.shape != expected:
        raise DataError(f"{what} must be masks of the images' size, (n, h, w) = {expected}, got shape {array.shape}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"{what} must hold class numbers, got dtype {array.dtype}")
    if array.dtype.kind == "f" and not (array == np.rint(array)).all():  # also refuses NaN
        raise DataError(f"{what} must hold class numbers, found fractions or NaN")
    numbers = array.astype(np.int64)
    if numbers.min() < 0:
        raise DataError(f"{what} must not be negative, found {numbers.min()}: {IGNORED} marks pixels that do not count")
    return numbers


def _of_rows(
    name: str, names: Sequence[str] | None, parts: Sequence[tuple[str, NDArray[np.float32]]], noun: str
) -> Targets:
    width = parts[0][1].shape[1]
    for what, rows in parts:
        if rows.shape[1] != width:
            raise DataError(f"{what} has {rows.shape[1]} columns, {parts[0][0]} has {width}")
    if names is not None and len(names) != width:
        raise DataError(f"data set {name!r}: {len(names)} class_names for {width} columns of {noun}s")
    chosen = tuple(str(index) for index in range(width)) if names is None else tuple(str(label) for label in names)
    return Targets([torch.from_numpy(rows) for _, rows in parts], chosen)


def number_masks(name: str, names: Sequence[str] | None, parts: Sequence[tuple[str, NDArray[np.int64]]]) -> Targets:
    """Number the classes of masks as those of labels: the different values of the training masks, ascending."""
    values = np.unique(parts[0][1])
    values = values[values != IGNORED]
    if names is not None:
        values = _named_values(name, parts[0][0], values, len(names))
    if len(values) < 2:
        raise DataError(
            f"{parts[0][0]} has {len(values)} class(es) of pixels ({listed(map(str, values), '{}')}) besides "
            f"{IGNORED}, which marks pixels that do not count; masks of two classes are booleans, or 0 and 1"
        )
    if len(values) >= IGNORED:
        raise DataError(f"data set {name!r} has {len(values)} classes of pixels, at most {IGNORED - 1} are possible")
    if not np.array_equal(values, np.arange(len(values))):
        shown = [f"{value} is class {index}" for index, value in enumerate(values.tolist())]
        _logger.warning(
            "data set %r: its masks do not hold 0..%d, so classes are numbered in ascending order: %s",
            name, len(values) - 1, listed(shown, "{}"),
        )  # fmt: skip
    chosen = tuple(str(value) for value in values.tolist()) if names is None else tuple(str(label) for label in names)
    return Targets([torch.from_numpy(_numbered(name, what, part, values)) for what, part in parts], chosen)


def _named_values(name: str, what: str, values: NDArray[np.int64], n_names: int) -> NDArray[np.int64]:
    """Return the values that names stand for: 0, 1, 2 ..., or as many others as there are names."""
    if len(values) == 0 or values[-1] < n_names:
        return np.arange(n_names)
    if len(values) != n_names:
        raise DataError(f"{what} holds {len(values)} classes up to {values[-1]}, and {n_names} class_names were given")
    return values


def _numbered(name: str, what: str, masks: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.uint8]:
    places = np.minimum(np.searchsorted(values, masks), len(values) - 1)
    is_ignored = masks == IGNORED
    unknown: list[Any] = np.unique(masks[(values[places] != masks) & ~is_ignored]).tolist()
    if unknown:
        raise DataError(f"data set {name!r}: {what} has classes of pixels that the training masks lack: {unknown[:10]}")
    return np.where(is_ignored, IGNORED, places).astype(np.uint8)


def has_one_class(info: DatasetInfo) -> bool:
    """Return whether each item has exactly one class."""
    return info.task in ("classification", "sequence_classification") and not info.multi_label


def class_counts(info: DatasetInfo, targets: Tensor) -> tuple[int, ...]:
    """Return how many items (pixels of masks) each class has; () where an item has none, or several.

    Args:
        info: The data set.
        targets: `(n,)` classes, or masks `(n, h, w)`, whose pixels of 255 do not count.
    """
    if has_one_class(info):
        counts = torch.bincount(targets, minlength=info.num_classes)
    elif info.task == "segmentation" and targets.dtype == torch.uint8:
        counts = torch.bincount(targets.reshape(-1), minlength=IGNORED + 1)[: info.num_classes]
    else:
        return ()
    return tuple(counts.tolist())


def target_shape(info: DatasetInfo) -> tuple[int, ...] | None:
    """Return the shape of the target of one item; None where a user's own task says it."""
    if has_one_class(info):
        return ()
    if info.task == "segmentation":
        return info.height, info.width
    if info.task == "language_modelling":
        return (info.width,)
    return (info.num_classes,) if info.task in ("regression", "classification", "sequence_classification") else None
