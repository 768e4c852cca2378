"""Tables of image files and what is to be learned of them: CSV, TSV, Parquet."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from naslib.data.labels import listed
from naslib.errors import ConfigError, DataError, did_you_mean

_logger = logging.getLogger("naslib.data")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".parquet", ".pq")
_SEPARATORS = (",", "\t", ";", "|")
# Usual names of columns, those that are looked for first before the others.
_PATHS = ("path", "paths", "file", "filename", "file_name", "filepath", "file_path", "image_path", "image", "img")
_LABELS = ("label", "labels", "class", "class_name", "target", "targets", "category", "y")
_VALUES = ("value", "values", "target", "targets", "y", "label", "labels")
_MASKS = ("mask", "masks", "mask_path", "segmentation", "annotation", *_LABELS)
_TARGETS = {"classes": _LABELS, "values": _VALUES, "masks": _MASKS}
_SPLITS = ("split", "subset", "partition", "set", "part")
# What the rows of a part may be called.
_PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
}
_NAMED = 10


Kind: TypeAlias = Literal["classes", "values", "masks"]


class TableColumns(NamedTuple):
    """Which columns hold what; None is guessed.

    Attributes:
        paths: Paths of the images.
        labels: Classes, values (several columns may be), or paths of masks.
        split: The part of each row.
    """

    paths: str | None = None
    labels: str | Sequence[str] | None = None
    split: str | None = None


class Rows(NamedTuple):
    """The rows of a table.

    Attributes:
        paths: Of the images, as they can be opened.
        targets: `(n,)` class numbers or text (or paths of masks), or `(n, k)` float64 values.
        names: Of the columns that hold the targets.
        parts: `train`, `test` or `val` of each row; None where the table has no such column.
    """

    paths: list[str]
    targets: NDArray[Any]
    names: tuple[str, ...]
    parts: list[str] | None


def is_table(path: str | Path) -> bool:
    """Return whether a file is a table by its name."""
    return str(path).lower().endswith(TABLE_SUFFIXES)


def read_rows(file: Path, columns: TableColumns, kind: Kind) -> Rows:
    """Return the rows of a table.

    Args:
        file: A CSV, TSV or Parquet file; relative paths in it are relative to its folder.
        columns: Which columns hold what.
        kind: What the targets are: `classes`, `values` `(n, k)`, or paths of `masks`.

    Raises:
        DataError: If it cannot be read, columns are not found, or cells are missing or no numbers.
        ConfigError: If it is a Parquet file, and pyarrow is not installed.
    """
    table = read_columns(file)
    path_column = _find(file, table, columns.paths, _PATHS, "paths", "the paths of the images")
    split_column = _find_split(file, table, columns.split)
    rest = [name for name in table if name not in (path_column, split_column)]
    names = _target_columns(file, table, columns.labels, rest, kind)
    said = [columns.paths is not None, columns.labels is not None]
    if not all(said):
        _logger.info(
            "%s: paths are in column %r, %s in %s%s", file.name, path_column, "labels" if kind == "classes" else kind,
            listed(names), f", parts in {split_column!r}" if split_column else "",
        )  # fmt: skip
    paths = [str(cell).strip() if cell is not None else "" for cell in table[path_column]]
    _refuse_missing(file, path_column, [not path for path in paths])
    opened = [_opened(file, path) for path in paths]
    if kind == "values":
        targets: NDArray[Any] = np.stack([_numbers(file, name, table[name]) for name in names], axis=1)
    else:
        targets = _classes(file, names[0], table[names[0]])
    if kind == "masks":
        targets = np.array([_opened(file, str(path)) for path in targets.tolist()])
    parts = None if split_column is None else _parts(file, split_column, table[split_column])
    return Rows(opened, targets, names, parts)


def read_columns(file: Path) -> dict[str, list[Any]]:
    """Return the columns of a table by name, of a CSV or TSV file as text.

    Raises:
        DataError: If it cannot be read, has no row, or rows of different lengths.
        ConfigError: If it is a Parquet file, and pyarrow is not installed.
    """
    if file.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(file)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise DataError(f"cannot read the table {file}: {err}; it must be text in UTF-8") from err
    first = text.partition("\n")[0]
    separator = "\t" if file.suffix.lower() in (".tsv", ".tab") else max(_SEPARATORS, key=first.count)
    lines = [
        row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True) if any(row)
    ]
    if len(lines) < 2:
        raise DataError(f"the table {file} has {len(lines)} line(s); it needs one of column names, and rows")
    header = [name.strip() for name in lines[0]]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"the table {file} has columns of the same name: {listed(twice)}")
    uneven = [str(number) for number, row in enumerate(lines[1:], 2) if len(row) != len(header)]
    if uneven:
        raise DataError(f"the table {file} has {len(header)} columns, other numbers in lines {listed(uneven, '{}')}")
    return {name: [row[place].strip() for row in lines[1:]] for place, name in enumerate(header)}


def _read_parquet(file: Path) -> dict[str, list[Any]]:
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as error:
        raise ConfigError(f"{file.name} needs pyarrow: pip install 'naslib[parquet]'") from error
    try:
        found = parquet.read_table(file).to_pydict()
    except (OSError, pyarrow.ArrowException) as err:
        raise DataError(f"cannot read the table {file}: {err}") from err
    if not found or not len(next(iter(found.values()))):
        raise DataError(f"the table {file} has no rows")
    return {str(name): list(cells) for name, cells in found.items()}


def _find(
    file: Path, table: dict[str, list[Any]], said: str | None, usual: Sequence[str], keyword: str, what: str
) -> str:
    if said is not None:
        return _known(file, table, said, keyword)
    lower = {name.lower(): name for name in reversed(table)}
    found = next((lower[name] for name in usual if name in lower), None)
    if found is None:
        raise DataError(
            f"the table {file} has no column that is called {', '.join(usual[:4])} ...; say by {keyword} which of "
            f"{listed(table)} holds {what}"
        )
    return found


def _known(file: Path, table: dict[str, list[Any]], said: str, keyword: str) -> str:
    if said not in table:
        raise DataError(
            f"the table {file} has no column {said!r} ({keyword}){did_you_mean(said, table)}; it has {listed(table)}"
        )
    return said


def _find_split(file: Path, table: dict[str, list[Any]], said: str | None) -> str | None:
    if said is not None:
        return _known(file, table, said, "split")
    lower = {name.lower(): name for name in reversed(table)}
    return next((lower[name] for name in _SPLITS if name in lower), None)


def _target_columns(
    file: Path, table: dict[str, list[Any]], said: str | Sequence[str] | None, rest: list[str], kind: Kind
) -> tuple[str, ...]:
    of_values = kind == "values"
    if said is not None:
        names = [said] if isinstance(said, str) else [str(name) for name in said]
        if not names or (len(names) > 1 and not of_values):
            raise DataError(f"labels must be one column of classes, got {names}; several are values, or many labels")
        return tuple(_known(file, table, name, "labels") for name in names)
    lower = {name.lower(): name for name in reversed(rest)}
    found = next((lower[name] for name in _TARGETS[kind] if name in lower), None)
    if found is not None:
        return (found,)
    if of_values and any(all(_is_number(cell) for cell in table[name]) for name in rest):
        return tuple(name for name in rest if all(_is_number(cell) for cell in table[name]))
    if len(rest) == 1:
        return (rest[0],)
    raise DataError(f"the table {file}: say by labels which of its columns {listed(rest) or '(none)'} holds the {kind}")


def _classes(file: Path, name: str, cells: list[Any]) -> NDArray[Any]:
    """Return classes as integers where all are, else as text."""
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    _refuse_missing(file, name, [not text for text in texts])
    if all(_is_number(text) and float(text).is_integer() for text in texts):
        return np.array([int(float(text)) for text in texts], dtype=np.int64)
    return np.array(texts)


def _numbers(file: Path, name: str, cells: list[Any]) -> NDArray[np.float64]:
    bad = [f"{cell!r} in row {row}" for row, cell in enumerate(cells, 1) if not _is_number(cell)]
    if bad:
        raise DataError(f"the table {file}: column {name!r} must hold numbers, found {listed(bad, '{}')}")
    return np.array([float(cell) for cell in cells], dtype=np.float64)


def _is_number(cell: Any) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except (TypeError, ValueError):
        return False


def _refuse_missing(file: Path, name: str, missing: list[bool]) -> None:
    rows = [str(row) for row, is_missing in enumerate(missing, 1) if is_missing]
    if rows:
        raise DataError(f"the table {file}: column {name!r} is empty in row(s) {listed(rows, '{}')}")


def _parts(file: Path, name: str, cells: list[Any]) -> list[str]:
    found = [str(cell).strip().lower() for cell in cells]
    unknown = sorted({part for part in found if part not in _PARTS})
    if unknown:
        raise DataError(
            f"the table {file}: column {name!r} must hold train, test or val, found {listed(unknown)}; another column "
            "of parts is said by split"
        )
    return [_PARTS[part] for part in found]


def _opened(file: Path, path: str) -> str:
    """Return a path of a table, relative to its folder, as it can be opened."""
    is_absolute = path.startswith("~") or Path(path).is_absolute()
    return str(Path(path).expanduser() if is_absolute else file.parent / path)
