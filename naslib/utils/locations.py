"""Where data lies: the folder a user names, NASLIB_DATA, ./data, the cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

ENVIRONMENT_VARIABLE = "NASLIB_DATA"
CACHE_VARIABLE = "NASLIB_CACHE"
_LOCAL = Path("data")
_DOWNLOADS = ContextVar("downloads", default=True)


def user_cache() -> Path:
    """Return where naslib keeps what it can make again.

    `NASLIB_CACHE` if it is set, else the folder `naslib` in `XDG_CACHE_HOME`, or in the cache of the platform:
    `~/.cache`, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    if not base and sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    if not base:
        base = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(base).expanduser() / "naslib"


def table_directories(data_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the folders in which tables of benchmarks are looked for, first match wins; the cache is none of them.

    Args:
        data_dir: The folder (or file) named by argument or config; then come `NASLIB_DATA` and `./data`.
    """
    return list(dict.fromkeys([*_named(data_dir), _LOCAL]))


def data_directories(data_dir: str | os.PathLike[str] | None = None) -> list[Path]:
    """Return the folders in which data is looked for, first match wins.

    Args:
        data_dir: The folder named by argument or config; then come `NASLIB_DATA`, `./data` and the user's cache.
    """
    return list(dict.fromkeys([*table_directories(data_dir), user_cache()]))


def download_directory(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return where downloads go: the first writable one of the named folders and `./data`, else the cache.

    A folder that the user named need not exist yet.
    """
    candidates = [*_named(data_dir), *([_LOCAL] if _LOCAL.is_dir() else [])]
    return next((folder for folder in candidates if not folder.exists() or is_writable(folder)), user_cache())


def _named(data_dir: str | os.PathLike[str] | None) -> list[Path]:
    return [Path(name).expanduser() for name in (data_dir, os.environ.get(ENVIRONMENT_VARIABLE)) if name]


@contextmanager
def without_downloads() -> Iterator[None]:
    """Return a context in which a data set that is not here is an error, even where it could be downloaded."""
    token = _DOWNLOADS.set(False)
    try:
        yield
    finally:
        _DOWNLOADS.reset(token)


def downloads_allowed() -> bool:
    """Return whether this is outside of `without_downloads`."""
    return _DOWNLOADS.get()


def find_path(path: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Return a file or folder as given, or the first of that name in the data directories; None if there is none."""
    given = Path(path).expanduser()
    candidates = [given, *(folder / given for folder in data_directories(data_dir))]
    return next((candidate for candidate in candidates if candidate.exists()), None)


def subfolders(data_dir: str | os.PathLike[str] | None, names: Sequence[str]) -> list[Path]:
    """Return the existing folders `<data directory>/<name>`, in order of directories, then names ("" is itself)."""
    found = [folder / name for folder in data_directories(data_dir) for name in names]
    return [folder for folder in found if folder.is_dir()]


def is_writable(folder: Path) -> bool:
    """Return whether a folder may be written to: also for root, to whom mode bits are no obstacle but still a wish."""
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def describe(data_dir: str | os.PathLike[str] | None) -> str:
    """Return the data directories as a phrase for messages."""
    return ", ".join(str(folder) for folder in data_directories(data_dir))
