"""What TE-NAS prunes: the operations whose removal ranks best by both measures together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class Removal(NamedTuple):
    """What the removal of an operation did to a supernet.

    Attributes:
        decision: Index of the decision.
        op: Index of the operation in it.
        kappa: By which share the condition number of the tangent kernel fell; larger is better.
        regions: By which share the number of linear regions fell; smaller is better.
    """

    decision: int
    op: int
    kappa: float
    regions: float


def rounded(share: float, precision: int) -> float:
    """Return a number with so many significant digits, as the authors round before they compare."""
    if share == 0:
        return 0.0
    sign, size = math.copysign(1.0, share), abs(share) + 1e-8
    power = math.floor(math.log10(size)) + 1
    return float(sign * round(size * 10.0**-power, precision) * 10.0**power)


def by_rank_sum(removals: Sequence[Removal], precision: int = 3) -> list[Removal]:
    """Return removals, best first, by the sum of two ranks ([Chen2021tenas], algorithm 1 and the authors' code).

    One rank is by `kappa`, descending, the other by `regions`, ascending; both are dense: equal numbers have one rank,
    and the next number the next rank. Numbers are ordered as rounded to so many digits, and are equal where they are
    equal without rounding. Of equal sums that with the better rank by `kappa` comes first.

    Args:
        removals: What was measured.
        precision: Significant digits.
    """
    first = _ranks([-removal.kappa for removal in removals], precision)
    second = _ranks([removal.regions for removal in removals], precision)
    order = sorted(range(len(removals)), key=lambda i: (rounded(-removals[i].kappa, precision), i))
    order.sort(key=lambda i: first[i] + second[i])
    return [removals[i] for i in order]


def _ranks(values: Sequence[float], precision: int) -> list[int]:
    """Return the dense rank of each value, the smallest having 0."""
    order = sorted(range(len(values)), key=lambda i: (rounded(values[i], precision), i))
    ranks, rank = [0] * len(values), 0
    for before, index in zip([None, *order[:-1]], order, strict=True):
        rank += before is not None and values[before] != values[index]
        ranks[index] = rank
    return ranks
