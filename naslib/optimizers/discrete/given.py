"""What a search on codes makes of what it is given: a space, a benchmark, the result of a trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from naslib.benchmarks.base import as_metric
from naslib.benchmarks.figure import Figure
from naslib.errors import ConfigError, OptimizerStateError, UnsupportedBySpaceError
from naslib.history import Objective, State, Trial
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import shortened
from naslib.search_spaces.core.query_metrics import Metric

_ACCURACIES = (Metric.TRAIN_ACCURACY, Metric.VAL_ACCURACY, Metric.TEST_ACCURACY)


def accuracy_named(metric: Metric | str) -> Metric:
    """Return what a search maximises.

    Raises:
        ConfigError: If it is no accuracy.
    """
    found = as_metric(metric)
    if found not in _ACCURACIES:
        raise ConfigError(f"a search maximises one of {', '.join(m.name for m in _ACCURACIES)}, not {metric!r}")
    return found


def codec_of(space: Graph, name: str) -> Codec:
    """Return the codec of a space, or what does its work with the decisions that the space states.

    Raises:
        UnsupportedBySpaceError: If there is nothing to decide in it.
    """
    try:
        return space._codec()
    except UnsupportedBySpaceError as error:
        raise UnsupportedBySpaceError(
            f"{name} searches on codes, and {type(space).__name__} has no codec and no decision: {error}"
        ) from error


def known_codes(
    dataset_api: Any, metrics: Sequence[Metric | Figure], datasets: Sequence[str | None], epoch: int
) -> list[Code] | None:
    """Return the architectures of which a benchmark knows all metrics on all data sets; None if these are all."""
    ask = getattr(dataset_api, "known_codes", None)
    found = [ask(metric, name, epoch) for name, metric in product(datasets, metrics)] if ask is not None else []
    some = [codes for codes in found if codes is not None]
    if not some:
        return None
    common = set(some[0]).intersection(*some[1:])
    return [code for code in some[0] if code in common]


def objective_of(metric: Metric | Figure) -> Objective:
    return Objective(metric.name, metric.maximize, metric.unit)


def check_asked(asked: Trial | None, told: Trial) -> None:
    """Raise where a trial that is told is none that was asked for.

    Args:
        asked: The pending trial of its number, None without one.
        told: What is told.

    Raises:
        OptimizerStateError: Without one, or if its architecture or task was another one.
    """
    if asked is None:
        raise OptimizerStateError(
            f"trial {told.number} is not pending: it was told already, or this search did not ask for it"
        )
    if (tuple(asked.code), asked.task) != (tuple(told.code), told.task):
        one, other = (
            f"{shortened(tuple(trial.code))}{f' of the task {trial.task}' if trial.task else ''}"
            for trial in (asked, told)
        )
        raise OptimizerStateError(
            f"this search proposed {one} for trial {told.number}, and not {other}: tell(trial, values) takes the trial "
            "that ask(n) returned"
        )


def with_result(
    trial: Trial,
    values: float | Sequence[float] | None,
    seconds: float,
    user: Mapping[str, Any] | None,
    state: State,
) -> Trial:
    """Return a trial with what was told of it; told nothing, it is what it says itself."""
    if values is None and trial.state.is_over:
        return trial
    if values is None or state is State.FAILED:
        return trial.failed(str((user or {}).get("error", "no value was told")), seconds, user)
    return trial.completed(values, seconds, user, state)
