"""What `Plan.to_fx` puts behind its `call_module` nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ._steps import CallStep, CombineStep, DependentStep, EdgeStep, Step, chosen_at
from .edge import EdgeData
from .primitives import AbstractCombOp, AbstractPrimitive, MixedOp


class EdgeCall(nn.Module):
    """An op together with the edge data it reads."""

    def __init__(self, op: AbstractPrimitive, edge: EdgeData) -> None:
        super().__init__()
        self.op = op
        self._edge = [edge]  # in a list: EdgeData is no module, and is shared with the graph

    def forward(self, x: Tensor) -> Tensor:
        """Apply the op as the plan does."""
        return self.op(x, edge_data=self._edge[0])


class CombineCall(nn.Module):
    """A combination together with the data of the edges that enter the node, and the choices that it reads."""

    def __init__(self, combine: AbstractCombOp, edges: list[EdgeData], *choices: list[Any]) -> None:
        super().__init__()
        self.combine = combine
        self._edges = edges
        self._choices = choices

    def forward(self, inputs: list[Tensor]) -> Any:
        """Combine the inputs as the plan does."""
        return self.combine(inputs, self._edges, *self._choices)


def modules_of(steps: Sequence[Step]) -> dict[str, nn.Module]:
    """Return the modules behind the steps by the name they are registered under."""
    modules: dict[str, nn.Module] = {}
    for step in steps:
        if isinstance(step, EdgeStep):
            modules[step.module_name] = _edge_module(step)
        elif isinstance(step, CallStep):
            modules[step.module_name] = step.module
        elif isinstance(step, CombineStep) and isinstance(step.attributes["comb_op"], nn.Module):
            combine: Any = step.attributes["comb_op"]
            if isinstance(step, DependentStep):  # of choices that are made: those of a supernet are raised about
                choices = [chosen_at(attributes, slot, {}, step.where) for attributes, slot in step.read]
                combine = CombineCall(combine, step.edges, choices)
            elif isinstance(combine, AbstractCombOp):
                combine = CombineCall(combine, step.edges)
            modules[step.module_name] = combine
    return modules


def _edge_module(step: EdgeStep) -> nn.Module:
    op = step.edge.op
    # Our own primitives other than mixed ops do not read their edge; a user's may.
    reads_edge = isinstance(op, MixedOp) or not type(op).__module__.startswith("naslib.")
    return EdgeCall(op, step.edge) if isinstance(op, AbstractPrimitive) and reads_edge else op
