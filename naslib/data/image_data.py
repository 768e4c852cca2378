"""Items in memory, and a data set of a training and a test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from naslib.data.arrays import Layout, to_images
from naslib.data.channels import channel_statistics as channel_statistics
from naslib.data.info import DatasetInfo, ImageSize, default_crop_padding, default_cutout_max, plain_size
from naslib.data.labels import check_classes
from naslib.data.splits import TEST_SPLIT_SEED, split_test
from naslib.data.stream_set import StreamSet
from naslib.data.targets import class_counts, has_one_class, read_targets, target_shape
from naslib.errors import DataError

_INPUT_TYPES = (torch.uint8, torch.int32, torch.int64, torch.float32)
_TARGET_TYPES = (torch.uint8, torch.int64, torch.float32)


@dataclass(frozen=True)
class ImageSet:
    """Hold inputs and targets in memory.

    Attributes:
        images: `(n, channels, h, w)` uint8, int32 or float32; sequences `(n, channels, t)`; or tokens `(n, t)`.
        labels: `(n,)` int64 classes; `(n, k)` float32 values, or 0 and 1 for sets of classes; `(n, h, w)` uint8 masks;
            or `(n, t)` int64 next tokens.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype not in _INPUT_TYPES or not 2 <= self.images.ndim <= 4:
            raise DataError(
                "images must be uint8, int32 or float32 (n, c, h, w), sequences (n, c, t) and tokens (n, t) likewise, "
                f"got {self.images.dtype} {tuple(self.images.shape)}"
            )
        if self.labels.dtype not in _TARGET_TYPES or self.labels.shape[:1] != self.images.shape[:1]:
            raise DataError(
                f"labels must be int64 ({len(self.images)},), float32 ({len(self.images)}, k) or uint8 masks, "
                f"got {self.labels.dtype} {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def label_array(self) -> NDArray[np.int64]:
        """Return the classes as an array, by which splits are stratified; zeros where targets are something else."""
        if self.labels.ndim != 1:
            return np.zeros(len(self), dtype=np.int64)
        return np.asarray(self.labels.cpu().numpy(), dtype=np.int64)

    def take(self, indices: NDArray[np.int64]) -> ImageSet:
        """Return some of the items."""
        chosen = torch.from_numpy(indices)
        return ImageSet(self.images[chosen], self.labels[chosen])


@dataclass(frozen=True)
class ImageData:
    """Hold a data set: what it is, a training part and a test part that only the end of a run looks at.

    Its items are images, or sequences or tokens, as `info.kind` says.

    Attributes:
        info: What it is.
        train: What is trained on.
        test: What the main score is measured on.
        test_sets: More test sets by name.
        about: What was chosen where nobody said it (`chosen`), which files were left out and why (`left_out`) ..., as
            plain values.
    """

    info: DatasetInfo
    train: ImageSet | StreamSet
    test: ImageSet | StreamSet
    test_sets: Mapping[str, ImageSet | StreamSet] = field(default_factory=dict, kw_only=True)
    about: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        for part, images in (("training", self.train), ("test", self.test)):
            _check_part(self.info, part, images)
        if has_one_class(self.info):
            check_classes(self.info, self.train.label_array, self.test.label_array)
        for name, images in self.test_sets.items():
            _check_part(self.info, f"test set {name!r}", images)
        counts = class_counts(self.info, self.train.labels)
        if counts != self.info.class_counts:
            object.__setattr__(self, "info", replace(self.info, class_counts=counts))

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
        task: str = "classification",
        multi_label: bool = False,
        scale: float | None = None,
        layout: Layout | None = None,
    ) -> ImageData:
        """Build a data set from your own arrays.

        Args:
            name: What to call it.
            x_train: Images of any size, `(n, h, w)`, `(n, c, h, w)` or `(n, h, w, c)`, of any numeric type. uint8,
                booleans, integers 0..255 and floats k / 255 are grey levels; other integers are divided by the largest
                value of their type, other floats are taken as they are; then mean and std normalise them.
            y_train: Classification: `(n,)` or `(n, 1)` class numbers or class names, or `(n, k)` one-hot rows; the
                different labels are the classes, in ascending order. With `multi_label` `(n, k)` of 0 and 1.
                Regression: `(n,)` or `(n, k)` numbers. Segmentation: masks `(n, h, w)` of class numbers, in which 255
                marks pixels that do not count.
            x_test: Test images; None takes a part of the training images (always the same one, stratified by class).
            y_test: Their targets, whose classes must all be among those of the training part.
            class_names: Names of the classes in order, where labels are these names or the numbers 0, 1, 2 ...; the
                labels themselves if None. For regression, names of the values.
            mean: Per channel, in units of pixel / scale; computed from the training part if None.
            std: Likewise.
            flip: Whether targets survive a horizontal flip; masks are flipped with their image.
            crop_padding: Padding of the random crop; if None, an eighth of the shorter side for classes and masks
                (which are cropped likewise, with 255 around them), and 0 for values.
            cutout_max: Largest default cutout; if None, half the shorter side for classes, 0 for others.
            test_portion: Share of the images that becomes the test part where none is given.
            split_seed: Seed of that split; not the seed of the run.
            task: `"classification"`, `"regression"` or `"segmentation"`.
            multi_label: Whether an image has any number of classes.
            scale: By what pixels are divided, in place of the rule above.
            layout: Where the channels of arrays with four axes are, `"nchw"` or `"nhwc"`; None takes an axis of 1 or 3,
                else the shorter one.

        Raises:
            DataError: If shapes, types or targets cannot be used; the message says what was expected.
        """
        given, wanted = _by_part(name, (x_train, x_test), (y_train, y_test))
        images = to_images(given, name, scale, layout)
        pairs = [(key, y, x) for (key, y), x in zip(wanted, images.parts, strict=True)]
        targets = read_targets(name, pairs, task, multi_label, class_names)
        parts = [ImageSet(x, y) for x, y in zip(images.parts, targets.parts, strict=True)]
        if len(parts) == 1:
            parts = [*split_off_test(parts[0], test_portion, split_seed)]
        size = plain_size(tuple(images.parts[0].shape[2:]))
        computed_mean, computed_std = channel_statistics(parts[0].images, images.scale)
        padding, cutout = default_augmentation(task, size)
        info = DatasetInfo(
            name=name,
            num_classes=len(targets.names),
            in_channels=images.parts[0].shape[1],
            image_size=size,
            mean=tuple(mean) if mean is not None else computed_mean,
            std=tuple(std) if std is not None else computed_std,
            class_names=targets.names,
            flip=flip,
            crop_padding=padding if crop_padding is None else crop_padding,
            cutout_max=cutout if cutout_max is None else cutout_max,
            scale=images.scale,
            task=task,
            multi_label=multi_label,
        )
        return cls(info, *parts)


def _by_part(name: str, *kinds: tuple[Any, Any]) -> list[list[tuple[str, Any]]]:
    """Return images and targets of the parts that are given, each with what it is called in messages."""
    found = [
        [(f"{name!r} {kind}_{part}", part_of) for part, part_of in zip(("train", "test"), both, strict=True)]
        for kind, both in zip("xy", kinds, strict=True)
    ]
    if len({both[1] is None for both in kinds}) > 1:
        raise DataError(f"data set {name!r}: give both x_test and y_test or neither")
    return [[pair for pair in pairs if pair[1] is not None] for pairs in found]


def default_augmentation(task: str, size: ImageSize) -> tuple[int, int]:
    """Return crop padding and largest cutout that targets of a task survive without anybody saying so.

    A class survives both; a mask is cropped with its image, and what a cutout hides it would still ask for; a value may
    depend on where things are and how bright they are.
    """
    if task == "classification":
        return default_crop_padding(size), default_cutout_max(size)
    return (default_crop_padding(size) if task == "segmentation" else 0), 0


def split_off_test(images: ImageSet, portion: float, split_seed: int = TEST_SPLIT_SEED) -> tuple[ImageSet, ImageSet]:
    """Split a stratified test part off; returns (training part, test part).

    Raises:
        DataError: If one of the parts would be empty.
    """
    train, test = split_test(images.label_array, portion, split_seed)
    return images.take(train), images.take(test)


def joined(parts: Sequence[ImageSet]) -> ImageSet:
    """Return the images of several sets, one after the other."""
    return ImageSet(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))


def _check_part(info: DatasetInfo, part: str, images: ImageSet | StreamSet) -> None:
    """Raise a `DataError` where the items of a part do not fit the description."""
    where = f"data set {info.name!r}, {part} part: "
    if len(images) == 0:
        raise DataError(where + "it has no images")
    if has_one_class(info):
        labels = images.label_array
        if labels.min() < 0 or labels.max() >= info.num_classes:
            raise DataError(
                where + f"labels must lie in 0..{info.num_classes - 1} ({info.num_classes} classes), "
                f"found {labels.min()}..{labels.max()}"
            )
    if isinstance(images, StreamSet):
        return
    if tuple(images.images.shape[1:]) != info.input_shape:
        what = {"image": "images", "sequence": "sequences", "tokens": "rows of tokens"}[info.kind]
        axes = {"image": "(c, h, w)", "sequence": "(c, t)", "tokens": "(t,)"}[info.kind]
        raise DataError(where + f"{what} are {tuple(images.images.shape[1:])}, expected {axes} = {info.input_shape}")
    expected = target_shape(info)
    if expected is not None and tuple(images.labels.shape[1:]) != expected:
        raise DataError(
            where + f"targets of {info.task} must be (n, {', '.join(map(str, expected))}), got "
            f"{tuple(images.labels.shape)}"
        )
