"""Units: the channels of a network, which of them are one and the same, and which must stay as they are."""

from __future__ import annotations

from collections.abc import Iterable

# A dimension of a tensor as blocks in order, each of a unit and so many positions of it.
# Flattened channels of 7x7 images are blocks of 49 positions.
Axis = tuple[tuple[int, int], ...]


class Units:
    """Disjoint sets of units that can only be multiplied together; a set may be fixed, for a reason."""

    def __init__(self) -> None:
        self._parents: list[int] = []
        self._reasons: dict[int, str] = {}

    def fresh(self, count: int) -> Axis:
        """Return a dimension of `count` new units, each a set of its own."""
        start = len(self._parents)
        self._parents.extend(range(start, start + count))
        return tuple((unit, 1) for unit in range(start, start + count))

    def find(self, unit: int) -> int:
        """Return the unit that stands for a unit's set."""
        parents = self._parents
        while parents[unit] != unit:
            parents[unit] = parents[parents[unit]]
            unit = parents[unit]
        return unit

    def unite(self, one: int, other: int) -> None:
        """Make two sets one; it is fixed if either was."""
        one, other = self.find(one), self.find(other)
        if one == other:
            return
        self._parents[other] = one
        reason = self._reasons.pop(other, None)
        if reason is not None:
            self._reasons.setdefault(one, reason)

    def unite_all(self, units: Iterable[int]) -> None:
        """Make one set of all."""
        first: int | None = None
        for unit in units:
            if first is None:
                first = unit
            else:
                self.unite(first, unit)

    def fix(self, units: Iterable[int], reason: str) -> None:
        """Say that these are never multiplied; the first reason of each is kept."""
        for unit in units:
            self._reasons.setdefault(self.find(unit), reason)

    def reason(self, unit: int) -> str | None:
        """Return why a unit is not multiplied, None if it may be."""
        return self._reasons.get(self.find(unit))

    def roots(self, axis: Axis) -> list[int]:
        """Return what stands for the set of each block."""
        return [self.find(unit) for unit, _ in axis]


def units_of(axis: Axis) -> list[int]:
    """Return the unit of each block."""
    return [unit for unit, _ in axis]


def size_of(axis: Axis) -> int:
    """Return how many positions a dimension has."""
    return sum(block for _, block in axis)


def merged(axis: Axis, before: int, after: int) -> Axis:
    """Return the dimension into which one is flattened with dimensions of `before` and `after` positions around it."""
    return tuple((unit, block * after) for unit, block in axis) * before


def cut(axis: Axis, start: int, stop: int) -> Axis | None:
    """Return positions `start` to `stop` of a dimension; None if that cuts a block."""
    found, place = [], 0
    for unit, block in axis:
        if start <= place and place + block <= stop:
            found.append((unit, block))
        elif place < stop and start < place + block:
            return None
        place += block
    return tuple(found)


def runs_of(axis: Axis, size: int) -> list[Axis] | None:
    """Return a dimension in runs of `size` positions whose blocks are alike; None if there are none."""
    found = [cut(axis, start, start + size) for start in range(0, size_of(axis), size)]
    runs = [run for run in found if run is not None]
    shapes = {tuple(block for _, block in run) for run in runs}
    return runs if len(runs) == len(found) and len(shapes) == 1 else None
