"""Find every file that cannot be read, before anything is trained."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from naslib.data.decode import open_image, open_levels
from naslib.errors import DataError
from naslib.utils.files import atomic_write_text
from naslib.utils.locations import user_cache

S = TypeVar("S")
T = TypeVar("T")
_logger = logging.getLogger("naslib.data")
# How many bad files a message names, and how many files a thread takes at a time.
_NAMED, _CHUNK = 20, 64


def read_all(read: Callable[[int], object], n: int, what: str) -> None:
    """Call `read(0) ... read(n - 1)` on threads, all of them whatever fails.

    Args:
        read: Reads one item, keeps it, and raises `DataError` if it cannot be read.
        n: How many there are.
        what: What the items are, for the message ("images").

    Raises:
        DataError: If some cannot be read: one message that lists them.
    """

    def read_chunk(start: int) -> list[DataError]:
        return [error for index in range(start, min(start + _CHUNK, n)) if (error := _attempt(read, index)) is not None]

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        errors = [error for found in pool.map(read_chunk, range(0, n, _CHUNK)) for error in found]
    raise_together(errors, n, what)


def read_each(read: Callable[[S], T], items: Sequence[S], what: str = "files") -> list[T]:
    """Return what `read` returns of each item (a file, a part of a file), all of them whatever fails.

    Raises:
        DataError: If some cannot be read: one message that lists them.
    """
    found: list[T] = []
    errors = []
    for item in items:
        try:
            found.append(read(item))
        except DataError as error:
            errors.append(error)
    raise_together(errors, len(items), what)
    return found


def _attempt(read: Callable[[int], object], index: int) -> DataError | None:
    try:
        read(index)
    except DataError as error:
        return error
    return None


def raise_together(errors: Sequence[DataError], n: int, what: str) -> None:
    """Raise one error for all, if there are any."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        lines = [f"  {error}" for error in errors[:_NAMED]]
        if len(errors) > _NAMED:
            lines.append(f"  and {len(errors) - _NAMED} more")
        raise DataError("\n".join([f"{len(errors)} of {n} {what} cannot be read:", *lines])) from errors[0]


def check_images(paths: Sequence[str], channels: int, scale: float = 255.0) -> None:
    """Decode each image file once; files that passed and did not change since are not decoded again.

    Args:
        paths: The files.
        channels: 1 or 3.
        scale: The level that is white; with another one than 255 files of more than 8 bits are right.

    Raises:
        DataError: If some cannot be decoded: one message that lists them.
    """
    marker = user_cache() / "checked-images" / _stamp(paths, channels if scale == 255 else f"{channels}/{scale}")
    if marker.exists():
        return
    _logger.info("checking %d image files (once)", len(paths))
    is_deep = scale != 255
    read_all(
        lambda index: open_levels(paths[index], scale) if is_deep else open_image(paths[index], channels),
        len(paths),
        "images",
    )
    try:
        atomic_write_text(marker, f"{len(paths)} image files\n")
    except OSError as err:
        _logger.warning("the next run checks the images again: %s cannot be written (%s)", marker, err)


def _stamp(paths: Sequence[str], channels: int | str) -> str:
    """Return a digest of names, sizes and times."""
    digest = hashlib.sha256(str(channels).encode())
    for path in paths:
        try:
            state = Path(path).stat()
            digest.update(f"{Path(path).absolute()}:{state.st_size}:{state.st_mtime_ns}\n".encode())
        except OSError as err:  # what is wrong with it is said when it is opened
            digest.update(f"{path}:{err.errno}\n".encode())
    return digest.hexdigest()[:24]
