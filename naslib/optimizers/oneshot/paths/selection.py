"""The selection phases: how the architecture is found among the paths of a trained supernet."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import TypeVar

from naslib.errors import ConfigError
from naslib.search_spaces.core.codec import Code
from naslib.utils.log import get_logger

from .evolution import Evolution, EvolutionSettings
from .paths import PathSpace
from .scoring import PathScorer
from .sizes import SizeLimits

logger = get_logger(__name__)
T = TypeVar("T")

_LINE_SECONDS = 30.0


def measure_all(
    codes: Sequence[T], measure: Callable[[T], float], title: str, show: Callable[[float], str]
) -> list[tuple[float, T]]:
    """Return `(value, code)` of each code, and log how far it is every half minute."""
    found: list[tuple[float, T]] = []
    due = time.monotonic() + _LINE_SECONDS
    for code in codes:
        found.append((measure(code), code))
        if time.monotonic() >= due:
            best = max(value for value, _ in found)
            logger.info("%s: %d of %d architectures, best %s", title, len(found), len(codes), show(best))
            due = time.monotonic() + _LINE_SECONDS
    return found


def best_first(measured: Iterable[tuple[float, T]]) -> list[tuple[float, T]]:
    """Return the pairs by value, largest first; of equals the earlier one first."""
    return sorted(measured, key=lambda pair: -pair[0])


def random_selection(scorer: PathScorer, codes: Sequence[Code], n_batches: int, finalists: int) -> tuple[float, Code]:
    """Return quality and code of the best of some paths.

    Args:
        scorer: Measures them.
        codes: The paths.
        n_batches: On how many validation batches each is measured at first.
        finalists: How many of the best are then measured on all validation batches, which decides; 0 for none.
    """
    measured = best_first(measure_all(codes, lambda code: scorer.on_next(code, n_batches), "selection", scorer.show))
    if finalists:
        chosen = [code for _, code in measured[:finalists]]
        measured = best_first(measure_all(chosen, scorer.on_all, "selection, final", scorer.show))
    quality, code = measured[0]
    logger.info("selection: the best of %d architectures has %s", len(codes), scorer.show(quality))
    return quality, code


def evolution_selection(
    scorer: PathScorer,
    paths: PathSpace,
    rng: Random,
    settings: EvolutionSettings,
    n_batches: int | None = None,
    limits: SizeLimits | None = None,
) -> Code:
    """Return the best path that evolution finds.

    Args:
        scorer: Measures paths.
        paths: The space.
        rng: Source of randomness.
        settings: Sizes of the evolution.
        n_batches: On how many validation batches each path is measured, the next ones each time; None for all.
        limits: Keeps paths out that are too large, before they are measured.

    Raises:
        ConfigError: If no path within the limits is found.
    """
    evolution = Evolution(paths, settings, rng, limits.allow if limits is not None else lambda code: True)

    def measure(code: Code) -> float:
        return scorer.on_all(code) if n_batches is None else scorer.on_next(code, n_batches)

    for generation in range(settings.generations):
        codes = evolution.ask()
        if not codes:
            break
        measured = measure_all(codes, measure, f"selection, generation {generation + 1}", scorer.show)
        evolution.tell(codes, [value for value, _ in measured])
        best = scorer.show(evolution.history[0][0])
        logger.info("selection: generation %d of %d, best %s", generation + 1, settings.generations, best)
    if not evolution.history:
        found = limits.smallest if limits is not None else {}
        refused = ", ".join(f"the smallest beyond {name} has {size:.4g} million" for name, size in found.items())
        raise ConfigError(f"no architecture keeps to the limits of the selection ({refused})")
    return evolution.best


def check_counts(least: int = 1, /, **counts: int | None) -> None:
    """Raise `ConfigError` naming every keyword whose value is below `least`; None is no value."""
    wrong = {name: value for name, value in counts.items() if value is not None and value < least}
    if wrong:
        raise ConfigError([f"{name} must be at least {least}, not {value}" for name, value in wrong.items()])
