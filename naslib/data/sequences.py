"""Own sequences as data sets: rows of numbers, rows of vectors, or tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.data.arrays import as_array
from naslib.data.channels import channel_statistics
from naslib.data.image_data import ImageData, ImageSet, split_off_test
from naslib.data.info import DatasetInfo, Kind
from naslib.data.splits import TEST_SPLIT_SEED
from naslib.data.targets import read_targets
from naslib.errors import DataError

_TASKS = {"sequence_classification": "classification", "regression": "regression"}


def sequence_data(
    name: str,
    x_train: ArrayLike | Tensor,
    y_train: ArrayLike | Tensor,
    x_test: ArrayLike | Tensor | None = None,
    y_test: ArrayLike | Tensor | None = None,
    *,
    vocabulary: int = 0,
    class_names: Sequence[str] | None = None,
    task: str = "sequence_classification",
    multi_label: bool = False,
    test_portion: float = 0.2,
    split_seed: int = TEST_SPLIT_SEED,
) -> ImageData:
    """Build a data set from your own sequences, all of one length (pad or cut them first).

    Args:
        name: What to call it.
        x_train: `(n, t)` numbers or `(n, c, t)` vectors, which are normalised per channel by mean and std of the
            training part; or, with a vocabulary, `(n, t)` tokens from 0.
        y_train: Classes or values, as for `ImageData.from_arrays`.
        x_test: Test sequences; None takes a part of the training sequences, stratified by class, always the same one.
        y_test: Their targets.
        vocabulary: Number of different tokens; 0 for sequences of numbers.
        class_names: Names of the classes or values.
        task: `"sequence_classification"` or `"regression"`.
        multi_label: Whether a sequence has any number of classes.
        test_portion: Share that becomes the test part where none is given.
        split_seed: Seed of that split; not the seed of the run.

    Raises:
        DataError: If shapes, types or targets cannot be used; the message says what was expected.
    """
    if (x_test is None) != (y_test is None):
        raise DataError(f"data set {name!r}: give both x_test and y_test or neither")
    if task not in _TASKS:
        raise DataError(f"data set {name!r}: task must be one of {', '.join(_TASKS)}, got {task!r}")
    given = [("x_train", x_train, y_train)]
    if x_test is not None and y_test is not None:
        given.append(("x_test", x_test, y_test))
    inputs = [read_sequences(x, f"{name!r} {key}", vocabulary) for key, x, _ in given]
    pairs = [(f"{name!r} {key.replace('x_', 'y_')}", y, x) for (key, _, y), x in zip(given, inputs, strict=True)]
    targets = read_targets(name, pairs, _TASKS[task], multi_label, class_names)
    parts = [ImageSet(x, y) for x, y in zip(inputs, targets.parts, strict=True)]
    if len(parts) == 1:
        parts = [*split_off_test(parts[0], test_portion, split_seed)]
    info = sequence_info(name, parts[0].images, targets.names, task, vocabulary, multi_label=multi_label)
    return ImageData(info, *parts)


def sequence_info(
    name: str, train: Tensor, names: Sequence[str], task: str, vocabulary: int = 0, *, multi_label: bool = False
) -> DatasetInfo:
    """Return the description of sequences.

    Args:
        name: The data set.
        train: `(n, c, t)` numbers or `(n, t)` tokens of the training part.
        names: Of classes or values; of a language model the words.
        task: The task.
        vocabulary: Number of different tokens; 0 for numbers.
        multi_label: Whether a sequence has any number of classes.
    """
    kind: Kind = "tokens" if vocabulary else "sequence"
    mean, std = ((0.0,), (1.0,)) if vocabulary else channel_statistics(train, 1.0)
    return DatasetInfo(
        name=name,
        num_classes=len(names),
        in_channels=1 if vocabulary else train.shape[1],
        image_size=train.shape[-1],
        mean=mean,
        std=std,
        class_names=tuple(names),
        scale=1.0,
        task=task,
        multi_label=multi_label,
        kind=kind,
        vocabulary=vocabulary,
    )


def read_sequences(x: ArrayLike | Tensor, what: str, vocabulary: int) -> Tensor:
    """Return sequences as float32 `(n, c, t)`, or tokens as int64 `(n, t)`."""
    array: NDArray[Any] = as_array(x, what)
    if 0 in array.shape:
        raise DataError(f"{what} is empty: shape {array.shape}")
    if vocabulary:
        if array.ndim != 2 or array.dtype.kind not in "iu":
            raise DataError(f"{what} must be tokens, integers (n, t), got {array.dtype} of shape {array.shape}")
        if array.min() < 0 or array.max() >= vocabulary:
            raise DataError(f"{what} must lie in 0..{vocabulary - 1} (vocabulary), found {array.min()}..{array.max()}")
        return torch.from_numpy(array.astype(np.int64))
    if array.ndim == 2:
        array = array[:, None]
    if array.ndim != 3 or array.dtype.kind not in "biuf":
        raise DataError(
            f"{what} must be numbers (n, t) or (n, c, t), got {array.dtype} of shape {array.shape}; tokens need the "
            "size of their vocabulary"
        )
    if not (np.abs(array.astype(np.float64)) <= np.finfo(np.float32).max).all():  # also refuses NaN
        raise DataError(f"{what} must be finite as float32, found NaN, infinity or larger")
    return torch.from_numpy(np.ascontiguousarray(array.astype(np.float32)))
