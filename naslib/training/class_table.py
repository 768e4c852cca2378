"""A table of the scores of each class, for a person to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.utils.text import shorten

# With more classes only those that are found least are listed.
MOST_ROWS, _WORST = 20, 10
_LONGEST_NAME = 24


def class_table(per_class: Sequence[Mapping[str, Any]], matrix: Sequence[Sequence[int]] | None = None) -> str:
    """Return the lines of a table: a class each, or where there are more than 20 the ten that are found least.

    Args:
        per_class: What `summary.json` says of each class.
        matrix: The confusion matrix, for what a class is taken for most often; None where it is not known.
    """
    chosen = list(range(len(per_class)))
    lines = []
    if len(per_class) > MOST_ROWS:
        occurring = [number for number in chosen if per_class[number]["n"]]
        chosen = sorted(occurring, key=lambda number: per_class[number]["accuracy"])[:_WORST]
        lines = [f"the {len(chosen)} of {len(per_class)} classes that are found least"]
    rows = [("class", "n", "accuracy", "precision", "f1", "most often taken for")]
    for number in chosen:
        told = per_class[number]
        share = _shown(told["precision"]), _shown(told["f1"])
        accuracy = "-" if told["accuracy"] is None else f"{told['accuracy']:.2f} %"
        rows.append(
            (
                _short(told["name"]),
                str(told["n"]),
                accuracy,
                *share,
                _mistake(number, per_class, matrix),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *numbers, mistake in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:-1], strict=True)]
        lines.append(f"  {name:<{widths[0]}}  {'  '.join(cells)}  {mistake}".rstrip())
    return "\n".join(lines)


def _mistake(number: int, per_class: Sequence[Mapping[str, Any]], matrix: Sequence[Sequence[int]] | None) -> str:
    """Return the class that one is taken for most often, and how often; "" where it never is."""
    if matrix is None:
        return ""
    wrong = [0 if other == number else count for other, count in enumerate(matrix[number])]
    most = max(wrong)
    return f"{_short(per_class[wrong.index(most)]['name'])} ({most})" if most else ""


def _shown(share: float | None) -> str:
    return "-" if share is None else f"{share:.4f}"


def _short(name: str) -> str:
    return shorten(" ".join(name.split()), _LONGEST_NAME)
