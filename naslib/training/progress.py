"""Progress: a bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import torch

try:
    import resource
except ModuleNotFoundError:  # Windows has none
    resource = None  # type: ignore[assignment]

from naslib.utils.log import get_logger

from .status import Status, lay_out, terminal_width

logger = get_logger(__name__)

# Reading a metric waits for the device, so it is done this seldom.
_BAR_SECONDS = 0.5
_LINE_SECONDS = 30.0


class Progress:
    """Show how far a phase is; a context manager.

    Args:
        title: Name of the phase.
        total: Number of steps, None if unknown.
        done: How many of them are done already.
        unit: What is counted.
    """

    def __init__(self, title: str, total: int | None, done: int = 0, unit: str = "step") -> None:
        self.title, self.total, self.done, self.unit = title, total, done, unit
        self._on_terminal = sys.stderr.isatty()
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
                ncols=terminal_width(sys.stderr) - 1,  # the last column would make some terminals begin a new line
                bar_format=f"{self.title} |{{bar}}|" if self.total else self.title,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.update(self.done - self._bar.n)
            self._bar.close()

    def due(self) -> bool:
        """Say whether it is time for `show`."""
        return time.monotonic() >= self._due

    def show(self, describe: Callable[[], Status]) -> None:
        """Bring the display up to date.

        Args:
            describe: Returns what was measured so far.
        """
        status = describe()
        if self._bar is not None:
            self._draw(status)
        else:
            logger.info("%s: %s%s", self.title, self._so_far(), f", {status.log}" if status.log else "")
        self._due = time.monotonic() + self._interval

    def _draw(self, status: Status) -> None:
        left = self._seconds_left()
        percent = 100 * self.done / self.total if self.total else None
        self._bar.ncols = terminal_width(sys.stderr) - 1
        clock = "" if left is None else format_clock(left)
        self._bar.bar_format = lay_out(self.title, percent, status.terminal, clock, self._bar.ncols)
        self._bar.n = self.done
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


def describe_peak_memory(device: torch.device) -> str:
    """Return `", peak memory 123 MB"`, or nothing where it is not known."""
    peak = peak_memory_mb(device)
    return "" if peak is None else f", peak memory {peak:.0f} MB"


def peak_memory_mb(device: torch.device) -> float | None:
    """Return the peak memory in MB: of the device for CUDA, else of the process; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if resource is None:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
