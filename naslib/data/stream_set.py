"""Images that stay in files and are decoded when they are needed."""

from __future__ import annotations

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
        labels: `(n,)` classes.
        channels: 1 or 3; files are converted.
        image_size: Side, or height and width, of the decoded images.
        resize: Short side before the centre crop.
        resized_crop: Whether training images are random areas of the file's image.
        scale: The level that is white. 255 reads files as 8 bits; with another one grey files are read with all their
            bits, as float32.
    """

    def __init__(
        self,
        paths: Sequence[Path | str],
        labels: Sequence[int] | NDArray[np.int64],
        *,
        channels: int,
        image_size: ImageSize,
        resize: int,
        resized_crop: bool = False,
        scale: float = BYTE,
    ) -> None:
        if len(paths) != len(labels):
            raise DataError(f"{len(paths)} image files for {len(labels)} labels")
        self.paths = [str(path) for path in paths]
        self.label_array: NDArray[np.int64] = np.asarray(labels, dtype=np.int64)
        self.channels = channels
        self.image_size = plain_size(image_size)
        self.resize = resize
        self.resized_crop = resized_crop
        self.scale = float(scale)

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def labels(self) -> Tensor:
        """Return the labels as a tensor.

        `(n,)`, int64.
        """
        return torch.from_numpy(self.label_array)

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
        image = open_image(path, self.channels) if self.scale == BYTE else open_levels(path, self.scale)
        if self.resized_crop and key:
            draws = uniforms(4, _AREA_TRIES, *key, int(index))
            return to_array(resized_crop(image, self.image_size, draws))
        return to_array(centre_crop(image, self.resize, self.image_size))
