"""Find classes and image files in a folder of class folders."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from naslib.data.labels import listed
from naslib.errors import DataError

_logger = logging.getLogger("naslib.data")
# What Pillow reads and torchvision's ImageFolder takes.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# Folders that systems and tools leave behind, besides hidden ones and those that begin with two underscores.
_LEFT_BEHIND = {"@eadir", "lost+found", "$recycle.bin", "system volume information", "#recycle"}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "icon\r"}


def is_left_behind(name: str) -> bool:
    """Return whether a file or folder is nobody's data: hidden, `__MACOSX`, `__pycache__`, a recycle bin ..."""
    return name.startswith((".", "__")) or name.lower() in _LEFT_BEHIND


def scan_class_folders(folder: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """Return the classes, and each image file with its class number, both in alphabetic order.

    Every folder is a class but those of `is_left_behind`; images may lie deeper within it.

    Raises:
        DataError: If there is no class folder, or class folders hold no image; the message names them.
    """
    try:
        classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not is_left_behind(entry.name))
    except OSError as err:
        raise DataError(f"{folder} is not a folder of class folders with images: {err}") from err
    if not classes:
        raise DataError(f"{folder} is not a folder of class folders with images: it has no folder to be a class")
    files = [_images(folder / name) for name in classes]
    empty = [name for name, found in zip(classes, files, strict=True) if not found]
    if len(empty) == len(classes):
        raise DataError(
            f"{folder} is not a folder of class folders with images: {listed(empty)} hold no image file "
            f"({', '.join(IMAGE_SUFFIXES)})"
        )
    if empty:
        raise DataError(
            f"{folder} has {len(empty)} class folder(s) without an image file ({', '.join(IMAGE_SUFFIXES)}): "
            f"{listed(empty)}; fill or remove them"
        )
    return classes, [(file, index) for index, found in enumerate(files) for file in found]


def _images(folder: Path) -> list[str]:
    """Return the image files below a folder, folder by folder."""
    found: list[tuple[str, list[str]]] = []
    others: list[str] = []
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_left_behind(name)]
        names = [name for name in names if not name.startswith(".") and name.lower() not in _SYSTEM_FILES]
        images = [name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
        others += [name for name in sorted(names) if not name.lower().endswith(IMAGE_SUFFIXES)]
        found.append((place, sorted(images)))
    if others:
        _logger.info("%s: %d file(s) are no images by their names: %s", folder, len(others), listed(others))
    return [str(Path(place) / name) for place, images in sorted(found) for name in images]
