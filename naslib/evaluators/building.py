"""Build a table: which architectures are trained in which order, and from a history of trainings to a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from naslib.benchmarks.results import CURVES, Results
from naslib.errors import ConfigError, HistoryError, UnsupportedBySpaceError
from naslib.history import FILE_NAME, Objective, SqliteHistory, State, Trial
from naslib.search_spaces.core.codec import Code, Codec
from naslib.utils.files import to_jsonable
from naslib.utils.text import differences, listed, show

from .base import ShouldStop, never
from .executors import Executor

# Draws without a new architecture after which a space counts as exhausted
_FRUITLESS = 1000


@dataclasses.dataclass(frozen=True)
class BuildPlan:
    """Which trainings make a table.

    Attributes:
        codes: One architecture of each function that is trained, in the order of training.
        members: The architectures that are the function of each; itself alone where the space is not enumerated.
        functions: How many functions the space has; None where that is not known.
        seeds: Each is trained with all of them.
        epochs: Of each training.
        shard: `(i, n)`: of n builds that share the work, number i (from 0) trains every n-th architecture.
    """

    codes: tuple[Code, ...]
    members: Mapping[Code, tuple[Code, ...]]
    functions: int | None
    seeds: tuple[int, ...]
    epochs: int
    shard: tuple[int, int] = (0, 1)

    def trials(self) -> Iterator[Trial]:
        """Yield the trainings of this shard, all seeds of an architecture after each other; numbers are of all."""
        part, parts = self.shard
        for index, code in enumerate(self.codes):
            if index % parts == part:
                for place, seed in enumerate(self.seeds):
                    yield Trial(index * len(self.seeds) + place, code, self.epochs, seed=seed)


def plan_build(
    codec: Codec[Any],
    architectures: int | None,
    seeds: Sequence[int],
    epochs: int,
    order_seed: int = 0,
    shard: tuple[int, int] = (0, 1),
) -> BuildPlan:
    """Return which architectures of a space are trained.

    Their order is a random permutation, so that the first n are a uniform sample whatever n is. Of a space of a million
    architectures at most, one of each function counts (`Codec.function_of`); a larger one is drawn from.

    Args:
        codec: Of the space.
        architectures: How many functions; None for all.
        seeds: Of each training.
        epochs: Of each training.
        order_seed: Of the permutation.
        shard: See `BuildPlan`.

    Raises:
        ConfigError: For no architecture, no seed, a seed given twice, a shard that is not there, or all of a space that
            cannot be enumerated.
    """
    problems = []
    if architectures is not None and architectures < 1:
        problems.append(f"a table has at least one architecture, not {architectures}")
    if not seeds or len(set(seeds)) != len(seeds) or min(seeds) < 0:
        problems.append(f"seeds are different numbers from 0, at least one, not {list(seeds)}")
    if epochs < 1:
        problems.append(f"a training has at least one epoch, not {epochs}")
    if not 0 <= shard[0] < shard[1]:
        problems.append(f"a shard is i/n with i in 1..n, not {shard[0] + 1}/{shard[1]}")
    if problems:
        raise ConfigError(problems)
    rng = Random(order_seed)
    try:
        groups = _by_function(codec, codec.iterate())
    except UnsupportedBySpaceError:
        if architectures is None:
            raise ConfigError(f"{codec.name} is too large for all of its architectures: say how many") from None
        codes = _drawn(codec, architectures, rng)
        return BuildPlan(codes, {code: (code,) for code in codes}, None, tuple(seeds), epochs, shard)
    order = sorted(groups)
    rng.shuffle(order)
    if architectures is not None and architectures > len(order):
        raise ConfigError(f"{codec.name} has {len(order):,} architectures that differ, fewer than {architectures:,}")
    chosen = tuple(order[:architectures])
    return BuildPlan(chosen, {c: groups[c] for c in chosen}, len(order), tuple(seeds), epochs, shard)


def functions_of(codec: Codec[Any]) -> dict[Code, tuple[Code, ...]]:
    """Return the architectures of each function, by the one that is trained; empty for a space that is too large."""
    try:
        return _by_function(codec, codec.iterate())
    except UnsupportedBySpaceError:
        return {}


def _by_function(codec: Codec[Any], codes: Iterator[Code]) -> dict[Code, tuple[Code, ...]]:
    """Return the architectures of each function, by the first of them."""
    groups: dict[Hashable, list[Code]] = {}
    for code in codes:
        groups.setdefault(codec.function_of(code), []).append(code)
    return {group[0]: tuple(group) for group in groups.values()}


def _drawn(codec: Codec[Any], count: int, rng: Random) -> tuple[Code, ...]:
    found: dict[Hashable, Code] = {}
    fruitless = 0
    while len(found) < count:
        code = codec.random(rng)
        fruitless = 0 if codec.function_of(code) not in found else fruitless + 1
        found.setdefault(codec.function_of(code), code)
        if fruitless >= _FRUITLESS:
            raise ConfigError(f"{_FRUITLESS} draws from {codec.name} brought no new architecture beyond {len(found)}")
    return tuple(found.values())


def open_build(
    folder: Path, protocol: Mapping[str, Any], environment: Mapping[str, Any], objectives: Sequence[Objective]
) -> SqliteHistory:
    """Return the history of a build, new or to be gone on with.

    Args:
        folder: Where it is.
        protocol: What must be the same.
        environment: On what it runs now; kept beside those that it has run on.
        objectives: What the values are.

    Raises:
        HistoryError: If it is of another build, or cannot be used.
    """
    history = SqliteHistory(folder / FILE_NAME)
    before, now = history.about, to_jsonable(dict(protocol))
    found = differences(before["protocol"], now, "protocol") if before else []
    if found:
        history.close()
        phrases = [f"{place} was {show(then)} and is {show(here)} now" for place, then, here in found]
        raise HistoryError(
            f"{folder} has the trainings of another table: {listed(phrases, 4)}. Go on with the config that it was "
            "made with, or build another table with another --out"
        )
    environments = before.get("environments", [])
    current = to_jsonable(dict(environment))
    if current not in environments:
        history.describe(objectives, {"protocol": now, "environments": [*environments, current]})
    return history


def run_build(
    plan: BuildPlan,
    executor: Executor,
    history: SqliteHistory,
    should_stop: ShouldStop = never,
    after: Callable[[Trial, int], None] | None = None,
    retry_failed: bool = False,
) -> int:
    """Train what is not trained yet; every training is kept as soon as it is over.

    Args:
        plan: What is to be trained.
        executor: Where.
        history: Of this build; may be that of one that was killed.
        should_stop: Asked now and then.
        after: Called with each training that is over and the number of those that are left.
        retry_failed: Whether those that have failed are tried again.

    Returns:
        How many trainings have been made now.

    Raises:
        TrialStopped: If it was asked to stop; what was being trained then is lost, nothing else.
    """
    kept = {t.number for t in history if t.state.is_over and not (retry_failed and t.state is State.FAILED)}
    waiting = [trial for trial in plan.trials() if trial.number not in kept]
    left, out, made = len(waiting), 0, 0
    queue = iter(waiting)
    while left:
        while out < executor.workers and (trial := next(queue, None)) is not None:
            history.add(trial.started())
            executor.submit(trial)
            out += 1
        done = executor.next_finished(should_stop)
        history.add(done)
        out, left, made = out - 1, left - 1, made + 1
        if after is not None:
            after(done, left)
    return made


def results_of(
    trials: Sequence[Trial],
    about: Mapping[str, Any],
    members: Mapping[Code, tuple[Code, ...]],
    sizes: Callable[[Code], tuple[int, int]],
) -> Results:
    """Return the table of what has been trained.

    An architecture of which no training is complete is not in it.

    Args:
        trials: Those of the history of a build.
        about: Its `about`.
        members: The architectures that are one function, by the one that is trained.
        sizes: Returns parameters and multiply-accumulates of an architecture.

    Raises:
        HistoryError: If no training is complete.
    """
    protocol = about["protocol"]
    seeds, epochs = tuple(protocol["seeds"]), int(protocol["epochs"])
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    if not complete:
        raise HistoryError("no training of this build is complete yet")
    row_of = {code: row for row, code in enumerate(dict.fromkeys(trial.code for trial in complete))}
    shape = (len(row_of), len(seeds), epochs)
    curves = {name: np.full(shape, np.nan) for name in CURVES}
    seconds = np.full(shape[:2], np.nan)
    for trial in complete:
        place = row_of[trial.code], seeds.index(trial.seed)
        seconds[place] = float(trial.user["train_seconds"])
        for name in CURVES:
            curves[name][place] = [np.nan if v is None else v for v in trial.user["curves"][name]]
    codes = sorted(code for trained in row_of for code in members.get(trained, (trained,)))
    rows = {code: row for trained, row in row_of.items() for code in members.get(trained, (trained,))}
    measured = np.array([sizes(code) for code in codes], np.int64)
    place_of = {code: index for index, code in enumerate(codes)}
    failed = [trial for trial in trials if trial.state is State.FAILED]
    return Results(
        codes=codes,
        rows=np.array([rows[code] for code in codes], np.intp),
        params=measured[:, 0],
        macs=measured[:, 1],
        trained=np.array([place_of[code] for code in row_of], np.intp),
        seeds=seeds,
        curves=curves,
        seconds=seconds,
        latency=np.full(len(row_of), np.nan),
        about={
            **protocol,
            "environments": about.get("environments", []),
            "failures": [[list(trial.code), trial.seed, str(trial.user.get("error"))] for trial in failed],
            "latency": None,
            "architectures": len(row_of),
        },
    )
