"""What a data set is: names, sizes, normalisation, and which augmentation its labels survive."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from naslib.errors import DataError


@dataclass(frozen=True)
class DatasetInfo:
    """Describe a data set of square images.

    Attributes:
        name: The name it is known by.
        num_classes: Number of classes, at least 2.
        in_channels: 1 or 3.
        image_size: Height and width of the images a network sees.
        mean: Per channel, of the training split, in units of [0, 1].
        std: Likewise.
        class_names: One per class.
        flip: Whether labels survive a horizontal flip.
        crop_padding: Zeros around the image before a random crop; 0 for no crop.
        cutout_max: Largest side of a cutout square that is chosen without being asked for.
        resize: Short side to which raw images are resized before the crop to `image_size`.
        resized_crop: Whether training crops random areas of the raw image (ImageNet's recipe; streamed sets only).
    """

    name: str
    num_classes: int
    in_channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    flip: bool = False
    crop_padding: int = 0
    cutout_max: int = 0
    resize: int = 0
    resized_crop: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        object.__setattr__(self, "class_names", tuple(str(name) for name in self.class_names))
        if self.resize == 0:
            object.__setattr__(self, "resize", self.image_size)
        problems = list(self._problems())
        if problems:
            raise DataError(f"data set {self.name!r}: " + "; ".join(problems))

    def _problems(self) -> list[str]:
        problems = []
        if self.num_classes < 2:
            problems.append(f"it has {self.num_classes} class(es), a classifier needs at least 2")
        if self.in_channels not in (1, 3):
            problems.append(f"images have {self.in_channels} channels, expected 1 (grey) or 3 (colour)")
        elif not len(self.mean) == len(self.std) == self.in_channels:
            problems.append(f"mean and std need {self.in_channels} value(s), got {len(self.mean)} and {len(self.std)}")
        if any(value <= 0 for value in self.std):
            problems.append(f"std must be positive, got {self.std}")
        if len(self.class_names) != self.num_classes:
            problems.append(f"{len(self.class_names)} class names for {self.num_classes} classes")
        if self.image_size < 1 or self.crop_padding < 0:
            problems.append(f"image_size {self.image_size} and crop_padding {self.crop_padding} must not be negative")
        return problems

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values that `from_dict` reads back."""
        values = dataclasses.asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DatasetInfo:
        """Build from the values of `to_dict`."""
        return cls(**values)


def default_crop_padding(image_size: int) -> int:
    """Return an eighth of the side (4 at 32x32, 1 at 8x8), the padding of the usual random crop."""
    return round(image_size / 8)


def default_class_names(num_classes: int) -> tuple[str, ...]:
    """Return the class indices as names."""
    return tuple(str(index) for index in range(num_classes))
