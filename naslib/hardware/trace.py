"""Find every candidate operation of a graph with the shapes it is run at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.primitives import AbstractPrimitive, MixedOp, call_op
from naslib.search_spaces.core.statement import decided_edge, searched_edges
from naslib.search_spaces.core.types import EdgeLike
from naslib.utils.renamed import renamed

# Name of the decision, and which of the edges that it decides, the copies of a cell in order
EdgeKey = tuple[str, int]
Shape = tuple[int, ...]


@dataclass
class TracedEdge:
    """An edge under search: every copy of a cell has its own.

    Attributes:
        place: Where it is.
        ops: The candidates.
        input_shape: Of what enters it, without the batch.
        output_shapes: Of what each candidate returns.
    """

    place: EdgeKey
    ops: list[nn.Module]
    input_shape: Shape = ()
    output_shapes: list[Shape] = field(default_factory=list)


class _Probe(AbstractPrimitive):
    """Run all candidates, take note of the shapes, and return the output of the first."""

    def __init__(self, ops: Sequence[nn.Module], edge: TracedEdge) -> None:
        super().__init__()
        self.ops = nn.ModuleList(ops)
        self.edge = edge

    def forward(self, x: Tensor, edge_data: EdgeLike | None = None) -> Tensor:
        """Return what the first candidate returns."""
        outputs = [call_op(op, x) for op in self.ops]
        self.edge.input_shape = tuple(x.shape[1:])
        self.edge.output_shapes = [tuple(y.shape[1:]) for y in outputs]
        return outputs[0]


def candidates_of(op: Any) -> list[nn.Module] | None:
    """Return the candidates that stand on an edge, as they would be without the others; None if there is no choice."""
    if isinstance(op, list):
        return op
    return [op.discretized(index) for index in range(len(op.primitives))] if isinstance(op, MixedOp) else None


def decision_edges(graph: Graph, scope: Scope) -> Iterator[tuple[EdgeKey, EdgeData]]:
    """Yield the edges of a graph on which there is something to choose, or where an optimizer has chosen.

    An edge has the same key in a search space, in its supernet, and in a discrete architecture made of that.
    """
    for edges in searched_edges(graph, scope).values():
        for number, copy in enumerate(edges.copies):
            if copy.head is not None:
                yield (edges.name, number), copy.data
    for nested in graph._graphs_in_scope(scope):
        for _, _, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2]):
            key = decided_edge(data)
            if key is not None:
                yield key, data


def trace_candidates(graph: Graph, input_shape: Sequence[int], scope: Scope = None) -> list[TracedEdge]:
    """Return the edges under search with the shapes at which their candidates run; the graph is not changed.

    Args:
        graph: A search space, or a supernet that an optimizer made of one.
        input_shape: Of one input of the network: channels, height and width.
        scope: The graphs to look at; the space's `OPTIMIZER_SCOPE` if None.

    Raises:
        ConfigError: If there is nothing to choose, or the network cannot be run on such an input.
    """
    scope = scope if scope is not None else graph.OPTIMIZER_SCOPE
    clone = graph.clone()
    clone.compile()
    traced = []
    for place, data in list(decision_edges(clone, scope)):
        ops = candidates_of(data.op)
        if ops is None:
            continue
        edge = TracedEdge(place, ops)
        data.set("op", _Probe(ops, edge))
        traced.append(edge)
    if not traced:
        raise ConfigError(f"no edge in scope {scope!r} has candidate operations: there is nothing to measure")
    clone.parse()
    clone.eval()
    like = next((p for p in clone.parameters() if p.is_floating_point()), torch.empty(0))
    x = torch.zeros((1, *input_shape), device=like.device, dtype=like.dtype)
    try:
        with torch.no_grad(), torch.random.fork_rng([]):
            clone(x)
    except RuntimeError as error:
        raise ConfigError(
            f"the candidate operations cannot be run one by one on an input of shape {tuple(input_shape)}: {error}"
        ) from error
    return [edge for edge in traced if edge.output_shapes]


if not TYPE_CHECKING:
    __getattr__ = renamed(__name__, {"Place": "EdgeKey"})
