"""Signals: SIGINT and SIGTERM finish the running step; a second one stops at once."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from naslib.errors import SearchInterrupted
from naslib.errors import exit_code as exit_code
from naslib.utils.launch import launched
from naslib.utils.log import get_logger

logger = get_logger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A rank may hear of the same wish twice, from a scheduler and from torchrun: what comes so many seconds after
# the first signal is the same one.
_ECHO = 3.0


class InterruptGuard:
    """Note SIGINT and SIGTERM instead of stopping; a context manager.

    Loops ask `requested` between steps. Outside the main thread, where Python allows no handlers, it does nothing.

    Attributes:
        signum: The signal that arrived, None while there was none.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._told: int | None = None
        self._since = 0.0
        self._previous: dict[int, Any] = {}

    @property
    def requested(self) -> bool:
        """Whether a signal asks to stop."""
        return self.signum is not None or self._told is not None

    def agreed(self) -> bool:
        """Say whether a signal asks to stop on any rank, which all ranks know from then on; all ask at once."""
        from naslib.utils.distributed import gather_objects  # torch, which a command that only waits does not need

        found = max(gather_objects(self.signum or 0))
        if found and self.signum is None:
            self._told = found
        return bool(found)

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
        now = time.monotonic()
        if self.signum is not None and not (launched() and now - self._since < _ECHO):
            raise KeyboardInterrupt  # the second one: the user means it
        if self.signum is None:
            self.signum, self._since = number, now

    def interruption(self, checkpoint: str) -> SearchInterrupted:
        """Return the error to raise once the checkpoint is written; it carries the signal's number as `signum`."""
        number = int(self.signum or self._told or signal.SIGINT)
        name = signal.Signals(number).name
        error = SearchInterrupted(
            f"stopped by {name} after the running step; saved {checkpoint}. Continue with --resume"
        )
        error.__dict__["signum"] = number
        return error
