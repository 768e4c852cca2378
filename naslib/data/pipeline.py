"""From a batch of raw items to what a network is fed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from naslib.data.augment import Augmentation, Draws, apply_cutout, crop_and_flip, draw
from naslib.data.info import DatasetInfo
from naslib.data.targets import IGNORED


class Share(NamedTuple):
    """Say which rows of a batch these are.

    Attributes:
        rows: Their places.
        total: How many the batch has; what is drawn is drawn for all of them.
    """

    rows: slice
    total: int


def scale_and_shift(mean: Sequence[float], std: Sequence[float], divisor: float = 255.0) -> tuple[Tensor, Tensor]:
    """Return float32 `(c,)` a, b with `a * pixel + b == (pixel / divisor - mean) / std`."""
    deviation = torch.tensor(std, dtype=torch.float64)
    scale = 1.0 / (divisor * deviation)
    shift = -torch.tensor(mean, dtype=torch.float64) / deviation
    return scale.float(), shift.float()


class BatchPipeline:
    """Augment and normalise whole batches.

    Args:
        info: The data set.
        augmentation: What is done to training images; None for evaluation.
        device: Where batches are made.
        channels_last: Memory layout of the batches, and of the raw images that come in; images only.
    """

    def __init__(
        self, info: DatasetInfo, augmentation: Augmentation | None, *, device: torch.device, channels_last: bool
    ) -> None:
        self.augmentation = augmentation
        self.device = device
        self.channels_last = channels_last and info.kind == "image"
        self.size = info.image_size
        self._is_tokens = info.kind == "tokens"
        self._masks = info.task == "segmentation"
        scale, shift = scale_and_shift(info.mean, info.std, info.scale)
        if self.channels_last:  # over rows of w * c values
            scale, shift = scale.repeat(info.width), shift.repeat(info.width)
        else:
            axes = (-1, 1, 1) if info.kind == "image" else (-1, 1)
            scale, shift = scale.view(axes), shift.view(axes)
        self._scale, self._shift = scale.to(device), shift.to(device)

    def __call__(self, raw: Tensor, *key: int | str, share: Share | None = None) -> Tensor:
        """Return the inputs of a network.

        Args:
            raw: `(n, c, h, w)` numbers, or `(n, h, w, c)` where `channels_last`; `(n, c, t)` or `(n, t)`; contiguous,
                on the device.
            *key: What the augmentation is a function of.
            share: Which rows of the batch these are; None for all.

        Returns:
            float32 `(n, c, h, w)` in the memory format of this pipeline, or `(n, c, t)`; int64 `(n, t)` of tokens.
        """
        return self._inputs(raw, self._draws(raw, key, share))

    def batch(self, raw: Tensor, targets: Tensor, *key: int | str, share: Share | None = None) -> tuple[Tensor, Tensor]:
        """Return inputs, and targets that fit them: masks are cropped and mirrored as their image.

        Inputs are `(n, c, h, w)`, targets `(n,)`, or masks `(n, h, w)`.

        Args:
            raw: As above.
            targets: Of these items, as an `ImageSet` holds them.
            *key: What the augmentation is a function of.
            share: Which rows of the batch these are; None for all.

        Returns:
            Inputs as above; int64 classes, masks or tokens, or float32 values.
        """
        draws = self._draws(raw, key, share)
        augmentation = self.augmentation
        if self._masks:
            if draws is not None and augmentation is not None and (augmentation.crop_padding or augmentation.flip):
                masks = targets[:, None].contiguous()
                targets = crop_and_flip(masks, draws, augmentation.crop_padding, False, fill=IGNORED)[:, 0]
            targets = targets.to(torch.int64)
        return self._inputs(raw, draws), targets

    def _draws(self, raw: Tensor, key: tuple[int | str, ...], share: Share | None) -> Draws | None:
        augmentation = self.augmentation
        if augmentation is None or augmentation == Augmentation():
            return None
        total = raw.shape[0] if share is None else share.total
        draws = draw(augmentation, self.size, total, self.device, *key)
        return draws if share is None else Draws(*(drawn[share.rows] for drawn in draws))

    def _inputs(self, raw: Tensor, draws: Draws | None) -> Tensor:
        if self._is_tokens:
            return raw.to(torch.int64)
        augmentation = self.augmentation
        if draws is None or augmentation is None:
            x = self._normalise(raw)
        else:
            if augmentation.crop_padding or augmentation.flip:
                raw = crop_and_flip(raw, draws, augmentation.crop_padding, self.channels_last)
            x = self._normalise(raw)
            if augmentation.cutout_length:
                apply_cutout(x, draws, augmentation.cutout_length, self.channels_last)
        return x.permute(0, 3, 1, 2) if self.channels_last else x

    def _normalise(self, raw: Tensor) -> Tensor:
        # a copy also of what is float32 already: the arithmetic is in place, and the raw images stay
        x = raw.to(torch.float32, copy=True)
        rows = x.view(*x.shape[:2], -1) if self.channels_last else x
        rows.mul_(self._scale).add_(self._shift)
        return x


def to_layout(images: Tensor, channels_last: bool) -> Tensor:
    """Return images `(n, c, h, w)` contiguously in the raw layout of a pipeline; others as they are."""
    return (images.permute(0, 2, 3, 1) if channels_last and images.ndim == 4 else images).contiguous()
