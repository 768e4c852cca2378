"""Status: where a phase stands in words, and how much of them a terminal has room for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from .metrics import Measured

# A bar with fewer cells shows nothing that the numbers do not say.
MIN_BAR = 10
_FALLBACK_WIDTH = 80


@dataclass(frozen=True)
class Status:
    """What was measured so far.

    Attributes:
        log: For a log line, which says how many steps are done already.
        terminal: For the line of a terminal, in several wordings, the longest first; each says everything.
    """

    log: str
    terminal: Sequence[str]

    @classmethod
    def of_epochs(
        cls, epoch: int, epochs: int, step: int, steps: int | None, scores: Sequence[tuple[str, Measured]]
    ) -> Status:
        """Return the status of a training.

        Args:
            epoch: Number of the running epoch, from 0.
            epochs: How many there are.
            step: How many batches of it are done.
            steps: How many batches it has, None if unknown.
            scores: What was measured on each split, by its name.
        """
        place = f"epoch {epoch + 1}/{epochs}"
        batch = f"{step}/{steps}" if steps else str(step)
        seen = [(split, measured) for split, measured in scores if measured.count]
        key, unit = (seen[0][1].scores[0].key, seen[0][1].scores[0].unit) if seen else ("", "")
        unit = f" {unit}" if unit else ""
        words = [f"{split} loss {m.loss:.3f} {key} {_number(m.deciding, 2)}{unit}" for split, m in seen]
        losses = "/".join(f"{measured.loss:.3f}" for _, measured in seen)
        exact, rounded = ("/".join(_number(m.deciding, digits) for _, m in seen) for digits in (2, 1))
        return cls(
            log=", ".join([place, *words]),
            terminal=(
                ", ".join([place, f"batch {batch}", *words]),
                f"{place} batch {batch}" + (f" loss {losses} {key} {exact}{unit}" if seen else ""),
                f"{place} {batch}" + (f" loss {losses} {key} {rounded}" if seen else ""),
                f"{epoch + 1}/{epochs} {batch}" + (f" loss {losses} {key} {rounded}" if seen else ""),
                f"{epoch + 1}/{epochs} {batch}" + (f" {losses}" if seen else ""),
            ),
        )

    @classmethod
    def of_evaluations(cls, done: int, total: int, valid: float | None, test: float | None) -> Status:
        """Return the status of a search that evaluates one architecture after the other.

        Args:
            done: How many are evaluated.
            total: How many will be.
            valid: Validation accuracy in percent; None for no number.
            test: Test accuracy likewise.
        """
        first, second = ("-" if value is None else f"{value:.2f}" for value in (valid, test))
        return cls(
            log=f"valid acc {first}, test acc {second}",
            terminal=(
                f"evaluation {done}/{total}, valid acc {first}, test acc {second}",
                f"evaluation {done}/{total} acc {first}/{second}",
                f"{done}/{total} {first}/{second}",
            ),
        )

    @classmethod
    def of_trials(
        cls, done: int, total: int | None, name: str, unit: str, best: float | None, failed: int = 0
    ) -> Status:
        """Return the status of a search that evaluates trials.

        Args:
            done: How many are over.
            total: How many there will be, None if unknown.
            name: What is measured.
            unit: Its unit, "" for none.
            best: Of the best trial so far, None without one.
            failed: How many have failed.
        """
        place = f"{done}/{total}" if total else f"{done}"
        value = "-" if best is None else f"{best:.4g}"
        shown = f"{value} {unit}".rstrip()
        losses = f", {failed} failed" if failed else ""
        return cls(
            log=f"best {name} {shown}{losses}",
            terminal=(
                f"trial {place}, best {name} {shown}{losses}",
                f"trial {place} best {value}{losses}",
                f"{place} {value}",
            ),
        )


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def terminal_width(stream: TextIO) -> int:
    """Return the columns of the terminal behind a stream: `COLUMNS`, what the terminal says, or 80."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given) > 0:
        return int(given)
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal after all, or a closed one
        columns = 0
    return columns or shutil.get_terminal_size((_FALLBACK_WIDTH, 24)).columns


def lay_out(title: str, percent: float | None, wordings: Sequence[str], left: str, width: int) -> str:
    """Return tqdm's `bar_format` for a line that fits.

    The longest wording that leaves room for a bar is taken; where none does, the longest that fits without one.
    Percentage, title and then the time that is left give way before the bar does, and the bar before the numbers.

    Args:
        title: Name of the phase.
        percent: How much is done, None if unknown: then there is no bar.
        wordings: What was measured, the longest wording first.
        left: The time that is left, "" if unknown.
        width: Columns of the line.
    """
    if percent is not None:
        for head, text in _decorated(f"{title} {percent:3.0f}%", title, wordings, left):
            before = f"{head} |" if head else "|"
            if len(before) + MIN_BAR + len(f"| {text}") <= width:
                return f"{_escaped(before)}{{bar}}| {_escaped(text)}"
    lines = [f"{head} {text}" if head else text for head, text in _decorated(title, title, wordings, left)]
    return _escaped(next((line for line in lines if len(line) <= width), wordings[-1][:width]))


def _decorated(head: str, title: str, wordings: Sequence[str], left: str) -> Iterator[tuple[str, str]]:
    """Yield heads and texts, from the one that needs the most room to the one that needs the least."""
    for wording in wordings:
        yield head, f"{wording}, {left} left" if left else wording
        yield title, f"{wording} {left}".rstrip()
        yield "", f"{wording} {left}".rstrip()
    yield "", wordings[-1]


def _escaped(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
