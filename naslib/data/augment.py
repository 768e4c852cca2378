"""Random crop, flip and cutout of whole batches as tensors, equal in distribution to the per-image transforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from naslib.data._draws import uniforms
from naslib.data.info import DatasetInfo
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
        problems = []
        if not 0.0 <= self.cutout_prob <= 1.0:
            problems.append(f"cutout_prob must be between 0 and 1, got {self.cutout_prob}")
        if self.cutout_length is not None and self.cutout_length < 0:
            problems.append(f"cutout_length must not be negative, got {self.cutout_length}")
        if self.cutout and self.cutout_length is not None and self.cutout_length >= info.image_size:
            problems.append(
                f"cutout_length {self.cutout_length} would erase the {info.image_size}x{info.image_size} images of "
                f"{info.name!r}: choose at most {max(info.image_size // 2, 1)}, leave the key out or set cutout: False"
            )
        if problems:
            raise ConfigError(problems)
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


class Draws(NamedTuple):
    """Hold the random choices for a batch, each an int32 vector `(n,)`."""

    top: Tensor
    left: Tensor
    flip: Tensor
    cut: Tensor
    cut_y: Tensor
    cut_x: Tensor


def draw(augmentation: Augmentation, size: int, n: int, device: torch.device, *key: int | str) -> Draws:
    """Draw for `n` images of side `size`.

    All six rows are drawn whatever is switched on, so that a cutout does not change the crops of a run.
    The numbers are made on the CPU, so that they do not depend on the device, and travel as one tensor.
    """
    share = uniforms(6, n, *key)
    offsets = 2 * augmentation.crop_padding + 1
    share *= np.array([[offsets], [offsets], [1], [1], [size], [size]], dtype=np.float64)
    share[2] = share[2] < (0.5 if augmentation.flip else 0.0)
    share[3] = share[3] < augmentation.cutout_prob
    return Draws(*torch.from_numpy(share.astype(np.int32)).to(device, non_blocking=True))


def crop_and_flip(raw: Tensor, draws: Draws, padding: int, channels_last: bool) -> Tensor:
    """Pad with zeros, cut each image at its own offset, mirror those that are drawn: one gather by flat offsets.

    Args:
        raw: `(n, c, h, w)`, or `(n, h, w, c)` where `channels_last`; contiguous.
        draws: The choices; `top` and `left` in 0..2 * padding.
        padding: Zeros on each side.
        channels_last: The layout of `raw`.

    Returns:
        A tensor like `raw`.
    """
    n = raw.shape[0]
    size, channels = (raw.shape[2], raw.shape[3]) if channels_last else (raw.shape[2], raw.shape[1])
    if padding:
        raw = F.pad(raw, (0, 0, padding, padding, padding, padding) if channels_last else (padding,) * 4)
    side = size + 2 * padding
    # int32 halves the traffic of the offsets, which is what this costs; enough but for gigantic batches
    kind = torch.int32 if raw.numel() < 2**31 else torch.int64
    grid = torch.arange(size, dtype=kind, device=raw.device)
    rows = (draws.top[:, None] + grid) * side
    columns = draws.left[:, None] + torch.where(draws.flip[:, None] > 0, grid.flip(0), grid)
    planes = torch.arange(channels, dtype=kind, device=raw.device)
    first = torch.arange(n, dtype=kind, device=raw.device) * (channels * side * side)
    if channels_last:
        across = (columns * channels)[:, :, None] + planes
        flat = (first[:, None] + rows * channels)[:, :, None] + across.view(n, 1, size * channels)
    else:
        down = (first[:, None] + planes * (side * side))[:, :, None, None]
        flat = down + rows[:, None, :, None] + columns[:, None, None, :]
    return (
        raw.view(-1)
        .index_select(0, flat.view(-1))
        .view((n, size, size, channels) if channels_last else (n, channels, size, size))
    )


def cutout_bounds(centre: Tensor, cut: Tensor, length: int, size: int) -> Tensor:
    """Return `(n, size)` booleans: which rows (or columns) the square covers [DeVries2017cutout].

    The centre is any pixel: a square at the border is clipped, not moved.
    """
    first = centre - length // 2
    grid = torch.arange(size, dtype=centre.dtype, device=centre.device)
    return (grid >= first[:, None]) & (grid < first[:, None] + length) & (cut[:, None] > 0)


def apply_cutout(raw: Tensor, draws: Draws, length: int, channels_last: bool) -> Tensor:
    """Set one square of each drawn image to 0, in place.

    Args:
        raw: Normalised float images in the layout of `crop_and_flip`, so that 0 is the mean colour.
        draws: The choices.
        length: Side of the square.
        channels_last: The layout of `raw`.
    """
    n, size = raw.shape[0], raw.shape[2]
    covered_y = cutout_bounds(draws.cut_y, draws.cut, length, size)
    covered_x = cutout_bounds(draws.cut_x, draws.cut, length, size)
    if channels_last:
        # rows of w * c values: a broadcast over an innermost axis of 3 would be ten times slower
        covered_x = covered_x.repeat_interleave(raw.shape[3], dim=1)
        keep = ~(covered_y[:, :, None] & covered_x[:, None, :])
        raw.view(n, size, -1).mul_(keep.to(raw.dtype))
        return raw
    keep = ~(covered_y[:, :, None] & covered_x[:, None, :])
    return raw.mul_(keep.to(raw.dtype)[:, None])
