"""Numbers as people read them: short, with their unit, and said where there is none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

NOTHING = "not recorded"
# Where a table has no number; between sizes; between the parts of a place
DASH, TIMES, WITHIN = "\u2013", "\u00d7", " \u203a "
# Below this absolute value, and from that on, numbers are written with an exponent
_SMALL, _LARGE = 1e-4, 1e7


def finite(value: Any) -> float | None:
    """Return a finite number as a float, None for anything else (text, None, NaN, infinities, booleans)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def finite_list(values: Any) -> list[float | None]:
    """Return a list with None for what is no finite number; [] for what is no list."""
    return [finite(value) for value in values] if isinstance(values, list | tuple) else []


def number(value: Any, digits: int = 4) -> str:
    """Return a number with so many significant digits, without needless zeros; `not recorded` for none.

    Args:
        value: The number.
        digits: Significant digits, at least those before the point.
    """
    found = finite(value)
    if found is None:
        return NOTHING
    if found == 0:
        return "0"
    size = abs(found)
    if size < _SMALL or size >= _LARGE:
        return f"{found:.{max(0, digits - 1)}e}"
    places = max(0, digits - 1 - math.floor(math.log10(size)))
    text = f"{found:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(count: Any) -> str:
    """Return a large count in short: `1,162`, `48.2 k`, `3.35 M`, `1.2 G`."""
    found = finite(count)
    if found is None:
        return NOTHING
    if abs(found) < 10_000:
        return f"{found:,.0f}" if found.is_integer() else number(found)
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(found) >= size * 0.9995:
            return f"{number(found / size, 3)} {name}"
    return number(found)


def score(value: Any, unit: str = "") -> str:
    """Return a score with its unit: two places after the point for percentages, four significant digits else."""
    found = finite(value)
    if found is None:
        return NOTHING
    return f"{found:.2f} %" if unit == "%" else f"{number(found)} {unit}".rstrip()


def duration(seconds: Any) -> str:
    """Return a duration: `40 ms`, `8.3 s`, `2 min 05 s`, `3 h 12 min`."""
    found = finite(seconds)
    if found is None:
        return NOTHING
    if 0 < found < 0.1:
        return f"{number(found * 1000, 3)} ms"
    if found < 59.95:
        return f"{found:.1f} s"
    minutes, rest = divmod(round(found), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: `1 epoch`, `3 epochs`, `12,000 images`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def spread(values: Iterable[float | None]) -> tuple[float, float, int] | None:
    """Return mean, sample standard deviation (0 of one value) and count of the numbers among values; None of none."""
    found = [value for value in values if value is not None]
    if not found:
        return None
    mean = math.fsum(found) / len(found)
    if len(found) == 1:
        return mean, 0.0, 1
    return mean, math.sqrt(math.fsum((value - mean) ** 2 for value in found) / (len(found) - 1)), len(found)


def mean_and_std(values: Iterable[float | None], unit: str = "") -> str:
    """Return `mean ± standard deviation`, the mean alone of one value, `not recorded` of none."""
    found = spread(values)
    if found is None:
        return NOTHING
    mean, deviation, count = found
    if count == 1:
        return score(mean, unit)
    if unit == "%":
        return f"{mean:.2f} ± {deviation:.2f} %"
    return f"{number(mean)} ± {number(deviation, 2)} {unit}".rstrip()


def listed(names: Sequence[str], limit: int = 6) -> str:
    """Return names in a row, `a, b and c`; of many the first ones, and how many more there are."""
    if len(names) > limit:
        return f"{', '.join(names[:limit])} and {len(names) - limit} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def plain(name: Any) -> str:
    """Return an identifier as words: `mean_iou` is `mean iou`."""
    return str(name).replace("_", " ")
