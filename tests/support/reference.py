"""A naive recursive interpreter of graphs: the reference that every Plan is compared with.

It follows contract.md sentence by sentence - sort, walk, dictionaries - and shares no code with the Plan.
"""

from __future__ import annotations

import networkx as nx
from torch import Tensor

from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AbstractCombOp, AbstractPrimitive


def interpret(graph: Graph, x: Tensor | dict[int, Tensor]) -> tuple[Tensor, dict]:
    """Return the output of the last node and {path: tensor} of all other sinks, nested ones included."""
    auxiliary: dict = {}
    out = _run(graph, x, (), auxiliary)
    return out, auxiliary


def _run(graph: Graph, x: Tensor | dict[int, Tensor], path: tuple, auxiliary: dict) -> Tensor:
    inputs = [node for node in sorted(graph.nodes) if graph.in_degree(node) == 0]
    if not isinstance(x, dict):
        x = {0: x}
    if graph.input_node_idxs is not None and len(x) > 1:
        feeds = {node: x[source] for node, source in zip(inputs, graph.input_node_idxs, strict=True)}
    elif graph.input_node_idxs is not None:
        feeds = {node: next(iter(x.values())) for node in inputs}
    else:
        feeds = {node: x[source] for node, source in zip(inputs, sorted(x), strict=True)}
    received: dict[int, dict[int, Tensor]] = {node: {} for node in graph.nodes}
    order = list(nx.lexicographical_topological_sort(graph))
    value = None
    for node in order:
        attributes = graph.nodes[node]
        arrived = {0: feeds[node]} if node in feeds else received[node]
        if "subgraph" in attributes:
            nested = attributes["subgraph"]
            argument = arrived if len(arrived) > 1 or nested.input_node_idxs is None else dict(arrived)
            value = _run(nested, argument, (*path, node), auxiliary)
        elif len(arrived) == 1:
            value = next(iter(arrived.values()))
        else:
            tensors = [arrived[source] for source in sorted(arrived)]
            combine = attributes["comb_op"]
            if isinstance(combine, AbstractCombOp):
                value = combine(tensors, [graph.edges[source, node] for source in sorted(arrived)])
            else:
                value = combine(tensors)
        successors = sorted(graph.successors(node))
        if not successors and node != order[-1]:
            auxiliary[node if not path else (*path, node)] = value
        for target in successors:
            edge = graph.edges[node, target]
            if isinstance(edge.op, Graph):
                out = _run(edge.op, {node: value}, (*path, (node, target)), auxiliary)
            elif isinstance(edge.op, AbstractPrimitive):
                out = edge.op(value, edge_data=edge)
            else:
                out = edge.op(value)
            received[target][node] = out
    return value
