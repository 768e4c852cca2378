"""What test processes do: named things, in place of runs."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from naslib.cli.workers import Event


def act(work: tuple[str, str]) -> object:
    """Do what a word says; the second word is a file or a number."""
    word, value = work
    if word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if word == "raise":
        raise ValueError(f"{value}\nand more")
    if word == "wait":  # until a signal comes, as a search does
        Path(value).write_text(str(os.getpid()))
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            return "interrupted"
    if word == "threads":
        return os.environ.get("OMP_NUM_THREADS")
    return f"{word} {value}"


def here(act: Callable[[Any], Any], works: Sequence[Any], workers: int) -> Iterator[Event]:
    """Do the works in this process, in place of `in_processes`."""
    for place, work in enumerate(works):
        yield Event("begun", place)
        yield Event("done", place, act(work))
