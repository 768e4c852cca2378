"""The mixture of a whole recurrent cell in few operations, where nothing but rows of weights mixes its candidates."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from naslib.search_spaces.core.assignment import Assignment, current
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import MixedOp, Zero
from naslib.search_spaces.core.shared_work import is_hooked

from .primitives import ACTIVATIONS, Gates, Highway, NormedSum


class _Edge(NamedTuple):
    """What an edge mixes: the gates of its node, and a weight per activation."""

    gates: Gates
    weights: Tensor


class CellMixture:
    """Compute what a supernet's cell does, state by state for all nodes that read it.

    Outputs and gradients are those of the operations run one by one. With `(c, h)` from s_j for all nodes i behind it,
    `P_i` the sum of the weights and `m_i = sum_f p_f f(h_i)`, an edge gives `P_i s_j + c_i (m_i - P_i s_j)`.

    Args:
        edges: By (j, i), for all 0 <= j < i <= nodes.
        concat: The nodes that make the output.
        norms: What normalises each node; None for nothing.
    """

    def __init__(
        self, edges: dict[tuple[int, int], _Edge], concat: Sequence[int], norms: Sequence[nn.Module | None]
    ) -> None:
        nodes = len(norms)
        gates = [edges[node - 1, node].gates for node in range(1, nodes + 1)]
        self.dropout = gates[0].dropout
        self.concat, self.norms = concat, norms
        # (hidden, nodes, 2 hidden)
        matrices = torch.stack([each.weight for each in gates], dim=1)
        rows = [torch.stack([edges[j, i].weights for i in range(j + 1, nodes + 1)]) for j in range(nodes)]
        self._by_state = [
            (matrices[:, j:].flatten(1), weights.T.unsqueeze(-1).unbind(0), weights.sum(1, keepdim=True))
            for j, weights in enumerate(rows)
        ]

    @classmethod
    def of(cls, cell: Graph) -> Self | None:
        """Return the mixture that a cell is in the forward that runs, None where it is not only that."""
        assignment = current()
        if assignment is None or not cell.passes.mix or is_hooked(cell):
            return None
        last = max(cell.nodes)
        edges: dict[tuple[int, int], _Edge] = {}
        for source, target, data in cell.edges(data=True):
            if target == last:
                continue
            edge = _edge(data, assignment)
            if edge is None:
                return None
            edges[source - 1, target - 1] = edge
        nodes = last - 2
        norms = [_norm(cell.nodes[node]["comb_op"]) for node in range(2, last)]
        whole = len(edges) == nodes * (nodes + 1) // 2
        if not whole or any(norm is builtins.sum for norm in norms) or not _agree(edges, nodes):
            return None
        return cls(edges, [node - 1 for node in cell.predecessors(last)], norms)  # type: ignore[arg-type]

    def __call__(self, first: Tensor) -> Tensor:
        """Return the output of the cell.

        `(n, hidden)` in and out.
        """
        n, hidden = first.shape
        state, totals = first, None
        states = []
        for (matrix, weights, total), norm in zip(self._by_state, self.norms, strict=True):
            halves = (self.dropout(state) @ matrix).view(n, -1, 2, hidden)
            gate, inner = halves[:, :, 0].sigmoid(), halves[:, :, 1]
            mixed = inner * weights[-1]
            for activation, weight in zip(_BENT, weights, strict=False):
                mixed = torch.addcmul(mixed, activation(inner), weight)
            passed = state.unsqueeze(1) * total
            found = passed + gate * (mixed - passed)  # `lerp` takes one type only, and autocast has two
            totals = found if totals is None else totals[:, 1:] + found
            state = totals[:, 0] if norm is None else norm(totals[:, 0])
            states.append(state)
        if len(self.concat) == 1:
            return states[self.concat[0] - 1]
        return torch.stack([states[node - 1] for node in self.concat]).mean(dim=0)


# All activations but the last, which is the identity
_BENT = tuple(ACTIVATIONS.values())[:-1]


def _edge(data: EdgeData, assignment: Assignment) -> _Edge | None:
    op = data.op
    if not isinstance(op, MixedOp) or op.decision is None or is_hooked(op):
        return None
    row = op.row_of(assignment.of_copy(op.decision, op.copy), data)
    if row is None:
        return None
    found: dict[str, Tensor] = {}
    gates: Gates | None = None
    for index, candidate in enumerate(op.primitives):
        if type(candidate) is Zero and candidate.stride == 1:
            continue
        if type(candidate) is not Highway or is_hooked(candidate) or is_hooked(candidate.gates):
            return None
        if (gates is not None and candidate.gates is not gates) or candidate.activation in found:
            return None
        gates = candidate.gates
        found[candidate.activation] = row[index]
    if gates is None:
        return None
    nothing = torch.zeros_like(row[0])
    return _Edge(gates, torch.stack([found.get(name, nothing) for name in ACTIVATIONS]))


def _norm(combine: object) -> object:
    """Return what normalises a node, None for nothing, `sum` where it does something else."""
    if combine is builtins.sum:
        return None
    return combine.norm if type(combine) is NormedSum and not is_hooked(combine) else builtins.sum


def _agree(edges: dict[tuple[int, int], _Edge], nodes: int) -> bool:
    """Say whether all edges into a node have one matrix, and all states one dropout."""
    gates = [edges[node - 1, node].gates for node in range(1, nodes + 1)]
    same = all(edge.gates is gates[node - 1] for (_, node), edge in edges.items())
    return same and all(each.dropout is gates[0].dropout and not is_hooked(each.dropout) for each in gates)
