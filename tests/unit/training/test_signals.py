"""InterruptGuard with real signals."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from naslib.errors import SearchInterrupted
from naslib.training.signals import InterruptGuard, exit_code


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_first_signal_is_noted_the_second_stops(number, status):
    before = signal.getsignal(number)
    with InterruptGuard() as guard:
        assert not guard.requested
        os.kill(os.getpid(), number)
        assert guard.requested and guard.signum == number
        error = guard.interruption("model.pth")
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    assert isinstance(error, SearchInterrupted) and "model.pth" in str(error) and "--resume" in str(error)
    assert exit_code(error) == status and exit_code(KeyboardInterrupt()) == 130


def test_does_nothing_outside_the_main_thread():
    failures = []

    def work():
        try:
            with InterruptGuard() as guard:
                failures.append(guard.requested)
        except ValueError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == [False]
