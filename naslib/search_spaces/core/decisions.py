"""Decision: one choice that an architecture consists of, as an object that search spaces state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from naslib.errors import ArchitectureError, DecisionError, did_you_mean

from .literals import shortened

Code = tuple[int, ...]
Kind = Literal["op", "inputs", "value"]
KINDS: tuple[str, ...] = get_args(Kind)
# The gene of a decision that an architecture does not make
MASKED = -1


class Site(NamedTuple):
    """Where in a graph a decision is: on an edge, or, for the inputs of a node, at that node.

    Attributes:
        graph: Name of the graph whose edge or node it is.
        number: Of that graph in `nested_graphs()` of the search space.
        head: Source of the edge; None at a node.
        tail: Target of the edge, or the node.
        positions: Which of the ops on the edge, or of the combinations at the node, the decision's candidates are, in
            order; empty for the inputs of a node that keeps so many edges.
        bit: Where any subset is chosen, which of the decision's candidates the edge is.
    """

    graph: str
    number: int
    head: int | None
    tail: int
    positions: tuple[int, ...] = ()
    bit: int | None = None


@dataclass(frozen=True)
class Decision:
    """One choice among candidates.

    Attributes:
        name: Stable label: `normal_cell/3-5` (the op on an edge), `normal_cell/5` (the inputs of node 5), or any other.
        kind: `"op"` (one operation), `"inputs"` (which edges into a node) or `"value"` (one size).
        candidates: Names or values, in order, all different.
        n_chosen: How many of them an architecture has: 1, or for inputs a number, or None for any subset.
        condition: `(name, index)` or `(name, indices)`: the decision is made only where the decision of that name has
            chosen (one of) the candidates at these indices. None: it is always made.
        sites: Where it is, for every copy of a cell; without effect on equality.

    Raises:
        DecisionError: For an unknown kind, no or equal candidates, `n_chosen` out of range, or a malformed condition.
    """

    name: str
    kind: Kind
    candidates: tuple[Any, ...]
    n_chosen: int | None = 1
    condition: tuple[str, int | tuple[int, ...]] | None = None
    sites: tuple[Any, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise DecisionError(f"a decision's name is a string that is not empty, not {self.name!r}")
        if self.kind not in KINDS:
            hint = did_you_mean(str(self.kind), KINDS)
            raise DecisionError(f"decision {self.name!r}: kind is one of {', '.join(KINDS)}, not {self.kind!r}{hint}")
        if isinstance(self.candidates, str) or not isinstance(self.candidates, Sequence):
            raise DecisionError(f"decision {self.name!r}: candidates are a tuple, not {self.candidates!r}")
        for name in ("candidates", "sites"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_candidates()
        self._check_number()
        if self.condition is not None:
            object.__setattr__(self, "condition", self._checked_condition(self.condition))

    def _check_candidates(self) -> None:
        if not self.candidates:
            raise DecisionError(f"decision {self.name!r} has no candidates: there is nothing to choose")
        for index, candidate in enumerate(self.candidates):
            if any(candidate == other for other in self.candidates[:index]):
                raise DecisionError(
                    f"decision {self.name!r} has the candidate {candidate!r} twice; candidates are told apart by what "
                    "they are called"
                )

    def _check_number(self) -> None:
        number, most = self.n_chosen, len(self.candidates) if self.kind == "inputs" else 1
        if number is None and self.kind == "inputs":
            return
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= most:
            expected = f"1 to {most}, or None for any subset" if self.kind == "inputs" else f"1 for kind {self.kind!r}"
            raise DecisionError(f"decision {self.name!r}: n_chosen is {expected}, not {number!r}")

    def _checked_condition(self, condition: Any) -> tuple[str, int | tuple[int, ...]]:
        message = (
            f"decision {self.name!r}: a condition is (name of a decision, index of its candidate or several), not "
            f"{condition!r}"
        )
        if not isinstance(condition, Sequence) or isinstance(condition, str) or len(condition) != 2:
            raise DecisionError(message)
        name, indices = condition
        several = indices if isinstance(indices, Sequence) and not isinstance(indices, str) else (indices,)
        if not isinstance(name, str) or not several or not all(type(index) is int for index in several):
            raise DecisionError(message)
        return name, indices if isinstance(indices, int) else tuple(several)

    @property
    def n_genes(self) -> int:
        """Number of ints that it takes in a code: one per chosen candidate, or per candidate for any subset."""
        return len(self.candidates) if self.n_chosen is None else self.n_chosen

    @property
    def condition_indices(self) -> tuple[int, ...]:
        """The candidates of the other decision that make this one active; empty without a condition."""
        if self.condition is None:
            return ()
        indices = self.condition[1]
        return (indices,) if isinstance(indices, int) else indices

    def indices_of(self, picked: Any) -> tuple[int, ...]:
        """Return the indices of candidates that are given by their names or values.

        Args:
            picked: A candidate; a sequence of them for inputs.

        Raises:
            ArchitectureError: If there are no such candidates, or another number of them.
        """
        is_list = isinstance(picked, Sequence) and not isinstance(picked, str | bytes)
        try:
            several = (picked,) if self.kind != "inputs" else tuple(picked) if is_list else ()
            found = tuple(sorted({self.candidates.index(candidate) for candidate in several}))
        except (TypeError, ValueError):
            found = (-1,)
        wrong_number = self.n_chosen is not None and len(found) != self.n_chosen
        if -1 in found or wrong_number or (self.kind == "inputs" and not is_list):
            raise ArchitectureError(
                f"decision {self.name!r} chooses {self.n_chosen or 'any'} of {', '.join(map(str, self.candidates))}, "
                f"not {shortened(picked)}"
            )
        return found


def as_random(rng: Random | np.random.Generator | np.random.RandomState | int | None) -> Random:
    """Return a `Random`, seeded from `rng` unless it already is one.

    Args:
        rng: A generator of either library, a seed, or None for a draw from numpy's global generator.
    """
    if isinstance(rng, Random):
        return rng
    if rng is None:
        return Random(int(np.random.randint(2**31)))
    if isinstance(rng, np.random.Generator):
        return Random(int(rng.integers(2**31)))
    if isinstance(rng, np.random.RandomState):
        return Random(int(rng.randint(2**31)))
    return Random(int(rng))
