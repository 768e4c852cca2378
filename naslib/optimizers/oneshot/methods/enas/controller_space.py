"""What a discrete architecture of a graph consists of: which edges a node keeps, and which operations they may have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import torch
from torch import Tensor

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in
from naslib.optimizers.oneshot.supernet.stated import StatedSupernet, stated
from naslib.search_spaces.core.codec import NO_EDGE
from naslib.search_spaces.core.decisions import Site
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.primitives import Zero
from naslib.search_spaces.core.statement import states_its_rule


@dataclass(frozen=True)
class Node:
    """A node with edges under search.

    Attributes:
        index: In its graph.
        decisions: Of the edges into it, by source; indices into `OneShotOptimizer.architectural_weights`.
        sources: Where these edges come from.
        n_kept: How many of them a discrete architecture keeps.
    """

    index: int
    decisions: tuple[int, ...]
    sources: tuple[int, ...]
    n_kept: int

    @property
    def chooses_inputs(self) -> bool:
        """Whether some edges are dropped."""
        return self.n_kept < len(self.decisions)


@dataclass(frozen=True)
class Cell:
    """A graph with decisions; of several copies the first.

    Attributes:
        inputs: Sources that have no decision of their own.
        nodes: In topological order.
    """

    inputs: tuple[int, ...]
    nodes: tuple[Node, ...]

    @property
    def chooses_inputs(self) -> bool:
        """Whether a node of it drops edges."""
        return any(node.chooses_inputs for node in self.nodes)


@dataclass(frozen=True)
class ControllerSpace:
    """All discrete architectures of a supernet. A *code* has one entry per decision: an operation, or `NO_EDGE`.

    Attributes:
        cells: The cells.
        allowed: By decision, the operations that the space may select.
        widths: By decision, the number of candidates.
        zeros: By decision, the candidate `Zero`; None where there is none.
    """

    cells: tuple[Cell, ...]
    allowed: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]
    zeros: tuple[int | None, ...]

    def scores(self, code: Sequence[int]) -> list[Tensor]:
        """Return per decision, `(n_ops,)`, the scores from which the space derives exactly this architecture."""
        return [_one_hot(width, op) for width, op in zip(self.widths, code, strict=True)]

    def gates(self, code: Sequence[int]) -> list[Tensor]:
        """Return per decision, `(n_ops,)`, a one-hot of the operation that runs.

        On edges that are not kept it is `Zero`; where there is none the gates are 0.
        """
        gates = []
        for width, op, zero in zip(self.widths, code, self.zeros, strict=True):
            gates.append(_one_hot(width, zero if op == NO_EDGE and zero is not None else op))
        return gates


def _one_hot(width: int, index: int) -> Tensor:
    row = torch.zeros(width)
    if index != NO_EDGE:
        row[index] = 1.0
    return row


def controller_space_of(graph: Graph, scope: Scope) -> ControllerSpace:
    """Return the discrete architectures of an adapted supernet, as its space states them.

    Raises:
        ConfigError: If the space does not state its rule, or another one than that of which edges a node keeps.
    """
    if not states_its_rule(type(graph)):
        raise ConfigError(
            f"{type(graph).__name__} removes edges by a rule that it does not state: enas needs a space that states "
            "its decisions (state_decisions), or keeps the edges with the largest scores"
        )
    supernet = stated(graph, scope)
    for decision in supernet.space.decisions:
        if decision.kind == "value" or decision.n_chosen is None:
            what = f"{decision.name!r} ({decision.kind})"
            raise ConfigError(f"enas chooses operations and a number of inputs, not {what}")
        if any(isinstance(site, Site) and site.head is None and site.positions for site in decision.sites):
            raise ConfigError(f"enas chooses operations and inputs, not combinations at nodes ({decision.name!r})")
    if supernet.space.constraints:
        raise ConfigError("enas decides one after another: it cannot keep to the constraints of this space")
    candidates = [data.op.primitives for data in decisions_in(graph, scope)]
    graphs = graph.nested_graphs()
    numbers = dict.fromkeys(edge.site.number for edge in supernet.edges)
    both = list(zip(supernet.edges, candidates, strict=True))
    return ControllerSpace(
        tuple(_cell(graphs[number], number, supernet) for number in numbers),
        tuple(edge.site.positions or tuple(range(len(ops))) for edge, ops in both),
        tuple(len(ops) for ops in candidates),
        tuple(next((k for k, op in enumerate(ops) if isinstance(op, Zero)), None) for ops in candidates),
    )


def _cell(cell: Graph, number: int, supernet: StatedSupernet) -> Cell:
    """Return the nodes of a graph with decisions."""
    entering: dict[int, list[int]] = {}
    for index, edge in enumerate(supernet.edges):
        if edge.site.number == number:
            entering.setdefault(edge.site.tail, []).append(index)
    nodes = []
    for target in nx.lexicographical_topological_sort(cell):
        if target not in entering:
            continue
        indices = sorted(entering[target], key=lambda index: supernet.edges[index].site.head or 0)
        inputs = supernet.edges[indices[0]].inputs
        kept = len(indices) if inputs is None or inputs.n_chosen is None else inputs.n_chosen
        sources = tuple(supernet.edges[index].site.head or 0 for index in indices)
        nodes.append(Node(target, tuple(indices), sources, kept))
    own = {node.index for node in nodes}
    inputs_of_cell = sorted({source for node in nodes for source in node.sources} - own)
    return Cell(tuple(inputs_of_cell), tuple(nodes))
