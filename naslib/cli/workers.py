"""Processes that do one thing after the other: the machine behind `--seeds --jobs` and `naslib compare --jobs`."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from naslib.training.signals import InterruptGuard
from naslib.utils.cores import allowed_cores
from naslib.utils.log import get_logger

logger = get_logger(__name__)

# Seconds between two looks at signals, and between two events "waiting"
_TICK = 0.5
# Seconds that a process which was told to stop has, before it is killed
_PATIENCE = 5.0
# The kinds of answers
_DONE, _CRASHED = "done", "crashed"


class Event(NamedTuple):
    """What happened to one of the works.

    Attributes:
        kind: `"begun"`, `"done"`, `"crashed"` (by an error that the work does not know), `"died"` (the process is
            gone), or `"waiting"`: nothing has happened for half a second.
        place: Which work, by its place in the list; -1 for `"waiting"`.
        result: What it returned; a message for `"crashed"` and `"died"`.
    """

    kind: str
    place: int = -1
    result: Any = None


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived; what was being done was told so and has ended.

    Attributes:
        signum: Which of the two.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


def threads_each(workers: int) -> int:
    """Return how many threads each of several processes has, at least 1."""
    return max(1, allowed_cores() // max(1, workers))


def in_processes(act: Callable[[Any], Any], works: Sequence[Any], workers: int) -> Generator[Event, None, None]:
    """Do works in processes of their own, and yield what happens.

    A process does one work after the other; one that dies is replaced, and only the work that it did is lost. The
    processes end with this one, however it dies. The first SIGINT or SIGTERM is handed on to the works that are being
    done, and no other begins; the second one ends everything at once. What a process prints goes nowhere.

    Args:
        act: A function at the top of a module, called with one of `works` in another process; what it returns, and what
            it is given, can be pickled.
        works: What is to be done, in this order.
        workers: How many at a time.

    Raises:
        Stopped: After a signal, when the works that were being done have ended.
    """
    waiting = deque(enumerate(works))
    count = max(1, min(workers, len(works)))
    threads = threads_each(count)
    team: list[_Worker] = []
    with InterruptGuard() as guard:
        is_told = False
        try:
            while True:
                while waiting and not guard.requested and (idle := _idle(team, count, act, threads)) is not None:
                    place, work = waiting.popleft()
                    idle.begin(place, work)
                    yield Event("begun", place)
                busy = [worker for worker in team if worker.place is not None]
                if guard.requested and not is_told:
                    is_told = True
                    for worker in busy:
                        worker.interrupt()
                if not busy:
                    break
                ready = wait([worker.pipe for worker in busy], _TICK)
                for worker in busy:
                    if worker.pipe in ready:
                        event = worker.event()
                        if event.kind != _DONE:
                            team.remove(worker)
                        yield event
                if not ready:
                    yield Event("waiting")
        finally:
            for worker in team:
                worker.end(at_once=worker.place is not None)
    if guard.signum is not None:
        raise Stopped(guard.signum)


def _idle(team: list[_Worker], count: int, act: Callable[[Any], Any], threads: int) -> _Worker | None:
    """Return a process that has nothing to do, a new one where there is room, None where all are busy."""
    for worker in team:
        if worker.place is None:
            return worker
    if len(team) >= count:
        return None
    team.append(_Worker(act, threads))
    return team[-1]


class _Worker:
    """A process, and the end of the pipe to it.

    Args:
        act: What it does.
        threads: How many threads its libraries compute with.

    Attributes:
        place: Of the work that it does, None for none.
    """

    def __init__(self, act: Callable[[Any], Any], threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # forked children would share locks and threads of this process
        self.pipe, theirs = context.Pipe()
        self.place: int | None = None
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, act, threads))
        self.process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def begin(self, place: int, work: Any) -> None:
        self.place = place
        with suppress(OSError):  # it died meanwhile, which the next look at the pipe says
            self.pipe.send(work)

    def event(self) -> Event:
        """Return what the pipe says: the end of the work, or of the process."""
        place, self.place = self.place, None
        assigned = -1 if place is None else place
        try:
            kind, result = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(_PATIENCE)
            return Event("died", assigned, _how(self.process.exitcode))
        if kind == _CRASHED:
            self.process.join(_PATIENCE)
        return Event(kind, assigned, result)

    def interrupt(self) -> None:
        """Hand a signal on. Where processes have no groups, the terminal has told this one as well."""
        if hasattr(os, "setpgrp") and self.process.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGINT)

    def end(self, at_once: bool) -> None:
        """End the process: an idle one by the end of the pipe, a busy one at once."""
        self.pipe.close()
        if at_once:
            self.process.terminate()
        self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _how(status: int | None) -> str:
    """Return how a process has ended."""
    if status is not None and status < 0:
        name = signal.Signals(-status).name if -status in list(signal.Signals) else str(-status)
        hint = " (is there enough memory?)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process has ended by itself (exit status {status})"


def _serve(pipe: Connection, act: Callable[[Any], Any], threads: int) -> None:
    """Be a process of the team: do what comes through the pipe until it ends."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C in a terminal reaches the parent alone, which hands it on once
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _be_quiet(threads)
    while True:
        try:
            work = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            pipe.send((_DONE, act(work)))
        except Exception as error:
            logger.exception("an error that nobody expected")
            pipe.send((_CRASHED, f"{type(error).__name__}: {error}".splitlines()[0]))
            raise


def _end_with_parent() -> None:
    """End this process as soon as its parent has, as SIGKILL would: nothing may write where the next one begins."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _be_quiet(threads: int) -> None:
    """Let nothing be printed, and libraries compute with a share of the cores, where nobody has said otherwise."""
    if threads < allowed_cores() and not os.environ.get("OMP_NUM_THREADS"):
        os.environ["OMP_NUM_THREADS"] = str(threads)
        if "torch" in sys.modules:  # too late for the variable
            sys.modules["torch"].set_num_threads(threads)
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
