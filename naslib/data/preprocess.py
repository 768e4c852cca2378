"""What must be done to an image before a trained network can see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from naslib.data.decode import centre_crop, covering, to_array, to_channels, to_levels, upright
from naslib.data.info import DatasetInfo, ImageSize, height_and_width, plain_size
from naslib.data.pictures import BYTE, are_levels, read_pixels
from naslib.data.pipeline import scale_and_shift
from naslib.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image


class Preprocess(nn.Module):
    """Turn PIL images, arrays or tensors into normalised batches, as the evaluation loaders do.

    Args:
        mean: Per channel, in units of [0, 1].
        std: Likewise.
        in_channels: Channels of the images.
        image_size: Side of the images of the network, or height and width.
        resize: Short side before the centre crop; that of `image_size` if None.
        scale: By what pixels are divided before `mean` and `std` count, as `DatasetInfo.scale`: 255 for grey levels of
            8 bits. With another one, arrays of any numeric type are divided by it, as those that were trained on.
        deep: As `DatasetInfo.deep`: the level that is white in image files of more than 8 bits, where pixels are bytes;
            0 where there were none, and such files are right only up to level 255.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        in_channels: int,
        image_size: ImageSize | Sequence[int],
        resize: int | None = None,
        scale: float = 255.0,
        deep: float = 0.0,
    ) -> None:
        super().__init__()
        self.mean = tuple(float(value) for value in mean)
        self.std = tuple(float(value) for value in std)
        self.in_channels = in_channels
        self.image_size = plain_size(image_size)
        self.resize = resize or min(height_and_width(self.image_size))
        self.divisor = float(scale)
        self.deep = float(deep)
        factor, shift = scale_and_shift(self.mean, self.std, self.divisor)
        self.register_buffer("scale", factor.view(-1, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(-1, 1, 1), persistent=False)

    @classmethod
    def from_info(cls, info: DatasetInfo) -> Preprocess:
        """Build the preprocessing of a data set."""
        return cls(
            mean=info.mean,
            std=info.std,
            in_channels=info.in_channels,
            image_size=info.image_size,
            resize=info.resize,
            scale=info.scale,
            deep=info.deep,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values that `from_dict` reads back."""
        return {
            "mean": list(self.mean),
            "std": list(self.std),
            "in_channels": self.in_channels,
            "image_size": self.image_size if isinstance(self.image_size, int) else list(self.image_size),
            "resize": self.resize,
            "scale": self.divisor,
            "deep": self.deep,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocess:
        """Build from the values of `to_dict`."""
        return cls(**values)

    def forward(self, image: Any) -> Tensor:
        """Return the batch for the network.

        Args:
            image: A picture: a PIL image, the path of an image file, or an array `(h, w)`, `(h, w, c)`, `(c, h, w)`; or
                several: an array `(n, h, w, c)`, `(n, c, h, w)` or, where the network sees grey, `(n, h, w)`. Grey
                pictures and colours are converted into each other as Pillow does it. Or a tensor `(h, w)`, `(c, h, w)`
                or `(n, c, h, w)` with the network's channels. Or a list or tuple of any of these, of any sizes.
                Integers are 0..255, floats 0..1, booleans black and white; where the training images had another
                scale, numbers of any type are what these held.

        Returns:
            float32 `(n, c, height, width)` on the device of this module.

        Raises:
            DataError: If shape, channels, type or range is something else, or a file cannot be read.
        """
        if isinstance(image, list | tuple):
            return torch.cat([self(item) for item in image]) if image else self.scale.new_empty(0, *self._shape)
        pixels = read_pixels(image, self.in_channels, self._decode, bytes_only=self.divisor == BYTE, deep=self.deep)
        pixels = self._with_channels(pixels, image).to(self.scale.device)
        if pixels.is_floating_point() and self.divisor == BYTE:
            pixels = pixels.float() * BYTE
        return self._fit(pixels.float()) * self.scale + self.shift

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.in_channels, *height_and_width(self.image_size)

    def extra_repr(self) -> str:
        """Say what comes out."""
        return f"{'x'.join(map(str, self._shape))}, mean={list(self.mean)}, std={list(self.std)}"

    def _decode(self, picture: Image) -> NDArray[Any]:
        """Return a PIL image as `(h, w, c)`: bytes, or numbers in the range of the training images."""
        if self.in_channels not in (1, 3):
            raise DataError(f"a picture has 1 or 3 channels, the network sees {self.in_channels}: give arrays")
        if self.divisor != BYTE and self.in_channels == 1:
            picture = to_levels(upright(picture), self.divisor)
            return to_array(centre_crop(picture, self.resize, self.image_size))
        picture = to_channels(picture, self.in_channels, self.deep)
        pixels = to_array(centre_crop(picture, self.resize, self.image_size))
        return pixels if self.divisor == BYTE else pixels * np.float32(self.divisor / BYTE)

    def _with_channels(self, pixels: Tensor, given: Any) -> Tensor:
        if pixels.ndim != 4 or pixels.shape[1] != self.in_channels:
            raise DataError(
                f"expected {self.in_channels} channel(s), (n, {self.in_channels}, h, w) as a tensor, "
                f"got shape {tuple(given.shape)}"
            )
        return pixels

    def _fit_pictures(self, pixels: Tensor) -> Tensor:
        """Resize and crop pictures of 8 bits as those of files are, so that both give the same numbers."""
        from PIL import Image as pil

        found = []
        for picture in pixels.round().to("cpu", torch.uint8):
            array = picture.permute(1, 2, 0).contiguous().numpy()
            image = pil.fromarray(array[:, :, 0] if self.in_channels == 1 else array)
            found.append(torch.from_numpy(np.array(to_array(centre_crop(image, self.resize, self.image_size)))))
        return torch.stack(found).permute(0, 3, 1, 2).to(pixels)

    def _fit(self, pixels: Tensor) -> Tensor:
        """Resize and crop images of another size."""
        height, width = height_and_width(self.image_size)
        given = (pixels.shape[-2], pixels.shape[-1])
        if given == (height, width):
            return pixels
        target = covering(given, self.resize, self.image_size)
        if target != given and self.divisor == BYTE and self.in_channels in (1, 3) and are_levels(pixels):
            return self._fit_pictures(pixels)
        if target != given:
            pixels = F.interpolate(pixels, size=target, mode="bilinear", antialias=True, align_corners=False)
        top, left = (target[0] - height) // 2, (target[1] - width) // 2
        return pixels[..., top : top + height, left : left + width]
