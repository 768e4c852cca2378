"""Find every file that cannot be read, before anything is trained."""

from __future__ import annotations

import hashlib
import json
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

    raise_together(list(attempt_all(read, n).values()), n, what)


def attempt_all(read: Callable[[int], object], n: int) -> dict[int, DataError]:
    """Call `read(0) ... read(n - 1)` on threads, all of them whatever fails; return the errors by number, ascending."""

    def read_chunk(start: int) -> list[tuple[int, DataError]]:
        tried = ((index, _attempt(read, index)) for index in range(start, min(start + _CHUNK, n)))
        return [(index, error) for index, error in tried if error is not None]

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return {index: error for found in pool.map(read_chunk, range(0, n, _CHUNK)) for index, error in found}


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
    """Raise one error for all, if there are any: it names the first twenty, and the others are logged."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        lines = [f"  {error}" for error in errors[:_NAMED]]
        if len(errors) > _NAMED:
            lines.append(f"  and {len(errors) - _NAMED} more")
            for error in errors[_NAMED:]:
                _logger.error("%s", error)
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
    raise_together(list(find_bad(paths, channels, scale).values()), len(paths), "images")


def find_bad(paths: Sequence[str], channels: int, scale: float = 255.0, deep: float = 0.0) -> dict[int, DataError]:
    """Decode each image file once, and return the errors of those that cannot be, by number.

    What was found is remembered by names, sizes and times of the files.

    Args:
        paths: The files.
        channels: 1 or 3.
        scale: The level that is white; see `check_images`.
        deep: See `open_image`.
    """
    kind = channels if scale == 255 and not deep else f"{channels}/{scale}/{deep}"
    marker = user_cache() / "checked-images" / _stamp(paths, kind)
    known = _remembered(marker)
    if known is not None:
        return known
    _logger.info("checking %d image files (once)", len(paths))
    is_deep = scale != 255

    def read(index: int) -> None:
        if is_deep:
            open_levels(paths[index], scale)
        elif deep:
            open_image(paths[index], channels, deep)
        else:
            open_image(paths[index], channels)

    bad = attempt_all(read, len(paths))
    try:
        content = {"files": len(paths), "bad": {str(index): str(error) for index, error in bad.items()}}
        atomic_write_text(marker, json.dumps(content) + "\n")
    except OSError as err:
        _logger.warning("the next run checks the images again: %s cannot be written (%s)", marker, err)
    return bad


def _remembered(marker: Path) -> dict[int, DataError] | None:
    """Return what an earlier check found, None where there was none."""
    try:
        content = json.loads(marker.read_text(encoding="utf-8"))
        return {int(index): DataError(text) for index, text in content["bad"].items()}
    except OSError:
        return None
    except (ValueError, TypeError, KeyError):  # written by an earlier version, which remembered sets without bad files
        return {}


def _stamp(paths: Sequence[str], channels: int | str) -> str:
    """Return a digest of names, sizes and times."""
    digest = hashlib.sha256(str(channels).encode())
    for path in paths:
        try:
            state = Path(path).stat()
            digest.update(os.fsencode(f"{Path(path).absolute()}:{state.st_size}:{state.st_mtime_ns}\n"))
        except OSError as err:  # what is wrong with it is said when it is opened
            digest.update(os.fsencode(f"{path}:{err.errno}\n"))
    return digest.hexdigest()[:24]
