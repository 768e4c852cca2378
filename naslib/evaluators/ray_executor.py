"""RayExecutor: every trial is a call on a cluster of Ray, whose processes and machines may die."""

from __future__ import annotations

import dataclasses
import pickle
import traceback
from typing import Any

import torch

from naslib.errors import ConfigError, NASLibError, TrialStopped
from naslib.history import Trial
from naslib.utils.extras import require
from naslib.utils.ray_cluster import Here, RayCluster, cause_of_death, is_death
from naslib.utils.ray_options import RayOptions

from .base import Evaluator, ShouldStop, never
from .executors import Executor, evaluated
from .sending import Attempts, packed, portable

# How often somebody who waits for a result looks whether to stop
_PATIENCE_SECONDS = 0.2
_PLACE = "search.executor_args"
# What a note on an error says that was raised there
_ON_RAY = "on Ray"
# In a process of Ray: the evaluator that it has, by the name of the stored object that it came from
_HELD: dict[str, Evaluator] = {}


class RayExecutor(Executor):
    """Evaluate trials on Ray, as many at a time as there are workers and the cluster has room for.

    The evaluator is stored in the cluster once; a process loads it with its first trial and keeps it, one with a GPU
    has one trial. A worker or a node that dies loses its trial, which is tried again, on another node perhaps; after so
    many retries it has failed. What a trial becomes does not depend on where it is evaluated, as far as machines
    compute alike.

    The cluster is started with the first trial: nothing runs for an executor that is only made. A connection to an
    existing one is tried at once.

    Args:
        evaluator: What evaluates; naslib, and what else it is of, can be imported on every node.
        workers: Trials at a time.
        threads: Threads of each; None for `num_cpus`, rounded down, at least 1.
        options: Which cluster, and what share of it a trial has.

    Raises:
        ConfigError: For less than one worker, an evaluator that cannot be copied, no Ray, nobody at the address, or
            GPUs that the trials need or want and do not have.
    """

    def __init__(
        self, evaluator: Evaluator, workers: int, threads: int | None = None, options: RayOptions | None = None
    ) -> None:
        if workers < 1:
            raise ConfigError(f"search.workers must be at least 1, not {workers}")
        options = RayOptions() if options is None else options
        self.workers = workers
        options = dataclasses.replace(options, num_gpus=_gpus_for(evaluator, options))
        self._cluster = RayCluster(options, workers, _PLACE)
        _check_local_gpus(options, workers)
        self._retries = options.retries
        self._packed = packed(evaluator, "ray", require("ray.cloudpickle", "search.executor=ray", "ray").dumps)
        self._threads = max(1, int(options.num_cpus)) if threads is None else threads
        self._here = Here.now()
        self._call: Any = None
        self._stored: Any = None
        self._waiting: list[Attempts] = []
        self._calls: dict[Any, Attempts] = {}
        if options.address is not None:
            self._cluster.open()

    def submit(self, trial: Trial) -> None:
        """Hand a trial to the cluster, or let it wait for a worker."""
        self._waiting.append(Attempts(trial))
        self._hand_out()

    def _hand_out(self) -> None:
        if self._waiting and self._call is None:
            self._cluster.open(len(self._packed))
            self._stored = self._cluster.ray.put(self._packed)
            self._call = self._cluster.function(_evaluate)
        while self._waiting and len(self._calls) < self.workers:
            entry = self._waiting.pop(0)
            taken = {other.worker for other in self._calls.values()}
            entry.worker = next(number for number in range(self.workers) if number not in taken)
            trial = entry.trial.started(entry.worker)
            name = self._stored.hex()  # in a list the object itself is sent for only where it is not there yet
            self._calls[self._call.remote([self._stored], name, trial, self._here, self._threads)] = entry

    def next_finished(self, should_stop: ShouldStop) -> Trial:
        """Wait for the next trial that is over, and return it."""
        while True:
            self._hand_out()
            if should_stop():
                raise TrialStopped("the evaluations were given up; they begin anew when the search goes on")
            ready, _ = self._cluster.ray.wait(list(self._calls), num_returns=1, timeout=_PATIENCE_SECONDS)
            if ready:
                finished = self._read(ready[0])
                if finished is not None:
                    return finished

    def _read(self, call: Any) -> Trial | None:
        """Return the trial of a call that is over, None if its worker died and it is tried again."""
        entry, ray = self._calls.pop(call), self._cluster.ray
        try:
            found: Trial = ray.get(call)
        except ray.exceptions.RayError as error:
            if not is_death(ray, error):
                cause = getattr(error, "cause", None)
                if isinstance(cause, Exception) and any(_ON_RAY in note for note in getattr(cause, "__notes__", ())):
                    raise cause from None
                raise NASLibError(
                    f"trial {entry.trial.number} could not begin on Ray: {_last_line(error)}. Every node of the "
                    "cluster needs naslib and what the evaluator is made of, in the versions of this machine"
                ) from error
            failed = entry.died(cause_of_death(error), self._retries)
            if failed is None:
                self._waiting.insert(0, entry)
            return failed
        return found

    def close(self) -> None:
        """Give up what is being evaluated, and end the cluster that was started here."""
        if self._cluster.is_open:
            self._cluster.cancel(self._calls)
        self._calls.clear()
        self._waiting.clear()
        self._call = self._stored = None
        self._cluster.close()


def _evaluate(held: list[Any], name: str, trial: Trial, here: Here, threads: int) -> Trial:
    """Evaluate a trial in a process of Ray, and return it complete or failed."""
    try:
        evaluator = _HELD.get(name)
        if evaluator is None:
            here.settle()
            torch.set_num_threads(threads)
            evaluator = pickle.loads(require("ray", "search.executor=ray").get(held[0]))
            _HELD.clear()
            _HELD[name] = evaluator
        return evaluated(evaluator, trial, never)
    except Exception as error:  # the search ends with it, and says where it was raised
        error.add_note(f"{_ON_RAY}:\n" + "".join(traceback.format_tb(error.__traceback__)).rstrip())
        raise portable(error) from None


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _gpus_for(evaluator: Evaluator, options: RayOptions) -> float:
    """Return the GPUs of a trial.

    Raises:
        ConfigError: If the networks are trained on a GPU and trials have none, or on one of a number: Ray says which.
    """
    kind, _, index = evaluator.device.partition(":")
    if kind != "cuda":
        return 0.0 if options.num_gpus is None else options.num_gpus
    if index not in ("", "0"):
        raise ConfigError(f"device={evaluator.device}: which GPU a trial has is said by Ray: device=cuda")
    if options.num_gpus == 0:
        raise ConfigError(
            f"{_PLACE}.num_gpus is 0, and networks are trained on cuda: say what share of a GPU a trial has (0.25 lets "
            "four of them have one), or device=cpu"
        )
    return 1.0 if options.num_gpus is None else options.num_gpus


def _check_local_gpus(options: RayOptions, workers: int) -> None:
    """Raise now if a cluster of this machine could not hold a trial; it is started later."""
    wanted = options.num_gpus or 0.0
    if options.address is not None or wanted == 0:
        return
    count = torch.cuda.device_count()
    if wanted > count:
        raise ConfigError(
            f"{_PLACE}.num_gpus is {wanted:g}, and this machine has {count} GPUs; address names a cluster with more"
        )
