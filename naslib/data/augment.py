"""Random crop, flip and cutout of whole batches as tensors, equal in distribution to the per-image transforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from naslib.data._draws import uniforms
from naslib.data.info import DatasetInfo, ImageSize, height_and_width, size_text
from naslib.errors import ConfigError

# The field's cutout length at 32x32; smaller images take at most what their data set declares.
DEFAULT_CUTOUT_LENGTH = 16


@dataclass(frozen=True)
class Augmentation:
    """Say what is done to each training image, with every choice made (see `AugmentOptions.resolve`).

    Attributes:
        crop_padding: Zeros around the image before the random crop; 0 for none.
        flip: Whether half of the images are mirrored.
        cutout_length: Side of the square set to the mean; 0 for none.
        cutout_prob: Probability of a cutout.
    """

    crop_padding: int = 0
    flip: bool = False
    cutout_length: int = 0
    cutout_prob: float = 1.0


@dataclass(frozen=True)
class AugmentOptions:
    """Say what a user wants; what is None is the data set's own choice.

    Attributes:
        cutout: Whether to cut squares out.
        cutout_length: Side of the square. None, for a key that the user did not give, is 16 or the most that the data
            set declares (half the side), whichever is smaller; a number is taken as it is and must leave something.
        cutout_prob: Probability of a cutout per image.
        flip: Whether to mirror; the data set knows whether its labels survive it.
        crop: Whether to crop at random.
    """

    cutout: bool = False
    cutout_length: int | None = None
    cutout_prob: float = 1.0
    flip: bool | None = None
    crop: bool | None = None

    def resolve(self, info: DatasetInfo) -> Augmentation:
        """Return the augmentation of this data set.

        Raises:
            ConfigError: If the cutout would erase the image or a number is out of range.
        """
        problems = self._problems(info)
        if problems:
            raise ConfigError(problems)
        if info.kind != "image":
            return Augmentation()
        length = self.cutout_length
        if length is None:
            length = min(DEFAULT_CUTOUT_LENGTH, info.cutout_max)
        # an area crop of a streamed set already moves and scales the image
        crop = not info.resized_crop if self.crop is None else self.crop
        return Augmentation(
            crop_padding=info.crop_padding if crop else 0,
            flip=info.flip if self.flip is None else self.flip,
            cutout_length=length if self.cutout else 0,
            cutout_prob=self.cutout_prob,
        )

    def _problems(self, info: DatasetInfo) -> list[str]:
        problems = []
        if not 0.0 <= self.cutout_prob <= 1.0:
            problems.append(f"cutout_prob must be between 0 and 1, got {self.cutout_prob}")
        if self.cutout_length is not None and self.cutout_length < 0:
            problems.append(f"cutout_length must not be negative, got {self.cutout_length}")
        for key, wish, is_said in (("flip", self.flip, info.flip), ("crop", self.crop, info.crop_padding)):
            if wish and not is_said and info.task not in ("classification", "segmentation"):
                problems.append(f"{key}: the targets of {info.name!r} ({info.task}) are not said to survive it")
        if not self.cutout or not self.cutout_length:
            return problems
        if info.kind != "image":
            problems.append(f"cutout_length {self.cutout_length}: {info.name!r} holds {info.kind}, and no images")
        elif info.cutout_max == 0 and info.task != "classification":
            problems.append(
                f"cutout_length {self.cutout_length}: the targets of {info.name!r} ({info.task}) do not survive a "
                "cutout; leave the key out or set cutout: False"
            )
        elif self.cutout_length >= info.short_side:
            problems.append(
                f"cutout_length {self.cutout_length} would erase the {size_text(info.image_size)} images of "
                f"{info.name!r}: choose at most {max(info.short_side // 2, 1)}, leave the key out or set cutout: False"
            )
        return problems


class Draws(NamedTuple):
    """Hold the random choices for a batch, each an int32 vector `(n,)`."""

    top: Tensor
    left: Tensor
    flip: Tensor
    cut: Tensor
    cut_y: Tensor
    cut_x: Tensor


def draw(augmentation: Augmentation, size: ImageSize, n: int, device: torch.device, *key: int | str) -> Draws:
    """Draw for `n` images of a size.

    All six rows are drawn whatever is switched on, so that a cutout does not change the crops of a run.
    The numbers are made on the CPU, so that they do not depend on the device, and travel as one tensor.
    """
    share = uniforms(6, n, *key)
    offsets = 2 * augmentation.crop_padding + 1
    height, width = height_and_width(size)
    share *= np.array([[offsets], [offsets], [1], [1], [height], [width]], dtype=np.float64)
    share[2] = share[2] < (0.5 if augmentation.flip else 0.0)
    share[3] = share[3] < augmentation.cutout_prob
    return Draws(*torch.from_numpy(share.astype(np.int32)).to(device, non_blocking=True))


def crop_and_flip(raw: Tensor, draws: Draws, padding: int, channels_last: bool, fill: int = 0) -> Tensor:
    """Pad, cut each image at its own offset, mirror those that are drawn: one gather by flat offsets.

    Args:
        raw: `(n, c, h, w)`, or `(n, h, w, c)` where `channels_last`; contiguous.
        draws: The choices; `top` and `left` in 0..2 * padding.
        padding: Pixels on each side.
        channels_last: The layout of `raw`.
        fill: What these pixels hold.

    Returns:
        A tensor like `raw`.
    """
    n = raw.shape[0]
    height, width, channels = raw.shape[1:] if channels_last else (*raw.shape[2:], raw.shape[1])
    if padding:
        sides = (0, 0, padding, padding, padding, padding) if channels_last else (padding,) * 4
        raw = F.pad(raw, sides, value=fill)
    row, plane = width + 2 * padding, (height + 2 * padding) * (width + 2 * padding)
    # int32 halves the traffic of the offsets, which is what this costs; enough but for gigantic batches
    kind = torch.int32 if raw.numel() < 2**31 else torch.int64
    down, along = (torch.arange(side, dtype=kind, device=raw.device) for side in (height, width))
    rows = (draws.top[:, None] + down) * row
    columns = draws.left[:, None] + torch.where(draws.flip[:, None] > 0, along.flip(0), along)
    planes = torch.arange(channels, dtype=kind, device=raw.device)
    first = torch.arange(n, dtype=kind, device=raw.device) * (channels * plane)
    if channels_last:
        across = (columns * channels)[:, :, None] + planes
        flat = (first[:, None] + rows * channels)[:, :, None] + across.view(n, 1, width * channels)
    else:
        corners = (first[:, None] + planes * plane)[:, :, None, None]
        flat = corners + rows[:, None, :, None] + columns[:, None, None, :]
    shape = (n, height, width, channels) if channels_last else (n, channels, height, width)
    return raw.view(-1).index_select(0, flat.view(-1)).view(shape)


def cutout_bounds(centre: Tensor, cut: Tensor, length: int, size: int) -> Tensor:
    """Return `(n, size)` booleans: which rows (or columns) the square covers [DeVries2017cutout].

    The centre is any pixel: a square at the border is clipped, not moved.
    """
    first = centre - length // 2
    grid = torch.arange(size, dtype=centre.dtype, device=centre.device)
    return (grid >= first[:, None]) & (grid < first[:, None] + length) & (cut[:, None] > 0)


def apply_cutout(raw: Tensor, draws: Draws, length: int, channels_last: bool) -> Tensor:
    """Set one square of each drawn image to 0, in place.

    `raw` is `(n, c, h, w)`, or `(n, h, w, c)` where it is channels-last.

    Args:
        raw: Normalised float images in the layout of `crop_and_flip`, so that 0 is the mean colour.
        draws: The choices.
        length: Side of the square.
        channels_last: The layout of `raw`.
    """
    n = raw.shape[0]
    height, width = raw.shape[1:3] if channels_last else raw.shape[2:]
    covered_y = cutout_bounds(draws.cut_y, draws.cut, length, height)
    covered_x = cutout_bounds(draws.cut_x, draws.cut, length, width)
    if channels_last:
        # rows of w * c values: a broadcast over an innermost axis of 3 would be ten times slower
        covered_x = covered_x.repeat_interleave(raw.shape[3], dim=1)
        keep = ~(covered_y[:, :, None] & covered_x[:, None, :])
        raw.view(n, height, -1).mul_(keep.to(raw.dtype))
        return raw
    keep = ~(covered_y[:, :, None] & covered_x[:, None, :])
    return raw.mul_(keep.to(raw.dtype)[:, None])
