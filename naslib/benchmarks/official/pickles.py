"""Read pickles of others with a list of what may be in them: data, and nothing that does something.

A pickle is a program: it names functions and classes, and calls them. Here a name is looked up in a list, and one that
is not in it is an error that says which, before anything of it is imported or called.
"""

from __future__ import annotations

import bz2
import collections
import pickle
import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from naslib.errors import BenchmarkError

Names = Mapping[tuple[str, str], Any]

# The dtypes that arrays may have: booleans, integers, floats, complex numbers, bytes and text
_SPEC = re.compile(r"[<>|=]?(?:[?bBhHiIlLqQefdFD]|[biufc][1-9]\d?|[SU]\d*)")
# What reading a damaged pickle raises
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ImportError,
    UnicodeDecodeError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
)


class ForbiddenName(BenchmarkError):
    """A pickle names something that is not data."""


def _bytes_of(text: str, encoding: str = "latin1") -> bytes:
    """Return bytes as protocol 2 writes them: as text in Latin-1."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes are written in Latin-1, not {encoding!r}")
    return text.encode("latin1")


def _bytearray_of(content: bytes | str = b"", encoding: str = "latin1") -> bytearray:
    """Return a bytearray of bytes; a number, of which `bytearray` makes so many zeros, is refused."""
    if isinstance(content, str):
        content = _bytes_of(content, encoding)
    if not isinstance(content, bytes):
        raise pickle.UnpicklingError("a bytearray is made of bytes")
    return bytearray(content)


class _DType:
    """What stands for a dtype: one of numbers or text, and its byte order. Fields, objects and dates are refused."""

    def __init__(self, spec: Any = None, *_: Any) -> None:
        if not isinstance(spec, str) or not _SPEC.fullmatch(spec):
            raise pickle.UnpicklingError(f"arrays of numbers and text are read, not of {spec!r}")
        self._dtype = np.dtype(spec)

    def __setstate__(self, state: Any) -> None:
        order, *structure = state[1:5]
        if any(part is not None for part in structure) or order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError("arrays with fields are not read")
        self._dtype = self._dtype.newbyteorder(order)

    def make(self) -> np.dtype[Any]:
        """Return the dtype."""
        return self._dtype


class _Array(np.ndarray):
    """An array whose state is what `_DType` allows."""

    def __setstate__(self, state: Any) -> None:
        version, shape, dtype, fortran, content = state
        super().__setstate__((version, shape, dtype.make(), fortran, content))


def _array_scalar(dtype: _DType, content: Any = None) -> Any:
    """Return a numpy scalar."""
    if not isinstance(content, (bytes, str)):
        raise pickle.UnpicklingError("a numpy scalar is made of bytes")
    content = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(content, dtype=dtype.make(), count=1)[0]


def _empty_array(kind: Any, *_: Any) -> np.ndarray:
    """Return an empty array, whose state follows in the pickle."""
    if kind is not _Array:
        raise pickle.UnpicklingError("an array is a numpy.ndarray")
    return _Array((0,), dtype="b")


def _array_of_buffer(buffer: Any, dtype: _DType, shape: tuple[int, ...], order: str, *_: Any) -> np.ndarray:
    """Return an array of protocol 5."""
    return np.frombuffer(buffer, dtype=dtype.make()).reshape(shape, order="F" if order == "F" else "C")


def _default_dict(*_: Any) -> dict[Any, Any]:
    """Return a plain dictionary for a defaultdict: what it would make of a missing key is not asked."""
    return {}


# Data: containers, numbers, arrays. NumPy 2 renamed its core, and files are of both
DATA: Names = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): _default_dict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "list"): list,
    ("builtins", "dict"): dict,
    ("builtins", "tuple"): tuple,
    ("builtins", "bytearray"): _bytearray_of,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
    ("__builtin__", "list"): list,
    ("__builtin__", "dict"): dict,
    ("__builtin__", "bytearray"): _bytearray_of,
    ("_codecs", "encode"): _bytes_of,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Array,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "scalar", _array_scalar),
            ("multiarray", "_reconstruct", _empty_array),
            ("numeric", "_frombuffer", _array_of_buffer),
        )
    },
}


class DataUnpickler(pickle.Unpickler):
    """An Unpickler that knows data only.

    Args:
        file: The open file.
        names: More names that it may contain, by module and name, and what stands for them.
        **options: Those of `pickle.Unpickler`.
    """

    def __init__(self, file: IO[bytes], names: Names | None = None, **options: Any) -> None:
        super().__init__(file, **options)
        self._names = {**DATA, **(names or {})}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a name.

        Raises:
            ForbiddenName: If the name is not in the list.
        """
        found = self._names.get((module, name))
        if found is None:
            raise ForbiddenName(
                f"it names {module}.{name}, which is not data; what it could do is not known, so it is not read"
            )
        return found


def said_of(path: Path, content: str, error: BaseException, hint: str = "") -> BenchmarkError:
    """Return one error that names a file, what it should be, and what is wrong."""
    reason = str(error) or type(error).__name__
    kind = type(error) if isinstance(error, ForbiddenName) else BenchmarkError
    return kind(f"{path} cannot be read as {content}: {reason}{hint}")


def read_pickle(path: Path, content: str, names: Names | None = None) -> Any:
    """Return what is in a pickle, compressed with bz2 or plain; of several in one file the first.

    Args:
        path: The file.
        content: What it should be, for messages.
        names: More names that it may contain.

    Raises:
        BenchmarkError: If it is damaged, no pickle, or names what is not data.
    """
    return read_pickles(path, content, names, most=1)[0]


def read_pickles(path: Path, content: str, names: Names | None = None, most: int | None = None) -> list[Any]:
    """Return the pickles that follow each other in a file; at least one.

    Args:
        path: The file.
        content: What it should be, for messages.
        names: More names that they may contain.
        most: How many to read; all if None.

    Raises:
        BenchmarkError: If one is damaged, no pickle, or names what is not data.
    """
    found: list[Any] = []
    try:
        with opened_bytes(path) as file:
            while most is None or len(found) < most:
                if found and not file.peek(1):  # type: ignore[attr-defined]
                    break
                found.append(DataUnpickler(file, names).load())
    except ForbiddenName as error:
        raise said_of(path, content, error) from None
    except _DAMAGE as error:
        raise said_of(path, content, error) from error
    return found


def opened_bytes(path: Path) -> IO[bytes]:
    """Open a file, decompressed where it begins as bz2 does."""
    with path.open("rb") as file:
        start = file.read(3)
    if start == b"BZh":
        return bz2.open(path, "rb")
    return path.open("rb")


def read_guarded(path: Path, content: str, read: Callable[[], Any]) -> Any:
    """Return what `read` returns, and say of the file what goes wrong in it.

    Raises:
        BenchmarkError: Naming the file.
    """
    try:
        return read()
    except BenchmarkError:
        raise
    except _DAMAGE as error:
        raise said_of(path, content, error) from error
