"""Read TFRecord files and protocol-buffer messages: the two formats of NAS-Bench-101, without TensorFlow.

A record is its length (8 bytes, little-endian), the masked checksum of these, its bytes, and their masked checksum
(4 bytes each). A message is fields one after the other: a key, whose last three bits say how the value is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from naslib.errors import BenchmarkError

# CRC-32C (Castagnoli), reflected; what is stored is rotated by 15 bits and moved by a constant
_POLYNOMIAL, _MASK_DELTA = 0x82F63B78, 0xA282EAD8
# Longer than any record of the benchmarks: a damaged length is not a reason to fill the memory
_LONGEST = 1 << 26


def _table() -> tuple[int, ...]:
    found = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
        found.append(value)
    return tuple(found)


_TABLE = _table()
_COLUMN = np.array(_TABLE, dtype=np.uint32)
# Records whose checksums are computed at once
_BATCH = 2048


def crc32c(data: bytes) -> int:
    """Return the CRC-32C of bytes (RFC 3720, appendix B.4: of 32 zero bytes it is 0x8A9136AA)."""
    crc = 0xFFFFFFFF
    table = _TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """Return the checksum as a TFRecord file stores it."""
    return _masked(crc32c(data))


def _masked(crc: int) -> int:
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def crc32c_of_all(parts: Sequence[bytes]) -> np.ndarray:
    """Return the CRC-32C of many byte strings, `(n,)` uint32: byte by byte, of all strings at once."""
    order = sorted(range(len(parts)), key=lambda number: -len(parts[number]))  # those that go on are always the first
    lengths = np.array([len(parts[number]) for number in order])
    padded = np.zeros((len(parts), int(lengths.max(initial=0))), dtype=np.uint8)
    for row, number in enumerate(order):
        padded[row, : lengths[row]] = np.frombuffer(parts[number], dtype=np.uint8)
    columns = np.ascontiguousarray(padded.T)
    crc = np.full(len(parts), 0xFFFFFFFF, dtype=np.uint32)
    going_on = np.searchsorted(-lengths, -np.arange(1, len(columns) + 1), side="right")
    for column, count in zip(columns, going_on.tolist(), strict=True):
        some = crc[:count]
        crc[:count] = _COLUMN[(some ^ column[:count]) & 0xFF] ^ (some >> 8)
    found = np.empty_like(crc)
    found[order] = crc ^ np.uint32(0xFFFFFFFF)
    return found


def read_records(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield the records of a file, and how many bytes there are up to their ends; all checksums are held against them.

    Args:
        path: The file.

    Raises:
        BenchmarkError: If a length or a checksum is wrong, or the file ends within a record.
    """
    with path.open("rb") as file:
        place = number = 0
        while True:
            batch: list[tuple[bytes, int, int]] = []  # content, checksum, end
            while len(batch) < _BATCH and (head := file.read(12)):
                length, check = struct.unpack("<QI", head) if len(head) == 12 else (0, -1)
                if check != masked_crc32c(head[:8]) or length > _LONGEST:
                    raise BenchmarkError(f"{path} is no TFRecord file, or damaged: the length at byte {place} is wrong")
                body = file.read(length + 4)
                if len(body) != length + 4:
                    end = place + 12 + len(body)
                    raise BenchmarkError(f"{path} is cut off: record {number + len(batch)} ends early, at byte {end}")
                place += 16 + length
                batch.append((body[:-4], struct.unpack("<I", body[-4:])[0], place))
            if not batch:
                return
            for (data, check, end), crc in zip(batch, crc32c_of_all([one[0] for one in batch]).tolist(), strict=True):
                if check != _masked(crc):
                    raise BenchmarkError(
                        f"{path} is damaged: the checksum of record {number} up to byte {end} is wrong"
                    )
                yield data, end
                number += 1


def fields_of(message: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the fields of a message: number, and value. Numbers are ints, doubles and floats numbers, others bytes.

    Raises:
        ValueError: If it is no message.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == 2:
            length, place = _varint(message, place)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError(f"a field of the unknown kind {kind} in a protocol-buffer message")
        if place + length > len(message):
            raise ValueError("a protocol-buffer message ends within a field")
        content = message[place : place + length]
        place += length
        yield number, content if kind == 2 else struct.unpack("<d" if kind == 1 else "<f", content)[0]


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """Return a number written in groups of seven bits, lowest first, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("a protocol-buffer message ends within a number")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number of a protocol-buffer message is too long")
