"""The fidelities of a search, and how many architectures its brackets have at each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from naslib.errors import ConfigError


def geometric_levels(minimum: int, maximum: int, eta: int) -> tuple[int, ...]:
    """Return `maximum`, `maximum / eta`, `maximum / eta^2` ... down to `minimum`, rounded, in ascending order.

    Args:
        minimum: Fewest epochs.
        maximum: Most epochs; always the last level.
        eta: By which factor a level has more epochs than the one before.

    Raises:
        ConfigError: If eta is below 2, or not 1 <= minimum <= maximum.
    """
    problems = []
    if eta < 2:
        problems.append(f"search.eta must be at least 2, not {eta}")
    if minimum < 1:
        problems.append(f"search.min_fidelity must be at least 1 epoch, not {minimum}")
    elif maximum < minimum:
        problems.append(
            f"search.min_fidelity is {minimum} epochs, and the longest training has {maximum} (search.fidelity of a "
            "table, search.evaluator_args.epochs of training)"
        )
    if problems:
        raise ConfigError(problems)
    found, share = [maximum], eta
    while maximum >= minimum * share:
        level = round(maximum / share)
        if level < found[-1]:
            found.append(level)
        share *= eta
    return tuple(reversed(found))


def checked_levels(levels: Sequence[int]) -> tuple[int, ...]:
    """Return levels that a person has named.

    Raises:
        ConfigError: If they are not ascending numbers of epochs from 1 on.
    """
    given = tuple(levels)
    if not given or given[0] < 1 or any(a >= b for a, b in pairwise(given)):
        raise ConfigError(f"search.fidelities are ascending numbers of epochs from 1 on, not {list(given)}")
    return given


def halving_sizes(count: int, rungs: int, eta: int) -> list[int]:
    """Return how many architectures a bracket of successive halving has at each of its levels.

    Args:
        count: At the first level.
        rungs: Number of levels.
        eta: One of so many goes on to the next level ([Jamieson2016nonstochastic], [Li2018hyperband], algorithm 1).
    """
    return [size for rung in range(rungs) if (size := count // eta**rung) > 0]


def hyperband_sizes(levels: int, eta: int) -> list[list[int]]:
    """Return the brackets of Hyperband, the one that begins at the lowest level first ([Li2018hyperband], algorithm 1).

    With `s_max + 1` levels, bracket `s` begins with `ceil((s_max + 1) / (s + 1) * eta^s)` architectures at level
    `s_max - s`.

    Args:
        levels: Number of levels, `s_max + 1`.
        eta: One of so many goes on.

    Returns:
        Per bracket the number of architectures at each of its levels.
    """
    return [halving_sizes(-(-levels * eta**s // (s + 1)), s + 1, eta) for s in reversed(range(levels))]
