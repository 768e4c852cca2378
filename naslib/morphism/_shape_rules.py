"""What operations that move values about do to units: views, permutations, slices, concatenations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ._layer_rules import tie
from ._trace import Trace, Traced
from ._units import Axis, cut, merged, runs_of, size_of

Rule = Callable[[Trace, dict[str, Any], Sequence[Tensor], Sequence[Tensor]], None]


def _reordered(trace: Trace, out: Tensor, seen: Traced, order: Sequence[int | None]) -> None:
    """Say that dimensions came out in another order; None is one of size 1 that was put in."""
    axes = [None if dim is None or seen.owner is not None else seen.axes[dim] for dim in order]
    dims = [None if dim is None or seen.owner is None else seen.dims[dim] for dim in order]
    trace.give(out, Traced(tuple(out.shape), axes, seen.owner, dims if seen.owner is not None else []))


def _transpose(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen = trace.of(sources[0])
    count = len(seen.shape)
    order = list(range(count))
    one, other = int(given.get("dim0", 0)) % max(count, 1), int(given.get("dim1", 1)) % max(count, 1)
    if count > 1:
        order[one], order[other] = order[other], order[one]
    _reordered(trace, outs[0], seen, order)


def _permute(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen = trace.of(sources[0])
    _reordered(trace, outs[0], seen, [int(dim) % len(seen.shape) for dim in given["dims"]])


def _unsqueeze(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen = trace.of(sources[0])
    order: list[int | None] = list(range(len(seen.shape)))
    order.insert(int(given["dim"]) % outs[0].ndim, None)
    _reordered(trace, outs[0], seen, order)


def _squeeze(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen = trace.of(sources[0])
    count = len(seen.shape)
    named = given.get("dim")
    dims = range(count) if named is None else [d % count for d in ([named] if isinstance(named, int) else named)]
    gone = [dim for dim in dims if seen.shape[dim] == 1]
    for dim in gone:
        trace.fix(trace.axis(seen, dim), f"one unit is squeezed away {trace.at()}")
    _reordered(trace, outs[0], seen, [dim for dim in range(count) if dim not in gone])


def _expand(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen, out = trace.of(sources[0]), outs[0]
    added = out.ndim - len(seen.shape)
    axes: list[Axis | None] = []
    for dim in range(out.ndim):
        own = dim - added
        if own >= 0 and seen.shape[own] == out.shape[dim]:
            axes.append(trace.axis(seen, own))
            continue
        if own >= 0:
            trace.fix(trace.axis(seen, own), f"one unit is spread over many {trace.at()}")
        axes.append(None)
    trace.give(out, Traced(tuple(out.shape), axes))


def _known(trace: Trace, seen: Traced) -> list[Axis | None]:
    return [trace.axis(seen, dim) for dim in range(len(seen.shape))]


def _view(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen, out = trace.of(sources[0]), outs[0]
    old, new = [(d, n) for d, n in enumerate(seen.shape) if n != 1], [(d, n) for d, n in enumerate(out.shape) if n != 1]
    if [n for _, n in old] == [n for _, n in new]:  # only dimensions of size 1 come or go
        return _only_ones(trace, seen, out, dict(zip((d for d, _ in new), (d for d, _ in old), strict=True)))
    axes: list[Axis | None] = [None] * out.ndim
    reason = f"a view {trace.at()} states its size, or cuts it"
    for dim, size in enumerate(seen.shape):
        if size == 1 and not trace.is_free(seen, dim):
            trace.fix(trace.axis(seen, dim), reason)
    for before, after in _same_values([n for _, n in old], [n for _, n in new]):
        parts, goals = [old[index][0] for index in before], [new[index][0] for index in after]
        known = [trace.axis(seen, dim) for dim in parts]
        held = [axis for axis in known if axis is not None]
        if not held:
            continue
        if len(held) > 1:
            for axis in held:
                trace.fix(axis, reason)
            continue
        place = next(index for index, axis in enumerate(known) if axis is not None)
        sizes = [seen.shape[dim] for dim in parts]
        whole = merged(held[0], math.prod(sizes[:place]), math.prod(sizes[place + 1 :]))
        found = _split(trace, whole, [out.shape[dim] for dim in goals])
        if found is None:
            trace.fix(held[0], reason)
        else:
            axes[goals[found[0]]] = found[1]
    trace.give(out, Traced(tuple(out.shape), axes))
    return None


def _only_ones(trace: Trace, seen: Traced, out: Tensor, came_from: dict[int, int]) -> None:
    gone = [dim for dim in range(len(seen.shape)) if dim not in came_from.values()]
    order: list[int | None] = []
    for dim in range(out.ndim):
        if dim in came_from:
            order.append(came_from[dim])
        else:  # a dimension of one unit stays one where it stands at the same place
            same = dim in gone and len(seen.shape) == out.ndim
            order.append(dim if same else None)
    for dim in gone:
        if dim not in order:
            trace.fix(trace.axis(seen, dim), f"a view {trace.at()} moves a single unit")
    _reordered(trace, out, seen, order)


def _same_values(old: Sequence[int], new: Sequence[int]) -> list[tuple[range, range]]:
    """Return the shortest runs of dimensions, of two shapes of equal size, that hold the same values."""
    found, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        start, goal = i, j
        left, right = old[i], new[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left, i = left * old[i], i + 1
            else:
                right, j = right * new[j], j + 1
        found.append((range(start, i), range(goal, j)))
    return found


def _split(trace: Trace, whole: Axis, sizes: Sequence[int]) -> tuple[int, Axis] | None:
    """Return where in dimensions of these sizes the units are that a flattened one holds; None if nowhere alone."""
    for place, size in enumerate(sizes):
        before, after = math.prod(sizes[:place]), math.prod(sizes[place + 1 :])
        if before == 1 and len(whole) > 1 and all(block % after == 0 for _, block in whole):
            units = tuple((unit, block // after) for unit, block in whole)
            if size_of(units) == size:
                return place, units
    runs = runs_of(whole, sizes[-1]) if len(sizes) > 1 else None
    if runs is None:
        return None
    tie(trace, runs)  # groups of channels, heads: place i of each alike
    return len(sizes) - 1, runs[0]


def _slice(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen, out = trace.of(sources[0]), outs[0]
    dim = int(given.get("dim", 0)) % len(seen.shape)
    if out.shape[dim] == seen.shape[dim] and int(given.get("step", 1)) == 1:
        return _reordered(trace, out, seen, list(range(len(seen.shape))))
    axes = _known(trace, seen)
    axis, axes[dim] = axes[dim], None
    if axis is not None:
        start = int(given.get("start") or 0)
        start = max(start + seen.shape[dim], 0) if start < 0 else start
        part = cut(axis, start, start + out.shape[dim]) if int(given.get("step", 1)) == 1 else None
        if part is None:
            trace.fix(axis, f"a slice {trace.at()} cuts it")
        axes[dim] = part
    trace.give(out, Traced(tuple(out.shape), axes))
    return None


def _select(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen = trace.of(sources[0])
    dim = int(given.get("dim", 0)) % len(seen.shape)
    axes = _known(trace, seen)
    trace.fix(axes[dim], f"one of it is selected {trace.at()}")
    for out in outs:
        trace.give(out, Traced(tuple(out.shape), [*axes[:dim], *axes[dim + 1 :]]))


def _parts(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen = trace.of(sources[0])
    dim = int(given.get("dim", 0)) % len(seen.shape)
    axes, place = _known(trace, seen), 0
    pieces: list[Axis | None] = []
    for out in outs:
        axis = axes[dim]
        pieces.append(None if axis is None else cut(axis, place, place + out.shape[dim]))
        place += out.shape[dim]
    if axes[dim] is not None:
        shapes = {tuple(block for _, block in piece) if piece is not None else None for piece in pieces}
        if None in shapes:
            trace.fix(axes[dim], f"a split {trace.at()} cuts it")
        elif len(shapes) == 1:  # halves stay halves
            tie(trace, [piece for piece in pieces if piece is not None])
    for out, piece in zip(outs, pieces, strict=True):
        trace.give(out, Traced(tuple(out.shape), [*axes[:dim], piece, *axes[dim + 1 :]]))


def _cat(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    out = outs[0]
    dim = int(given.get("dim", 0)) % out.ndim
    seen_all = [trace.of(source) for source in sources if source.ndim == out.ndim]
    axes: list[Axis | None] = []
    for place in range(out.ndim):
        parts = [trace.axis(seen, place) for seen in seen_all]
        if place == dim:
            axes.append(_in_a_row(trace, seen_all, parts, dim))
            continue
        axis = parts[0]
        for part in parts[1:]:
            axis = trace.joined(axis, part, f"it lies beside numbers of a fixed size {trace.at()}")
        axes.append(axis)
    trace.give(out, Traced(tuple(out.shape), axes))


def _in_a_row(trace: Trace, seen_all: Sequence[Traced], parts: Sequence[Axis | None], dim: int) -> Axis | None:
    if all(part is None for part in parts):
        return None
    row: list[tuple[int, int]] = []
    for seen, part in zip(seen_all, parts, strict=True):
        if part is None:
            part = trace.units.fresh(seen.shape[dim])
            trace.fix(part, f"it is of a fixed size {trace.at()}")
        row += part
    return tuple(row)


def _stack(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    dim = int(given.get("dim", 0)) % outs[0].ndim
    axes = _known(trace, trace.of(sources[0]))
    for source in sources[1:]:
        others = _known(trace, trace.of(source))
        reason = f"it is stacked with numbers of a fixed size {trace.at()}"
        axes = [trace.joined(axis, other, reason) for axis, other in zip(axes, others, strict=True)]
    trace.give(outs[0], Traced(tuple(outs[0].shape), [*axes[:dim], None, *axes[dim:]]))


def _pad(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen, out = trace.of(sources[0]), outs[0]
    axes = _known(trace, seen)
    for dim in range(out.ndim):
        if out.shape[dim] != seen.shape[dim]:
            trace.fix(axes[dim], f"it is padded by a fixed number {trace.at()}")
            axes[dim] = None
    trace.give(out, Traced(tuple(out.shape), axes))


def _repeat(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen, out = trace.of(sources[0]), outs[0]
    added = out.ndim - len(seen.shape)
    axes: list[Axis | None] = [None] * added
    for dim, axis in enumerate(_known(trace, seen)):
        axes.append(None if axis is None else axis * (out.shape[dim + added] // seen.shape[dim]))
    trace.give(out, Traced(tuple(out.shape), axes))


def _flip(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    seen = trace.of(sources[0])
    axes = _known(trace, seen)
    for dim in given.get("dims") or range(len(axes)):
        trace.fix(axes[int(dim) % len(axes)], f"its order is changed {trace.at()}")
    trace.give(outs[0], Traced(tuple(outs[0].shape), axes))


def _shuffle(trace: Trace, given: dict[str, Any], sources: Sequence[Tensor], outs: Sequence[Tensor]) -> None:
    """Follow a shuffle of channels: a view in groups, a transposition, and a view."""
    seen, groups = trace.of(sources[0]), int(given["groups"])
    axes = _known(trace, seen)
    channels = axes[1]
    if channels is not None and groups > 1:
        runs = runs_of(channels, seen.shape[1] // groups)
        if runs is None:
            trace.fix(channels, f"a shuffle cuts it {trace.at()}")
        else:
            tie(trace, runs)
            axes[1] = merged(runs[0], 1, groups)
    trace.give(outs[0], Traced(tuple(outs[0].shape), axes))


SHAPE_RULES: dict[str, Rule] = {
    "t": _transpose,
    "transpose": _transpose,
    "permute": _permute,
    "unsqueeze": _unsqueeze,
    "squeeze": _squeeze,
    "expand": _expand,
    "view": _view,
    "_unsafe_view": _view,
    "_reshape_alias": _view,
    "slice": _slice,
    "select": _select,
    "unbind": _select,
    "split": _parts,
    "split_with_sizes": _parts,
    "cat": _cat,
    "stack": _stack,
    "constant_pad_nd": _pad,
    "repeat": _repeat,
    "channel_shuffle": _shuffle,
    "native_channel_shuffle": _shuffle,
    "flip": _flip,
    "roll": _flip,
}
