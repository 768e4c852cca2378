"""Image files of any kind into one set: what they have in common is chosen, and bad ones are found, before training."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from naslib.data.channels import channel_statistics
from naslib.data.headers import LARGEST_IN_MEMORY, ImageKind, choose, read_headers, say_choice
from naslib.data.image_data import ImageSet, default_augmentation
from naslib.data.info import DatasetInfo, ImageSize, height_and_width, plain_size
from naslib.data.stream_set import BYTE, StreamSet
from naslib.data.verify import attempt_all, find_bad, raise_together
from naslib.errors import DataError
from naslib.utils.memory import free_memory

_logger = logging.getLogger("naslib.data")
_MEMORY_LIMIT = 2**30
# Images whose pixels give mean and std where not all are in memory.
_SAMPLE = 512
# How many files a warning names.
_NAMED = 20


@dataclass(frozen=True)
class FileOptions:
    """How image files are read; what is None is chosen (see `naslib.data.headers.choose`).

    Attributes:
        image_size: Of the images a network sees.
        channels: 1 or 3.
        in_memory: Whether all are decoded once. If None: up to 64x64 pixels and 1 GiB.
        resized_crop: Whether training takes random areas. If None: where images are streamed and larger than 64x64.
        scale: The level that is white in grey files of more than 8 bits.
        skip_corrupt: Whether files that cannot be read are left out.
    """

    image_size: ImageSize | Sequence[int] | None = None
    channels: int | None = None
    in_memory: bool | None = None
    resized_crop: bool | None = None
    scale: float | None = None
    skip_corrupt: bool = False

    def __post_init__(self) -> None:
        if self.channels not in (None, 1, 3):
            raise DataError(f"channels must be 1 or 3, got {self.channels}")
        if self.image_size is not None and min(height_and_width(plain_size(self.image_size))) < 1:
            raise DataError(f"image_size must be at least one pixel a side, got {self.image_size}")
        if self.scale is not None and (self.channels != 1 or not 0 < self.scale < float("inf")):
            raise DataError(
                f"scale is for grey images (channels: 1) and positive, got {self.scale} for {self.channels} channels"
            )

    @property
    def said(self) -> tuple[str, ...]:
        """Which of size, channels and scale were given."""
        return tuple(key for key in ("image_size", "channels", "scale") if getattr(self, key) is not None)


class Files(NamedTuple):
    """Image files that can all be read.

    Attributes:
        images: Of all files that are kept, in order.
        kept: Their numbers among the files that were given.
        choice: What they have in common.
        left_out: Paths of bad files, and why.
    """

    images: ImageSet | StreamSet
    kept: NDArray[np.int64]
    choice: ImageKind
    left_out: dict[str, str]

    def info(self, name: str, train: ImageSet | StreamSet, task: str, names: Sequence[str], flip: bool) -> DatasetInfo:
        """Return the description of a data set of these files, whose training part gives mean and std.

        Args:
            name: The data set.
            train: Its training part.
            task: What is learned.
            names: Of classes or values.
            flip: Whether targets survive a flip.
        """
        size = self.choice.size
        mean, std = channel_statistics(_pixels(train), self.choice.scale)
        padding, cutout = default_augmentation(task, size)
        is_streamed = isinstance(self.images, StreamSet)
        return DatasetInfo(
            name=name,
            num_classes=len(names),
            in_channels=self.choice.channels,
            image_size=size,
            mean=mean,
            std=std,
            class_names=tuple(names),
            flip=flip,
            crop_padding=padding,
            cutout_max=cutout,
            resize=self.images.resize if isinstance(self.images, StreamSet) else 0,
            resized_crop=is_streamed and self.images.resized_crop,  # type: ignore[union-attr]
            scale=self.choice.scale,
            deep=self.choice.deep,
            task=task,
        )

    def about(self) -> dict[str, Any]:
        """Return what was chosen and left out, as plain values for the record of a run."""
        size = self.choice.size
        return {
            "chosen": {
                "image_size": size if isinstance(size, int) else list(size),
                "channels": self.choice.channels,
                **({} if self.choice.scale == BYTE or self.choice.channels != 1 else {"scale": self.choice.scale}),
            },
            "left_out": dict(self.left_out),
        }


def read_files(
    name: str, paths: Sequence[str], targets: NDArray[Any], options: FileOptions, like: ImageKind | None = None
) -> Files:
    """Return image files as one set, and find all that cannot be read, before anything is trained.

    The header of each file is read, what is not said is chosen by them, and each file is decoded once: into memory, or,
    where images are streamed, to see that it can be. Choices are those of the files that are kept.

    Args:
        name: The data set, for messages.
        paths: The files.
        targets: `(n,)` int64 classes, or `(n, k)` float32 values.
        options: How they are read.
        like: The choice of another set, which goes before that of these files and is not said again.

    Raises:
        DataError: If files cannot be read and are not left out: one message that lists them.
    """
    headers, bad = read_headers(paths)
    files, choice = None, like
    while True:
        kept = np.array([index for index in range(len(paths)) if index not in bad], dtype=np.int64)
        if not len(kept):
            raise_together([bad[index] for index in sorted(bad)], len(paths), "images")
            raise DataError(f"data set {name!r} has no image file")
        good = [header for index in kept.tolist() if (header := headers[index]) is not None]
        chosen = like or choose(good, options.image_size, options.channels, options.scale)
        if files is not None and chosen == choice:  # those that are left were read as they are to be
            images, before = files
            images = images.take(np.flatnonzero(np.isin(before, kept)))
            break
        choice = chosen
        images, found = _read([paths[index] for index in kept], targets[kept], choice, options)
        if bad or found:
            bad |= {int(kept[index]): error for index, error in found.items()}
            if not options.skip_corrupt:
                raise_together([bad[index] for index in sorted(bad)], len(paths), "images")
        if not found:
            break
        files = images, kept
    if like is None:
        say_choice(name, good, choice, options.said)
    left_out = {_shown(paths[index]): _reason(str(bad[index]), str(paths[index])) for index in sorted(bad)}
    if left_out:
        lines = [f"  {path}: {reason}" for path, reason in list(left_out.items())[:_NAMED]]
        more = [f"  and {len(left_out) - _NAMED} more"] if len(left_out) > _NAMED else []
        _logger.warning(
            "data set %r: %d of %d images cannot be read and are left out (skip_corrupt):\n%s",
            name, len(left_out), len(paths), "\n".join([*lines, *more]),
        )  # fmt: skip
    return Files(images, kept, choice, left_out)


def _read(
    paths: Sequence[str], targets: NDArray[Any], choice: ImageKind, options: FileOptions
) -> tuple[ImageSet | StreamSet, dict[int, DataError]]:
    """Return the images, decoded into memory or streamed, and the errors of those that cannot be decoded."""
    height, width = height_and_width(choice.size)
    is_large = max(height, width) > LARGEST_IN_MEMORY
    in_memory = options.in_memory
    if in_memory is None:
        in_memory = not is_large and len(paths) * choice.channels * height * width <= _MEMORY_LIMIT
    areas = not in_memory and (is_large if options.resized_crop is None else options.resized_crop)
    short = min(height, width)
    stream = StreamSet(
        paths,
        targets,
        channels=choice.channels,
        image_size=choice.size,
        resize=round(short * 256 / 224) if areas else short,
        resized_crop=areas,
        scale=choice.scale,
        deep=choice.deep,
    )
    if not in_memory:
        return stream, find_bad(stream.paths, choice.channels, choice.scale, choice.deep)
    return decode(stream)


def decode(files: StreamSet, indices: NDArray[np.int64] | None = None) -> tuple[ImageSet, dict[int, DataError]]:
    """Decode images into memory; those that cannot be are black.

    Args:
        files: The files.
        indices: Which of them; None for all.

    Returns:
        The images, and the errors by place.
    """
    chosen = np.arange(len(files)) if indices is None else indices
    shape = (len(chosen), files.channels, *height_and_width(files.image_size))
    needed, free = int(np.prod(shape)) * np.dtype(files.dtype).itemsize, free_memory()
    if free is not None and needed > free:
        _logger.warning(
            "%d decoded images take %.1f GB of memory, and %.1f GB are free: set in_memory: false, or a smaller "
            "image_size", len(chosen), needed / 1e9, free / 1e9,
        )  # fmt: skip
    pixels = np.zeros(shape, dtype=files.dtype)

    def read(place: int) -> None:
        pixels[place] = files.load(int(chosen[place])).transpose(2, 0, 1)

    errors = attempt_all(read, len(chosen))
    return ImageSet(torch.from_numpy(pixels), files.labels[torch.from_numpy(chosen)]), errors


def decode_all(files: StreamSet, indices: NDArray[np.int64] | None = None) -> ImageSet:
    """Decode all images of a set (or those of the indices) into memory.

    Raises:
        DataError: If some cannot be decoded: one message that lists them.
    """
    images, errors = decode(files, indices)
    raise_together(list(errors.values()), len(images), "images")
    return images


def _pixels(images: ImageSet | StreamSet) -> torch.Tensor:
    """Return all images in memory, or evenly spaced ones of files, for the statistics."""
    if isinstance(images, ImageSet):
        return images.images
    chosen = np.unique(np.linspace(0, len(images) - 1, min(_SAMPLE, len(images))).astype(np.int64))
    return decode_all(images, chosen).images


def _shown(path: str) -> str:
    """Return a path as text that can be written, also of a name whose bytes are no letters."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _reason(text: str, path: str) -> str:
    """Return what is wrong with a file, without its name and what to do."""
    return text.removeprefix(f"cannot read the image {path}: ").removesuffix("; remove or repair it")


def with_targets(images: ImageSet | StreamSet, targets: torch.Tensor) -> ImageSet | StreamSet:
    """Return the same images with other targets, `(n, ...)`."""
    if isinstance(images, ImageSet):
        return ImageSet(images.images, targets)
    return images.with_targets(targets)
