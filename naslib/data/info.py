"""What a data set is: names, sizes, normalisation, its task, and which augmentation its targets survive."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch

from naslib.errors import DataError

# A side of square images, or (height, width).
ImageSize: TypeAlias = int | tuple[int, int]
Kind: TypeAlias = Literal["image", "sequence", "tokens"]

_KINDS = ("image", "sequence", "tokens")
# Tasks whose targets are class numbers, each of which has a name.
CLASS_TASKS = ("classification", "segmentation", "language_modelling", "sequence_classification", "few_shot")


@dataclass(frozen=True)
class DatasetInfo:
    """Describe a data set.

    Attributes:
        name: The name it is known by.
        num_classes: Number of classes, at least 2 (of pixels for masks, of tokens for a language model); for values
            (`task="regression"`) how many there are of each item.
        in_channels: Channels of the images, or of a sequence of vectors; 1 for tokens.
        image_size: Side of square images or (height, width), as a network sees them; the length of sequences.
        mean: Per channel, of the training split, in units of pixel / `scale`.
        std: Likewise.
        class_names: One per class (or value).
        flip: Whether targets survive a horizontal flip (masks are flipped with their image).
        crop_padding: Zeros around the image before a random crop; 0 for no crop.
        cutout_max: Largest side of a cutout square that is chosen without being asked for.
        resize: Short side to which raw images are resized before the crop to `image_size`.
        resized_crop: Whether training crops random areas of the raw image (ImageNet's recipe; streamed sets only).
        scale: By what pixels are divided before mean and std count: 255 for bytes, the largest value of other integer
            types, 1 for floats that are taken as they are.
        deep: The level that is white in image files of more than 8 bits where pixels are bytes; 0 where there are none.
        task: What is learned, a name of the registry of tasks.
        multi_label: Whether an item has any number of classes, a row of 0 and 1 (`task="classification"`).
        kind: `"image"` `(n, c, h, w)`, `"sequence"` `(n, c, t)` of real numbers, or `"tokens"` `(n, t)` of integers.
        vocabulary: Number of different tokens; 0 unless `kind` is `"tokens"`.
        goes_on: Whether the items are neighbouring windows of a text that batches go through row by row, so that a
            network may remember what came before (`naslib.data.text_loader`).
        varies: Whether the batches of a retraining then have many lengths.
        ways: Classes in an episode, where a batch is one (`task="few_shot"`, `naslib.data.episode_loader`); else 0.
        shots: Examples of each of them.
        queries: Images of each of them that are asked for.
        episodes: In an epoch of training or validation.
        test_episodes: In the test.
        class_counts: Training items (or pixels of masks) of each class; () where that is not known.
    """

    name: str
    num_classes: int
    in_channels: int
    image_size: ImageSize
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    flip: bool = False
    crop_padding: int = 0
    cutout_max: int = 0
    resize: int = 0
    resized_crop: bool = False
    scale: float = 255.0
    deep: float = 0.0
    task: str = "classification"
    multi_label: bool = False
    kind: Kind = "image"
    vocabulary: int = 0
    goes_on: bool = False
    varies: bool = False
    ways: int = 0
    shots: int = 0
    queries: int = 0
    episodes: int = 0
    test_episodes: int = 0
    class_counts: tuple[int, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        object.__setattr__(self, "class_counts", tuple(int(count) for count in self.class_counts))
        object.__setattr__(self, "image_size", plain_size(self.image_size, f"data set {self.name!r}: image_size"))
        if self.resize == 0:
            object.__setattr__(self, "resize", self.short_side)
        problems = list(self._problems())
        if problems:
            raise DataError(f"data set {self.name!r}: " + "; ".join(problems))

    @property
    def height(self) -> int:
        """Return the height of the images."""
        return self.image_size if isinstance(self.image_size, int) else self.image_size[0]

    @property
    def width(self) -> int:
        """Return the width of the images, or the length of sequences."""
        return self.image_size if isinstance(self.image_size, int) else self.image_size[1]

    @property
    def short_side(self) -> int:
        """Return the smaller of height and width."""
        return min(self.height, self.width)

    @property
    def output_size(self) -> int:
        """Return how many numbers a network gives for an item (for a pixel or a token of dense tasks)."""
        return self.num_classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one input: `(c, h, w)` of images, `(c, t)` of sequences, `(t,)` of tokens."""
        if self.kind == "image":
            return self.in_channels, self.height, self.width
        return (self.in_channels, self.width) if self.kind == "sequence" else (self.width,)

    @property
    def input_dtype(self) -> torch.dtype:
        """Return the type of a batch's inputs: float32, or int64 for tokens."""
        return torch.int64 if self.kind == "tokens" else torch.float32

    def describe(self) -> str:
        """Return name, outputs and inputs as a phrase: `digits: 10 classes, images 1x8x8`."""
        outputs = f"{self.num_classes} {'classes' if self.task in CLASS_TASKS else 'values'}"
        what = {"image": "images", "sequence": "sequences", "tokens": "tokens"}[self.kind]
        task = "" if self.task == "classification" else f"{self.task}, "
        return f"{self.name}: {task}{outputs}, {what} {'x'.join(map(str, self.input_shape))}"

    def _problems(self) -> list[str]:
        problems = []
        if self.task in CLASS_TASKS and self.num_classes < 2:
            problems.append(f"it has {self.num_classes} class(es), a classifier needs at least 2")
        if self.num_classes < 1:
            problems.append(f"a network needs at least 1 output, got {self.num_classes}")
        if self.in_channels < 1:
            problems.append(f"images have {self.in_channels} channels, expected at least 1")
        elif not len(self.mean) == len(self.std) == self.in_channels:
            problems.append(f"mean and std need {self.in_channels} value(s), got {len(self.mean)} and {len(self.std)}")
        if any(value <= 0 for value in self.std):
            problems.append(f"std must be positive, got {self.std}")
        if len(self.class_names) != self.num_classes:
            problems.append(f"{len(self.class_names)} class names for {self.num_classes} classes")
        if self.short_side < 1 or self.crop_padding < 0:
            problems.append(f"image_size {self.image_size} and crop_padding {self.crop_padding} must not be negative")
        if not 0 < self.scale < float("inf"):
            problems.append(f"scale must be positive, got {self.scale}")
        if self.kind not in _KINDS:
            problems.append(f"kind must be one of {', '.join(_KINDS)}, got {self.kind!r}")
        if (self.kind == "tokens") != (self.vocabulary > 0):
            problems.append(f"tokens have a vocabulary and nothing else has, got {self.vocabulary} for {self.kind!r}")
        if self.goes_on and (self.kind, self.task) != ("tokens", "language_modelling"):
            problems.append(f"only windows of tokens for a language model go on, not {self.kind} for {self.task}")
        if self.varies and not self.goes_on:
            problems.append("only batches that go on where the one before ended can have many lengths")
        return problems

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values that `from_dict` reads back."""
        values = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DatasetInfo:
        """Build from the values of `to_dict`."""
        return cls(**values)


def plain_size(size: Any, what: str = "image_size") -> ImageSize:
    """Return a size as one integer where the image is square, else as (height, width).

    Args:
        size: A side, or two of them.
        what: Its name, for messages.

    Raises:
        DataError: If it is neither.
    """
    if isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2:
        height, width = size
        if isinstance(height, int) and isinstance(width, int):
            return height if height == width else (height, width)
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    raise DataError(f"{what} must be a number of pixels, or height and width, got {size!r}")


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Return both sides of a size."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def size_text(size: ImageSize) -> str:
    """Return a size as `16x24`."""
    return "x".join(map(str, height_and_width(size)))


def default_crop_padding(image_size: ImageSize) -> int:
    """Return an eighth of the shorter side (4 at 32x32, 1 at 8x8), the padding of the usual random crop."""
    return round(min(height_and_width(image_size)) / 8)


def default_cutout_max(image_size: ImageSize) -> int:
    """Return half the shorter side."""
    return min(height_and_width(image_size)) // 2


def default_class_names(num_classes: int) -> tuple[str, ...]:
    """Return the class indices as names."""
    return tuple(str(index) for index in range(num_classes))
