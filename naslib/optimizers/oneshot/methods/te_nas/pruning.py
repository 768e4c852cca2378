"""What is left of a supernet that TE-NAS prunes, and what is to be measured next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from naslib.errors import CheckpointError
from naslib.utils.log import get_logger

from .ranks import Removal, by_rank_sum

logger = get_logger(__name__)


class Inputs(NamedTuple):
    """Edges of which a node keeps some.

    Attributes:
        decisions: Indices of their decisions.
        kept: How many stay.
    """

    decisions: tuple[int, ...]
    kept: int


class Pruning:
    """Prune operations round by round ([Chen2021tenas], algorithm 1); a checkpointable.

    A round measures the removal of every operation that has another beside it, and removes from every such edge the
    one that ranks best (`by_rank_sum`). When each edge has one, node after node measures the removal of its edges,
    where the space says how many it keeps, and loses those that rank best at once.

    Args:
        active: The operations of each decision to begin with.
        inputs: The nodes that keep some of their edges.
        number: Operations that an edge loses in a round.
        precision: Significant digits of what is ranked.
        changed: Called when there is less.

    Attributes:
        active: The operations that are left of each decision; none of an edge that is gone.
        measured: What was measured in this round.
    """

    def __init__(
        self,
        active: Sequence[Sequence[int]],
        inputs: Sequence[Inputs],
        number: int,
        precision: int,
        changed: Callable[[], None],
    ) -> None:
        self.active = [list(ops) for ops in active]
        self.inputs, self.number, self.precision = tuple(inputs), number, precision
        self.measured: list[Removal] = []
        self._changed = changed

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to be pruned."""
        return not self.candidates()

    def candidates(self) -> list[tuple[int, int]]:
        """Return what this round measures, as decisions and operations."""
        several = [(d, op) for d, ops in enumerate(self.active) if len(ops) > 1 for op in ops]
        if several:
            return several
        for node in self.inputs:
            edges = [decision for decision in node.decisions if self.active[decision]]
            if len(edges) > node.kept:
                return [(decision, self.active[decision][0]) for decision in edges]
        return []

    def next(self) -> tuple[int, int] | None:
        """Return the decision and the operation whose removal is measured next, None where pruning is done."""
        found = self.candidates()
        return found[len(self.measured)] if found else None

    def without(self, decision: int, op: int) -> list[list[int]]:
        """Return what would be left without an operation."""
        return [[o for o in ops if (d, o) != (decision, op)] for d, ops in enumerate(self.active)]

    def tell(self, kappa: float, regions: float) -> None:
        """Take note of what the next removal did; at the end of a round, prune.

        Args:
            kappa: See `Removal`.
            regions: See `Removal`.
        """
        found = self.candidates()
        self.measured.append(Removal(*found[len(self.measured)], kappa, regions))
        if len(self.measured) < len(found):
            return
        order, self.measured = by_rank_sum(self.measured, self.precision), []
        if len(self.active[order[0].decision]) > 1:
            self._prune_operations(order)
        else:
            self._prune_edges(order)
        logger.info("te_nas: %d operations are left", sum(map(len, self.active)))
        self._changed()

    def _prune_operations(self, order: Sequence[Removal]) -> None:
        quota = {removal.decision: min(self.number, len(self.active[removal.decision]) - 1) for removal in order}
        for removal in order:
            if quota[removal.decision]:
                quota[removal.decision] -= 1
                self.active[removal.decision].remove(removal.op)

    def _prune_edges(self, order: Sequence[Removal]) -> None:
        here = {removal.decision for removal in order}
        (node,) = (node for node in self.inputs if here <= set(node.decisions))
        for removal in order[: len(order) - node.kept]:
            self.active[removal.decision] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values."""
        return {"active": [list(ops) for ops in self.active], "measured": [list(removal) for removal in self.measured]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over a state.

        Raises:
            CheckpointError: If it is of another number of decisions.
        """
        if len(state_dict["active"]) != len(self.active):
            raise CheckpointError(
                f"the checkpoint prunes {len(state_dict['active'])} decisions, this search space has {len(self.active)}"
            )
        self.active = [list(ops) for ops in state_dict["active"]]
        self.measured = [Removal(*row) for row in state_dict["measured"]]
        self._changed()
