"""Masks: the class of each pixel as a picture whose numbers are the classes."""

from __future__ import annotations

import colorsys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from naslib.utils.files import atomic_write

# Black for class 0, then colours for any kind of colour vision (those of Okabe and Ito); more are made
_FIRST = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167), (255, 255, 255),
)  # fmt: skip
# A golden angle between hues keeps neighbours apart
_TURN = 0.618034


def colours(count: int) -> list[tuple[int, int, int]]:
    """Return red, green and blue, 0 to 255, of so many classes; always the same ones."""
    found = list(_FIRST[:count])
    for number in range(len(found), count):
        levels = (0.55, 0.95, 0.75)[number % 3], (0.85, 0.5)[number % 2]
        red, green, blue = colorsys.hsv_to_rgb(number * _TURN % 1.0, levels[1], levels[0])
        found.append((round(255 * red), round(255 * green), round(255 * blue)))
    return found


def write_mask(classes: NDArray[np.int64], count: int, path: Path) -> None:
    """Write a PNG whose numbers are the classes of the pixels: with a palette, or of 16 bits for more than 256 classes.

    Args:
        classes: `(height, width)`.
        count: How many classes there are.
        path: The file.
    """
    from PIL import Image

    if count <= 256:
        picture = Image.fromarray(classes.astype(np.uint8)).copy()
        picture.putpalette([level for colour in colours(count) for level in colour])
    else:
        picture = Image.fromarray(classes.astype(np.uint16))
    atomic_write(path, lambda file: picture.save(file, format="png"))


def free_mask(folder: Path, name: str, index: int | None) -> Path:
    """Return a file in a folder for the mask of an input, named after it; a number is added where there is one.

    Args:
        folder: Where to.
        name: The input's file.
        index: Its place in the file, None where it is the whole file.
    """
    stem = Path(name).stem + ("" if index is None else f"_{index}")
    path, number = folder / f"{stem}.png", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    return path
