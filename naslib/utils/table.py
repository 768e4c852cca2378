"""Tables of text that keep to the width of a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

# Of a terminal that does not say how wide it is, and of no terminal
WIDTH = 80
_GAP = 2


def output_width() -> int:
    """Return the columns that what is printed may take: `COLUMNS`, those of the terminal, or 80 elsewhere."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    return shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH


def lay_table(rows: Sequence[Sequence[str]], width: int, head: Sequence[str] = (), widest: int = 26) -> list[str]:
    """Return the lines of a table whose last column takes what is left, and goes on in further lines.

    A line break in a cell begins a line. No line is longer than `width`, but for a word that is longer than its column.

    Args:
        rows: The cells.
        width: Columns of the terminal.
        head: Over the columns; none if empty.
        widest: Characters that a column other than the last may have; longer cells go on in further lines.
    """
    table = [list(row) for row in ([head, *rows] if head else rows)]
    if not table:
        return []
    count = len(table[0])
    longest = [max(len(line) for row in table for line in row[place].split("\n")) for place in range(count)]
    widths = [min(size, widest) for size in longest[:-1]]
    # a last column of less than 20 is no column: the others give way
    while widths and width - sum(widths) - _GAP * len(widths) < 20 and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    widths.append(max(width - sum(widths) - _GAP * len(widths), 12))
    lines: list[str] = []
    for number, row in enumerate(table):
        cells = [_wrapped(cell, size) for cell, size in zip(row, widths, strict=True)]
        for parts in zip(*(cell + [""] * (max(map(len, cells)) - len(cell)) for cell in cells), strict=True):
            lines.append((" " * _GAP).join(f"{part:{size}}" for part, size in zip(parts, widths, strict=True)).rstrip())
        if head and number == 0:
            lines.append((" " * _GAP).join("-" * min(size, most) for size, most in zip(widths, longest, strict=True)))
    return lines


def _wrapped(cell: str, size: int) -> list[str]:
    lines = []
    for text in cell.split("\n"):
        found = textwrap.wrap(text, size, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [part for line in found for part in _cut(line, size)]
    return lines


def _cut(word: str, size: int) -> list[str]:
    """Return a word that is longer than its column in parts, at its underscores and slashes where it has some."""
    parts = []
    while len(word) > size:
        at = max(word.rfind(mark, 0, size) for mark in "_/-=,") + 1 or size
        parts.append(word[:at])
        word = word[at:]
    return [*parts, word]
