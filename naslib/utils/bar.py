"""Progress: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, TextIO

from .launch import launched_rank
from .log import get_logger

logger = get_logger(__name__)

# A bar with fewer cells shows nothing that the numbers do not say.
MIN_BAR = 10
_FALLBACK_WIDTH = 80
# On a terminal of fewer columns every one is needed
_NARROW = 60
# Reading a metric waits for the device, so it is done this seldom.
_BAR_SECONDS = 0.5
_LINE_SECONDS = 30.0


class Shown(Protocol):
    """What is said of the state of a phase."""

    @property
    def log(self) -> str:
        """What a line of a log says."""

    @property
    def terminal(self) -> Sequence[str]:
        """What the line of a terminal says, in several wordings, the longest first."""


@dataclass(frozen=True)
class Said:
    """A state in words.

    Attributes:
        log: For a log line, which says how many steps are done already.
        terminal: For the line of a terminal, in several wordings, the longest first; each says everything.
    """

    log: str
    terminal: Sequence[str]


class Progress:
    """Show how far a phase is; a context manager.

    Args:
        title: Name of the phase.
        total: Number of steps, None if unknown.
        done: How many of them are done already.
        unit: What is counted.
        say: Writes a line where there is no terminal; the log if None.
    """

    def __init__(
        self,
        title: str,
        total: int | None,
        done: int = 0,
        unit: str = "step",
        say: Callable[[str], object] | None = None,
    ) -> None:
        self._say = say if say is not None else logger.info
        self.title, self.total, self.done, self.unit = title, total, done, unit
        self._on_terminal = sys.stderr.isatty() and launched_rank() == 0
        self._interval = _BAR_SECONDS if self._on_terminal else _LINE_SECONDS
        self._bar: Any = None
        self._started = time.monotonic()
        self._initial = done
        self._due = self._started + self._interval

    def __enter__(self) -> Progress:
        if self._on_terminal:
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.total,
                initial=self.done,
                desc=self.title,
                unit=self.unit,
                file=sys.stderr,
                leave=False,  # what was said of it stands in the lines above
                ncols=line_width(sys.stderr),
                bar_format=f"{self.title} |{{bar}}|" if self.total else self.title,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            # also what was typed behind the bar, such as ^C
            sys.stderr.write(f"\r{' ' * (terminal_width(sys.stderr) - 1)}\r")
            sys.stderr.flush()

    def due(self) -> bool:
        """Say whether it is time for `show`."""
        return time.monotonic() >= self._due

    def show(self, describe: Callable[[], Shown]) -> None:
        """Bring the display up to date.

        Args:
            describe: Returns what was measured so far.
        """
        status = describe()
        if self._bar is not None:
            self._draw(status)
        else:
            self._say(f"{self.title}: {self._so_far()}{f', {status.log}' if status.log else ''}")
        self._due = time.monotonic() + self._interval

    def _draw(self, status: Shown) -> None:
        left = self._seconds_left()
        percent = 100 * self.done / self.total if self.total else None
        self._bar.ncols = line_width(sys.stderr)
        clock = "" if left is None else format_clock(left)
        self._bar.bar_format = lay_out(self.title, percent, status.terminal, clock, self._bar.ncols)
        self._bar.n, self._bar.total = self.done, self.total
        self._bar.refresh()

    def _seconds_left(self) -> float | None:
        rate = (self.done - self._initial) / max(time.monotonic() - self._started, 1e-9)
        return (self.total - self.done) / rate if self.total and rate > 0 else None

    def _so_far(self) -> str:
        if not self.total:
            return f"{self.unit} {self.done}"
        seconds = self._seconds_left()
        left = f", {format_seconds(seconds)} left" if seconds is not None else ""
        return f"{self.unit} {self.done}/{self.total} ({100 * self.done / self.total:.0f} %){left}"


def format_seconds(seconds: float) -> str:
    """Return a duration as people write it: `8.3 s`, `2 min 05 s`, `3 h 12 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def format_clock(seconds: float) -> str:
    """Return a duration in few characters: `0:08`, `2:05`, `3:12:00`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


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


def line_width(stream: TextIO) -> int:
    """Return the columns that a line may take which changes.

    The last column would make some terminals begin a new line; two more are left to `^C` where there is room.
    """
    width = terminal_width(stream)
    return width - 3 if width >= _NARROW else width - 1


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
