"""PrunedSupernet: a supernet of which some candidates run, each with the same weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from naslib.optimizers.oneshot.paths.entries import PathEntry
from naslib.optimizers.oneshot.supernet.abilities import Ability
from naslib.optimizers.oneshot.supernet.base import OneShotOptimizer
from naslib.optimizers.oneshot.supernet.compatibility import without_architecture_step
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in, mixed_edges
from naslib.optimizers.oneshot.supernet.relaxed_op import SoftmaxRelaxation
from naslib.search_spaces.core.assignment import Assignment, Draw
from naslib.search_spaces.core.graph import EdgeView, Graph

# The parameter of what is pruned, as in the authors' code
PRUNED = -1000.0


class PrunedSupernet(OneShotOptimizer):
    """Run the mean of the candidates that are left on every edge; nothing is trained.

    Attributes:
        entries: What can be drawn of each decision.
    """

    NO_PARTS = "it trains nothing, and a supernet with parts is not what it measures"
    whole_batches = "it trains nothing, and measures what a network does to a whole batch"
    fixed_structure = "what is pruned stays where it is, and does not run"

    def relaxation(self) -> None:
        """Return None: what runs is assigned."""

    @staticmethod
    def add_alphas(edge: EdgeView) -> None:
        """Put a shared `alpha` of zeros on an edge with candidates, which is not trained."""
        alpha = nn.Parameter(torch.zeros(len(edge.data.op)), requires_grad=False)
        edge.data.set("alpha", alpha, shared=True)

    def needs(self) -> Mapping[Ability, str]:
        """Return operations on edges, which can be removed one by one."""
        why = "it removes operations from edges one by one"
        return {Ability.OPERATIONS: why, Ability.EDGES: why, Ability.FLAT: why}

    def removes(self) -> Mapping[Ability, str]:
        """Return what there is not: nothing is trained."""
        kept = (Ability.MIXTURE, Ability.RELAXATION, Ability.TRAINED_WEIGHTS)
        return {**without_architecture_step(), **dict.fromkeys(kept, "it trains nothing")}

    def _collect_decisions(self, graph: Graph) -> None:
        super()._collect_decisions(graph)
        mixture = SoftmaxRelaxation()  # of forwards that are assigned nothing
        for data in mixed_edges(graph, self.scope):
            data.op.relaxation = mixture
        self.entries = [PathEntry(data.op.primitives) for data in decisions_in(graph, self.scope)]

    def keeping(self, active: Sequence[Sequence[int]]) -> Assignment:
        """Return the assignment that runs the mean of some candidates of each decision, nothing of none."""
        rows = zip(self.decision_names, self.entries, active, strict=True)
        return Assignment.made({name: _mean(entry, ops) for name, entry, ops in rows})


def _mean(entry: PathEntry, ops: Sequence[int]) -> Draw:
    if len(ops) < 2:
        return entry.keeping(ops)
    weights = torch.zeros(entry.n_ops)
    weights[list(ops)] = 1 / len(ops)
    return Draw(tuple(ops), weights, unit=False)
