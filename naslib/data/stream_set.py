"""Images that stay in files and are decoded when they are needed."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from naslib.data._draws import uniforms
from naslib.data.decode import centre_crop, open_image, open_levels, resized_crop, to_array
from naslib.data.info import ImageSize, plain_size
from naslib.errors import DataError

BYTE = 255.0
# Tries of the random area before the centre is taken; torchvision's number.
_AREA_TRIES = 10


class StreamSet:
    """Hold the paths and labels of image files; `load` decodes one.

    Args:
        paths: One file per image.
        labels: `(n,)` classes, or `(n, k)` values.
        channels: 1 or 3; files are converted.
        image_size: Side, or height and width, of the decoded images.
        resize: Short side before the centre crop.
        resized_crop: Whether training images are random areas of the file's image.
        scale: The level that is white. 255 reads files as 8 bits; with another one grey files are read with all their
            bits, as float32.
        deep: The level that is white in files of more than 8 bits that are read as 8 bits; 0 where that is not known.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        labels: Sequence[int] | NDArray[np.int64] | NDArray[np.float32],
        *,
        channels: int,
        image_size: ImageSize,
        resize: int,
        resized_crop: bool = False,
        scale: float = BYTE,
        deep: float = 0.0,
    ) -> None:
        if len(paths) != len(labels):
            raise DataError(f"{len(paths)} image files for {len(labels)} labels")
        self.paths = [str(path) for path in paths]
        given = np.asarray(labels)
        self._targets = torch.from_numpy(given.astype(np.float32 if given.ndim == 2 else np.int64))
        self.channels = channels
        self.image_size = plain_size(image_size)
        self.resize = resize
        self.resized_crop = resized_crop
        self.scale = float(scale)
        self.deep = float(deep)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def labels(self) -> Tensor:
        """Return the targets as a tensor.

        `(n,)` int64 classes, or `(n, k)` float32 values.
        """
        return self._targets

    @property
    def label_array(self) -> NDArray[np.int64]:
        """Return the classes as an array, by which splits are stratified; zeros where targets are values."""
        if self._targets.ndim != 1:
            return np.zeros(len(self), dtype=np.int64)
        return np.asarray(self._targets.numpy(), dtype=np.int64)

    def take(self, indices: NDArray[np.int64]) -> StreamSet:
        """Return some of the images."""
        found = self.with_targets(self._targets[torch.from_numpy(indices)])
        found.paths = [self.paths[index] for index in indices.tolist()]
        return found

    def with_targets(self, targets: Tensor) -> StreamSet:
        """Return the same images with other targets: `(n,)` int64 classes, or `(n, k)` float32 values."""
        found = copy.copy(self)
        found._targets = targets
        return found

    @property
    def dtype(self) -> type[np.uint8] | type[np.float32]:
        """Return the type of decoded images."""
        return np.uint8 if self.scale == BYTE else np.float32

    def load(self, index: int, *key: int | str) -> NDArray[Any]:
        """Decode one image to `(h, w, channels)` uint8 or float32.

        Args:
            index: Which image.
            *key: What seeds the random area (seed, epoch ...); the centre is taken where there is none.
        """
        path = self.paths[index]
        image = open_image(path, self.channels, self.deep) if self.scale == BYTE else open_levels(path, self.scale)
        if self.resized_crop and key:
            draws = uniforms(4, _AREA_TRIES, *key, int(index))
            return to_array(resized_crop(image, self.image_size, draws))
        return to_array(centre_crop(image, self.resize, self.image_size))
