"""InterruptGuard with real signals."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from naslib.errors import SearchInterrupted
from naslib.training.signals import InterruptGuard, exit_code
from naslib.utils import distributed


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


def test_what_one_rank_was_told_all_ranks_do(monkeypatch):
    monkeypatch.setattr(distributed, "gather_objects", lambda mine: [mine, 0])
    with InterruptGuard() as guard:
        assert not guard.agreed() and not guard.requested
        monkeypatch.setattr(distributed, "gather_objects", lambda mine: [mine, int(signal.SIGTERM)])
        assert guard.agreed() and guard.requested and guard.signum is None  # another rank was told
        error = guard.interruption("model.pth")
        os.kill(os.getpid(), signal.SIGINT)  # the first one here
        assert guard.signum == signal.SIGINT
    assert exit_code(error) == 143 and str(error).startswith("stopped by SIGTERM after the running step")


def test_of_several_ranks_an_echo_is_no_second_signal(monkeypatch):
    """A scheduler tells torchrun and every rank, and torchrun tells every rank once more."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with InterruptGuard() as guard:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert guard.signum == signal.SIGTERM
        monkeypatch.setattr(guard, "_since", guard._since - 3.5)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
