"""Replication: which positions of every parameter become which when units are multiplied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._trace import Trace
from ._units import Axis


@dataclass(frozen=True)
class Rearranged:
    """What becomes of one parameter or buffer.

    Attributes:
        sources: By dimension, for each new position the old one that it is a copy of.
        counts: By dimension that is summed over, how many copies the unit behind each new position has: the values
            are divided by them.
        made: By other dimensions, the same; the values are not divided, their gradients are.
        added: By dimension, which new positions hold copies rather than the unit itself.
    """

    sources: Mapping[int, Tensor]
    counts: Mapping[int, Tensor]
    made: Mapping[int, Tensor]
    added: Mapping[int, Tensor]

    def values(self, old: Tensor) -> Tensor:
        """Return the new values of the parameter."""
        new = self._copied(old)
        for dim, count in self.counts.items():
            new = new / _along(count, dim, new)
        return new

    def gradients(self, old: Tensor, power: int = 1) -> Tensor:
        """Return what a gradient of the old parameter becomes, or, with power 2, the square of one."""
        new = self._copied(old)
        for dim, count in self.made.items():
            new = new / _along(count, dim, new) ** power
        return new

    def _copied(self, old: Tensor) -> Tensor:
        new = old
        for dim, source in self.sources.items():
            new = new.index_select(dim, source.to(new.device))
        return new


def _along(values: Tensor, dim: int, like: Tensor) -> Tensor:
    shape = [1] * like.ndim
    shape[dim] = -1
    return values.to(like.device, like.dtype).view(shape)


def segments_of(trace: Trace, order: Sequence[int]) -> list[list[int]]:
    """Return sets of units in runs that every parameter holds whole and in this order, so that copies go to their ends.

    Args:
        trace: Of the network.
        order: The sets that are multiplied, in the order in which a layer makes them.
    """
    index = {root: place for place, root in enumerate(order)}
    cuts: set[int] = set()  # a cut at i is one before order[i]
    for axis in trace.axes.values():
        if axis is None:
            continue
        places = [index.get(root) for root in trace.units.roots(axis)]
        for position, place in enumerate(places):
            if place is None:
                continue
            block = axis[position][1]
            follows = places[position + 1] if position + 1 < len(places) else None
            if follows != place + 1 or axis[position + 1][1] != block:
                cuts.add(place + 1)
            before = places[position - 1] if position else None
            if before != place - 1 or axis[position - 1][1] != block:
                cuts.add(place)
    segments: list[list[int]] = []
    for place, root in enumerate(order):
        if place in cuts or not segments:
            segments.append([])
        segments[-1].append(root)
    return segments


def rearranged(trace: Trace, segments: Sequence[Sequence[int]], drawn: Sequence[int]) -> dict[str, Rearranged]:
    """Return what becomes of every parameter and buffer that holds units which are multiplied.

    Args:
        trace: Of the network.
        segments: See `segments_of`.
        drawn: The sets of units that get one copy more, in order; one may be there several times.
    """
    segment_of = {root: place for place, segment in enumerate(segments) for root in segment}
    copies: list[list[int]] = [[] for _ in segments]
    for root in drawn:
        copies[segment_of[root]].append(root)
    count_of = {root: 1 + drawn.count(root) for root in set(drawn)}
    found: dict[str, dict[int, tuple[Tensor, Tensor, Tensor]]] = {}
    for (name, dim), axis in trace.axes.items():
        if axis is None:
            continue
        roots = trace.units.roots(axis)
        if any(root in count_of for root in roots):
            laid = _laid_out(axis, roots, segments, segment_of, copies, count_of)
            found.setdefault(name, {})[dim] = laid
    result = {}
    for name, dims in found.items():
        summed = {dim for dim in dims if "summed" in trace.uses[name, dim]}
        result[name] = Rearranged(
            {dim: source for dim, (source, _, _) in dims.items()},
            {dim: count for dim, (_, count, _) in dims.items() if dim in summed},
            {dim: count for dim, (_, count, _) in dims.items() if dim not in summed},
            {dim: added for dim, (_, _, added) in dims.items()},
        )
    return result


def _laid_out(
    axis: Axis,
    roots: Sequence[int],
    segments: Sequence[Sequence[int]],
    segment_of: Mapping[int, int],
    copies: Sequence[Sequence[int]],
    count_of: Mapping[int, int],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each new position of a dimension its old one, its unit's number of copies, and if it is added."""
    sources: list[int] = []
    counts: list[int] = []
    added: list[bool] = []
    starts: dict[int, int] = {}
    place = 0
    for (_, block), root in zip(axis, roots, strict=True):
        _append(sources, counts, added, place, block, count_of.get(root, 1), False)
        starts[root] = place
        place += block
        segment = segment_of.get(root)
        if segment is not None and root == segments[segment][-1]:
            for copy in copies[segment]:
                _append(sources, counts, added, starts[copy], block, count_of[copy], True)
    return torch.tensor(sources), torch.tensor(counts), torch.tensor(added)


def _append(
    sources: list[int], counts: list[int], added: list[bool], start: int, block: int, count: int, is_copy: bool
) -> None:
    sources.extend(range(start, start + block))
    counts.extend([count] * block)
    added.extend([is_copy] * block)
