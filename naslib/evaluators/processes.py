"""ProcessExecutor: every worker is a process of its own, and may die."""

from __future__ import annotations

import multiprocessing
import pickle
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from naslib.errors import ConfigError, NASLibError, TrialStopped
from naslib.history import Trial

from .base import Evaluator, ShouldStop
from .executors import Executor, evaluated
from .sending import Attempts, packed, portable

# How often somebody who waits for a result looks whether to stop
_PATIENCE_SECONDS = 0.2


@dataclass
class _Worker:
    """A process, the line to it, and what it works on."""

    number: int
    process: BaseProcess
    line: Connection
    trial: Trial | None = None
    is_ready: bool = False


class ProcessExecutor(Executor):
    """Evaluate trials in processes that are started anew (no fork of this one).

    What a trial becomes does not depend on which worker evaluates it, nor on what that worker did before. A worker that
    dies is replaced and its trial tried once more; a trial whose worker dies twice has failed.

    Args:
        evaluator: What evaluates; a copy goes to every worker.
        workers: Number of processes.
        threads: Threads of each; None for torch's own number.
        retries: How often a trial is tried again whose worker died.

    Raises:
        ConfigError: For less than one worker, or an evaluator that cannot be copied.
    """

    def __init__(self, evaluator: Evaluator, workers: int, threads: int | None = 1, retries: int = 1) -> None:
        if workers < 1:
            raise ConfigError(f"search.workers must be at least 1, not {workers}")
        self.workers = workers
        self._threads, self._retries = threads, retries
        self._packed = packed(evaluator, "process")
        self._context = _context()
        self._waiting: list[Attempts] = []
        self._working: dict[int, Attempts] = {}
        self._workers: list[_Worker] = []

    def submit(self, trial: Trial) -> None:
        """Hand a trial to a worker that is free, or let it wait for one."""
        self._waiting.append(Attempts(trial))
        self._hand_out()

    def _hand_out(self) -> None:
        free = [worker for worker in self._workers if worker.trial is None]
        while self._waiting and (free or len(self._workers) < self.workers):
            worker = free.pop(0) if free else self._start()
            entry = self._waiting.pop(0)
            self._working[worker.number] = entry
            worker.trial = entry.trial.started(worker.number)
            try:
                worker.line.send(worker.trial)
            except OSError:  # it is dead already, which `next_finished` will notice
                return

    def _start(self) -> _Worker:
        number = next(n for n in range(self.workers) if all(worker.number != n for worker in self._workers))
        ours, theirs = self._context.Pipe()
        make: Callable[..., BaseProcess] = self._context.Process  # type: ignore[attr-defined]
        process = make(
            target=_work, args=(theirs, self._packed, self._threads), name=f"naslib-trial-{number}", daemon=False
        )
        process.start()
        theirs.close()
        worker = _Worker(number, process, ours)
        self._workers.append(worker)
        return worker

    def next_finished(self, should_stop: ShouldStop) -> Trial:
        """Wait for the next trial that is over, and return it."""
        while True:
            self._hand_out()
            if should_stop():
                raise TrialStopped("the evaluations were given up; they begin anew when the search goes on")
            lines: dict[Any, _Worker] = {worker.line: worker for worker in self._workers}
            for line in wait(list(lines), _PATIENCE_SECONDS):
                finished = self._read(lines[line])
                if finished is not None:
                    return finished

    def _read(self, worker: _Worker) -> Trial | None:
        """Return the trial that a worker has finished, or that has failed as the worker died; None for none yet."""
        try:
            kind, content = worker.line.recv()
        except (EOFError, OSError):
            return self._bury(worker)
        if kind == "ready":
            worker.is_ready = True
            return None
        del self._working[worker.number]
        worker.trial = None
        if kind == "error":
            raise content
        return content

    def _bury(self, worker: _Worker) -> Trial | None:
        """Take a dead worker out; let its trial be tried again, or fail."""
        worker.process.join()
        worker.line.close()
        self._workers.remove(worker)
        how = _cause_of_death(worker.process.exitcode)
        if not worker.is_ready:
            raise NASLibError(
                f"a process for search.executor=process could not start ({how}; what it said stands above). A script "
                'starts its search under `if __name__ == "__main__":`, as each process reads it again'
            )
        entry = self._working.pop(worker.number, None)
        if entry is None:
            return None
        entry.worker = worker.number
        failed = entry.died(how, self._retries)
        if failed is None:
            self._waiting.insert(0, entry)
        return failed

    def close(self) -> None:
        """Stop all workers."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.line.close()
        self._workers.clear()
        self._waiting.clear()
        self._working.clear()


def _context() -> BaseContext:
    """Return how processes are started: from a clean server where there is one, which has torch loaded once."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _work(line: Connection, packed: bytes, threads: int | None) -> None:
    """Evaluate what comes along the line until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal: the search decides
    if threads is not None:
        torch.set_num_threads(threads)
    parent = multiprocessing.parent_process()

    def is_orphan() -> bool:
        return parent is not None and not parent.is_alive()

    evaluator: Evaluator = pickle.loads(packed)
    line.send(("ready", None))
    while True:
        try:
            trial = line.recv()
        except EOFError:
            return
        try:
            answer = ("done", evaluated(evaluator, trial, is_orphan))
        except TrialStopped:  # the search is gone
            return
        except Exception as error:  # the search ends with it; here it says where it was raised
            line.send(("error", portable(error)))
            raise
        line.send(answer)


def _cause_of_death(code: int | None) -> str:
    if code is not None and code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit status {code}"
