"""Signals: SIGINT and SIGTERM finish the running step; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from naslib.errors import SearchInterrupted
from naslib.errors import exit_code as exit_code
from naslib.utils.log import get_logger

logger = get_logger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class InterruptGuard:
    """Note SIGINT and SIGTERM instead of stopping; a context manager.

    Loops ask `requested` between steps. Outside the main thread, where Python allows no handlers, it does nothing.

    Attributes:
        signum: The signal that arrived, None while there was none.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal asks to stop."""
        return self.signum is not None

    def __enter__(self) -> InterruptGuard:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._previous.clear()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signum is not None:  # the second one: the user means it
            raise KeyboardInterrupt
        self.signum = number

    def interruption(self, checkpoint: str) -> SearchInterrupted:
        """Return the error to raise once the checkpoint is written; it carries the signal's number as `signum`."""
        name = signal.Signals(self.signum or signal.SIGINT).name
        error = SearchInterrupted(
            f"stopped by {name} after the running step; saved {checkpoint}. Continue with --resume"
        )
        error.__dict__["signum"] = int(self.signum or signal.SIGINT)
        return error
