"""Images in memory, and a data set of a training and a test part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.data.arrays import to_uint8_nchw
from naslib.data.info import DatasetInfo, default_crop_padding
from naslib.data.labels import assign_classes, check_classes, check_enough_images, read_labels
from naslib.data.splits import TEST_SPLIT_SEED, split_test
from naslib.data.stream_set import StreamSet
from naslib.errors import DataError


@dataclass(frozen=True)
class ImageSet:
    """Hold images and labels in memory.

    Attributes:
        images: `(n, channels, size, size)` uint8.
        labels: `(n,)` int64.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise DataError(f"images must be uint8 (n, c, h, w), got {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.dtype != torch.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels must be int64 ({len(self.images)},), got {self.labels.dtype} {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def label_array(self) -> NDArray[np.int64]:
        """Return the labels as an array."""
        return np.asarray(self.labels.cpu().numpy(), dtype=np.int64)


@dataclass(frozen=True)
class ImageData:
    """Hold a data set: what it is, a training part and a test part that only the end of a run looks at."""

    info: DatasetInfo
    train: ImageSet | StreamSet
    test: ImageSet | StreamSet

    def __post_init__(self) -> None:
        for part, images in (("training", self.train), ("test", self.test)):
            _check_part(self.info, part, images)
        check_classes(self.info, self.train.label_array, self.test.label_array)

    @classmethod
    def from_arrays(
        cls,
        name: str,
        x_train: ArrayLike | Tensor,
        y_train: ArrayLike | Tensor,
        x_test: ArrayLike | Tensor | None = None,
        y_test: ArrayLike | Tensor | None = None,
        *,
        class_names: Sequence[str] | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        flip: bool = False,
        crop_padding: int | None = None,
        cutout_max: int | None = None,
        test_portion: float = 0.2,
        split_seed: int = TEST_SPLIT_SEED,
    ) -> ImageData:
        """Build a data set from your own arrays.

        Args:
            name: What to call it.
            x_train: Images `(n, h, w)`, `(n, c, h, w)` or `(n, h, w, c)`: uint8, integers 0..255 or floats in [0, 1].
            y_train: `(n,)` or `(n, 1)` class numbers or class names, or `(n, k)` one-hot rows. The different labels are
                the classes, in ascending order.
            x_test: Test images; None takes a stratified part of the training images (always the same one).
            y_test: Their labels, which must all be among those of the training part.
            class_names: Names of the classes in order, where labels are these names or the numbers 0, 1, 2 ...; the
                labels themselves if None.
            mean: Per channel; computed from the training part if None.
            std: Likewise.
            flip: Whether labels survive a horizontal flip.
            crop_padding: Padding of the random crop; an eighth of the side if None.
            cutout_max: Largest default cutout; half the side if None.
            test_portion: Share of the images that becomes the test part where none is given.
            split_seed: Seed of that split; not the seed of the run.

        Raises:
            DataError: If shapes, types, labels or channels cannot be used; the message says what was expected.
        """
        if (x_test is None) != (y_test is None):
            raise DataError(f"data set {name!r}: give both x_test and y_test or neither")
        images = to_uint8_nchw(x_train, f"{name!r} x_train")
        tests = None if x_test is None else to_uint8_nchw(x_test, f"{name!r} x_test")
        given = [(f"{name!r} y_train", read_labels(y_train, len(images), f"{name!r} y_train"))]
        if tests is not None and y_test is not None:
            given.append((f"{name!r} y_test", read_labels(y_test, len(tests), f"{name!r} y_test")))
        numbers, names = assign_classes(name, given, class_names)
        check_enough_images(name, len(np.unique(numbers[0])), len(images))
        labels = [torch.from_numpy(part) for part in numbers]
        if tests is None:
            train_part, test_part = split_off_test(ImageSet(images, labels[0]), test_portion, split_seed)
        else:
            train_part, test_part = ImageSet(images, labels[0]), ImageSet(tests, labels[1])
        size = images.shape[-1]
        computed_mean, computed_std = channel_statistics(train_part.images)
        info = DatasetInfo(
            name=name,
            num_classes=len(names),
            in_channels=images.shape[1],
            image_size=size,
            mean=tuple(mean) if mean is not None else computed_mean,
            std=tuple(std) if std is not None else computed_std,
            class_names=names,
            flip=flip,
            crop_padding=default_crop_padding(size) if crop_padding is None else crop_padding,
            cutout_max=size // 2 if cutout_max is None else cutout_max,
        )
        return cls(info, train_part, test_part)


def split_off_test(images: ImageSet, portion: float, split_seed: int = TEST_SPLIT_SEED) -> tuple[ImageSet, ImageSet]:
    """Split a stratified test part off; returns (training part, test part).

    Raises:
        DataError: If one of the parts would be empty.
    """
    train, test = split_test(images.label_array, portion, split_seed)
    return _take(images, train), _take(images, test)


def joined(parts: Sequence[ImageSet]) -> ImageSet:
    """Return the images of several sets, one after the other."""
    return ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel, in units of [0, 1], exactly from the 256-bin histograms.

    Args:
        images: `(n, c, h, w)` uint8.

    Returns:
        Means and deviations; a constant channel gets the deviation of one grey level, so that it can be divided by.
    """
    means, stds = [], []
    levels = np.arange(256, dtype=np.float64) / 255.0
    for channel in range(images.shape[1]):
        counts = torch.bincount(images[:, channel].reshape(-1), minlength=256).cpu().numpy()
        share = counts / max(counts.sum(), 1)
        mean = float((share * levels).sum())
        variance = float((share * (levels - mean) ** 2).sum())
        means.append(mean)
        stds.append(max(variance**0.5, 1.0 / 255.0))
    return tuple(means), tuple(stds)


def _take(images: ImageSet, indices: NDArray[np.int64]) -> ImageSet:
    chosen = torch.from_numpy(indices)
    return ImageSet(images.images[chosen], images.labels[chosen])


def _check_part(info: DatasetInfo, part: str, images: ImageSet | StreamSet) -> None:
    """Raise a `DataError` where the images of a part do not fit the description."""
    where = f"data set {info.name!r}, {part} part: "
    if len(images) == 0:
        raise DataError(where + "it has no images")
    labels = images.label_array
    if labels.min() < 0 or labels.max() >= info.num_classes:
        raise DataError(
            where + f"labels must lie in 0..{info.num_classes - 1} ({info.num_classes} classes), "
            f"found {labels.min()}..{labels.max()}"
        )
    if isinstance(images, ImageSet):
        expected = (info.in_channels, info.image_size, info.image_size)
        if tuple(images.images.shape[1:]) != expected:
            raise DataError(where + f"images are {tuple(images.images.shape[1:])}, expected (c, h, w) = {expected}")
