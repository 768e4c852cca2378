"""The values of a decision as candidates, and what a network becomes when they are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from naslib.errors import ArchitectureError, GraphError
from naslib.search_spaces.core._module_graph import ModuleGraph
from naslib.search_spaces.core.assignment import Assignment, assigned
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.ops_base import AbstractPrimitive

from .layer import Elastic, Extracted
from .network import elastic_layers, extracted_from, values_in
from .sizes import Held, Number, Value, distinct


class SizeCandidate(AbstractPrimitive):
    """One value of a decision, where optimizers have operations: it has a name and a weight, and is never run.

    Args:
        value: The value.
    """

    def __init__(self, value: Number) -> None:
        super().__init__({"value": value})
        self.value = value

    @property
    def get_op_name(self) -> str:
        """The value as text."""
        return str(self.value)

    def get_embedded_ops(self) -> list[Any] | None:
        """Return None: there are none."""
        return None

    def forward(self, x: Tensor, edge_data: Any = None) -> Tensor:
        """Raise `GraphError`: sizes are read by elastic layers.

        `x` may have any shape.
        """
        raise GraphError(f"the size {self.value} is no operation: elastic layers read it from the assignment")


def edge_of(value: Value) -> EdgeData:
    """Return the data of an edge that carries the values of a decision as its candidates; no graph has this edge."""
    return EdgeData({"op": [SizeCandidate(number) for number in value.values]})


def is_size(data: EdgeData) -> bool:
    """Say whether a decision, given by the edge that carries it, is one of sizes."""
    op = data.op
    embedded = op.get_embedded_ops() if isinstance(op, AbstractPrimitive) else op
    return isinstance(embedded, list) and any(isinstance(candidate, SizeCandidate) for candidate in embedded)


def put_values(graph: ModuleGraph, chosen: Mapping[str, int]) -> None:
    """Replace the elastic layers of a graph by the plain layers of chosen values, in place; it remembers the values.

    Args:
        graph: A graph; operations that optimizers mix keep their candidates.
        chosen: By label, the index of a value. Decisions that are not named, or have -1, have their largest value;
            those that no layer of the graph has are not made.

    Raises:
        ArchitectureError: If there is no such value.
    """
    layers = elastic_layers(graph)
    if not layers:
        return
    for leaf in values_in(graph):
        if not -1 <= chosen.get(leaf.label, -1) < len(leaf.values):
            raise ArchitectureError(
                f"value decision {leaf.label!r} has {len(leaf.values)} values, 0 to {len(leaf.values) - 1}, not "
                f"{chosen[leaf.label]}"
            )
    extracted: Extracted = {}
    with assigned(Assignment(chosen)):
        for nested in graph.nested_graphs():
            for attributes in nested._node.values():
                if "comb_op" in attributes:
                    attributes["comb_op"] = _plain(attributes["comb_op"], extracted)
            for _, _, data in nested.edges(data=True):
                data._set_op(_plain(data.op, extracted))
    # of a chain, what is behind its end has not been extracted, and is not decided
    kept = distinct([leaf for layer in layers if id(layer) in extracted for leaf in layer.sizes.leaves])
    decided = [leaf for leaf in kept if not isinstance(leaf, Held)]
    made = {leaf.label: _value(leaf, chosen.get(leaf.label, -1)) for leaf in decided}
    graph.chosen_values = {**(graph.chosen_values or {}), **made} or None


def _value(leaf: Value, index: int) -> Number:
    return leaf.values[index] if index >= 0 else max(leaf.values)


def _plain(op: Any, extracted: Extracted) -> Any:
    if isinstance(op, list):
        return [_plain(candidate, extracted) for candidate in op]
    if not isinstance(op, nn.Module) or isinstance(op, ModuleGraph):
        return op
    return extracted_from(op, extracted) if any(isinstance(part, Elastic) for part in op.modules()) else op
