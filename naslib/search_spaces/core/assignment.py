"""Assignment: what one forward does with every decision, drawn before it and read by everything that runs in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from naslib.errors import ArchitectureError, did_you_mean

# Gradient of the weight of an operation that neither runs nor is evaluated: none, or as if it had returned all ones
Others = Literal["zero", "ones"]
# Names that a message lists at most
_LISTED = 8


class Draw(NamedTuple):
    """What one forward does with one decision.

    Attributes:
        on: Indices of the operations that run, at least one.
        weights: `(n_ops,)`; those of `on` multiply the outputs. Their gradient, the *gate gradient* a, goes to the
            architecture parameters by whatever made them.
        evaluated: Further operations, which the backward runs without a graph for their gate gradients
            `a_k = <dL/dy, o_k(x)>`.
        unit: Whether the weights of `on` are exactly 1, so that nothing is multiplied.
        others: Gate gradient of all other operations.
        removed: Whether the whole edge is left out, with all that passes by its operations.
    """

    on: tuple[int, ...]
    weights: Tensor
    evaluated: tuple[int, ...] = ()
    unit: bool = True
    others: Others = "zero"
    removed: bool = False


# A row of weights `(n_ops,)`, what was drawn, the index of a candidate, or the indices of several (chosen inputs)
Chosen = Tensor | Draw | int | tuple[int, ...]


class Assignment(Mapping[str, Any]):
    """What is chosen for every decision, by name; it does not change.

    It is made by `optimizer.sample(training)`, or by hand from indices, and holds for the forwards inside
    `with optimizer.assigned(assignment):`. Everything that belongs to one decision (all copies of a cell, a cell that
    is called several times, what the backward computes again) reads the same entry.

    Args:
        values: By the name of a decision: a row of weights `(n_ops,)`, a `Draw`, the index of a candidate (or of a
            value), or a tuple of chosen inputs.
        copies: By the name of a decision and the number of one of its copies, what that copy runs instead: where a hook
            of its own looks at the logits, or its class relaxes them edge by edge.

    Raises:
        ArchitectureError: If a name is no string, or a value none of these.
    """

    __slots__ = ("_copies", "_values")

    def __init__(self, values: Mapping[str, Chosen], copies: Mapping[tuple[str, int], Chosen] | None = None) -> None:
        self._values: dict[Any, Any] = {name: _checked(name, value) for name, value in dict(values).items()}
        self._copies: dict[Any, Any] = {key: _checked(key[0], value) for key, value in dict(copies or {}).items()}

    @classmethod
    def made(cls, values: dict[Any, Any], copies: dict[Any, Any] | None = None) -> Assignment:
        """Return an assignment of values that are known to be in order; the mappings become its own."""
        found = cls.__new__(cls)
        found._values, found._copies = values, {} if copies is None else copies
        return found

    def of_copy(self, name: Any, copy: int) -> Any:
        """Return what one copy of a decision runs, see `__getitem__`."""
        value = self._copies.get((name, copy)) if self._copies else None
        return self[name] if value is None else value

    def __getitem__(self, name: str) -> Any:
        """Return what is chosen for a decision.

        Raises:
            ArchitectureError: If there is no such decision in it.
        """
        try:
            return self._values[name]
        except KeyError:
            hint = did_you_mean(name, self._values)
            raise ArchitectureError(
                f"the assignment has nothing for the decision {name!r}{hint}; it is for {_listed(self._values)}: take "
                "one of the network that runs, optimizer.sample(training)"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def get(self, name: str, default: Any = None) -> Any:
        """Return what is chosen for a decision, or `default`."""
        return self._values.get(name, default)

    def __repr__(self) -> str:
        return f"Assignment({self.describe()})"

    def __eq__(self, other: object) -> bool:
        """Say whether another assignment chooses the same, to the last bit."""
        if not isinstance(other, Assignment):
            return NotImplemented
        return self.to_plain() == other.to_plain()

    __hash__ = None  # type: ignore[assignment]  # it compares tensors

    def replaced(self, values: Mapping[str, Chosen]) -> Assignment:
        """Return a copy with other values for some of its decisions.

        Raises:
            ArchitectureError: If there is no such decision in it.
        """
        for name in values:
            self[name]  # raises where there is none
        changed = {name: _checked(name, value) for name, value in values.items()}
        copies = {key: value for key, value in self._copies.items() if key[0] not in values}
        return Assignment.made({**self._values, **changed}, copies)

    def detached(self) -> Assignment:
        """Return the same values as constants: no gradient goes from a forward to what they were made of."""
        known = (*self._values.values(), *self._copies.values())
        return self._mapped(Tensor.detach) if any(_requires_grad(value) for value in known) else self

    def to(self, *args: Any, **kwargs: Any) -> Assignment:
        """Return the same values with their tensors on another device or of another type (see `Tensor.to`)."""
        return self._mapped(lambda tensor: tensor.to(*args, **kwargs))

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Assignment:
        own, copies = (
            {key: _map(value, change) for key, value in values.items()} for values in (self._values, self._copies)
        )
        return Assignment.made(own, copies)

    def indices(self, name: str) -> tuple[int, ...]:
        """Return which candidates of a decision run: those drawn, or those whose weight is not 0."""
        value = self[name]
        if isinstance(value, Draw):
            return () if value.removed else value.on
        if isinstance(value, Tensor):
            return tuple(value.detach().nonzero().flatten().tolist())
        return (value,) if isinstance(value, int) else value

    # what is logged, and read again

    def describe(self, candidates: Mapping[str, Sequence[Any]] | None = None) -> str:
        """Return the choices in one line, `normal_cell/1-2: ReLUConvBN3x3, normal_cell/1-3: [0.2 0.8]`.

        Args:
            candidates: Names of the candidates by decision; indices are shown where they are missing.
        """
        names = candidates or {}
        return ", ".join(f"{name}: {_describe(value, names.get(name))}" for name, value in self._values.items())

    def to_plain(self) -> dict[str, Any]:
        """Return the assignment as plain Python values, from which `from_plain` makes an equal one (without graphs)."""
        copies = [[name, copy, _plain(value)] for (name, copy), value in self._copies.items()]
        return {"values": {name: _plain(value) for name, value in self._values.items()}, "copies": copies}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Assignment:
        """Return the assignment that `to_plain` has written.

        Raises:
            ArchitectureError: If it is none.
        """
        try:
            values = {name: _from_plain(value) for name, value in plain["values"].items()}
            copies = {(name, copy): _from_plain(value) for name, copy, value in plain.get("copies", ())}
            return cls(values, copies)
        except (KeyError, TypeError, AttributeError) as error:
            raise ArchitectureError(
                f"an assignment as plain values is what Assignment.to_plain() returns, not {plain!r}"
            ) from error

    def check(self, widths: Mapping[str, int]) -> None:
        """Raise `ArchitectureError` unless the assignment is for these decisions.

        Args:
            widths: Number of candidates by the name of a decision.
        """
        if self._values.keys() != widths.keys():
            missing = [name for name in widths if name not in self._values]
            unknown = [name for name in self._values if name not in widths]
            said = [f"has nothing for {_listed(missing)}"] * bool(missing)
            said += [f"names {_listed(unknown)}, which it has not"] * bool(unknown)
            raise ArchitectureError(
                f"the assignment is not for this search space of {len(widths)} decisions: it {' and '.join(said)}; "
                "take one from optimizer.sample(training), or give every decision of optimizer.decisions a value"
            )
        for name, value in self._values.items():
            _check_width(name, value, widths[name])


_CURRENT: ContextVar[Assignment | None] = ContextVar("naslib_assignment", default=None)


def current() -> Assignment | None:
    """Return the assignment of the forwards that run here (in this thread, in this context), None where there is none.

    Whoever reads it takes its own decision by name. For the decisions of a graph an entry that is missing is an error.
    """
    return _CURRENT.get()


class assigned:
    """Let the forwards inside run an assignment; afterwards what was there before holds again.

    Contexts may be nested, the innermost holds; other threads are not concerned. None takes away what holds, so that
    the forwards inside draw for themselves.

    Args:
        assignment: The choices.
    """

    __slots__ = ("_assignment", "_tokens")

    def __init__(self, assignment: Assignment | None) -> None:
        self._assignment = assignment
        self._tokens: list[Token[Assignment | None]] = []

    def __enter__(self) -> Assignment | None:
        self._tokens.append(_CURRENT.set(self._assignment))
        return self._assignment

    def __exit__(self, *error: Any) -> None:
        _CURRENT.reset(self._tokens.pop())


def _checked(name: Any, value: Any) -> Any:
    if not isinstance(name, str):
        raise ArchitectureError(f"the decisions of an assignment go by their names, not by {name!r}")
    if isinstance(value, Draw | Tensor):
        return value
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        raise ArchitectureError(
            f"decision {name!r}: {value!r} is neither weights, a Draw, the index of a candidate nor chosen inputs"
        )
    return value if isinstance(value, int) else tuple(value)


def _check_width(name: str, value: Any, width: int) -> None:
    if isinstance(value, Tensor | Draw):
        row = value.weights if isinstance(value, Draw) else value
        found = row.shape[-1] if row.dim() else 0
        if found != width:
            raise ArchitectureError(f"decision {name!r} has {width} candidates, the assignment weights for {found}")
        return
    indices = (value,) if isinstance(value, int) else value
    wrong = [index for index in indices if not -1 <= index < width]
    if wrong:
        raise ArchitectureError(
            f"decision {name!r} has {width} candidates, 0 to {width - 1} (-1 for none of them), not {wrong[0]}"
        )


def _listed(names: Iterable[str]) -> str:
    found = [repr(name) for name in names]
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return (", ".join(found[:_LISTED]) or "no decision") + more


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Draw):
        return value._replace(weights=change(value.weights))
    return change(value) if isinstance(value, Tensor) else value


def _requires_grad(value: Any) -> bool:
    tensor = value.weights if isinstance(value, Draw) else value
    return isinstance(tensor, Tensor) and tensor.requires_grad


def _describe(value: Any, candidates: Sequence[Any] | None) -> str:
    if isinstance(value, Tensor):
        return "[" + " ".join(f"{weight:.3g}" for weight in value.detach().tolist()) + "]"
    if isinstance(value, Draw):
        if value.removed:
            return "none"
        weights = value.weights.detach().tolist()
        names = [_name(index, candidates) for index in value.on]
        if not value.unit:
            names = [f"{weights[index]:.3g} {name}" for index, name in zip(value.on, names, strict=True)]
        return " + ".join(names)
    if isinstance(value, int):
        return _name(value, candidates)
    return "(" + " ".join(_name(index, candidates) for index in value) + ")"


def _name(index: int, candidates: Sequence[Any] | None) -> str:
    if index < 0:
        return "none"
    return str(index) if candidates is None else str(candidates[index])


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return {"weights": value.detach().tolist(), "dtype": str(value.dtype).removeprefix("torch.")}
    if isinstance(value, Draw):
        return {**value._asdict(), "on": list(value.on), "evaluated": list(value.evaluated), **_plain(value.weights)}
    return list(value) if isinstance(value, tuple) else value


def _from_plain(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    # the numbers of a narrower type are exact in double precision, so that they come back bit by bit
    weights = torch.tensor(value["weights"], dtype=torch.float64).to(getattr(torch, value["dtype"]))
    if "on" not in value:
        return weights
    fields = {key: entry for key, entry in value.items() if key not in ("weights", "dtype", "on", "evaluated")}
    return Draw(tuple(value["on"]), weights, tuple(value["evaluated"]), **fields)
