"""Official files that are opened as they are: converted once, and kept in the user's cache."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from naslib.benchmarks.opened import held
from naslib.utils.files import atomic_write
from naslib.utils.locations import user_cache
from naslib.utils.log import get_logger

from .formats import Format

logger = get_logger(__name__)
# Raised when what is written changes: older files in the cache are then made anew
_EDITION = 1


def compact_of(path: Path, form: Format) -> Path:
    """Return the compact file of an official one, which is converted where that was not done before.

    It lies in the user's cache under a name of path, size and time of the official file, never beside it. Where the
    cache cannot be written it is kept in memory, for this process.

    Args:
        path: The official file or folder.
        form: Its format.

    Raises:
        BenchmarkError: If the official file cannot be read.
    """
    target = user_cache() / "benchmarks" / f"{Path(form.output).stem}-{_stamp(path, form)}.npz"
    if target.is_file() or target in held:
        return target
    logger.info("%s is converted once, into %s", path, target)
    arrays = form.read(path, lambda done, total: None)
    try:
        atomic_write(target, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
    except OSError as error:
        logger.warning(
            "the cache cannot be written (%s): %s is kept in memory, and converted anew by the next process; "
            "NASLIB_CACHE names another folder, and `naslib data convert %s` makes a file to keep",
            error,
            path.name,
            form.name,
        )
        held[target] = arrays
    return target


def _stamp(path: Path, form: Format) -> str:
    """Return a name for a file or folder as it is now."""
    place = path.resolve()
    files = [place]
    if place.is_dir():  # a folder of the format, or one in which several of its files lie among others
        files = sorted(place.rglob("*")) if form.knows(place) else [one for one in place.iterdir() if form.knows(one)]
        files = sorted(files or place.rglob("*"))
    digest = hashlib.sha256(f"{_EDITION} {form.name} {place}".encode())
    for file in files:
        status = file.stat()
        digest.update(f"{file.relative_to(place.parent)} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
