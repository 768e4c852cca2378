"""Stratified splits: exact per class, seeded, the same on every platform."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from naslib.data._draws import permutation
from naslib.errors import ConfigError, DataError

# The seed of every test split that we make ourselves: it must not change with the seed of a run,
# or results of different seeds would be measured on different images.
TEST_SPLIT_SEED = 0


def stratified_counts(class_counts: ArrayLike, portion: float) -> NDArray[np.int64]:
    """Share `round(portion * total)` among the classes by largest remainder.

    Args:
        class_counts: `(n_classes,)` images per class.
        portion: Fraction in [0, 1].

    Returns:
        `(n_classes,)` images taken of each class: each within one of `portion * count`, ties to the lower class.
    """
    counts = np.asarray(class_counts, dtype=np.int64)
    # rounded: 0.7 * 10 is 7.000000000000001 to a float, and its ghost remainder must not win a place
    quota = np.round(portion * counts, 9)
    taken = np.floor(quota).astype(np.int64)
    # half up, not to even: 0.5 of 5 images is 3 whatever the class
    missing = int(np.floor(np.round(portion * counts.sum(), 9) + 0.5)) - int(taken.sum())
    order = np.argsort(-(quota - taken), kind="stable")
    taken[order[:missing]] += 1
    return taken


def stratified_split(labels: ArrayLike, portion: float, *key: int | str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split indices in two so that every class is shared in the same proportion.

    Args:
        labels: `(n,)` class of each image.
        portion: Fraction of the first part, in [0, 1].
        *key: Seed (and what else names this split).

    Returns:
        The indices of the first and of the second part, each sorted.

    Raises:
        ConfigError: If the portion is not in [0, 1].
        DataError: If labels are not a vector of non-negative integers.
    """
    if not 0.0 <= portion <= 1.0:
        raise ConfigError(f"the portion of a split must be between 0 and 1, got {portion}")
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu" or (array.size and array.min() < 0):
        raise DataError(f"labels must be a vector of integers >= 0, got {array.dtype} of shape {array.shape}")
    array = array.astype(np.int64)
    taken = stratified_counts(np.bincount(array), portion)
    shuffled = permutation(len(array), *key, "split")
    by_class = shuffled[np.argsort(array[shuffled], kind="stable")]
    ends = np.cumsum(np.bincount(array))
    rank = np.arange(len(array)) - np.repeat(ends - np.bincount(array), np.bincount(array))
    first = rank < np.repeat(taken, np.bincount(array))
    return np.sort(by_class[first]), np.sort(by_class[~first])


def split_test(
    labels: NDArray[np.int64], portion: float, seed: int = TEST_SPLIT_SEED
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split a stratified test part off; a class with a single image keeps it for training.

    Args:
        labels: `(n,)` class of each image.
        portion: Share of the test part, in [0, 1].
        seed: Seed of the split.

    Returns:
        The indices of the training part and of the test part, each sorted.

    Raises:
        ConfigError: If the portion is not in [0, 1].
        DataError: If one of the parts would be empty.
    """
    test, train = stratified_split(labels, portion, seed, "test")
    train, test = keep_single(labels, train, test)
    if len(test) == 0 or len(train) == 0:
        raise DataError(
            f"a test portion of {portion} of {len(labels)} images leaves {len(train)} for training and {len(test)} for "
            "testing; give more images, another test_portion or a test part of your own"
        )
    return train, test


def keep_single(
    labels: NDArray[np.int64], train: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return both parts with what is the only image of its class moved to the training part."""
    is_single = (np.bincount(labels) == 1)[labels[other]]
    if not is_single.any():
        return train, other
    return np.sort(np.concatenate([train, other[is_single]])), other[~is_single]
