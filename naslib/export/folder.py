"""Folder: many files that appear together under their name, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from naslib.config.run_folder import free_name
from naslib.errors import RunFolderError

# By this file an exported folder is known: what is in it, and of which run it is
MANIFEST = "export.json"
_BLOCK = 1 << 20


def check_target(folder: Path, overwrite: bool) -> None:
    """Raise if nothing can be written under a name, before any work.

    Args:
        folder: The folder to be.
        overwrite: Whether an exported folder that is there may be moved aside.

    Raises:
        RunFolderError: If something is there that is not to be moved, or the place cannot be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MANIFEST).is_file():
            raise RunFolderError(
                f"{folder} is there and is no exported network ({MANIFEST} is missing in it): choose another folder "
                "with --out DIR"
            )
        if not overwrite:
            raise RunFolderError(
                f"{folder} already holds an exported network: --overwrite moves it to {free_name(folder)}, or write to "
                "another folder with --out DIR"
            )
    elif folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder} is a file: choose another folder with --out DIR")
    parent = _nearest(folder)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise RunFolderError(f"cannot write to {folder}: {parent} is not a folder that can be written to")


@contextmanager
def appearing(folder: Path, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder that takes a name when the block ends well, and is removed otherwise.

    Args:
        folder: The name. An exported folder that is there moves to `<folder>.1`, or `.2` ...
        overwrite: See `check_target`.

    Raises:
        RunFolderError: See `check_target`.
    """
    check_target(folder, overwrite)
    temporary = _nearest(folder) / f".{folder.name}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        temporary.mkdir()
    except OSError as error:
        raise RunFolderError(f"cannot write to {folder}: {error}") from error
    try:
        yield temporary
        check_target(folder, overwrite)  # what came there meanwhile stays
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.is_dir():
            folder.rename(free_name(folder)) if any(folder.iterdir()) else folder.rmdir()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: Path, run: str | None) -> None:
    """Write what is in the folder so far, with sizes and digests, and of which run it is.

    Args:
        folder: The folder.
        run: The run folder, None where there is none.
    """
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST
    }
    content = {"format": 1, "run": run, "files": files}
    (folder / MANIFEST).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _nearest(folder: Path) -> Path:
    """Return the nearest folder above that is there."""
    return next((parent for parent in folder.absolute().parents if parent.exists()), folder.absolute().parent)
