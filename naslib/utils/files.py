"""Write files so that a reader finds the old content or the new one, never half of it."""

from __future__ import annotations

import errno
import json
import math
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

# What a filesystem answers that cannot fsync a folder; the rename is then as durable as it gets.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.EBADF, errno.EISDIR}


def atomic_write(path: str | Path, writer: Callable[[BinaryIO], object]) -> None:
    """Replace `path` by what `writer` writes, all or nothing.

    The content goes to a hidden `*.tmp` in the same folder (made if missing), is synced, then renamed over `path`.
    On any failure (full disk, exception, Ctrl-C) the temporary file is removed and the old file is untouched.

    Args:
        path: The file; a symbolic link is followed, not replaced.
        writer: Called once with the open binary file.

    Raises:
        OSError: If the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        with temporary.open("xb") as file:
            writer(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def atomic_write_text(path: str | Path, text: str) -> None:
    """Replace `path` by `text` in UTF-8, all or nothing."""
    data = text.encode("utf-8")
    atomic_write(path, lambda file: file.write(data))


def atomic_write_json(path: str | Path, value: Any, *, indent: int | None = 2, rows: Sequence[str] = ()) -> None:
    """Replace `path` by `value` as standard JSON, all or nothing.

    NaN and infinities, which JSON lacks, become null; numpy and torch scalars and arrays become numbers and lists;
    paths become text.

    Args:
        path: The file.
        value: What it will hold.
        indent: Spaces per level.
        rows: Keys of a mapping `value` whose values are lists of rows: each item of them gets a line of its own.

    Raises:
        TypeError: If something else in `value` has no JSON form; nothing is written then.
    """
    plain = to_jsonable(value)
    if rows and isinstance(plain, dict):
        text = _with_rows(plain, indent, rows)
    else:
        text = json.dumps(plain, indent=indent, allow_nan=False)
    atomic_write_text(path, text + "\n")


def _with_rows(plain: dict[str, Any], indent: int | None, keys: Sequence[str]) -> str:
    """Return a mapping as JSON in which every item of the lists under some keys has one line."""
    mark, lines = str(uuid.uuid4()), []
    for key, items in plain.items():
        if key in keys and isinstance(items, list):
            lines += [json.dumps(item, allow_nan=False) for item in items]
            plain = {**plain, key: [mark] * len(items)}
    first, *others = json.dumps(plain, indent=indent, allow_nan=False).split(f'"{mark}"')
    return first + "".join(line + after for line, after in zip(lines, others, strict=True))


def to_jsonable(value: Any) -> Any:
    """Return `value` with only what standard JSON can carry, non-finite numbers as None."""
    if isinstance(value, float):  # also numpy.float64
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): to_jsonable(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_jsonable(entry) for entry in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # ndarray, numpy scalar, Tensor
        return to_jsonable(value.tolist())
    return value


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable where the filesystem can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as err:
        if err.errno in _NO_FOLDER_SYNC:
            return
        raise
    try:
        os.fsync(handle)
    except OSError as err:
        if err.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def get_project_root() -> Path:
    """Return the folder of the package `naslib`, as in NASLib; data and configs of your own do not belong there."""
    return Path(__file__).resolve().parents[1]
