"""Section: the confusion matrix, and scores of each class."""

from __future__ import annotations

from typing import Any

from ..amounts import DASH, counted, finite, number
from ..blocks import Folded, Note, Section, Table, TableCell, Text
from ..reading import SavedRun
from ..words import task_name

# Larger matrices are shown as the pairs that are confused most
_LARGEST = 40
_PAIRS = 20
# Of more classes those that are found least are listed
_LISTED = 200


def classes(run: SavedRun) -> Section | None:
    """Return the section of classes, None for a run that was not evaluated or whose task has no classes."""
    if run.mode is None and "confusion_matrix" not in run.summary:
        return None
    if task_name(run) not in ("classification", "segmentation", "sequence_classification", "") and not run.summary.get(
        "confusion_matrix"
    ):
        return None
    blocks: list[Any] = []
    matrix = _matrix(run)
    names = _names(run, len(matrix))
    if matrix:
        blocks += _confusion(matrix, names)
    if isinstance(run.summary.get("per_class"), list) and run.summary["per_class"]:
        blocks.append(_per_class(run.summary["per_class"]))
    if not blocks:
        why = (
            "a benchmark gave its score, and no network was tested"
            if run.mode == "query"
            else ("its summary has none (runs of earlier versions, and tasks without classes, have none)")
        )
        blocks.append(Note(f"There is no confusion matrix and there are no scores by class: {why}."))
    return Section("classes", "Classes", blocks)


def _matrix(run: SavedRun) -> list[list[int]]:
    """Return the confusion matrix, [] where there is none or it is none."""
    given = run.summary.get("confusion_matrix")
    if not isinstance(given, list) or not given:
        return []
    rows = [[finite(value) for value in row] if isinstance(row, list) else [] for row in given]
    if any(len(row) != len(rows) or None in row for row in rows):
        run.troubles.append("confusion_matrix in summary.json is no square of counts")
        return []
    return [[int(value or 0) for value in row] for row in rows]


def _names(run: SavedRun, count: int) -> list[str]:
    names = run.class_names
    return names if len(names) == count else [str(index) for index in range(count)]


def _confusion(matrix: list[list[int]], names: list[str]) -> list[Any]:
    total = sum(map(sum, matrix))
    right = sum(row[i] for i, row in enumerate(matrix))
    pairs = [(matrix[i][j], i, j) for i in range(len(matrix)) for j in range(len(matrix)) if i != j and matrix[i][j]]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    words = f"Of {counted(total, 'prediction')} on the test part {right:,} are right"
    if pairs:
        count, i, j = pairs[0]
        words += f"; the most frequent error is {names[i]} taken for {names[j]} ({counted(count, 'time')})"
    blocks: list[Any] = [Text(f"{words}.")]
    if len(matrix) <= _LARGEST:
        caption = "Confusion matrix: rows are true classes, columns predicted ones; the shade is the share of the row"
        rows: list[list[TableCell | str]] = []
        for name, row in zip(names, matrix, strict=True):
            size = sum(row) or 1
            rows.append(
                [
                    TableCell(name),
                    *(TableCell(str(value), float(value), shade=value / size) for value in row),
                    TableCell(f"{sum(row):,}"),
                ]
            )
        blocks.append(Table(caption, ["true \\ predicted", *names, "in all"], rows, is_wide=True))
    if pairs and len(matrix) > 3:
        sizes = [sum(row) or 1 for row in matrix]
        listed: list[list[TableCell | str]] = [
            [
                names[i],
                names[j],
                TableCell(f"{count:,}", count),
                TableCell(f"{100 * count / sizes[i]:.2f} %", count / sizes[i]),
            ]
            for count, i, j in pairs[:_PAIRS]
        ]
        table = Table(
            f"The {len(listed)} pairs that are confused most", ("true class", "taken for", "times", "share of it"),
            listed, frozenset((2, 3)), is_sortable=True,
        )  # fmt: skip
        blocks.append(table if len(matrix) > _LARGEST else Folded("Which are confused most", [table]))
    return blocks


def _per_class(entries: list[Any]) -> Table:
    rows: list[list[TableCell | str]] = []
    shown, words = entries, ""
    if len(entries) > _LISTED:
        known = [entry for entry in entries if isinstance(entry, dict) and finite(entry.get("accuracy")) is not None]
        shown = sorted(known, key=lambda entry: float(entry["accuracy"]))[:_LISTED]
        words = f": the {len(shown)} of {len(entries)} that are found least"
    for entry in shown:
        told = entry if isinstance(entry, dict) else {}
        accuracy = finite(told.get("accuracy"))
        count = finite(told.get("n"))
        row: list[Any] = [
            str(told.get("name", "?")),
            TableCell(DASH if count is None else f"{int(count):,}", count),
            TableCell(
                DASH if accuracy is None else f"{accuracy:.2f} %",
                accuracy,
                None if accuracy is None else min(1.0, max(0.0, accuracy / 100)),
            ),
        ]
        for key in ("precision", "recall", "f1"):
            value = finite(told.get(key))
            row.append(TableCell(DASH if value is None else number(value), value))
        rows.append(row)
    columns = ("class", "tested", "accuracy", "precision", "recall", "F1")
    return Table(
        f"Scores of each class on the test part{words}", columns, rows, frozenset(range(1, 6)), is_sortable=True
    )
