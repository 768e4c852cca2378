"""The best value of a black-box search so far, trial by trial."""

from __future__ import annotations

import math
from collections.abc import Sequence

from naslib.history import Objective, State, Trial


def incumbents(over: Sequence[Trial], objective: Objective) -> list[float | None]:
    """Return the best value after each trial; of trials at several fidelities those at the longest so far count."""
    best: float | None = None
    reached = -math.inf
    found: list[float | None] = []
    for trial in over:
        if trial.state is State.COMPLETE and trial.values:
            length = math.inf if trial.fidelity == -1 else float(trial.fidelity)
            value = trial.values[0]
            if length > reached or (
                length == reached and (best is None or objective.merit(value) > objective.merit(best))
            ):
                best, reached = value, max(length, reached)
        found.append(best)
    return found
