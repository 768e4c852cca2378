"""A cluster as a sequence of events: workers that train trials, some slowly, and that die now and then."""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from naslib.history import Trial

HOUR = 3600.0  # seconds


class Troubles(NamedTuple):
    """What goes wrong on a cluster.

    Attributes:
        stragglers: Share of the trainings that are slow.
        slow_from: The least factor by which they are.
        slow_mean: The mean factor, before the cut.
        slow_most: At that factor they are cut off: somebody would look.
        deaths: Of a worker, per hour.
        restart: Seconds until a worker that died is back.
    """

    stragglers: float = 0.0
    slow_from: float = 1.5
    slow_mean: float = 8.0
    slow_most: float = 100.0
    deaths: float = 0.0
    restart: float = 300.0

    @property
    def tail(self) -> float:
        """The exponent `a` of the Pareto tail, `P(factor > x) = (slow_from / x)^a`, by the mean of the factors."""
        return self.slow_mean / (self.slow_mean - self.slow_from)

    def factor(self, rng: random.Random) -> float:
        """Return by which factor a training takes longer than it should, 1 or more."""
        if rng.random() >= self.stragglers:
            return 1.0
        return min(self.slow_most, self.slow_from * (1.0 - rng.random()) ** (-1.0 / self.tail))


@dataclass
class Outcome:
    """What a simulated search came to.

    Attributes:
        hours: Simulated hours until the budget was spent.
        trials: Trials told.
        full: Those of the longest training.
        busy: Worker-hours of trainings that were told, or are still going on.
        lost: Worker-hours of trainings that died with their worker.
        down: Worker-hours of workers that were not back yet.
        deaths: How many workers died.
        hours_to_target: When the first trial of the longest training reached the target; None if none did.
        trials_to_target: How many trials were told by then.
        best: The best value of a trial of the longest training; None without one.
        unlearned: Trials that were asked for before any was told.
        ask_seconds: CPU seconds that `ask` took in all.
        tell_seconds: CPU seconds that `tell` took in all.
        longest: The longest `ask`, in CPU seconds.
        workers: How many there are.
    """

    workers: int
    hours: float = 0.0
    trials: int = 0
    full: int = 0
    busy: float = 0.0
    lost: float = 0.0
    down: float = 0.0
    deaths: int = 0
    hours_to_target: float | None = None
    trials_to_target: int | None = None
    best: float | None = None
    unlearned: int = 0
    ask_seconds: float = 0.0
    tell_seconds: float = 0.0
    longest: float = 0.0

    @property
    def idle(self) -> float:
        """Share of the workers' time in which they waited for a trial."""
        total = self.workers * self.hours
        return max(0.0, 1.0 - (self.busy + self.lost + self.down) / total) if total else 0.0


class Attempt(NamedTuple):
    """One training of a trial on a worker, in the order in which trainings end.

    Attributes:
        end: When it ends, or the worker dies, in seconds.
        order: Tells apart what ends at one time.
        start: When it began.
        worker: On which it runs; one that died begins anew there.
        trial: What is trained; None: the worker comes back.
        dies: Whether the worker dies at the end.
    """

    end: float
    order: int
    start: float
    worker: int
    trial: Trial | None
    dies: bool


def simulate(
    optimizer: Any,
    train: Callable[[Trial], tuple[tuple[float, ...], float]],
    workers: int,
    worker_hours: float,
    troubles: Troubles,
    seed: int,
    longest: int,
    target: float,
    in_order: bool = False,
) -> Outcome:
    """Let an optimizer search on a cluster until so many worker-hours are over, and return what came of it.

    Whenever a worker is free the optimizer is asked for as many trials as there are free workers, and every result is
    told as it arrives; with `in_order` in the order of the trials' numbers, and a result that waits for one before it
    keeps its worker waiting, as `search.tell: by_number` does. A trial whose worker dies is trained anew when the
    worker is back. The time that the optimizer itself takes is measured, and is none on the simulated clock.

    Args:
        optimizer: Adapted; has `ask(n)` and `tell(trial)`.
        train: Returns the values of a trial, and the seconds of its training on a worker without troubles.
        workers: How many.
        worker_hours: The end: simulated hours times workers.
        troubles: What goes wrong.
        seed: Of the troubles.
        longest: Fidelity of the longest training.
        target: Value of the first objective, larger is better.
        in_order: Whether results are told in the order of the numbers.
    """
    rng = random.Random(f"cluster {seed}")
    found = Outcome(workers)
    end = worker_hours * HOUR / workers
    free = list(range(workers))
    events: list[Attempt] = []
    retried: dict[int, Trial] = {}
    held: dict[int, tuple[Trial, int]] = {}
    order, now = 0, 0.0

    def begin(trial: Trial, worker: int) -> None:
        nonlocal order
        _, seconds = train(trial)
        seconds *= troubles.factor(rng)
        until = rng.expovariate(troubles.deaths / HOUR) if troubles.deaths else seconds
        order += 1
        heapq.heappush(events, Attempt(now + min(seconds, until), order, now, worker, trial, until < seconds))

    while True:
        if free:
            clock = time.process_time()
            trials = optimizer.ask(len(free))
            spent = time.process_time() - clock
            found.ask_seconds += spent
            found.longest = max(found.longest, spent)
            found.unlearned += 0 if found.trials else len(trials)
            for trial in trials:
                begin(trial, free.pop())
        if not events or events[0].end > end:
            break
        event = heapq.heappop(events)
        now = event.end
        span = (now - event.start) / HOUR
        if event.trial is None:
            found.down += span
            begin(retried.pop(event.worker), event.worker)
            continue
        if event.dies:
            found.lost += span
            found.deaths += 1
            retried[event.worker] = event.trial
            order += 1
            heapq.heappush(events, Attempt(now + troubles.restart, order, now, event.worker, None, False))
            continue
        found.busy += span
        held[event.trial.number] = event.trial, event.worker
        while held:
            number = min(optimizer.record.pending) if in_order else next(iter(held))
            if number not in held:
                break
            trial, worker = held.pop(number)
            values, seconds = train(trial)
            clock = time.process_time()
            optimizer.tell(trial, values, seconds=seconds)
            found.tell_seconds += time.process_time() - clock
            found.trials += 1
            if trial.fidelity == longest:
                found.full += 1
                found.best = values[0] if found.best is None else max(found.best, values[0])
                if found.hours_to_target is None and values[0] >= target:
                    found.hours_to_target, found.trials_to_target = now / HOUR, found.trials
            free.append(worker)
    for event in events:  # what is cut off by the end
        span = (end - event.start) / HOUR
        if event.trial is None:
            found.down += span
        else:
            found.busy += span
    found.hours = end / HOUR
    return found
