"""Read `.npz` files: their arrays, and which of them are inputs and targets of which part."""

from __future__ import annotations

import logging
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from naslib.data.labels import listed
from naslib.data.verify import read_each
from naslib.errors import DataError, did_you_mean

_logger = logging.getLogger("naslib.data")
# What numpy and the zip reader raise for damaged files: the last three for damaged headers within.
_UNREADABLE = (
    OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, SyntaxError,
)  # fmt: skip
_INPUTS = ("x", "xs", "image", "images", "input", "inputs", "data", "features", "sequences", "tokens")
_TARGETS = ("y", "ys", "label", "labels", "target", "targets", "mask", "masks", "values")
_PARTS = {
    **dict.fromkeys(("train", "training", "tr"), "train"),
    **dict.fromkeys(("test", "testing", "te"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
}
_GLUED = re.compile(r"^([xy])(train|test|val|valid|dev)$")


def read_arrays(file: Path) -> dict[str, Any]:
    """Return the arrays of a file by name.

    Raises:
        DataError: If it, or some of its arrays, cannot be read; the message lists all of these.
    """
    try:
        stream = file.open("rb")  # numpy leaves a file open whose zip directory it cannot read
    except OSError as err:
        raise DataError(f"cannot read {file}: {err}") from err
    with stream:
        try:
            archive = np.load(stream, allow_pickle=False)
        except _UNREADABLE as err:
            raise DataError(f"cannot read {file} as an .npz file of plain arrays: {err}") from err
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{file} holds a single array, expected an .npz file of x and y")

        def read(key: str) -> Any:
            try:
                return archive[key]
            except _UNREADABLE as err:
                raise DataError(f"cannot read {key} in {file} as a plain array: {err}") from err

        with archive:
            return dict(zip(archive.files, read_each(read, archive.files, "arrays"), strict=True))


def choose_parts(file: Path, arrays: dict[str, Any], needs_targets: bool = True) -> dict[str, tuple[Any, Any]]:
    """Return inputs and targets of the parts `train` and, where the file has one, `test`.

    `x` and `y` are the training part unless another says so by its name: `x_train`, `train_images`, `labels_test` ... A
    part for validation is the test part where there is no other, and not used otherwise.

    Args:
        file: The file, for messages.
        arrays: Its arrays by name.
        needs_targets: Whether inputs without targets are an error; else their targets are None.

    Raises:
        DataError: If there is none, two arrays could be the same, or a part lacks inputs or targets.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for key in arrays:
        role = _role(key)
        if role is not None:
            found.setdefault(role, []).append(key)
    for role, several in found.items():
        # `x` beside `x_train` is the older layout of both, and was always taken
        exact = [key for key in several if key in ("x", "y")] or [
            key for key in several if key in ("x_train", "y_train")
        ]
        if len(several) > 1 and len(exact) != 1:
            raise DataError(f"{file}: {listed(several)} could all be the {role[0]} of the {role[1]} part; keep one")
        found[role] = exact if len(several) > 1 else several
    parts: dict[str, tuple[Any, Any]] = {}
    for part in ("train", "test", "val"):
        keys: list[str | None] = [
            found[kind, part][0] if (kind, part) in found else None for kind in ("inputs", "targets")
        ]
        if keys == [None, None]:
            continue
        if _words(keys[0])[:1] == ["x"] and keys[1] is not None and _words(keys[1])[:1] != ["y"]:
            keys[1] = None  # x goes with y, images with labels
        if keys[0] is None or (keys[1] is None and needs_targets):
            if part == "train":
                break
            missing, there = ("inputs", keys[1]) if keys[0] is None else ("targets", keys[0])
            raise DataError(f"{file}: give both x_test and y_test or neither; it has {there} without {missing}")
        parts[part] = arrays[keys[0]], None if keys[1] is None else arrays[keys[1]]
        names = [key for key in keys if key is not None]
        if not set(names) <= {"x", "y", "x_train", "y_train", "x_test", "y_test"}:
            _logger.info("%s: %s are the %s part", file.name, " and ".join(names), part)
    if "train" not in parts:
        hints = [did_you_mean(key, arrays) for key in ("x", "y")]
        raise DataError(
            f"{file} must hold x and y (or x_train and y_train; x_test and y_test if it has a test part), it holds "
            f"{', '.join(sorted(arrays)) or 'nothing'}{next((hint for hint in hints if hint), '')}"
        )
    validation = parts.pop("val", None)
    if validation is not None and "test" in parts:
        _logger.info("%s: the test part is tested on; that for validation is not used", file.name)
    elif validation is not None:
        parts["test"] = validation
    return parts


def _role(key: str) -> tuple[str, str] | None:
    """Return whether an array is `inputs` or `targets`, and of which part; None where its name says neither."""
    words = re.split(r"[^a-z0-9]+", (_GLUED.sub(r"\1_\2", key.lower())))
    parts, rest = [_PARTS[word] for word in words if word in _PARTS], _words(key)
    if len(rest) != 1 or len(parts) > 1:
        return None
    kind = "inputs" if rest[0] in _INPUTS else "targets" if rest[0] in _TARGETS else None
    return None if kind is None else (kind, parts[0] if parts else "train")


def _words(key: str | None) -> list[str]:
    """Return the words of a name that do not say a part."""
    words = re.split(r"[^a-z0-9]+", _GLUED.sub(r"\1_\2", (key or "").lower()))
    return [word for word in words if word and word not in _PARTS]
