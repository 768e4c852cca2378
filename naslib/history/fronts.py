"""Fronts of whole searches: how they grew, which point hypervolumes are above, and what most of several attain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from naslib.errors import ConfigError

from .pareto import dominates, hypervolume
from .trial import Objective, State, Trial, is_longer

# Share of the range of all fronts that the reference point is worse than the worst of them
SLACK = 0.05
Merits = NDArray[np.float64]


class FrontGrowth(NamedTuple):
    """The front of a search as it grew.

    Attributes:
        evaluations: `(n,)`, ascending: how many trials were over when the front changed.
        fronts: The n fronts after the changes, `(k, m)` merits each: larger is better in every column. Of equal ones
            the first is kept alone.
        total: How many trials are over in all.
    """

    evaluations: NDArray[np.int64]
    fronts: Sequence[Merits]
    total: int

    @property
    def last(self) -> Merits | None:
        """The front at the end, `(k, m)`; None where no trial has values."""
        return self.fronts[-1] if len(self.fronts) else None

    def volumes(self, reference: Sequence[float]) -> NDArray[np.float64]:
        """Return the hypervolume after each change, `(n,)`.

        Args:
            reference: `(m,)` merits.

        Raises:
            ConfigError: If moocore is not installed.
        """
        return np.array([hypervolume(front, reference) for front in self.fronts], dtype=np.float64)

    def volume(self, reference: Sequence[float]) -> float:
        """Return the hypervolume at the end; 0 where no trial has values.

        Args:
            reference: `(m,)` merits.

        Raises:
            ConfigError: If moocore is not installed.
        """
        return 0.0 if self.last is None else hypervolume(self.last, reference)


def growth_of(trials: Iterable[Trial], objectives: Sequence[Objective], task: str | None = None) -> FrontGrowth:
    """Return how the front of a search grew.

    All trials that are over are counted; complete ones decide, if they have a finite value of every objective. Of
    trials at several fidelities those at the largest so far count, as values at different ones are not compared: the
    first at a larger one begins a new front.

    Args:
        trials: In the order of their numbers.
        objectives: What their values are.
        task: The data set whose trials count; None for all.
    """
    changes: list[int] = []
    fronts: list[Merits] = []
    members: list[tuple[float, ...]] = []
    count, fidelity = 0, None
    for trial in trials:
        if not trial.state.is_over:
            continue
        count += 1
        merits = merits_of(trial, objectives)
        if merits is None or (task is not None and trial.task not in (None, task)):
            continue
        if fidelity is not None and is_longer(fidelity, trial.fidelity):
            continue
        if fidelity is not None and fidelity != trial.fidelity:
            members = []
        fidelity = trial.fidelity
        if any(member == merits or dominates(member, merits) for member in members):
            continue
        members = [member for member in members if not dominates(merits, member)]
        members.append(merits)
        changes.append(count)
        fronts.append(np.array(members, dtype=np.float64))
    return FrontGrowth(np.array(changes, dtype=np.int64), fronts, count)


def merits_of(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...] | None:
    """Return the merits of a complete trial, larger is better; None of any other, or without a finite value of each."""
    values = trial.values
    if trial.state is not State.COMPLETE or not values or len(values) != len(objectives):
        return None
    if not all(map(math.isfinite, values)):
        return None
    return tuple(objective.merit(value) for objective, value in zip(objectives, values, strict=True))


def as_values(merits: Sequence[float], objectives: Sequence[Objective]) -> list[float]:
    """Return merits as values of the objectives, and values as merits: each is the inverse of the other."""
    return [float(objective.merit(one)) for objective, one in zip(objectives, merits, strict=True)]


def reference_point(
    fronts: Sequence[Merits],
    objectives: Sequence[Objective],
    given: Sequence[float | None] | None = None,
) -> tuple[float, ...] | None:
    """Return the point that hypervolumes of some fronts are above, as merits.

    In each objective it is the worst of all fronts, and 5 % of their range worse still, so that the ends of a front
    count for something. Where all have one value, it is 5 % of that value worse (0.05, if it is 0).

    Args:
        fronts: `(k, m)` merits each; those without rows tell nothing.
        objectives: m of them.
        given: Values of the objectives (not merits) that take the place of what the fronts say; None for some.

    Returns:
        `(m,)`; None where the fronts have no point and not all values are given.

    Raises:
        ConfigError: If not as many values are given as there are objectives, or one is not finite.
    """
    wanted = [None] * len(objectives) if given is None else list(given)
    if len(wanted) != len(objectives):
        names = ", ".join(objective.name for objective in objectives)
        raise ConfigError(f"a reference point has a value for each objective ({names}), not {len(wanted)} of them")
    if any(value is not None and not math.isfinite(value) for value in wanted):
        raise ConfigError(f"a reference point has finite numbers, not {', '.join(map(str, wanted))}")
    rows = [front for front in fronts if len(front)]
    if not rows and None in wanted:
        return None
    found = []
    everything = np.concatenate(rows) if rows else np.zeros((1, len(objectives)))
    for column, (objective, value) in enumerate(zip(objectives, wanted, strict=True)):
        if value is not None:
            found.append(objective.merit(value))
            continue
        worst, best = float(everything[:, column].min()), float(everything[:, column].max())
        found.append(worst - SLACK * (best - worst or abs(worst) or 1.0))
    return tuple(found)


def why_there(given: Sequence[float | None] | None) -> str:
    """Return in words why the reference point is where it is.

    Args:
        given: As of `reference_point`.
    """
    if given is not None and any(value is not None for value in given):
        return "which was given"
    return f"the worst of all fronts with {100 * SLACK:g} % slack"


def attained(fronts: Sequence[Merits], share: float) -> Merits:
    """Return what at least a share of some searches attain, in two objectives ([Fonseca2001attainment]).

    A point is attained by a search that has found one as good in both objectives. The region that `share` of the
    searches attain has a front of its own: the median of the searches for one half.

    Args:
        fronts: `(k, 2)` merits, one array per search; those without rows attain nothing.
        share: Above 0, at most 1.

    Returns:
        `(n, 2)` merits, the best of the first objective first; no rows where so many searches have nothing in common.
    """
    needed = max(1, math.ceil(share * len(fronts) - 1e-9))
    rows = [front for front in fronts if len(front)]
    if len(rows) < needed:
        return np.zeros((0, 2))
    places = np.unique(np.concatenate([front[:, 0] for front in rows]))[::-1]
    heights = np.stack([_heights(front, places) for front in rows])
    common = np.sort(heights, axis=0)[::-1][needed - 1]
    corners = []
    highest = -np.inf
    for place, height in zip(places.tolist(), common.tolist(), strict=True):
        if height > highest:
            corners.append((place, height))
            highest = height
    return np.array(corners, dtype=np.float64).reshape(-1, 2)


def _heights(front: Merits, places: Merits) -> Merits:
    """Return the best second merit that a front has with at least each first merit of `places`, -inf for none."""
    order = np.argsort(-front[:, 0], kind="stable")
    best = np.maximum.accumulate(front[order, 1])
    count = np.searchsorted(-front[order, 0], -places, side="right")
    return np.where(count > 0, best[np.maximum(count - 1, 0)], -np.inf)


def staircase(front: Merits, reference: Sequence[float]) -> Merits:
    """Return the edge of what a front in two objectives dominates above a reference point, as a line.

    Args:
        front: `(k, 2)` merits; rows that others dominate, or that are not above the reference, are left out.
        reference: `(2,)` merits.

    Returns:
        `(n, 2)`: from the line of the second reference value, over every member and the corner between two, to the line
        of the first; the reference point alone where nothing is above it.
    """
    x, y = float(reference[0]), float(reference[1])
    members = [(a, b) for a, b in attained([front], 1.0).tolist() if a > x and b > y]
    if not members:
        return np.array([[x, y]])
    line = [(members[0][0], y)]
    for place, member in enumerate(members):
        if place:
            line.append((member[0], members[place - 1][1]))
        line.append(member)
    line.append((x, members[-1][1]))
    return np.array(line, dtype=np.float64)
