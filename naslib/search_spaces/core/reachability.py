"""Reachability: whether data can get from the input of a discrete graph to its output."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from ._order import input_nodes, topological_order
from .graph import Graph
from .ops_base import AbstractCombOp
from .ops_basic import DropPath, Sequential, Zero
from .ops_mixed import MixedOp


def carries_data(graph: Graph) -> bool:
    """Return whether a path of operations other than `Zero` leads from the input of a graph to its last node.

    The answer is about structure, whatever the weights are; an operation that this framework does not know counts as
    one that lets data pass. Nodes that have lost all their edges, and so would be inputs, carry nothing.

    Args:
        graph: A graph; of edges that still have several candidates one that passes is enough.
    """
    return _output_carries(graph, dict.fromkeys(input_nodes(graph)[:1], True))


def _output_carries(graph: Graph, entering: Mapping[int, bool]) -> bool:
    """Return whether the last node of a graph carries data, given which of its input nodes do."""
    order = topological_order(graph)
    carries: dict[int, bool] = {}
    for node in order:
        sources = {
            source: passes(data.op) if carries[source] and not data.is_deleted() else False
            for source, data in sorted(graph._pred[node].items())
        }
        nested, combine = graph._node[node].get("subgraph"), graph._node[node].get("comb_op")
        if isinstance(combine, AbstractCombOp) and len(sources) > 1:
            keys = list(sources)
            sources = {keys[position]: sources[keys[position]] for position in combine.used_inputs(len(keys))}
        if node in entering:
            sources = {0: entering[node]}
        carries[node] = any(sources.values()) if nested is None else _nested_carries(nested, sources)
    return carries[order[-1]]


def _nested_carries(graph: Graph, sources: Mapping[int, bool]) -> bool:
    """Return whether a nested graph's output carries data, given what its parent sends by source."""
    chosen = graph.input_node_idxs
    values = [sources[key] for key in sorted(sources)]
    if chosen is not None and len(sources) > 1:
        values = [sources.get(index, False) for index in chosen]
    # Nodes that were cut off come after those that were made as inputs
    return any(values) and _output_carries(graph, dict(zip(input_nodes(graph), values, strict=False)))


def passes(op: Any) -> bool:
    """Return whether an operation lets data through."""
    if isinstance(op, Graph):
        return _nested_carries(op, {0: True})
    if isinstance(op, MixedOp):
        return any(passes(primitive) for primitive in op.primitives)
    if isinstance(op, list):
        return any(passes(candidate) for candidate in op)
    if isinstance(op, Sequential | nn.Sequential):
        return all(passes(inner) for inner in (op.primitives if isinstance(op, Sequential) else op))
    if isinstance(op, DropPath):
        return passes(op.op)
    return not (issubclass(op, Zero) if inspect.isclass(op) else isinstance(op, Zero))
