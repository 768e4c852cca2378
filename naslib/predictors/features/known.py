"""What else is known of architectures (zero-cost proxies, sizes), as columns beside their encoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslib.errors import PredictorError


def known_numbers(info: Any, n: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return what is known of n architectures as `(n, m)` float64, and the names of the columns.

    Args:
        info: `(n, m)` numbers, n sequences of m numbers, n numbers, or n dictionaries of numbers by name (in any order;
            all with the same names). None: nothing.
        n: The number of architectures.

    Raises:
        PredictorError: If the number differs, names or lengths do, or a number is not finite.
    """
    if info is None:
        return np.zeros((n, 0)), ()
    if len(info) != n:
        raise PredictorError(f"{n} architectures, and info on {len(info)}; each has an entry")
    names: tuple[str, ...] = ()
    if n and isinstance(info[0], Mapping):
        names = tuple(sorted(map(str, info[0])))
        info = [_in_order(entry, names, place) for place, entry in enumerate(info)]
    try:
        rows = np.asarray(info, dtype=np.float64).reshape(n, -1)
    except (TypeError, ValueError) as error:
        raise PredictorError(
            "info is a number, a sequence of numbers or a dictionary of them for each architecture, all of one length: "
            f"{error}"
        ) from error
    bad = np.argwhere(~np.isfinite(rows))
    if len(bad):
        row, column = bad[0]
        name = names[column] if names else f"number {column}"
        raise PredictorError(f"{name} of the architecture at place {row} is {rows[row, column]}: info must be finite")
    return rows, names or tuple(map(str, range(rows.shape[1])))


def _in_order(entry: Any, names: Sequence[str], place: int) -> list[Any]:
    if not isinstance(entry, Mapping) or {*map(str, entry)} != {*names}:
        given = ", ".join(map(str, entry)) if isinstance(entry, Mapping) else repr(entry)
        raise PredictorError(f"info at place {place} has {given}; the first has {', '.join(names)}")
    by_name = {str(name): value for name, value in entry.items()}
    return [by_name[name] for name in names]
