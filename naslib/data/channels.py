"""Mean and standard deviation of the channels of images and sequences."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

# Numbers that are made float64 at a time.
_CHUNK = 2**24
_ROUNDING = 2.0**-22


def channel_statistics(images: Tensor, scale: float = 255.0) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel, in units of pixel / scale, exactly where pixels are bytes.

    Args:
        images: `(n, c, h, w)` or `(n, c, t)` numbers.
        scale: By what they are divided.

    Returns:
        Means and deviations; a constant channel gets the deviation of one level (of floats: 1), so that it can be
        divided by.
    """
    compute = _of_bytes if images.dtype == torch.uint8 else _of_numbers
    found = [compute(images[:, channel].reshape(-1), scale) for channel in range(images.shape[1])]
    means = tuple(mean for mean, _ in found)
    if images.is_floating_point():
        # float32 keeps 24 bits of a value: a deviation below that is rounding, not a picture
        return means, tuple(1.0 if std <= _ROUNDING * abs(mean) or std == 0 else std for mean, std in found)
    return means, tuple(max(std, 1.0 / scale) for _, std in found)


def _of_bytes(pixels: Tensor, scale: float) -> tuple[float, float]:
    """Return mean and deviation of bytes, from their 256-bin histogram."""
    counts = torch.bincount(pixels, minlength=256).cpu().numpy()
    levels = np.arange(256, dtype=np.float64) / scale
    share = counts / max(counts.sum(), 1)
    mean = float((share * levels).sum())
    return mean, float((share * (levels - mean) ** 2).sum()) ** 0.5


def _of_numbers(pixels: Tensor, scale: float) -> tuple[float, float]:
    """Return mean and deviation of any numbers, in float64, some at a time."""
    chunks = pixels.split(_CHUNK)
    mean = sum(float(chunk.double().sum()) for chunk in chunks) / max(len(pixels), 1)
    squares = sum(float((chunk.double() - mean).square().sum()) for chunk in chunks)
    return mean / scale, (squares / max(len(pixels), 1)) ** 0.5 / scale
