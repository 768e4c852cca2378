"""scikit-learn's handwritten digits, real data that needs no download: as they are, rotated, and on a canvas."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from naslib.data._draws import uniforms
from naslib.data.image_data import ImageData
from naslib.data.registry import DATASETS
from naslib.data.splits import split_test
from naslib.errors import ConfigError

_TEST = 0.2
# Levels 0..16; from here on a pixel is ink rather than the edge of a stroke.
_LEVELS, _INK = 16.0, 4
_SIDE = 8


@DATASETS.register("digits")
def load_digits(data_dir: Path | None, seed: int) -> ImageData:
    """Load 1,797 grey 8x8 digits; a fixed stratified 20 % are the test part, whatever the seed of the run.

    Args:
        data_dir: Not needed, the images are in scikit-learn.
        seed: Not used.
    """
    images, labels = _embedded()
    # 17 levels, 0..16, to 0..255
    pixels = np.rint(images * (255.0 / _LEVELS)).astype(np.uint8)
    return ImageData.from_arrays("digits", pixels, labels, class_names=[str(digit) for digit in range(10)])


@DATASETS.register("digits_angle")
def load_digits_angle(
    data_dir: Path | None, seed: int, *, max_degrees: float = 60.0, image_size: int = 16
) -> ImageData:
    """Load the digits, each rotated by an angle of its own, which is to be found: a regression.

    Angles are uniform, the same in every run, in radians, positive counter-clockwise. The test part holds the digits of
    the test part of `digits`.

    Args:
        data_dir: Not needed.
        seed: Not used: images and angles do not depend on the run.
        max_degrees: Largest angle in either direction, up to 180.
        image_size: Side of the images, to which the 8x8 digits are enlarged.

    Raises:
        ConfigError: If an argument is out of range.
    """
    if not 0 < max_degrees <= 180:
        raise ConfigError(f"dataset_args.max_degrees must be above 0 and at most 180, got {max_degrees}")
    if image_size < _SIDE:
        raise ConfigError(f"dataset_args.image_size must be at least {_SIDE}, got {image_size}")
    images, labels = _embedded()
    angles = (2 * uniforms(1, len(images), "digits_angle")[0] - 1) * math.radians(max_degrees)
    pixels = np.rint(rotated(images, angles, image_size) * (255.0 / _LEVELS)).astype(np.uint8)
    train, test = split_test(labels, _TEST)
    return ImageData.from_arrays(
        "digits_angle", pixels[train], angles[train], pixels[test], angles[test],
        class_names=["angle"], task="regression",
    )  # fmt: skip


@DATASETS.register("digits_canvas")
def load_digits_canvas(data_dir: Path | None, seed: int, *, height: int = 16, width: int = 24) -> ImageData:
    """Load canvases of two digits each at random places; the class of each pixel is to be found: a segmentation.

    Class 0 is the background, class d + 1 the ink of digit d. Every digit of `digits` is on the canvas of its number in
    the left half, and on that of another in the right half; those of its test part are on canvases of the test part.

    Args:
        data_dir: Not needed.
        seed: Not used: images and masks do not depend on the run.
        height: Of the canvas, at least 8.
        width: Of the canvas, at least 16.

    Raises:
        ConfigError: If the canvas has no place for two digits.
    """
    if height < _SIDE or width < 2 * _SIDE:
        raise ConfigError(f"dataset_args: a canvas of {height}x{width} has no place for two digits of 8x8")
    images, labels = _embedded()
    parts = zip(("train", "test"), split_test(labels, _TEST), strict=True)
    train, test = (_canvases(images[indices], labels[indices], (height, width), part) for part, indices in parts)
    return ImageData.from_arrays(
        "digits_canvas", *train, *test, class_names=["background", *map(str, range(10))], task="segmentation"
    )


def _embedded() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return `(n, 8, 8)` levels 0..16 and the digits."""
    from sklearn.datasets import load_digits as load

    images, labels = load(return_X_y=True)
    return images.reshape(-1, _SIDE, _SIDE), labels.astype(np.int64)


def rotated(images: NDArray[np.float64], angles: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return images enlarged and rotated about their centre, bilinear, with zeros around them.

    Args:
        images: `(n, s, s)`.
        angles: `(n,)` in radians, positive counter-clockwise.
        size: Side of the result.

    Returns:
        `(n, size, size)`.
    """
    side = images.shape[1]
    # centres of pixels in units of the source, from the middle of the image
    grid = (np.arange(size) + 0.5) * (side / size) - side / 2
    y, x = grid[None, :, None], grid[None, None, :]
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    # rows go down, so that a counter-clockwise rotation of the picture looks its pixels up clockwise
    rows, columns = (sin * x + cos * y) + side / 2 - 0.5, (cos * x - sin * y) + side / 2 - 0.5
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows, columns = (np.clip(place + 1, 0, side + 1) for place in (rows, columns))
    top, left = (np.minimum(np.floor(place), side).astype(np.int64) for place in (rows, columns))
    down, right = rows - top, columns - left
    n = np.arange(len(images))[:, None, None]
    upper = padded[n, top, left] * (1 - right) + padded[n, top, left + 1] * right
    lower = padded[n, top + 1, left] * (1 - right) + padded[n, top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down)


def _canvases(
    images: NDArray[np.float64], labels: NDArray[np.int64], size: tuple[int, int], part: str
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return `(n, h, w)` pixels and masks."""
    height, width = size
    n, half = len(images), width // 2
    draws = uniforms(5, n, "digits_canvas", part)
    others = (draws[4] * n).astype(np.int64)
    levels, masks = np.zeros((n, height, width)), np.zeros((n, height, width), dtype=np.int64)
    for digits, first, rows, columns in (
        (np.arange(n), 0, draws[0], draws[1]),
        (others, half, draws[2], draws[3]),
    ):
        room = (half if first == 0 else width - half) - _SIDE + 1
        tops = (rows * (height - _SIDE + 1)).astype(np.int64)
        lefts = first + (columns * room).astype(np.int64)
        for canvas, digit in enumerate(digits):
            place = (canvas, slice(tops[canvas], tops[canvas] + _SIDE), slice(lefts[canvas], lefts[canvas] + _SIDE))
            levels[place] = images[digit]
            masks[place] = np.where(images[digit] >= _INK, labels[digit] + 1, 0)
    return np.rint(levels * (255.0 / _LEVELS)).astype(np.uint8), masks
