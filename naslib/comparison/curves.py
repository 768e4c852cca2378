"""Anytime curves: the best value so far as a function of what was spent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from naslib.history import Objective, State, Trial

CONFIDENCE = 0.95


class Curve(NamedTuple):
    """A step function: from `spent[i]` on, until the next, the best value is `best[i]`.

    Attributes:
        spent: `(n,)`, ascending: evaluations, or seconds of them.
        best: `(n,)`: the best value of the first objective so far.
        codes: The n architectures that have it.
        end: What the search has spent in all.
    """

    spent: NDArray[np.float64]
    best: NDArray[np.float64]
    codes: list[tuple[int, ...]]
    end: float

    def at(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the best value at each of `points` `(m,)`; NaN before the first."""
        place = np.searchsorted(self.spent, points, side="right") - 1
        return np.where(place >= 0, self.best[np.maximum(place, 0)], np.nan)


def anytime(trials: Sequence[Trial], objective: Objective, by: str = "evaluations") -> Curve:
    """Return the best value of a search so far, as a function of what it has spent.

    Only complete trials decide; all that are over have cost something. Seconds are those of the evaluations one after
    another, simulated ones where a table says them, whatever number of workers there was. Of trials at several
    fidelities those at the largest so far count: a value at a smaller one never replaces them.

    Args:
        trials: In the order of their numbers.
        objective: What their first value is.
        by: `"evaluations"` or `"seconds"`.
    """
    spent, best, codes = [], [], []
    cost, incumbent, reached = 0.0, -np.inf, -np.inf
    for trial in trials:
        if not trial.state.is_over:
            continue
        cost += 1.0 if by == "evaluations" else trial.seconds
        if trial.state is not State.COMPLETE or not trial.values:
            continue
        merit, fidelity = objective.merit(trial.values[0]), np.inf if trial.fidelity == -1 else float(trial.fidelity)
        if fidelity < reached or (fidelity == reached and merit <= incumbent):
            continue
        incumbent, reached = merit, fidelity
        spent.append(cost)
        best.append(trial.values[0])
        codes.append(tuple(trial.code))
    return Curve(np.array(spent, dtype=np.float64), np.array(best, dtype=np.float64), codes, cost)


def band(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return mean, lower and upper end of the 95 % confidence interval of the mean, of `(seeds, m)` values.

    The interval is Student's; with one seed it has no width. Where a seed has no value yet, there is none: NaN.

    Returns:
        Three `(m,)`.
    """
    count = len(values)
    mean = values.mean(0)
    if count < 2:
        return mean, mean, mean
    half = stats.t.ppf(0.5 + CONFIDENCE / 2, count - 1) * values.std(0, ddof=1) / np.sqrt(count)
    return mean, mean - half, mean + half
