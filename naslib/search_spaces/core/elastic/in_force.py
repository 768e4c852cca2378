"""Which sizes are in force in a forward: one for each dimension of a layer, or several with weights."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.assignment import Draw, current

from .sizes import Number, Size, Value, as_size, combinations, distinct, integer

Point = tuple[int, ...]


class Group(NamedTuple):
    """Dimensions whose sizes depend on the same decisions.

    Attributes:
        dims: Indices of the dimensions.
        points: The sizes that they can have together, each `(len(dims),)`.
        weights: `(n_points,)`; None where there is one point.
    """

    dims: tuple[int, ...]
    points: tuple[Point, ...]
    weights: Tensor | None


class Mixture(NamedTuple):
    """Several sizes at once.

    Attributes:
        groups: Groups of dimensions; the weight of a combination of their points is the product of the weights.
        box: The largest size of every dimension among those that are mixed.
    """

    groups: tuple[Group, ...]
    box: Point

    def joint(self) -> tuple[list[Point], Tensor]:
        """Return all combinations of sizes and their weights, `(n_points,)`."""
        points = []
        for chosen in itertools.product(*(group.points for group in self.groups)):
            sizes = [0] * len(self.box)
            for group, point in zip(self.groups, chosen, strict=True):
                for dim, size in zip(group.dims, point, strict=True):
                    sizes[dim] = size
            points.append(tuple(sizes))
        weights: Tensor | None = None
        for group in self.groups:
            if group.weights is not None:
                row = group.weights
                weights = row if weights is None else (weights.unsqueeze(1) * row).flatten()
        return points, torch.ones(1) if weights is None else weights

    def mean(self, dim: int, function: Callable[[int], float]) -> Tensor | float:
        """Return the weighted mean of a function of the size of a dimension.

        A scalar.
        """
        for group in self.groups:
            if dim in group.dims and group.weights is not None:
                at = group.dims.index(dim)
                numbers = [function(point[at]) for point in group.points]
                return (
                    group.weights * torch.tensor(numbers, dtype=group.weights.dtype, device=group.weights.device)
                ).sum()
        return function(self.box[dim])

    def where(self, dim: int, size: int) -> Mixture:
        """Return what is left of the mixture if only points count at which a dimension has some size."""
        groups = []
        for group in self.groups:
            if dim in group.dims and group.weights is not None:
                at = group.dims.index(dim)
                kept = [index for index, point in enumerate(group.points) if point[at] == size]
                points = tuple(group.points[index] for index in kept)
                group = Group(group.dims, points, torch.stack([group.weights[index] for index in kept]))
            groups.append(group)
        return Mixture(tuple(groups), self.box)


class Sizes:
    """The sizes of one layer, by name.

    Args:
        least: The smallest integer that a size may be.
        **sizes: Numbers, value decisions, or what is computed from them.

    Attributes:
        names: Their names, in order.
        leaves: The decisions that they depend on.
        box: The largest size of each by itself, which is the shape of the weights.
        largest: The sizes for the largest value of every decision.

    Raises:
        ConfigError: If a size is no such integer for one of the choices, or labels clash.
    """

    def __init__(self, least: int = 1, /, **sizes: Number | Size) -> None:
        self.names = tuple(sizes)
        self.sizes = tuple(as_size(size) for size in sizes.values())
        self.leaves = distinct([leaf for size in self.sizes for leaf in size.leaves])
        for name, size in zip(self.names, self.sizes, strict=True):
            for chosen in combinations(size.leaves):
                integer(size, chosen, name, least)
        self.box: Point = tuple(int(size.largest) for size in self.sizes)
        self.largest: Point = self.at(_fixed(self.leaves, {}))
        self._parts = _connected(self.sizes)
        self._known: dict[Any, tuple[Point, ...]] = {}  # what was computed of points already

    def points(self) -> Iterator[Point]:
        """Yield the sizes of every combination of values."""
        for chosen in combinations(self.leaves):
            yield self.at(chosen)

    def at(self, chosen: Mapping[str, Number]) -> Point:
        """Return the sizes for given values by label."""
        return tuple(int(size.at(chosen)) for size in self.sizes)

    def values(self, name: str) -> tuple[int, ...]:
        """Return the different sizes that one of them can have, ascending."""
        size = self.sizes[self.names.index(name)]
        return tuple(sorted({int(size.at(chosen)) for chosen in combinations(size.leaves)}))

    def in_force(self) -> Point | Mixture:
        """Return the sizes that the present assignment says; the largest where it says nothing.

        Raises:
            ArchitectureError: If it does not fit the decisions.
        """
        entries = {leaf.label: entry for leaf in self.leaves if (entry := _entry(leaf)) is not None}
        if not entries:
            return self.largest
        if not any(isinstance(entry, Tensor) for entry in entries.values()):
            return self.at(_fixed(self.leaves, entries))
        groups = tuple(self._group(dims, leaves, entries) for dims, leaves in self._parts)
        box = [0] * len(self.sizes)
        for group in groups:
            for at, dim in enumerate(group.dims):
                box[dim] = max(point[at] for point in group.points)
        return Mixture(groups, tuple(box))

    def __str__(self) -> str:
        return ", ".join(f"{name}={size}" for name, size in zip(self.names, self.sizes, strict=True))

    def _group(self, dims: tuple[int, ...], leaves: tuple[Value, ...], entries: Mapping[str, int | Tensor]) -> Group:
        mixed = [leaf for leaf in leaves if isinstance(entries.get(leaf.label), Tensor)]
        fixed = _fixed([leaf for leaf in leaves if leaf not in mixed], entries)
        weights: Tensor | None = None
        for leaf in mixed:
            row: Any = entries[leaf.label]
            weights = row if weights is None else (weights.unsqueeze(1) * row).flatten()
        key = dims, tuple(leaf.label for leaf in mixed), tuple(fixed.items())
        if key not in self._known:
            chosen = [{**fixed, **numbers} for numbers in combinations(mixed)]
            self._known[key] = tuple(tuple(int(self.sizes[dim].at(numbers)) for dim in dims) for numbers in chosen)
        return Group(dims, self._known[key], weights)


def _fixed(leaves: Any, entries: Mapping[str, Any]) -> dict[str, Number]:
    """Return the values of decisions that have one: by their index, the largest where nothing is said."""
    return {
        leaf.label: leaf.values[entries[leaf.label]] if leaf.label in entries else max(leaf.values) for leaf in leaves
    }


def _connected(sizes: tuple[Size, ...]) -> tuple[tuple[tuple[int, ...], tuple[Value, ...]], ...]:
    """Return the dimensions in groups that share no decision with each other, with the decisions of each."""
    parts: list[tuple[tuple[int, ...], tuple[Value, ...]]] = []
    for dim, size in enumerate(sizes):
        labels = {leaf.label for leaf in size.leaves}
        met = [part for part in parts if any(leaf.label in labels for leaf in part[1])]
        dims = tuple(sorted([dim, *(d for part in met for d in part[0])]))
        leaves = distinct([*(leaf for part in met for leaf in part[1]), *size.leaves])
        parts = [part for part in parts if part not in met] + [(dims, leaves)]
    return tuple(parts)


# Entries of decisions that are nobody else's: of candidates with entangled weights, set by the edge that mixes them
_held: ContextVar[Mapping[str, Any]] = ContextVar("naslib_held_sizes", default=MappingProxyType({}))


@contextmanager
def holding(entries: Mapping[str, Any]) -> Iterator[None]:
    """Let sizes inside read these entries, by label, before those of the assignment."""
    token = _held.set({**_held.get(), **entries})
    try:
        yield
    finally:
        _held.reset(token)


def _entry(leaf: Value) -> int | Tensor | None:
    """Return the index or the row of weights that holds for a decision, None where nothing is said."""
    entry = _held.get().get(leaf.label)
    if entry is None:
        assignment = current()
        entry = None if assignment is None else assignment.get(leaf.label)
    if entry is None:
        return None
    found = row_or_index(entry)
    width = found.shape[0] if isinstance(found, Tensor) else found
    n_values = len(leaf.values)
    if isinstance(found, Tensor) and (found.dim() != 1 or width != n_values):
        raise ArchitectureError(
            f"value decision {leaf.label!r} has {n_values} values, the assignment weights of shape {tuple(found.shape)}"
        )
    if not isinstance(found, Tensor) and found >= n_values:
        raise ArchitectureError(
            f"value decision {leaf.label!r} has {n_values} values, 0 to {n_values - 1}, the assignment says {found}"
        )
    return None if not isinstance(found, Tensor) and found < 0 else found  # -1: the decision is not made


def row_or_index(entry: Any) -> int | Tensor:
    """Return an entry of an assignment as one index, or as a row of weights `(n,)`.

    A draw of one value is its index. Where its weights are to get a gradient, it is a row whose numbers are those of
    the draw, and whose gradient goes to all weights: straight through.

    Raises:
        ArchitectureError: If it is none of these.
    """
    if isinstance(entry, Draw):
        if entry.removed:
            return -1
        differentiates = entry.weights.requires_grad and torch.is_grad_enabled()
        if len(entry.on) == 1 and entry.unit and not differentiates:
            return entry.on[0]
        on = torch.zeros_like(entry.weights, requires_grad=False)
        on[list(entry.on)] = 1.0
        constant = entry.weights.detach()
        forward = on if entry.unit else on * constant
        return forward + (entry.weights - constant)
    if isinstance(entry, Tensor):
        return int(entry) if entry.dim() == 0 else entry
    if isinstance(entry, int):
        return entry
    raise ArchitectureError(f"a size is chosen by an index, weights or a Draw, not by {entry!r}")
