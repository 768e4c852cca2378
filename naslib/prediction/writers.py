"""Writers: predictions as an aligned table, as CSV or as JSON, while they come."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TextIO

from naslib.utils.files import to_jsonable

from .answers import Answers, Row
from .items import Failure

# Rows that wait for the widths of a table's columns; later ones widen the columns as they come
_MEASURED = 500


class Writer(ABC):
    """Write predictions to a file, one by one.

    Args:
        file: Where to.
        answers: What knows the columns.
    """

    def __init__(self, file: TextIO, answers: Answers) -> None:
        self.file, self.answers = file, answers

    @abstractmethod
    def write(self, row: Row) -> None:
        """Write a prediction."""

    def fail(self, failure: Failure) -> None:  # noqa: B027 - only one of the formats tells them
        """Write that there is none of an input."""

    def flush(self) -> None:  # noqa: B027 - a hook, empty by default
        """Write what waits."""

    def finish(self) -> None:
        """Write the end."""
        self.flush()


class TableWriter(Writer):
    """An aligned table: names to the left, numbers to the right."""

    def __init__(self, file: TextIO, answers: Answers) -> None:
        super().__init__(file, answers)
        self._waiting: list[list[str]] = []
        self._heads: list[str] = []
        self._widths: list[int] = []

    def write(self, row: Row) -> None:
        """Write a prediction, or keep it until the columns are measured."""
        cells = {"input": name_of(row), **self.answers.cells(row)}
        if list(cells) != self._heads:  # another number of columns: a table of its own
            self.flush()
            self._heads, self._widths = list(cells), []
            self._waiting.append(self._heads)
        self._waiting.append([" ".join(printable(cell).split()) for cell in cells.values()])
        if len(self._waiting) >= _MEASURED:
            self.flush()

    def flush(self) -> None:
        """Write what waits, aligned."""
        columns = zip(*self._waiting, strict=True)
        longest = [max(map(len, column)) for column in columns]
        self._widths = [max(pair) for pair in zip(longest, self._widths or longest, strict=False)]
        for cells in self._waiting:
            parts = [
                f"{cell:>{width}}" if head.startswith(("probability", "words", "unknown", "perplexity"))
                else f"{cell:<{width}}"
                for head, cell, width in zip(self._heads, cells, self._widths, strict=True)
            ]  # fmt: skip
            self.file.write("  ".join(parts).rstrip() + "\n")
        self._waiting = []


class CSVWriter(Writer):
    """Comma-separated values with a line of names; numbers in full precision."""

    def __init__(self, file: TextIO, answers: Answers) -> None:
        super().__init__(file, answers)
        self._writer = csv.writer(file, lineterminator="\n")
        self._heads: list[str] = []

    def write(self, row: Row) -> None:
        """Write a prediction; what the first one has no column for is left out."""
        index = "" if row["index"] is None else row["index"]
        cells = {"input": printable(row["input"]), "index": index, **self.answers.columns(row)}
        if not self._heads:
            self._heads = list(cells)
            self._writer.writerow(self._heads)
        self._writer.writerow([cells.get(head, "") for head in self._heads])


class JSONWriter(Writer):
    """One JSON object: `run`, `task`, `predictions` with one line each, and `failed`.

    Args:
        file: Where to.
        answers: What knows the columns.
        head: What stands before the predictions.
    """

    def __init__(self, file: TextIO, answers: Answers, head: Mapping[str, Any]) -> None:
        super().__init__(file, answers)
        self._failed: list[dict[str, str]] = []
        self._between = "\n"
        entries = "".join(f"  {json.dumps(key)}: {_json(value)},\n" for key, value in head.items())
        file.write("{\n" + entries + '  "predictions": [')

    def write(self, row: Row) -> None:
        """Write a prediction."""
        self.file.write(f"{self._between}    {_json(row)}")
        self._between = ",\n"

    def fail(self, failure: Failure) -> None:
        """Keep it for the end."""
        self._failed.append({"input": failure.input, "reason": failure.reason})

    def finish(self) -> None:
        """Write what failed, and the end."""
        lines = ",\n".join(f"    {_json(entry)}" for entry in self._failed)
        end = "" if self._between == "\n" else "\n  "
        self.file.write(f"{end}],\n" + '  "failed": [' + (f"\n{lines}\n  " if lines else "") + "]\n}\n")


def make_writer(name: str, file: TextIO, answers: Answers, head: Mapping[str, Any]) -> Writer:
    """Return the writer of a format: `table`, `csv` or `json`."""
    if name == "json":
        return JSONWriter(file, answers, head)
    return {"table": TableWriter, "csv": CSVWriter}[name](file, answers)


def name_of(row: Row) -> str:
    """Return the name of an input, with its place in the file: `data.npz[3]`."""
    return str(row["input"]) if row["index"] is None else f"{row['input']}[{row['index']}]"


def printable(text: str) -> str:
    """Return a text with the bytes of odd file names replaced, so that it can be written anywhere."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _json(value: Any) -> str:
    return json.dumps(to_jsonable(value), allow_nan=False)
