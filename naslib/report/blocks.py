"""What sections of a page are made of; `templates/` says how each looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .charts.lines import Chart


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True)
class Note:
    """A remark that is set off: something that is missing or unusual, or (`is_warning`) wrong."""

    text: str
    is_warning: bool = False
    kind: ClassVar[str] = "note"


@dataclass(frozen=True)
class Warnings:
    """What is wrong or stands in the way, a sentence each, under a title."""

    title: str
    items: Sequence[str]
    kind: ClassVar[str] = "warnings"


@dataclass(frozen=True)
class Tiles:
    """Names with values in large: `(name, value, what to add in small)`."""

    items: Sequence[tuple[str, str, str]]
    kind: ClassVar[str] = "tiles"


@dataclass(frozen=True)
class TableCell:
    """A cell of a table.

    Attributes:
        text: What is written.
        sort: By what it is sorted: a number, or the text if None.
        bar: Length of a bar beneath, 0 to 1; None for none.
        mark: A word that colours the cell: `yes`, `no`, `partly`, `unknown`, or "".
        shade: Strength of its background, 0 to 1; None for none.
    """

    text: str
    sort: float | None = None
    bar: float | None = None
    mark: str = ""
    shade: float | None = None


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its name.

    Attributes:
        caption: What it shows.
        columns: Names of the columns.
        rows: Cells, or plain text for cells of text.
        numeric: Which columns are of numbers, by their place.
        is_sortable: Whether its columns can be sorted by.
        is_wide: Whether cells are as narrow as their numbers (a matrix).
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell | str]]
    numeric: frozenset[int] = frozenset()
    is_sortable: bool = False
    is_wide: bool = False
    kind: ClassVar[str] = "table"

    @property
    def cells(self) -> list[list[TableCell]]:
        """The rows, all of cells."""
        return [[cell if isinstance(cell, TableCell) else TableCell(cell) for cell in row] for row in self.rows]


@dataclass(frozen=True)
class Plots:
    """Charts with one cursor for all.

    Attributes:
        label: What the cursor goes through, for those who hear it.
        charts: Heading, chart and caption of each.
        is_small: Whether they are small multiples.
    """

    label: str
    charts: Sequence[tuple[str, Chart, str]]
    is_small: bool = False
    kind: ClassVar[str] = "plots"

    @property
    def positions(self) -> int:
        """How many positions the cursor has."""
        return max((len(chart.table) for _, chart, _ in self.charts), default=0)


@dataclass(frozen=True)
class Illustration:
    """A picture without a cursor: SVG of ours, or (`source`) a picture as a data URL with `alt`."""

    caption: str
    svg: str = ""
    source: str = ""
    alt: str = ""
    legend: Sequence[tuple[str, str]] = ()
    is_plot: bool = False
    kind: ClassVar[str] = "drawing"


@dataclass(frozen=True)
class Folded:
    """Blocks that are shown when asked for, and printed only where `is_printed`."""

    title: str
    blocks: Sequence[Any]
    is_printed: bool = False
    kind: ClassVar[str] = "folded"


@dataclass(frozen=True)
class Commands:
    """Lines to copy: what each does, and the line."""

    lines: Sequence[tuple[str, str]]
    kind: ClassVar[str] = "commands"


@dataclass(frozen=True)
class Code:
    """Text as it is, to copy."""

    text: str
    label: str
    kind: ClassVar[str] = "code"


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str
    kind: ClassVar[str] = "heading"


@dataclass(frozen=True)
class SideBySide:
    """Blocks side by side where there is room."""

    blocks: Sequence[Any]
    kind: ClassVar[str] = "columns"


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        key: Its id.
        title: Its heading.
        blocks: What it is made of.
    """

    key: str
    title: str
    blocks: list[Any] = field(default_factory=list)
