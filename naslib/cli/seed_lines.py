"""The lines that say how far several runs are: one for each that begins or ends, and on a terminal one that moves."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from naslib.utils.text import listed, shorten

# What a line of a run's log begins with: its time, its level and the module
_HEAD = re.compile(r"^\[[^\]]*\] ")
# How much of the end of a log is looked at
_TAIL = 4096
_WIDTH = 79


class SeedLines:
    """Say on stderr what becomes of each seed; a context manager.

    A seed has one line when it ends; where stderr is no terminal, one as well when it begins. On a terminal each
    running seed has a line that shows the last line of its log.

    Args:
        seeds: Those that are run.
        total: How many there are with those that are kept.
        logs: The log file of each that is run.
    """

    def __init__(self, seeds: Sequence[int], total: int, logs: Sequence[Path]) -> None:
        self._seeds, self._total, self._logs = seeds, total, logs
        self._ended = total - len(seeds)
        self._begun: dict[int, float] = {}
        self._bars: dict[int, tuple[int, Any]] = {}
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> SeedLines:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in list(self._bars):
            self._close(place)

    def say_kept(self, seeds: Sequence[int]) -> None:
        """Say which seeds are finished already."""
        if seeds:
            self._write(f"kept, as {'they are' if len(seeds) > 1 else 'it is'} finished: {_named(seeds)}")

    def begin(self, place: int) -> None:
        """Say that a seed begins.

        Args:
            place: Which, in the list of those that are run.
        """
        self._begun[place] = time.monotonic()
        if not self._is_terminal:
            self._write(f"seed {self._seeds[place]} begins")
            return
        from tqdm import tqdm

        taken = {slot for slot, _ in self._bars.values()}
        slot = next(number for number in range(len(self._seeds)) if number not in taken)
        bar: Any = tqdm(bar_format="{desc}", position=slot, leave=False, file=sys.stderr, ncols=_WIDTH)
        self._bars[place] = slot, bar
        bar.set_description_str(f"seed {self._seeds[place]} begins")

    def refresh(self) -> None:
        """Show what the running seeds say now."""
        for place, (_, bar) in self._bars.items():
            said = last_line(self._logs[place])
            if said:
                bar.set_description_str(shorten(f"seed {self._seeds[place]}: {said}", _WIDTH))

    def end(self, place: int, trouble: str) -> None:
        """Say that a seed has ended, and with what.

        Args:
            place: Which.
            trouble: What went wrong, "" for nothing.
        """
        self._close(place)
        self._ended += 1
        seconds = time.monotonic() - self._begun[place]
        folder = self._logs[place].parent
        what = f"failed: {trouble.splitlines()[0]}" if trouble else _outcome(folder)
        place_of_all = f"{self._ended}/{self._total}"
        self._write(f"seed {self._seeds[place]} ({place_of_all}, {_clock(seconds)}) {what}")

    def _close(self, place: int) -> None:
        if place in self._bars:
            self._bars.pop(place)[1].close()

    def _write(self, line: str) -> None:
        if self._bars:
            from tqdm import tqdm

            tqdm.write(line, file=sys.stderr)
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def last_line(path: Path) -> str:
    """Return what the last line of a log says, without time and module; "" where there is none yet."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    told = [_HEAD.sub("", line) for line in lines if _HEAD.match(line)]
    return told[-1] if told else ""


def _outcome(folder: Path) -> str:
    """Return in words what a run came to."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"ended without a summary in {folder}"
    score, unit = summary.get("score"), summary.get("score_unit") or ""
    told = [] if score is None else [f"{summary.get('score_name')} {score:.5g} {unit}".strip()]
    told.append(f"search {_clock(float(summary.get('search_seconds') or 0.0))}")
    if summary.get("params_millions") is not None:
        told.append(f"{summary['params_millions']:.4g} M parameters")
    return ", ".join(told)


def _named(seeds: Sequence[int]) -> str:
    return f"{'seeds' if len(seeds) > 1 else 'seed'} {listed(map(str, seeds), 20)}"


def _clock(seconds: float) -> str:
    """Return a duration in few characters: `8 s`, `2:05`, `3:12:00`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
