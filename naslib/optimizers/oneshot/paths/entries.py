"""What a path makes of a decision: the draws of its candidates, made once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from naslib.optimizers.oneshot.supernet.sampling import draw_of
from naslib.search_spaces.core.assignment import Assignment, Draw
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.elastic.candidates import SizeCandidate
from naslib.search_spaces.core.primitives import Zero


class PathEntry:
    """The draws of one decision, for all copies of a cell; nothing of it changes.

    Args:
        ops: The candidates.

    Attributes:
        n_ops: Number of candidates.
        computing: Indices of those other than `Zero`.
    """

    def __init__(self, ops: Sequence[nn.Module]) -> None:
        self.n_ops = len(ops)
        self.computing = tuple(index for index, op in enumerate(ops) if not isinstance(op, Zero))
        self._draws = {index: draw_of((index,), ops) for index in (NO_EDGE, *range(self.n_ops))}
        sizes = [op.value for op in ops if isinstance(op, SizeCandidate)]
        self._largest = sizes.index(max(sizes)) if sizes else None

    def choosing(self, index: int) -> Draw:
        """Return what runs candidate `index` alone, nothing for `NO_EDGE`."""
        return self._draws[index]

    def keeping(self, indices: Sequence[int]) -> Draw:
        """Return what runs the sum of several candidates, nothing where there is none; of sizes, the largest."""
        first = self._draws[indices[0] if indices else NO_EDGE]
        if len(indices) < 2:
            return first
        return first._replace(on=tuple(indices)) if self._largest is None else self._draws[self._largest]


def assignment_of(entries: Mapping[str, PathEntry], choices: Sequence[int]) -> Assignment:
    """Return the assignment that runs one candidate of every decision.

    Args:
        entries: By the name of a decision, in order.
        choices: Index of the candidate by decision, `NO_EDGE` for none.
    """
    chosen = zip(entries.items(), choices, strict=True)
    return Assignment.made({name: entry.choosing(index) for (name, entry), index in chosen})
