"""Opened: the arrays of a benchmark's file, and what is wrong with it in one error."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkDataMissing, BenchmarkError, NASLibError


class HeldArrays(dict[str, np.ndarray]):
    """Arrays in memory, asked as those of an open `.npz` file are.

    Attributes:
        files: Their names.
    """

    @property
    def files(self) -> list[str]:
        return list(self)


# Tables that could not be kept on disk, by the path at which they would lie
held: dict[Path, dict[str, np.ndarray]] = {}


@contextmanager
def opened(path: Path, content: str) -> Iterator[Any]:
    """Open the arrays of a `.npz` file, by name; nothing in it is executed.

    What goes wrong while it is read and looked at, inside of the `with`, is said of the file.

    Args:
        path: The file.
        content: What is in it, as it is called in messages.

    Raises:
        BenchmarkDataMissing: If there is no such file.
        BenchmarkError: If it cannot be read, or is another file.
    """
    if path not in held and not path.is_file():
        raise BenchmarkDataMissing(f"no {content} at {path}")
    try:
        if path in held:
            yield HeldArrays(held[path])
            return
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            yield file
    except NASLibError:
        raise
    except (OSError, EOFError, ValueError, KeyError, IndexError, zipfile.BadZipFile) as error:
        raise BenchmarkError(f"{path} is not a compact {content}: {error}") from error
