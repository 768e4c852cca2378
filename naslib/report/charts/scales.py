"""Scales: from values to places, with ticks at round numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..amounts import number

# From which ratio of largest to smallest on a scale of positive values is logarithmic
_LOGARITHMIC = 60.0
# Share of the range that is left free at both ends
_MARGIN = 0.05


@dataclass(frozen=True)
class AxisScale:
    """A linear or logarithmic map from `[low, high]` to `[start, end]`.

    Attributes:
        low: Smallest value.
        high: Largest value, above it.
        start: Where the smallest is.
        end: Where the largest is.
        is_log: Whether equal ratios are equal distances.
    """

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value; of one beyond the ends, the end's."""
        value = min(max(value, self.low), self.high)
        low, high, at = (
            (math.log(v) for v in (self.low, self.high, value)) if self.is_log else (self.low, self.high, value)
        )
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 5) -> list[float]:
        """Return round values within the range, about so many."""
        return log_ticks(self.low, self.high, wanted) if self.is_log else round_ticks(self.low, self.high, wanted)


def fitted(values: Iterable[float | None], start: float, end: float, may_be_log: bool = False) -> AxisScale:
    """Return a scale on which all values are, with room at the ends.

    Args:
        values: The values; None is left out. Without any the scale is from 0 to 1.
        start: Where the smallest is.
        end: Where the largest is.
        may_be_log: Whether it is logarithmic where all values are positive and differ by a factor of 60 or more.
    """
    found = [value for value in values if value is not None]
    if not found:
        return AxisScale(0.0, 1.0, start, end)
    low, high = min(found), max(found)
    if may_be_log and low > 0 and high / low >= _LOGARITHMIC:
        room = (high / low) ** _MARGIN
        return AxisScale(low / room, high * room, start, end, is_log=True)
    # halves first: the range of the largest numbers is none
    room = (high / 2 - low / 2) * 2 * _MARGIN if high > low else abs(high) * _MARGIN or 0.5
    bottom, top = low - room, high + room
    if low >= 0 > bottom:
        bottom = 0.0
    if not math.isfinite(top - bottom) or top <= bottom:
        return AxisScale(-1.0, 1.0, start, end) if low == high == 0 else _of_huge(low, high, start, end)
    return AxisScale(bottom, top, start, end)


def _of_huge(low: float, high: float, start: float, end: float) -> AxisScale:
    """Return a scale of values whose range no float holds, or so close that no float is between them."""
    limit = 8e307
    low, high = max(low, -limit), min(high, limit)
    return AxisScale(low - abs(low) * 1e-9 - 1e-300, high + abs(high) * 1e-9 + 1e-300, start, end)


def round_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten between two values, about so many.

    Args:
        low: The smaller value.
        high: The larger one.
        wanted: How many there should be; there are at most that many and one.
    """
    if not high > low:
        return [low]
    raw = (high - low) / max(1, wanted)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * index for index in range(first, last + 1)]


def log_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return powers of ten between two positive values, with their double and fivefold where there is room."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / max(1, wanted)))
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    found = [factor * 10.0**power for power in range(first, last + 1, stride) for factor in factors]
    return [value for value in found if low <= value <= high]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Return ticks as text, with as many places as tell neighbours apart."""
    if len(ticks) < 2:
        return [number(tick, 3) for tick in ticks]
    largest = max(abs(tick) for tick in ticks)
    step = min(abs(b - a) for a, b in itertools.pairwise(ticks)) or 1.0
    if largest >= 1e6 or largest < 1e-3:
        return [
            "0" if tick == 0 else f"{tick:.1e}".replace(".0e", "e").replace("e+0", "e").replace("e-0", "e-")
            for tick in ticks
        ]
    ratios = [b / a for a, b in itertools.pairwise(ticks) if a > 0]
    if min(ratios, default=1) > 1.9 and step < 1 and largest >= 1:  # of a logarithmic scale
        return [number(tick, 2) for tick in ticks]
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{tick:.{places}f}".replace("-0", "0") if abs(tick) < step / 2 else f"{tick:.{places}f}" for tick in ticks]


def thin(columns: Sequence[Sequence[float | None]], limit: int) -> list[int]:
    """Return which positions of long series to draw: the ends, and of each stretch every series' least and largest.

    Args:
        columns: Series of equal length.
        limit: How many positions need no thinning; about as many stretches are made of more as keep their number at
            twice that per series.

    Returns:
        Ascending positions; all of them where there are `limit` at most.
    """
    length = max((len(column) for column in columns), default=0)
    if length <= limit:
        return list(range(length))
    stretches = max(1, limit // 2)
    kept = {0, length - 1}
    for stretch in range(stretches):
        place = range(stretch * length // stretches, (stretch + 1) * length // stretches)
        for column in columns:
            known = [(column[i], i) for i in place if i < len(column) and column[i] is not None]
            if known:
                kept |= {min(known)[1], max(known)[1]}
    return sorted(kept)


def evenly(length: int, limit: int) -> list[int]:
    """Return so many positions of a series at equal distances, its ends among them; all where there are no more."""
    if length <= limit:
        return list(range(length))
    return sorted({round(index * (length - 1) / (limit - 1)) for index in range(limit)})
