"""Trace: what is known of each tensor of a forward, and of each parameter, while operations run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from ._units import Axis, Units, size_of, units_of


@dataclass
class Traced:
    """A tensor of a forward.

    Attributes:
        shape: Its shape.
        axes: Of each dimension the units along it; None where it holds none (images, batches, constants).
        owner: The parameter or buffer that it is, or is a view of with dimensions in another order.
        dims: Which dimension of the owner each one is; None for one of size 1 that was put in.
        nonnegative: Whether no value can be below zero.
    """

    shape: tuple[int, ...]
    axes: list[Axis | None]
    owner: str | None = None
    dims: list[int | None] = field(default_factory=list)
    nonnegative: bool = False


@dataclass(frozen=True)
class Ran:
    """An operation that ran.

    Attributes:
        name: As torch calls it, without the underscore of those that work in place.
        place: Dotted name of the module that called it.
        given: Its arguments by name.
        sources: Numbers of the tensors that went in.
        targets: Of those that came out.
    """

    name: str
    place: str
    given: dict[str, Any]
    sources: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True)
class Called:
    """A call of a module.

    Attributes:
        place: Its dotted name.
        target: Number of the tensor that came out.
        shape: Of that tensor.
        at: How many operations had run then.
        starts: How many had when it was called.
        source: Number of the first tensor that went in.
        source_nonnegative: Whether that had no value below zero.
        nonnegative: Whether what came out has none.
    """

    place: str
    target: int
    shape: tuple[int, ...]
    at: int
    starts: int
    source: int | None
    source_nonnegative: bool
    nonnegative: bool


class Trace:
    """What a forward tells of a network.

    Args:
        network: The network, whose parameters and buffers get a dimension of units each time one is used.
    """

    def __init__(self, network: nn.Module) -> None:
        self.units = Units()
        self.leaves: dict[str, Tensor] = {}
        self.axes: dict[tuple[str, int], Axis | None] = {}  # absent: nothing has used it yet
        self.reasons: dict[tuple[str, int], str] = {}  # of those that never held units
        self.uses: dict[tuple[str, int], set[str]] = {}
        self.depthwise: set[str] = set()
        self.ran: list[Ran] = []
        self.called: list[Called] = []
        self.where: list[str] = [""]
        self.entered: list[tuple[int, int | None, bool]] = []
        self._seen: dict[int, Traced] = {}
        self._alive: list[Tensor] = []  # so that no number is given twice
        for name, leaf in (*network.named_parameters(), *network.named_buffers()):
            self.leaves[name] = leaf
            self._keep(leaf, Traced(tuple(leaf.shape), [None] * leaf.ndim, name, list(range(leaf.ndim))))

    def _keep(self, tensor: Tensor, seen: Traced) -> None:
        if id(tensor) not in self._seen:
            self._alive.append(tensor)
        self._seen[id(tensor)] = seen

    def knows(self, tensor: Tensor) -> bool:
        """Say whether a tensor is a parameter, a buffer, or came out of an operation."""
        return id(tensor) in self._seen

    def of(self, tensor: Tensor) -> Traced:
        """Return what is known of a tensor; one that was not met has no units."""
        if id(tensor) not in self._seen:
            self._keep(tensor, Traced(tuple(tensor.shape), [None] * tensor.ndim))
        return self._seen[id(tensor)]

    def give(self, tensor: Tensor, seen: Traced) -> None:
        """Say what came out of an operation."""
        self._keep(tensor, seen)

    def shape_of(self, number: int | None) -> tuple[int, ...] | None:
        """Return the shape of the tensor of a number."""
        return None if number is None or number not in self._seen else self._seen[number].shape

    def plain(self, tensor: Tensor) -> None:
        """Say that what came out holds no units."""
        self._keep(tensor, Traced(tuple(tensor.shape), [None] * tensor.ndim))

    @property
    def place(self) -> str:
        """Dotted name of the module that runs now."""
        return self.where[-1]

    def at(self) -> str:
        """Return where the forward is now, in words."""
        return f"in {self.place!r}" if self.place else "in the network's own forward"

    # Dimensions

    def leaf_key(self, seen: Traced, dim: int) -> tuple[str, int] | None:
        """Return parameter and dimension behind a dimension; None where none is."""
        if seen.owner is None or seen.dims[dim] is None:
            return None
        return seen.owner, int(seen.dims[dim])  # type: ignore[arg-type]

    def is_free(self, seen: Traced, dim: int) -> bool:
        """Say whether a dimension is of a parameter that nothing has used yet."""
        key = self.leaf_key(seen, dim)
        return key is not None and key not in self.axes

    def axis(self, seen: Traced, dim: int, use: str = "kept") -> Axis | None:
        """Return the units along a dimension; those of a parameter are made when it is used first."""
        key = self.leaf_key(seen, dim)
        if key is None:
            return seen.axes[dim]
        self.uses.setdefault(key, set()).add(use)
        if key not in self.axes:
            self.axes[key] = self.units.fresh(seen.shape[dim])
        return self.axes[key]

    def assign(self, seen: Traced, dim: int, axis: Axis | None, use: str, reason: str) -> Axis | None:
        """Say that a dimension has these units, and return what is known of both together."""
        key = self.leaf_key(seen, dim)
        if key is not None:
            self.uses.setdefault(key, set()).add(use)
            if key not in self.axes:
                self.axes[key] = axis
                return axis
        return self.joined(self.axes[key] if key is not None else seen.axes[dim], axis, reason)

    def joined(self, one: Axis | None, other: Axis | None, reason: str) -> Axis | None:
        """Return what is known of a dimension of which two things are known."""
        if one is None or other is None:
            self.fix(one, reason)
            self.fix(other, reason)
            return one if other is None else other
        if [block for _, block in one] != [block for _, block in other]:
            self.fix(one, reason)
            self.fix(other, reason)
            return one
        for (first, _), (second, _) in zip(one, other, strict=True):
            self.units.unite(first, second)
        return one

    def fix(self, axis: Axis | None, reason: str) -> None:
        """Say that the units of a dimension stay as they are."""
        if axis is not None:
            self.units.fix(units_of(axis), reason)

    def fix_all(self, tensors: Sequence[Tensor], reason: str) -> None:
        """Say so of every dimension of some tensors."""
        for tensor in tensors:
            seen = self.of(tensor)
            for dim in range(len(seen.shape)):
                key = self.leaf_key(seen, dim)
                if key is not None and key not in self.axes:
                    self.axes[key] = None
                    self.reasons[key] = reason
                else:
                    self.fix(self.axis(seen, dim), reason)

    def unused(self) -> list[str]:
        """Return the parameters that no operation has used."""
        used = {name for name, _ in self.axes}
        return [name for name, leaf in self.leaves.items() if leaf.ndim and name not in used]

    def settle(self) -> None:
        """Fix what is read in two ways that no multiplication serves."""
        for key, uses in self.uses.items():
            if len(uses) > 1:
                name = f"{key[0]!r} is summed over in one place and read unit by unit in another"
                self.fix(self.axes.get(key), name)
        for (name, dim), axis in self.axes.items():
            if axis is not None and size_of(axis) != self.leaves[name].shape[dim]:
                raise AssertionError(f"units of {name!r}, dimension {dim}, do not add up")  # a fault of ours
