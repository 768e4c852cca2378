"""Labels of every kind into classes, by one rule for arrays, files and folders."""

from __future__ import annotations

import logging
import numbers
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.data.arrays import as_array
from naslib.data.info import DatasetInfo
from naslib.errors import DataError

# One-dimensional: int64, or text.
LabelArray: TypeAlias = NDArray[Any]

_logger = logging.getLogger("naslib.data")
# Integers from here on are not exact as floats, and no class number.
_LARGEST = 2**53
# How many classes a message names.
_NAMED = 10


def read_labels(y: ArrayLike | Tensor, n: int, what: str) -> LabelArray:
    """Return labels as a vector of integers or of text, whatever they came in.

    Args:
        y: `(n,)` or `(n, 1)` class numbers (floats without a fraction and booleans count) or class names (text, bytes);
            or `(n, k)` one-hot rows, whose class is the column of the 1.
        n: Number of images.
        what: The name of the array, for messages.

    Returns:
        `(n,)` int64 >= 0, or text.

    Raises:
        DataError: If shape, type or sign is something else.
    """
    array = as_array(y, what)
    if array.ndim == 2 and array.shape[0] == n and array.shape[1] > 1 and array.dtype.kind in "biuf":
        array = _from_one_hot(array, what)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.shape != (n,):
        raise DataError(f"{what} must be one label for each of the {n} images, got shape {array.shape}")
    if array.dtype.kind == "O":
        array = _from_objects(array, what)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "backslashreplace")
    if array.dtype.kind == "U":
        return array
    return _as_numbers(array, what)


def _from_one_hot(array: LabelArray, what: str) -> LabelArray:
    if not (((array == 0) | (array == 1)).all() and (array.sum(axis=1, dtype=np.int64) == 1).all()):
        raise DataError(
            f"{what} of shape {array.shape} must be one label for each image, or one-hot rows of zeros and a single 1"
        )
    return np.asarray(array.argmax(axis=1))


def _from_objects(array: LabelArray, what: str) -> LabelArray:
    kinds = {type(value) for value in array.tolist()}
    if all(issubclass(kind, str) for kind in kinds):
        return array.astype(np.str_)
    if all(issubclass(kind, numbers.Integral | np.bool_) for kind in kinds):
        return np.array([int(value) for value in array.tolist()])
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(f"{what} must be all integers from 0 or all class names, found values of type {found}")


def _as_numbers(array: LabelArray, what: str) -> LabelArray:
    if array.dtype.kind == "b":
        array = array.astype(np.int64)
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (np.abs(array) < _LARGEST) & (array == np.rint(array))
        if not whole.all():
            raise DataError(
                f"{what} must be integers from 0 or class names, got dtype {array.dtype} with values such as "
                f"{array[~whole][0]:g}"
            )
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or (array.size and array.max() >= _LARGEST):
        raise DataError(f"{what} must be integers from 0 or class names, got {array.dtype}: {array[:3].tolist()} ...")
    if array.size and array.min() < 0:
        raise DataError(
            f"{what} must not be negative, found {array.min()} ({(array < 0).sum()} of {len(array)} labels): leave "
            "images without a class out"
        )
    return array.astype(np.int64)


def assign_classes(
    name: str, parts: Sequence[tuple[str, LabelArray]], class_names: Sequence[str] | None = None
) -> tuple[list[NDArray[np.int64]], tuple[str, ...]]:
    """Number the classes: the distinct labels of the training part in ascending order, 0, 1, 2 ...

    Memory is that of the labels, however large their values are.

    Args:
        name: The data set, for messages.
        parts: Name and labels (see `read_labels`) of the training part, then of the test part if there is one.
        class_names: Names of the classes in order; then labels are these names, or the numbers 0..len - 1, or as many
            other numbers as there are names, which are named in ascending order.

    Returns:
        Class numbers of each part, and the class names: those given, else the labels as text.

    Raises:
        DataError: If labels do not fit the names, or a part has labels that the training part lacks.
    """
    if len({values.dtype.kind == "U" for _, values in parts}) > 1 and class_names is None:
        kinds = ", ".join(f"{what} {'names' if values.dtype.kind == 'U' else 'numbers'}" for what, values in parts)
        raise DataError(f"data set {name!r} has labels of two kinds: {kinds}; use one, or give class_names")
    if class_names is not None:
        names = tuple(str(label) for label in class_names)
        twice = [label for label, count in Counter(names).items() if count > 1]
        if twice:
            raise DataError(f"data set {name!r}: class_names has {listed(twice)} more than once")
        return [_by_names(name, part, parts, names) for part in parts], names
    values = np.unique(parts[0][1])
    names = tuple(str(label) for label in values.tolist())
    if values.dtype.kind != "U" and not np.array_equal(values, np.arange(len(values))):
        _warn_of_mapping(name, names, names)
    return [_positions(name, what, labels, values) for what, labels in parts], names


def _by_names(
    name: str, part: tuple[str, LabelArray], parts: Sequence[tuple[str, LabelArray]], names: tuple[str, ...]
) -> NDArray[np.int64]:
    what, labels = part
    if labels.dtype.kind == "U":
        position = {label: index for index, label in enumerate(names)}
        unknown = sorted({str(label) for label in np.unique(labels)} - set(position))
        if unknown:
            raise DataError(f"{what} holds {unknown[:5]}, which are not among the classes {list(names)[:20]}")
        return np.array([position[str(label)] for label in labels], dtype=np.int64)
    values = np.unique(np.concatenate([values for _, values in parts if values.dtype.kind != "U"]))
    if values[-1] < len(names):
        return labels.astype(np.int64)
    if len(values) != len(names):
        raise DataError(
            f"{what} must lie in 0..{len(names) - 1} ({len(names)} class names), found {values[-1]}; or give a name to "
            f"each of the {len(values)} different labels"
        )
    if labels is parts[0][1]:
        _warn_of_mapping(name, [str(value) for value in values.tolist()], names)
    return _positions(name, what, labels, values)


def _positions(name: str, what: str, labels: LabelArray, values: LabelArray) -> NDArray[np.int64]:
    """Return the place of each label among the sorted values."""
    places = np.minimum(np.searchsorted(values, labels), len(values) - 1)
    missing = values[places] != labels
    if missing.any():
        found, counts = np.unique(labels[missing], return_counts=True)
        raise only_in_test(name, dict(zip((str(label) for label in found.tolist()), counts.tolist(), strict=True)))
    return places.astype(np.int64)


def _warn_of_mapping(name: str, labels: Sequence[str], names: Sequence[str]) -> None:
    shown = [f"label {label} is class {index}" for index, label in enumerate(labels)]
    if list(labels) != list(names):
        shown = [f"{text} ({names[index]})" for index, text in enumerate(shown)]
    _logger.warning(
        "data set %r: its %d labels are not 0..%d, so they are numbered in ascending order: %s",
        name, len(labels), len(labels) - 1, listed(shown, "{}"),
    )  # fmt: skip


def check_classes(info: DatasetInfo, train: NDArray[np.int64], test: NDArray[np.int64]) -> None:
    """Say before anything is trained which classes cannot be learned or measured.

    Args:
        info: The data set.
        train: Class numbers of the training part, within 0..num_classes - 1.
        test: Those of the test part, likewise.

    Raises:
        DataError: If the training part has fewer than two classes, or a class is only in the test part.
    """
    classes, counts = np.unique(train, return_counts=True)
    if len(classes) < 2:
        raise DataError(
            f"data set {info.name!r}, training part: all images are of one class ({info.class_names[train[0]]}); a "
            "classifier needs two"
        )
    found, found_counts = np.unique(test, return_counts=True)
    lost = np.isin(found, classes, invert=True)
    if lost.any():
        names = [info.class_names[index] for index in found[lost]]
        raise only_in_test(info.name, dict(zip(names, found_counts[lost].tolist(), strict=True)))
    if len(classes) < info.num_classes:
        present = set(classes.tolist())
        absent = (label for index, label in enumerate(info.class_names) if index not in present)
        number = info.num_classes - len(classes)
        _logger.warning(
            "data set %r: %d of %d classes have no training image and cannot be learned: %s",
            info.name, number, info.num_classes, listed(absent, total=number),
        )  # fmt: skip
    single = [info.class_names[index] for index in classes[counts == 1]]
    if single:
        _logger.warning(
            "data set %r: %d of %d classes have a single training image, which cannot be in the training and in the "
            "validation part: %s", info.name, len(single), info.num_classes, listed(single),
        )  # fmt: skip


def check_enough_images(name: str, n_classes: int, n_images: int) -> None:
    """Refuse labels that are no classes: ids, measured values, numbers of images.

    Raises:
        DataError: If there are more than two classes with fewer than two images each on average.
    """
    if n_classes > 2 and n_images < 2 * n_classes:
        raise DataError(
            f"data set {name!r} has {n_classes} classes for {n_images} images, fewer than two to a class: labels must "
            "be classes, not numbers of images or measured values, and a search needs images of each in two parts"
        )


def only_in_test(name: str, counts: dict[str, int]) -> DataError:
    """Return the error for classes without a training image that the test part asks for."""
    shown = listed([f"{label} ({count} image{'s'[: count != 1]})" for label, count in counts.items()], "{}")
    return DataError(
        f"data set {name!r}: the test part has classes that the training part lacks: {shown}, which are thus not "
        "among the classes that are learned; add training images of them, or leave them out of the test part"
    )


def listed(names: Iterable[str], form: str = "{!r}", total: int | None = None) -> str:
    """Return the first names as a phrase, and how many more there are.

    Args:
        names: What to list; read no further than is shown where `total` is given.
        form: How each is written.
        total: How many there are.
    """
    shown: list[str] = []
    rest = iter(names)
    for label in rest:
        shown.append(form.format(label))
        if len(shown) == _NAMED:
            break
    more = (total - len(shown)) if total is not None else sum(1 for _ in rest)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")
