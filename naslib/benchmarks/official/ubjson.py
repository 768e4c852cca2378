"""Read UBJSON (draft 12), in which newer releases of XGBoost pickle their models."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_NUMBERS = {"i": ">b", "U": ">B", "I": ">h", "l": ">i", "L": ">q", "d": ">f", "D": ">d"}
_WORDS = {"Z": None, "T": True, "F": False}
# Deeper than any model is nested
_DEEPEST = 64


def read_ubjson(data: bytes) -> Any:
    """Return the value that UBJSON bytes are; arrays of numbers of one type as numpy arrays.

    Raises:
        ValueError: If they are none.
    """
    try:
        return _Reader(data).value(0)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"it is no UBJSON: {error}") from error


class _Reader:
    """A place in bytes."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def value(self, depth: int, marker: str | None = None) -> Any:
        """Return the value here, of a type that is known or written before it."""
        marker = marker or self._marker()
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in _WORDS:
            return _WORDS[marker]
        if marker == "C":
            return self._text(1)
        if marker == "S":
            return self._text(self._length())
        if marker == "[":
            return self._array(depth)
        if marker == "{":
            return self._object(depth)
        raise ValueError(f"it is no UBJSON: {marker!r} at byte {self._place - 1}")

    def _array(self, depth: int) -> Any:
        kind, count = self._header()
        if kind in _NUMBERS and count is not None:
            dtype = np.dtype(_NUMBERS[kind])
            if self._place + count * dtype.itemsize > len(self._data):
                raise ValueError("it is no UBJSON: an array ends early")
            found = np.frombuffer(self._data, dtype, count, self._place)
            self._place += count * dtype.itemsize
            return found
        if count is not None:
            return [self.value(depth + 1, kind) for _ in range(count)]
        items = []
        while self._peek() != "]":
            items.append(self.value(depth + 1))
        self._place += 1
        return items

    def _object(self, depth: int) -> dict[str, Any]:
        kind, count = self._header()
        found: dict[str, Any] = {}
        while (len(found) < count) if count is not None else (self._peek() != "}"):
            name = self._text(self._length())
            found[name] = self.value(depth + 1, kind)
        if count is None:
            self._place += 1
        return found

    def _header(self) -> tuple[str | None, int | None]:
        """Return the type and the number of what follows, where these are written first."""
        kind = None
        if self._peek() == "$":
            self._place += 1
            kind = self._marker()
        if self._peek() == "#":
            self._place += 1
            count = self._length()
            if count > len(self._data):
                raise ValueError("it is no UBJSON: a number of entries is larger than the whole")
            return kind, count
        return kind, None

    def _length(self) -> int:
        marker = self._marker()
        if marker not in "iUIlL":
            raise ValueError(f"it is no UBJSON: a length of the type {marker!r} at byte {self._place - 1}")
        length = int(self._number(marker))
        if length < 0:
            raise ValueError("it is no UBJSON: a length is negative")
        return length

    def _number(self, marker: str) -> float:
        form = _NUMBERS[marker]
        value: float = struct.unpack_from(form, self._data, self._place)[0]
        self._place += struct.calcsize(form)
        return value

    def _text(self, length: int) -> str:
        if self._place + length > len(self._data):
            raise ValueError("it is no UBJSON: a text ends early")
        found = self._data[self._place : self._place + length].decode("utf-8")
        self._place += length
        return found

    def _peek(self) -> str:
        if self._place >= len(self._data):
            raise ValueError("it is no UBJSON: it ends early")
        return chr(self._data[self._place])

    def _marker(self) -> str:
        marker = self._peek()
        self._place += 1
        return marker
