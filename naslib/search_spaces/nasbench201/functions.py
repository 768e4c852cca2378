"""Which architectures of NAS-Bench-201 compute the same function of their input and their weights."""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Iterable
from typing import Any

from naslib.search_spaces.core.decisions import Code

from .conversions import EDGE_LIST, OP_NAMES

_SKIP, _ZERO, _POOL = OP_NAMES.index("Identity"), OP_NAMES.index("Zero"), OP_NAMES.index("AvgPool1x1")
_OUTPUT = 4
# A value is a sum: how often each summand is in it. A summand is (how often it was pooled, what it is): -1 for the
# input of the cell, or the number of the edge whose convolution gives it.
_Value = Counter[tuple[int, int]]
_INPUT = -1
# What a convolution of nothing is: the bias of its norm, whatever the size of its kernel
_CONSTANT = -1


@functools.cache
def function_of(code: Code) -> tuple[Any, ...]:
    """Return a key that architectures have in common if and only if they are one function, up to the order of sums.

    Zeros and what nothing reads are left out, identities are taken away, pooling is distributed over sums (it is
    linear), and a convolution of nothing is a constant. Two convolutions on equal inputs stay two, as each has weights
    of its own, and a convolution whose value is read twice stays one: so the architectures with one key have the same
    trainable parameters, apart from those that cannot change an output.

    Args:
        code: Six op indices, as `NasBench201Codec` has them.
    """
    values: dict[int, _Value] = {1: Counter({(0, _INPUT): 1})}
    kinds: dict[int, int] = {}
    inputs: dict[int, _Value] = {}
    for node in range(2, _OUTPUT + 1):
        total: _Value = Counter()
        for edge, (source, target) in enumerate(EDGE_LIST):
            if target == node:
                total += _through(code[edge], edge, values[source], kinds, inputs)
        values[node] = total
    return _canonical(values[_OUTPUT], kinds, inputs)


def _through(op: int, edge: int, value: _Value, kinds: dict[int, int], inputs: dict[int, _Value]) -> _Value:
    """Return the value behind an edge; a convolution is entered as one."""
    if op == _ZERO:
        return Counter()
    if op == _SKIP:
        return value
    if op == _POOL:
        return Counter({_pooled(term, kinds): count for term, count in value.items()})
    kinds[edge], inputs[edge] = (op, value) if value else (_CONSTANT, Counter())
    return Counter({(0, edge): 1})


def _pooled(term: tuple[int, int], kinds: dict[int, int]) -> tuple[int, int]:
    """Return a summand pooled once more; what is constant over the image stays itself."""
    pools, source = term
    return term if kinds.get(source) == _CONSTANT else (pools + 1, source)


def _canonical(output: _Value, kinds: dict[int, int], inputs: dict[int, _Value]) -> tuple[Any, ...]:
    """Return the least description of a value over all orders of the convolutions that it reads."""
    signs: dict[int, Any] = {}
    for edge in _read_by(output, inputs):
        signs[edge] = (kinds[edge], _described(inputs[edge], signs))
    groups = [list(group) for _, group in itertools.groupby(sorted(signs, key=signs.__getitem__), signs.__getitem__)]
    found = []
    for orders in itertools.product(*(itertools.permutations(group) for group in groups)):
        place = {edge: number for number, edge in enumerate(itertools.chain(*orders))}
        rows = [(kinds[edge], _described(inputs[edge], place)) for edge in sorted(place, key=place.__getitem__)]
        found.append((_described(output, place), *rows))
    return min(found)


def _described(value: _Value, place: dict[int, Any]) -> tuple[Any, ...]:
    """Return a value as a sorted tuple, its summands called as `place` says."""
    entries: Iterable[Any] = (
        (count, pools, () if source == _INPUT else (place[source],)) for (pools, source), count in value.items()
    )
    return tuple(sorted(entries))


def _read_by(value: _Value, inputs: dict[int, _Value]) -> list[int]:
    """Return the convolutions that a value depends on, each after those it reads."""
    found: dict[int, None] = {}

    def visit(read: _Value) -> None:
        for _, source in read:
            if source != _INPUT and source not in found:
                visit(inputs[source])
                found[source] = None

    visit(value)
    return list(found)
