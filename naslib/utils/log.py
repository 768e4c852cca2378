"""Log to the console and to the run folder through one logger tree, `naslib`."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import MemoryHandler
from pathlib import Path

from .launch import launched_rank

ROOT = "naslib"
_FORMAT = "[%(asctime)s %(levelname)s %(name)s] %(message)s"
_CONSOLE_FORMAT = "[%(asctime)s] %(message)s"
_TIME = "%m/%d %H:%M:%S"

# Above everything that is logged
_SILENT = logging.CRITICAL + 1

_last_time: dict[object, float] = {}
_counts: Counter[object] = Counter()


class _ConsoleHandler(logging.Handler):
    """Write to the current `sys.stdout`, above the progress bars where there are any."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            text = self.format(record)
            # A bar can only be on the screen if its library was imported.
            tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
            if tqdm is not None:
                tqdm.write(text, file=sys.stdout)
            else:
                sys.stdout.write(text + "\n")
            sys.stdout.flush()
        except (OSError, ValueError, TypeError):  # a closed stream or a record that does not format never stops the run
            self.handleError(record)


class _ConsoleFormatter(logging.Formatter):
    """Name the level only where it is a warning or worse."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for one record."""
        text = super().format(record)
        return text if record.levelno < logging.WARNING else text.replace("] ", f"] {record.levelname}: ", 1)


def setup_logger(path: str | Path | None = None, level: int = logging.INFO) -> logging.Logger:
    """Return the logger `naslib`, writing to the console and to a file.

    Idempotent: a second call adds no second handler; with another path it moves the file handler there. Of several
    processes that torchrun started only rank 0 logs; the logger of the others is silent.

    Args:
        path: The log file (its folder is made; an existing file is continued), or None for the console only.
        level: The lowest level that is written.
    """
    logger = logging.getLogger(ROOT)
    if launched_rank():  # of several processes that do the same one says it
        logger.setLevel(_SILENT)
        return logger
    logger.setLevel(level)
    if not any(isinstance(handler, _ConsoleHandler) for handler in logger.handlers):
        console = _ConsoleHandler()
        console.setFormatter(_ConsoleFormatter(_CONSOLE_FORMAT, _TIME))
        logger.addHandler(console)
    if path is not None:
        _set_file(logger, Path(path))
    return logger


@contextmanager
def remembering() -> Iterator[MemoryHandler]:
    """Remember what is logged inside, for a file that is chosen later: `write_remembered`."""
    logger = logging.getLogger(ROOT)
    # flushed by hand, and bounded: nothing is said a thousand times before a run begins
    memory = MemoryHandler(1000, flushLevel=logging.CRITICAL + 1)
    logger.addHandler(memory)
    try:
        yield memory
    finally:
        logger.removeHandler(memory)


def write_remembered(memory: MemoryHandler) -> None:
    """Write what was remembered to the file that the logger writes to."""
    for handler in logging.getLogger(ROOT).handlers:
        if isinstance(handler, logging.FileHandler):
            memory.setTarget(handler)
            memory.flush()


class _Passing(logging.Handler):
    """Hand records to where they would have gone without a handler in between."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record on, also to the last resort of `logging` where nobody listens."""
        logging.getLogger().callHandlers(record)


@contextmanager
def logging_to(path: str | Path) -> Iterator[None]:
    """Write what is logged inside to a file as well; what is seen elsewhere stays as it was.

    Does nothing where the logger writes to that file already (see `setup_logger`).

    Args:
        path: The log file (its folder is made; an existing file is continued).
    """
    logger, target = logging.getLogger(ROOT), str(Path(path).resolve())
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    if any(handler.baseFilename == target and Path(target).exists() for handler in files):
        yield
        return
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(target, encoding="utf-8")
    file.setFormatter(logging.Formatter(_FORMAT, _TIME))
    file.setLevel(logging.INFO)
    passing = _Passing(logger.getEffectiveLevel())
    level, propagates, own = logger.level, logger.propagate, list(logger.handlers)
    levels = [handler.level for handler in own]
    logger.addHandler(file)
    if passing.level > logging.INFO:
        for handler in own:  # a level of the logger's that is lowered for the file is theirs meanwhile
            handler.setLevel(max(handler.level, passing.level))
        logger.setLevel(logging.INFO)
    if propagates:
        logger.addHandler(passing)
        logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(file)
        logger.removeHandler(passing)
        file.close()
        logger.propagate = propagates
        logger.setLevel(level)
        for handler, before in zip(own, levels, strict=True):
            handler.setLevel(before)


def _set_file(logger: logging.Logger, path: Path) -> None:
    """Make `path` the one file that `logger` writes to."""
    target = str(path.resolve())
    for handler in [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]:
        # A file that was moved or deleted meanwhile (--overwrite) is opened anew.
        if handler.baseFilename == target and path.exists():
            return
        logger.removeHandler(handler)
        handler.close()
    path.parent.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(target, encoding="utf-8")
    file.setFormatter(logging.Formatter(_FORMAT, _TIME))
    logger.addHandler(file)


def get_logger(name: str | None = None) -> logging.Logger:
    """Return the logger of a module: `naslib`, or a child of it."""
    if not name or name == ROOT:
        return logging.getLogger(ROOT)
    return logging.getLogger(name if name.startswith(ROOT + ".") else f"{ROOT}.{name}")


def log_every_n_seconds(level: int, message: str, n: float = 5, *, name: str | None = None, key: object = None) -> bool:
    """Log `message` unless the same was logged less than `n` seconds ago.

    Args:
        level: A level of `logging`.
        message: The text.
        n: Seconds.
        name: The logger's name.
        key: What counts as the same; the text if None.

    Returns:
        Whether it was logged.
    """
    key = (name, message) if key is None else (name, key)
    now = time.monotonic()
    if key in _last_time and now - _last_time[key] < n:
        return False
    _last_time[key] = now
    get_logger(name).log(level, message)
    return True


def log_first_n(level: int, message: str, n: int = 1, *, name: str | None = None, key: object = None) -> bool:
    """Log `message` the first `n` times only; return whether it was logged.

    Args:
        level: A level of `logging`.
        message: The text.
        n: How often at most.
        name: The logger's name.
        key: What counts as the same; the text if None.
    """
    key = (name, message) if key is None else (name, key)
    _counts[key] += 1
    if _counts[key] > n:
        return False
    get_logger(name).log(level, message)
    return True
