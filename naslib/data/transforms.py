"""The per-image transforms of the field: for code that wants them, and the reference of the batched ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from naslib.data.augment import AugmentOptions
from naslib.data.info import DatasetInfo, height_and_width

if TYPE_CHECKING:
    from PIL.Image import Image


class Cutout:
    """Set a square of one normalised image to zero, its centre any pixel, clipped at the border [DeVries2017cutout].

    Draws from torch's global generator.

    Args:
        length: Side of the square.
        prob: Probability of a cutout.
    """

    def __init__(self, length: int, prob: float = 1.0) -> None:
        self.length = length
        self.prob = prob

    def __call__(self, image: Tensor) -> Tensor:
        """Return the image `(c, h, w)`, cut."""
        if float(torch.rand(())) >= self.prob:
            return image
        height, width = image.shape[1:]
        y = int(torch.randint(height, ()))
        x = int(torch.randint(width, ()))
        top, left = y - self.length // 2, x - self.length // 2
        image = image.clone()
        image[:, max(top, 0) : max(top + self.length, 0), max(left, 0) : max(left + self.length, 0)] = 0.0
        return image


def build_transforms(
    info: DatasetInfo, options: AugmentOptions | None = None
) -> tuple[Callable[[Image], Any], Callable[[Image], Any]]:
    """Return torchvision transforms of one PIL image: (training, validation and test)."""
    from torchvision import transforms

    augmentation = (options or AugmentOptions()).resolve(info)
    size = height_and_width(info.image_size)
    convert: list[Callable[..., Any]] = [transforms.Grayscale()] if info.in_channels == 1 else []
    finish: list[Callable[..., Any]] = [transforms.ToTensor(), transforms.Normalize(info.mean, info.std)]
    fit: list[Callable[..., Any]] = [transforms.Resize(info.resize), transforms.CenterCrop(size)]
    train: list[Callable[..., Any]] = [transforms.RandomResizedCrop(size)] if info.resized_crop else list(fit)
    if augmentation.crop_padding:
        train.append(transforms.RandomCrop(size, padding=augmentation.crop_padding))
    if augmentation.flip:
        train.append(transforms.RandomHorizontalFlip())
    train += finish
    if augmentation.cutout_length:
        train.append(Cutout(augmentation.cutout_length, augmentation.cutout_prob))
    return transforms.Compose(convert + train), transforms.Compose(convert + fit + finish)
