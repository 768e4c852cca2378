"""From a batch of raw uint8 images to what a network is fed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from naslib.data.augment import Augmentation, apply_cutout, crop_and_flip, draw
from naslib.data.info import DatasetInfo


def scale_and_shift(mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Return float32 `(c,)` a, b with `a * uint8 + b == (uint8 / 255 - mean) / std`."""
    deviation = torch.tensor(std, dtype=torch.float64)
    scale = 1.0 / (255.0 * deviation)
    shift = -torch.tensor(mean, dtype=torch.float64) / deviation
    return scale.float(), shift.float()


class BatchPipeline:
    """Augment and normalise whole batches.

    Args:
        info: The data set.
        augmentation: What is done to training images; None for evaluation.
        device: Where batches are made.
        channels_last: Memory layout of the batches, and of the raw images that come in.
    """

    def __init__(
        self, info: DatasetInfo, augmentation: Augmentation | None, *, device: torch.device, channels_last: bool
    ) -> None:
        self.augmentation = augmentation
        self.device = device
        self.channels_last = channels_last
        self.size = info.image_size
        scale, shift = scale_and_shift(info.mean, info.std)
        if channels_last:  # over rows of w * c values
            self._scale, self._shift = scale.repeat(self.size).to(device), shift.repeat(self.size).to(device)
        else:
            self._scale, self._shift = scale.view(-1, 1, 1).to(device), shift.view(-1, 1, 1).to(device)

    def __call__(self, raw: Tensor, *key: int | str) -> Tensor:
        """Return the batch for a network.

        Args:
            raw: uint8 `(n, c, h, w)`, or `(n, h, w, c)` where `channels_last`; contiguous, on the device.
            *key: What the augmentation is a function of.

        Returns:
            float32 `(n, c, h, w)` in the memory format of this pipeline.
        """
        augmentation = self.augmentation
        draws = None
        if augmentation is not None and augmentation != Augmentation():
            draws = draw(augmentation, self.size, raw.shape[0], self.device, *key)
            if augmentation.crop_padding or augmentation.flip:
                raw = crop_and_flip(raw, draws, augmentation.crop_padding, self.channels_last)
        x = self._normalise(raw)
        if augmentation is not None and draws is not None and augmentation.cutout_length:
            apply_cutout(x, draws, augmentation.cutout_length, self.channels_last)
        return x.permute(0, 3, 1, 2) if self.channels_last else x

    def _normalise(self, raw: Tensor) -> Tensor:
        x = raw.to(torch.float32)
        rows = x.view(x.shape[0], self.size, -1) if self.channels_last else x
        rows.mul_(self._scale).add_(self._shift)
        return x


def to_layout(images: Tensor, channels_last: bool) -> Tensor:
    """Return `(n, c, h, w)` images contiguously in the raw layout of a pipeline."""
    return (images.permute(0, 2, 3, 1) if channels_last else images).contiguous()
