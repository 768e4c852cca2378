"""Which nodes of a cell make its output, in a graph: read off it, and changed with all that depends on the channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.combine import channel_concat
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.primitives import AbstractPrimitive, Sequential
from naslib.search_spaces.core.primitives import ConcatOfSome as ConcatOfSome


def outputs_of(cell: Graph) -> list[int]:
    """Return the nodes, numbered as in a genotype, that make the output of a cell."""
    output = max(cell.nodes)
    nodes = [node - 1 for node in sorted(cell.predecessors(output))]
    combine = cell.nodes[output].get("comb_op")
    return [nodes[position] for position in combine.positions] if isinstance(combine, ConcatOfSome) else nodes


def set_outputs(cell: Graph, outputs: Sequence[int]) -> None:
    """Let some intermediate nodes, numbered as in a genotype, make the output of a cell; nothing around it changes."""
    output = max(cell.nodes)
    nodes = [node - 1 for node in sorted(cell.predecessors(output))]
    if list(outputs) == nodes:
        cell.nodes[output]["comb_op"] = channel_concat
    else:
        cell.nodes[output]["comb_op"] = ConcatOfSome([nodes.index(node) for node in outputs])


def choose_outputs(graph: Graph, outputs: Mapping[str, Sequence[int]]) -> None:
    """Choose the output nodes of all cells of a graph, and build what reads the cells anew where the channels change.

    Args:
        graph: A makrograph that is not parsed.
        outputs: The nodes, numbered as in a genotype, by the name of the cells.

    Raises:
        ArchitectureError: If something that reads a cell cannot be built with other channels.
    """
    for node in sorted(graph.nodes):
        cell = graph.nodes[node].get("subgraph")
        if not isinstance(cell, Graph) or cell.name not in outputs:
            continue
        before, now = len(outputs_of(cell)), len(outputs[cell.name])
        set_outputs(cell, outputs[cell.name])
        if now == before:
            continue
        for target in sorted(graph.successors(node)):
            data = graph.edges[node, target]
            data.set("op", _reading(data.op, now, before, f"edge ({node}, {target}) of {graph.name!r}"))


def _reading(op: nn.Module, now: int, before: int, where: str) -> nn.Module:
    """Return an operation like `op` with fresh weights whose input has `now / before` times the channels."""
    if isinstance(op, Sequential | nn.Sequential):
        layers = [*(op.op if isinstance(op, Sequential) else op)]
        for position, layer in enumerate(layers):
            if isinstance(layer, nn.Linear):
                bias = layer.bias is not None
                layers[position] = nn.Linear(layer.in_features * now // before, layer.out_features, bias=bias)
                return type(op)(*layers)
    if isinstance(op, AbstractPrimitive):
        if "C_in" in op.init_params:
            return type(op)(**{**op.init_params, "C_in": op.init_params["C_in"] * now // before})
        if not list(op.parameters()):
            return op
    raise ArchitectureError(f"{where} carries {type(op).__name__}, which cannot be built for a cell with other outputs")
