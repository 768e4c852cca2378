"""Rows: what the scripts have measured, in CSV files that grow, and how far a mean of them is sure."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

Row = TypeVar("Row")
_KINDS: dict[str, Any] = {"str": str, "int": int, "float": float}


def read(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file as text; none where there is no file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(path: Path, names: Sequence[str], rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> None:
    """Put rows at the end of a file, which begins with the names of the columns and keeps the line ends that it has.

    Args:
        path: The file; it is made where it is not there.
        names: The columns.
        rows: Values by the names, or in their order.

    Raises:
        ValueError: If a row has not one value for each column, or the file has other columns.
    """
    header = ""
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            header = file.readline()
        there = next(csv.reader([header]), [])
        if header and there != [*names]:
            raise ValueError(f"{path} has the columns {', '.join(there)}, not {', '.join(names)}")
    if header and not header.endswith("\n"):
        raise ValueError(f"{path} ends within its first line")
    found: list[dict[str, Any]] = []
    for row in rows:
        found.append(dict(row) if isinstance(row, Mapping) else dict(zip(names, row, strict=True)))
        if found[-1].keys() != set(names):
            raise ValueError(f"a row has {', '.join(found[-1])}; the columns are {', '.join(names)}")
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\r\n" if header.endswith("\r\n") else "\n")
        if not header:
            writer.writeheader()
        writer.writerows(found)


def read_as(kind: type[Row], path: Path) -> list[Row]:
    """Return the rows of a file as records.

    Args:
        kind: A dataclass whose fields are the columns, each a `str`, an `int` or a `float`.
        path: The file; no rows where it is not there.
    """
    kinds = {field.name: _KINDS[str(field.type)] for field in fields(kind)}  # type: ignore[arg-type]
    return [kind(**{key: kinds[key](value) for key, value in row.items()}) for row in read(path)]


def append_records(kind: type[Any], rows: Iterable[Any], path: Path) -> None:
    """Put records of a dataclass at the end of a file; see `append`."""
    append(path, [field.name for field in fields(kind)], [asdict(row) for row in rows])


def completed(
    kind: type[Row], names: Sequence[str], searches: Mapping[tuple[Any, ...], Callable[[], Row]], path: Path | None
) -> list[Row]:
    """Return the rows of a file and of the searches that it lacks, which are put behind them one by one.

    Args:
        kind: As in `read_as`.
        names: The columns that say which search a row is of.
        searches: By the values of these columns, what makes the row.
        path: The file; None: nothing is read or kept, and every search is made.
    """
    rows = [] if path is None else read_as(kind, path)
    there = {tuple(getattr(row, name) for name in names) for row in rows}
    for key, search in searches.items():
        if key in there:
            continue
        rows.append(search())
        if path is not None:
            append_records(kind, rows[-1:], path)
    return rows


def made_with(rows: Iterable[Row], settings: Mapping[str, Any]) -> list[Row]:
    """Return the rows of these settings, by their columns: those of other settings are other measurements."""

    def value(row: Any, name: str) -> Any:
        return row[name] if isinstance(row, Mapping) else getattr(row, name)

    return [row for row in rows if all(str(value(row, name)) == str(wanted) for name, wanted in settings.items())]


def two_errors(values: Sequence[float] | np.ndarray) -> float:
    """Return two standard errors of the mean of values; 0 of a single one."""
    return 2 * float(np.std(values, ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
