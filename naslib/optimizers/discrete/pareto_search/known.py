"""Objectives that are known of an architecture before it is evaluated: costs that are counted, or stand in a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from naslib.errors import ArchitectureError, BenchmarkError, ConfigError, did_you_mean
from naslib.history import Objective
from naslib.search_spaces.core.codec import Code

AUTO = "auto"


def check_known(given: Any) -> str | list[str]:
    """Return the keyword `known`: `"auto"`, or names of objectives.

    Raises:
        ConfigError: For something else.
    """
    if given is None:
        return []
    if given == AUTO:
        return AUTO
    if isinstance(given, str) or not isinstance(given, Sequence) or not all(isinstance(name, str) for name in given):
        raise ConfigError(f"known is a list of objectives or {AUTO}, not {given!r}")
    return list(given)


def known_columns(given: str | list[str], optimizer: Any) -> dict[int, Callable[[Code], float]]:
    """Return what tells an objective before an evaluation, by the place of the objective.

    Args:
        given: Names of objectives; `"auto"`: those that are costs which take no measuring.
        optimizer: The search, with its objectives and what gives trials their values.

    Raises:
        ConfigError: For a name that is no objective, or one that nothing tells before an evaluation.
    """
    costs = getattr(optimizer.evaluator, "costs", None) or getattr(optimizer.dataset_api, "costs", None)
    by_name = {} if costs is None else costs.by_name
    objectives: Sequence[Objective] = optimizer.objectives
    places = {objective.name: place for place, objective in enumerate(objectives)}
    if given == AUTO:
        return {places[name]: cost.of for name, cost in by_name.items() if name in places and cost.is_known}
    found: dict[int, Callable[[Code], float]] = {}
    for name in given:
        if name not in places:
            raise ConfigError(f"known: no objective is called {name!r}{did_you_mean(name, places)} ({list(places)})")
        place = places[name]
        if name in by_name and by_name[name].is_known:
            found[place] = by_name[name].of
        elif optimizer._asks_the_benchmark() and optimizer.dataset_api is not None and name not in by_name:
            found[place] = _asks(optimizer, place)
        else:
            raise ConfigError(
                f"known: {name} is told by an evaluation alone; costs that are counted or stand in a table are known "
                "before"
            )
    return found


def _asks(optimizer: Any, place: int) -> Callable[[Code], float]:
    def of(code: Code) -> float:
        answer = optimizer.dataset_api.query(code, optimizer.metrics[place], optimizer.dataset, optimizer.fidelity)
        return float(answer)

    return of


def merits_of(codes: Sequence[Code], objective: Objective, tell: Callable[[Code], float]) -> np.ndarray:
    """Return the merits of architectures, `(k,)`; NaN where a table has no figure."""
    found = np.full(len(codes), np.nan)
    for place, code in enumerate(codes):
        try:
            found[place] = objective.merit(tell(code))
        except (BenchmarkError, ArchitectureError):
            continue
    return found
