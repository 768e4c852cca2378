"""TrialSearch: ask a method for trials, have them evaluated, tell it their results, and keep every one."""

from __future__ import annotations

import dataclasses
import time

from naslib.errors import ConfigError, OptimizerStateError
from naslib.history import History, SqliteHistory, State, Trial
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.training.status import Status
from naslib.utils.log import get_logger
from naslib.utils.seeding import derive_seed

from .base import ShouldStop
from .executors import Executor

logger = get_logger(__name__)

# What is evaluated at no cost is written together, at most so long after it was
_WRITE_SECONDS = 0.5
_LOOK_EVERY = 16
# In `user` of a trial: how many were told before it, where that is not its number
_TOLD = "told"


class TrialSearch:
    """Drive a black-box search.

    With one worker every trial is asked for when all before it are told. With W workers it is asked for when all but
    the last W - 1 are, and results are told in the order of the numbers whichever comes first. What is found is thus a
    function of the seed and, for a method that learns from results, of W, never of how long anything took. Told by
    arrival instead, a result is told as it comes and the next trial asked for at once, so that no worker is without one
    while the method has any: what is found then depends on how long trials take.

    A search that was killed goes on the same way: it asks again for what it had asked for, and what the history knows
    is not evaluated a second time. By arrival each trial has its place in the order of telling, `user["told"]`, and is
    told in it again. A trial that continues another one has its seed.

    Args:
        optimizer: The method, adapted; its state may be that of a checkpoint.
        executor: Where trials are evaluated.
        history: Where they are kept. Its trials are taken as results.
        seed: Of the run; the seed of a trial is derived from it and the trial's number.
        epochs: Number of trials.
        budget: Seconds of evaluation after which no trial is begun, or epochs of training; None for no such end.
        budget_unit: `"seconds"` or `"epochs"`. Epochs that a trial shares with one that it continues count once.
        is_instant: Whether evaluations cost nothing. Then none is recalled, and the history is written in groups.
        carries_state: Whether values depend on the trials before. Then none is recalled either.
        by_arrival: Whether results are told as they come; with one worker that is the order of the numbers.

    Attributes:
        seconds: What the trial told last took.
    """

    def __init__(
        self,
        optimizer: DiscreteOptimizer,
        executor: Executor,
        history: History,
        *,
        seed: int = 0,
        epochs: int,
        budget: float | None = None,
        budget_unit: str = "seconds",
        is_instant: bool = False,
        carries_state: bool = False,
        by_arrival: bool = False,
    ) -> None:
        if budget is not None and not budget > 0:
            raise ConfigError(f"search.budget must be above 0 {budget_unit}, not {budget:g}")
        self.optimizer, self.executor, self.history = optimizer, executor, history
        self.seed, self.epochs, self.budget, self.is_instant = seed, epochs, budget, is_instant
        self.budget_unit, self.carries_state = budget_unit, carries_state
        self.by_arrival = optimizer.is_told_by_arrival = by_arrival and executor.workers > 1 and not is_instant
        self.seconds: float | None = None
        self._finished: dict[int, Trial] = {}
        self._known: dict[int, Trial] = {}
        self._has_begun = False
        self._unwritten: list[Trial] = []
        self._written = time.monotonic()

    @property
    def total(self) -> int | None:
        """How many trials there will be, None where the budget decides."""
        return None if self.budget is not None else self.epochs

    def goes_on(self, done: int) -> bool:
        """Say whether there is a trial to wait for after `done` of them."""
        if self.budget is None:
            return done < self.epochs
        return bool(self.optimizer.record.pending) or self._spent < self.budget

    @property
    def _spent(self) -> float:
        record = self.optimizer.record
        return record.epochs if self.budget_unit == "epochs" else record.seconds

    def advance(self, epoch: int, should_stop: ShouldStop) -> None:
        """Tell the method of the next trial.

        Raises:
            TrialStopped: If `should_stop` said yes while a trial was waited for; it stays pending.
        """
        self._ask()
        trial = self._next_by_arrival(should_stop) if self.by_arrival else self._next_by_number(should_stop)
        self.optimizer.tell(trial)
        self.seconds = trial.seconds
        if not self.is_instant:
            self._say(trial)

    def _next_by_number(self, should_stop: ShouldStop) -> Trial:
        number = min(self.optimizer.record.pending)
        while number not in self._finished:
            trial = self.executor.next_finished(should_stop)
            self._keep(trial)
            self._finished[trial.number] = trial
        return self._finished.pop(number)

    def _next_by_arrival(self, should_stop: ShouldStop) -> Trial:
        """Return the trial that was told next before the search was killed, or the next that is over; it is kept."""
        record = self.optimizer.record
        if self._finished:
            number = min(self._finished, key=lambda number: (_place(self._finished[number]), number))
            trial = self._finished.pop(number)
        else:
            trial = self.executor.next_finished(should_stop)
        place = record.asked - len(record.pending)
        if trial.user.get(_TOLD) != place:
            trial = dataclasses.replace(trial, user={**trial.user, _TOLD: place})
            self.history.add(trial)
        return trial

    def _ask(self) -> None:
        """Hand on what a checkpoint left pending, and ask for trials until every worker has one."""
        record = self.optimizer.record
        if not self._has_begun:
            self._has_begun = True
            self._recall()
        while len(record.pending) < self.executor.workers and self._may_ask():
            free = self.executor.workers - len(record.pending)
            trials = self.optimizer.ask(min(free, self.epochs - record.asked) if self.budget is None else 1)
            for trial in trials:
                self._begin(trial)
            if not trials:
                break
        if not record.pending:
            raise OptimizerStateError(f"{type(self.optimizer).__name__} asks for no trial, and none is pending")

    def _recall(self) -> None:
        """Look up what was evaluated after the checkpoint was written, and begin with what was pending in it."""
        record = self.optimizer.record
        recalls = type(self.optimizer).recall is not DiscreteOptimizer.recall
        if self.is_instant and not recalls:  # of a table there may be millions, and nobody asks
            begun: list[Trial] = []
        else:
            begun = [t for t in self.history if t.number >= record.asked or t.number in record.pending]
        self.optimizer.recall(begun)
        if not (self.is_instant or self.carries_state):
            self._known = {trial.number: trial for trial in begun if trial.state.is_over}
        for trial in self.optimizer.pending():
            self._begin(trial)

    def _may_ask(self) -> bool:
        record = self.optimizer.record
        return record.asked < self.epochs if self.budget is None else self._spent < self.budget

    def _begin(self, trial: Trial) -> None:
        """Take the result of a trial from the history, or have it evaluated."""
        if self.is_instant:  # nothing is drawn in it
            self.executor.submit(trial)
            return
        trial = dataclasses.replace(trial, seed=derive_seed(self.seed, "trial", trial.root))
        known = self._known.pop(trial.number, None)
        if known is not None and _is_same(known, trial):
            self._finished[trial.number] = dataclasses.replace(known, parent=trial.parent)
            return
        if known is not None:
            logger.warning(
                "trial %d is %s in the history, and the search now asks for %s: it goes on otherwise than before "
                "(another search.workers, or other versions), and evaluates the trial anew",
                trial.number, list(known.code), list(trial.code),
            )  # fmt: skip
        started = trial.started()
        self.history.add(started)
        self.executor.submit(started)

    def _keep(self, trial: Trial) -> None:
        """Write a trial that is over; instant ones with others."""
        if not self.is_instant:
            self.history.add(trial)
            return
        self._unwritten.append(trial)
        if len(self._unwritten) % _LOOK_EVERY == 0 and time.monotonic() - self._written > _WRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written yet."""
        trials, self._unwritten = self._unwritten, []
        if not trials:
            return
        if isinstance(self.history, SqliteHistory):
            self.history.add_all(trials)
        else:
            for trial in trials:
                self.history.add(trial)
        self._written = time.monotonic()

    def status(self, done: int) -> Status:
        """Return where the search stands."""
        record, first = self.optimizer.record, self.optimizer.objectives[0]
        best = record.incumbent_values[0] if record.incumbent_values else None
        return Status.of_trials(done, self.total, first.name, first.unit, best, record.failed)

    def _say(self, trial: Trial) -> None:
        record, objectives = self.optimizer.record, self.optimizer.objectives
        if trial.state is State.FAILED:
            logger.warning("trial %d has failed: %s", trial.number, trial.user.get("error"))
            return
        pairs = zip(objectives, trial.values or (), strict=True)
        values = ", ".join(f"{o.name} {value:.6g} {o.unit}".rstrip() for o, value in pairs)
        known = record.incumbent_values
        best = f"; best so far {known[0]:.6g}, of trial {record.incumbent_trial}" if known else ""
        ended = f", stopped after {trial.user.get('epochs')} epochs" if trial.state is State.PRUNED else ""
        logger.info("trial %d: %s, %.1f s%s%s", trial.number, values, trial.seconds, ended, best)


def _place(trial: Trial) -> int:
    """Return the place in the order of telling; that of its number where it was told by number, or not yet."""
    return int(trial.user.get(_TOLD, trial.number))


def _is_same(known: Trial, asked: Trial) -> bool:
    return (known.code, known.fidelity, known.seed) == (asked.code, asked.fidelity, asked.seed)
