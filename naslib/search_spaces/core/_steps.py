"""The steps of a Plan: what is done on an edge, at a node, or twice to spare memory."""

from __future__ import annotations

import builtins
import functools
import operator
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from naslib.errors import GraphError
from naslib.utils.joined_forward import on_rows
from naslib.utils.rows import held_rows

from ._attributes import NodeAttributes
from ._module_graph import ModuleGraph
from .assignment import Assignment, assigned
from .batch_norm import repeated_forward
from .edge import EdgeData
from .entering import Entering
from .in_place import changes_input, guarded
from .node_choices import DECIDED, NodeChoice, weights_that_ran
from .primitives import AbstractCombOp, AbstractPrimitive, add_into
from .shared_work import Passes, SharedWork

Values = list[Any]


@dataclass(slots=True)
class Works:
    """What the steps of one forward have in common: the shared work of every slot, and what every decision runs.

    `ran` has what the choices at nodes ran, by the slot of the node's value, where a later combination reads it.
    """

    slots: list[SharedWork | None]
    passes: Passes
    assignment: Assignment | None = None
    ran: dict[int, list[Any]] = field(default_factory=dict)

    def of(self, slot: int) -> SharedWork:
        """Return what is computed from the tensor in `slot`."""
        work = self.slots[slot]
        if work is None:
            work = self.slots[slot] = SharedWork(self.passes, guarded=True)
        return work


# Entries of an assignment that are not weights yet
_INDICES = frozenset((int, tuple))


def holding(assignment: Assignment | None) -> AbstractContextManager[Any]:
    """Return the context in which an assignment holds; a trace cannot enter it, and has one from outside or none."""
    if assignment is None or torch.compiler.is_compiling():
        return nullcontext()
    return assigned(assignment)


@dataclass(slots=True)
class EdgeStep:
    """Apply the op that is on the edge when the step runs.

    `decision` names the edge's entry in the assignment of the forward, None where the edge carries no decision.
    `returned` says that the plan's caller gets the output, and may do with it what it likes.
    """

    edge: EdgeData
    sources: tuple[int, ...]
    target: int
    where: str
    module_name: str
    decision: Any = None
    frees: tuple[int, ...] = ()
    returned: bool = False

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the op's output."""
        op = self.edge._private["op"]
        if self.decision is not None and works.assignment is not None and op.relaxes_in_batch():
            chosen = works.assignment[self.decision]
            if type(chosen) in _INDICES:
                chosen = op.weights_of(chosen, self.edge)
            source = self.sources[0]
            work = SharedWork(works.passes) if self.returned else works.of(source)
            return guarded(op, op.apply_shared, values[source], chosen, work)
        if isinstance(op, AbstractPrimitive):
            return guarded(op, op, values[self.sources[0]], edge_data=self.edge)
        return guarded(op, op, values[self.sources[0]])

    def describe(self) -> str:
        """Name the op."""
        op = self.edge.op
        return op.get_op_name if isinstance(op, AbstractPrimitive) else type(op).__name__


@dataclass(slots=True)
class CombineStep:
    """Combine the inputs of a node, ordered by source index."""

    attributes: NodeAttributes
    edges: list[EdgeData]
    sources: tuple[int, ...]
    target: int
    where: str
    module_name: str
    frees: tuple[int, ...] = ()

    def reads(self, works: Works) -> Sequence[int]:
        """Return the slots whose values have an effect in a forward."""
        combine = self.attributes["comb_op"]
        if not isinstance(combine, AbstractCombOp):
            return self.sources
        return [self.sources[position] for position in combine.used_inputs(len(self.sources))]

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the combination."""
        inputs = _present([values[source] for source in self.sources])
        combine = self.attributes["comb_op"]
        if combine is builtins.sum:  # which would add a 0 first
            return _add_up(inputs) if works.passes.accumulate else functools.reduce(operator.add, inputs)
        if isinstance(combine, AbstractCombOp):
            return guarded(combine, combine, inputs, self.edges)
        return guarded(combine, combine, inputs)

    def describe(self) -> str:
        """Name the combination."""
        combine = self.attributes["comb_op"]
        return getattr(combine, "__name__", type(combine).__name__)


@dataclass(slots=True)
class ChoiceStep(CombineStep):
    """Combine the inputs of a node by candidates, as the assignment says.

    `decision` names the node's entry in the assignment of the forward.
    """

    decision: Any = None

    def reads(self, works: Works) -> Sequence[int]:
        """Return the slots whose values have an effect in a forward: of what was drawn, what a candidate reads."""
        choice: NodeChoice = self.attributes["comb_op"]
        if self.decision is None or works.assignment is None or not choice.mixed.relaxes_in_batch():
            return self.sources
        positions = choice.used_of(works.assignment[self.decision], len(self.sources))
        return self.sources if positions is None else [self.sources[position] for position in positions]

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the mixture of the combinations, or that which was drawn."""
        inputs = _present([values[source] for source in self.sources])
        choice: NodeChoice = self.attributes["comb_op"]
        ran = works.ran[self.target] = []
        if self.decision is None or works.assignment is None or not choice.mixed.relaxes_in_batch():
            return choice(inputs, self.edges, ran)
        entering = Entering(tuple(inputs), self.edges, ran=ran)
        return choice.combine_shared(entering, works.assignment[self.decision], works.passes)

    def describe(self) -> str:
        """Name what mixes, and the candidates."""
        mixed = self.attributes["comb_op"].mixed
        return f"{mixed.get_op_name}({', '.join(candidate.get_op_name for candidate in mixed.primitives)})"


def _present(inputs: list[Any]) -> list[Any]:
    """Return the inputs of a combination, in place of those that it does not read, and nobody computed, empty ones."""
    if None not in map(_kind, inputs):
        return inputs
    empty = next(value for value in inputs if value is not None).new_empty(0)
    return [empty if value is None else value for value in inputs]


def _kind(value: Any) -> type | None:
    return None if value is None else type(value)


@dataclass(slots=True)
class DependentStep(CombineStep):
    """Combine the inputs of a node by what was chosen at other nodes.

    `read` has attributes and slot of each of these nodes, in the order in which the combination wants them.
    """

    read: tuple[tuple[NodeAttributes, int], ...] = ()

    def reads(self, works: Works) -> Sequence[int]:
        """Return the slots that it combines, and those of the nodes whose choices it asks for."""
        return (*self.sources, *(slot for _, slot in self.read))

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the combination."""
        combine = self.attributes["comb_op"]
        inputs = [values[source] for source in self.sources]
        choices = [chosen_at(attributes, slot, works.ran, self.where) for attributes, slot in self.read]
        return guarded(combine, combine, inputs, self.edges, choices)


def chosen_at(attributes: NodeAttributes, slot: int, ran: dict[int, list[Any]], where: str) -> int | Tensor:
    """Return what was chosen at a node: the position of the combination that is there or runs alone, or the weights.

    Args:
        attributes: Of the node.
        slot: Of its value.
        ran: See `Works`.
        where: The place that reads it, for messages.

    Raises:
        GraphError: If nothing is decided there.
    """
    if DECIDED in attributes:
        return attributes[DECIDED][1]
    if not isinstance(attributes.get("comb_op"), NodeChoice):
        raise GraphError(f"{where} reads the choice at a node that has no list of combinations as its comb_op")
    return weights_that_ran(ran.get(slot, ()), where)


def _add_up(inputs: Sequence[Tensor]) -> Tensor:
    """Return the sum of at least two tensors."""
    total = inputs[0] + inputs[1]
    for tensor in inputs[2:]:
        total = add_into(total, tensor)
    return total


@dataclass(slots=True)
class CallStep:
    """Call a nested graph that cannot be inlined (it overrides `forward` or carries hooks)."""

    module: ModuleGraph
    keys: tuple[int, ...] | None
    sources: tuple[int, ...]
    target: int
    where: str
    module_name: str
    frees: tuple[int, ...] = ()

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the nested graph's output."""
        if self.keys is None:
            return guarded(self.module, self.module, values[self.sources[0]])
        return self.module({key: values[source] for key, source in zip(self.keys, self.sources, strict=True)})

    def describe(self) -> str:
        """Name the nested graph."""
        return self.module.name or type(self.module).__name__


@dataclass(slots=True)
class CheckpointStep:
    """Run a range of steps and keep only what enters it; the backward runs it again.

    The second run updates no running statistics, draws the same random numbers, runs what the assignment of the first
    one said, and sees the parameters that the first one saw, also where they were others than the modules' own
    (`torch.func.functional_call`).

    Attributes:
        steps: The range.
        sources: Slots that enter the range.
        target: The slot that leaves it.
    """

    steps: list[Any]
    sources: tuple[int, ...]
    target: int
    where: str
    module_name: str = ""
    frees: tuple[int, ...] = ()

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the output of the range."""
        entering = [values[source] for source in self.sources]
        if not torch.is_grad_enabled():
            return self._replay(works, *entering)
        from torch.utils.checkpoint import checkpoint

        return checkpoint(self._replay, works, *entering, use_reentrant=False, context_fn=self._contexts)

    def _replay(self, works: Works, *entering: Any) -> Tensor:
        values: Values = [None] * len(works.slots)
        own = Works([None] * len(works.slots), works.passes, works.assignment)
        for source, value in zip(self.sources, entering, strict=True):
            values[source] = value
        with holding(works.assignment):  # the backward comes later, or from another thread
            for step in self.steps:
                values[step.target] = step.run(values, own)
                for slot in step.frees:
                    values[slot] = own.slots[slot] = None
        return values[self.target]

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        modules = [child for step in self.steps for module in _modules(step) for child in module.modules()]
        return nullcontext(), _Again(modules)

    def describe(self) -> str:
        """Say how many steps are computed twice."""
        return f"checkpoint of {len(self.steps)} steps"


class _Again:
    """Let a forward run again as it was: with the parameters and rows that it saw, no trace in running statistics.

    A context that may be entered any number of times: derivatives of derivatives compute a part anew each time.

    Args:
        modules: The modules that the forward calls, as they are in it.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._norms = [module for module in modules if isinstance(module, _BatchNorm)]
        self._tracked = [norm.track_running_stats for norm in self._norms]
        self._rows = held_rows()
        self._seen = [(module._parameters, name, p) for module in modules for name, p in module._parameters.items()]
        self._entered: list[ExitStack] = []

    def __enter__(self) -> None:
        stack = ExitStack()
        for owner, name, parameter in self._seen:
            if owner[name] is not parameter:
                stack.callback(owner.__setitem__, name, owner[name])
                owner[name] = parameter
        stack.enter_context(repeated_forward(self._norms, self._tracked))
        stack.enter_context(on_rows(self._rows))
        self._entered.append(stack)

    def __exit__(self, *error: Any) -> None:
        self._entered.pop().close()


def _modules(step: Any) -> list[nn.Module]:
    """Return the modules that a step calls."""
    if isinstance(step, EdgeStep):
        return [step.edge.op]
    if isinstance(step, CallStep):
        return [step.module]
    combine = step.attributes["comb_op"] if isinstance(step, CombineStep) else None
    return [combine] if isinstance(combine, nn.Module) else []


def may_change_inputs(step: EdgeStep | CombineStep) -> bool:
    """Say whether what a step calls works in place, or might."""
    owner = step.edge.op if isinstance(step, EdgeStep) else step.attributes["comb_op"]
    return owner is not builtins.sum and changes_input(owner) is not False


Step = EdgeStep | CheckpointStep | CombineStep | CallStep
