"""Items: files, folders and arrays as single inputs of a network, one after the other."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from naslib.errors import DataError
from naslib.utils.text import listed, shorten

ARRAYS = (".npz", ".npy")
# What systems leave in folders of pictures
_LEFT_BEHIND = ("__MACOSX", "@eaDir", "lost+found")
# Of several arrays in a file the one of the inputs
_INPUTS = ("x", "images", "data", "inputs")


@dataclass(frozen=True)
class GivenInput:
    """One input.

    Attributes:
        name: The file, as it was given.
        index: Its place in the array of the file, from 0; None where the file is one input.
        value: A path, or an array of one input.
    """

    name: str
    index: int | None
    value: Any


@dataclass(frozen=True)
class Failure:
    """An input that nothing is predicted of.

    Attributes:
        input: The file, as it was given.
        reason: Why not, in words.
    """

    input: str
    reason: str


def find_files(inputs: Iterable[str | os.PathLike[str]], suffixes: Collection[str]) -> Iterator[str | Failure]:
    """Yield the files among inputs: folders give those within them, at any depth, in the order of their names.

    Args:
        inputs: Files and folders.
        suffixes: Of the files that a folder gives, with the dot and in small letters; others in it, and hidden ones,
            are passed over.
    """
    for given in inputs:
        path = os.fspath(given)
        if not is_folder(path):
            yield path
            continue
        found = 0
        for file in _within(path, suffixes):
            found += 1
            yield file
        if not found:
            yield Failure(path, f"the folder holds no file that the network reads ({listed(sorted(suffixes))})")


def is_folder(path: str) -> bool:
    """Return whether there is a folder of this name; a name that none can have is none."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def _within(folder: str, suffixes: Collection[str]) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in _LEFT_BEHIND)
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield str(Path(place) / name)


def split_member(path: str) -> tuple[str, str]:
    """Return the file and the name of an array in it: `data.npz:x_test` names one, else the name is ""."""
    file, colon, member = path.rpartition(":")
    return (file, member) if colon and file.lower().endswith(".npz") else (path, "")


def read_array(path: str) -> NDArray[Any]:
    """Return the array of a `.npy` file (not yet read from the disk), or the one of the inputs of an `.npz` file.

    Args:
        path: The file; `data.npz:x_test` names one of its arrays, else it is the only one, or `x`, `images`, `data` or
            `inputs`.

    Raises:
        DataError: If it cannot be read, or it is not clear which array is meant.
    """
    file, member = split_member(path)
    try:
        if file.lower().endswith(".npy"):
            array: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
            return array
        with Path(file).open("rb") as opened, np.load(opened, allow_pickle=False) as content:  # a cut file is closed
            return content[_member(file, list(content.files), member)]
    except DataError:
        raise
    except Exception as error:  # damaged bytes: ValueError, zipfile.BadZipFile, EOFError, zlib.error ...
        raise DataError(_unreadable(file, error)) from error


def _member(file: str, names: list[str], wanted: str) -> str:
    if wanted:
        if wanted not in names:
            raise DataError(f"there is no array {wanted!r} in it, it holds {listed(names)}")
        return wanted
    if len(names) == 1:
        return names[0]
    if not names:
        raise DataError("it holds no array")
    usual = [name for name in _INPUTS if name in names]
    if not usual:
        raise DataError(f"it holds {listed(names)}: say which one, {file}:{names[0]}")
    return usual[0]


def _unreadable(path: str, error: Exception) -> str:
    try:
        if Path(path).stat().st_size == 0:
            return "it is empty (0 bytes)"
    except (OSError, ValueError):
        return "there is no such file"
    if "allow_pickle" in str(error) or "pickle" in str(error):
        return "it is no array of numbers (it holds pickled objects, which are not opened)"
    return f"it cannot be read as an array: {shorten(str(error) or type(error).__name__, 160)}"


def rows_of(path: str, array: NDArray[Any], has_rows: bool) -> Iterator[GivenInput]:
    """Yield the inputs of an array, each with a first axis of length 1 where the array has an axis of inputs.

    Args:
        path: Its file.
        array: The array.
        has_rows: Whether its first axis is that of inputs; else it is one input.
    """
    if not has_rows:
        yield GivenInput(path, None, np.asarray(array))
        return
    for index in range(len(array)):
        yield GivenInput(path, index, np.asarray(array[index : index + 1]))
