"""Plan: a graph compiled to a flat list of steps, re-entrant and frugal with memory."""

from __future__ import annotations

import builtins
import functools
import operator
import weakref
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from naslib.search_spaces.core.kernels.autograd import ordinary_autograd

from ._attributes import NodeAttributes, remember_auxiliary
from .batch_norm import repeated_forward
from .edge import EdgeData
from .in_place import changes_input, guarded
from .primitives import AbstractCombOp, AbstractPrimitive, add_into
from .shared_work import Passes, SharedWork

if TYPE_CHECKING:
    from torch import fx

    from .graph import Graph

Values = list[Any]


@dataclass(slots=True)
class Works:
    """The shared work of every slot in one forward."""

    slots: list[SharedWork | None]
    passes: Passes

    def of(self, slot: int) -> SharedWork:
        """Return what is computed from the tensor in `slot`."""
        work = self.slots[slot]
        if work is None:
            work = self.slots[slot] = SharedWork(self.passes, guarded=True)
        return work


@dataclass(slots=True)
class EdgeStep:
    """Apply the op that is on the edge when the step runs.

    Where a `RelaxStep` has relaxed the edge's decision already, `sources` names its slot second and `row` the entry.
    `returned` says that the plan's caller gets the output, and may do with it what it likes.
    """

    edge: EdgeData
    sources: tuple[int, ...]
    target: int
    where: str
    module_name: str
    row: int | None = None
    frees: tuple[int, ...] = ()
    returned: bool = False

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the op's output."""
        op = self.edge._private["op"]
        if self.row is not None and op.relaxes_in_batch():
            source, relaxed = self.sources
            work = SharedWork(works.passes) if self.returned else works.of(source)
            return guarded(op, op.apply_shared, values[source], values[relaxed][self.row], work)
        if isinstance(op, AbstractPrimitive):
            return guarded(op, op, values[self.sources[0]], edge_data=self.edge)
        return guarded(op, op, values[self.sources[0]])

    def describe(self) -> str:
        """Name the op."""
        op = self.edge.op
        return op.get_op_name if isinstance(op, AbstractPrimitive) else type(op).__name__


@dataclass(slots=True)
class RelaxStep:
    """Relax all decisions of one width, and draw each once per forward, for every copy of a cell.

    Attributes:
        edges: One edge per decision; their ops share one relaxation.
    """

    edges: list[EdgeData]
    target: int
    where: str = "relaxation"
    module_name: str = ""
    sources: tuple[int, ...] = ()
    frees: tuple[int, ...] = ()

    def run(self, values: Values, works: Works) -> Sequence[Any]:
        """Return one entry per decision."""
        op = self.edges[0].op
        return op.relaxation(torch.stack([edge.alpha for edge in self.edges]), op.training)

    def describe(self) -> str:
        """Name the relaxation and how many decisions it serves."""
        return f"{type(self.edges[0].op.relaxation).__name__} x{len(self.edges)}"


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

    def run(self, values: Values, works: Works) -> Tensor:
        """Return the combination."""
        inputs = [values[source] for source in self.sources]
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


def _add_up(inputs: Sequence[Tensor]) -> Tensor:
    """Return the sum of at least two tensors."""
    total = inputs[0] + inputs[1]
    for tensor in inputs[2:]:
        total = add_into(total, tensor)
    return total


@dataclass(slots=True)
class CallStep:
    """Call a nested graph that cannot be inlined (it overrides `forward` or carries hooks)."""

    module: Graph
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

    The second run updates no running statistics, draws the same random numbers, and sees the parameters that the first
    one saw, also where they were others than the modules' own (`torch.func.functional_call`).

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
        own = Works([None] * len(works.slots), works.passes)
        for source, value in zip(self.sources, entering, strict=True):
            values[source] = value
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
    """Let a forward run again as it was: with the parameters that it saw, and without a trace in running statistics.

    A context that may be entered any number of times: derivatives of derivatives compute a part anew each time.

    Args:
        modules: The modules that the forward calls, as they are in it.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self._norms = [module for module in modules if isinstance(module, _BatchNorm)]
        self._tracked = [norm.track_running_stats for norm in self._norms]
        self._seen = [(module._parameters, name, p) for module in modules for name, p in module._parameters.items()]
        self._entered: list[ExitStack] = []

    def __enter__(self) -> None:
        stack = ExitStack()
        for owner, name, parameter in self._seen:
            if owner[name] is not parameter:
                stack.callback(owner.__setitem__, name, owner[name])
                owner[name] = parameter
        stack.enter_context(repeated_forward(self._norms, self._tracked))
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


def _may_change_inputs(step: EdgeStep | CombineStep) -> bool:
    """Say whether what a step calls works in place, or might."""
    owner = step.edge.op if isinstance(step, EdgeStep) else step.attributes["comb_op"]
    return owner is not builtins.sum and changes_input(owner) is not False


Step = EdgeStep | CheckpointStep | RelaxStep | CombineStep | CallStep


@dataclass(slots=True)
class AuxiliaryOutput:
    """A sink other than the last: the path of the node (`(5, 3)`: node 3 of the graph at node 5) and its slot."""

    path: tuple[Any, ...]
    graph: weakref.ref[Graph]
    slot: int

    @property
    def key(self) -> Any:
        """Return the node for the root's own sinks, the path for those of nested graphs."""
        return self.path[0] if len(self.path) == 1 else self.path


@dataclass
class Plan:
    """The compiled forward of a graph.

    Attributes:
        n_inputs: Slots 0 .. n_inputs - 1 hold the inputs.
        n_slots: Number of slots.
        steps: What to run, in order.
        output: Slot of the output.
        auxiliary: Sinks other than the last.
        passes: Which rewrites the steps apply.
    """

    n_inputs: int
    n_slots: int
    steps: list[Step]
    output: int
    auxiliary: list[AuxiliaryOutput] = field(default_factory=list)
    passes: Passes = field(default_factory=Passes)

    def __post_init__(self) -> None:
        self._traced = replace(self.passes, mix=False)
        self._transformed = replace(self.passes, mix=False, accumulate=False)

    def run(self, inputs: Sequence[Tensor]) -> tuple[Tensor, dict[Any, Tensor]]:
        """Execute the steps.

        Args:
            inputs: One tensor per input node.

        Returns:
            The output, and the auxiliary outputs by node (by path for those of nested graphs). State lives in local
            variables only: a forward may be nested in another, or run in several threads at once.
        """
        values: Values = [*inputs, *[None] * (self.n_slots - len(inputs))]
        works = Works([None] * self.n_slots, self._passes_now())
        if torch.compiler.is_compiling():
            for step in self.steps:
                values[step.target] = step.run(values, works)
        else:
            self._run_eagerly(values, works)
        auxiliary = {output.key: values[output.slot] for output in self.auxiliary}
        if self.auxiliary and not torch.compiler.is_compiling():
            self._remember(values)
        return values[self.output], auxiliary

    def _passes_now(self) -> Passes:
        """Return the passes of this forward: hand-written functions and additions in place, only where they may run."""
        if ordinary_autograd():
            return self.passes
        transformed = not torch.compiler.is_compiling() and torch._C._are_functorch_transforms_active()
        return self._transformed if transformed else self._traced

    def _run_eagerly(self, values: Values, works: Works) -> None:
        step: Step | None = None
        try:
            for step in self.steps:
                values[step.target] = step.run(values, works)
                for slot in step.frees:
                    values[slot] = works.slots[slot] = None
        except Exception as error:
            if step is not None:
                error.add_note(f"while executing {step.where}")
            raise

    def _remember(self, values: Values) -> None:
        by_graph: dict[int, tuple[Graph, dict[int, Tensor]]] = {}
        for output in self.auxiliary:
            graph = output.graph()
            if graph is not None:
                by_graph.setdefault(id(graph), (graph, {}))[1][output.path[-1]] = values[output.slot]
        for graph, outputs in by_graph.values():
            remember_auxiliary(graph, outputs)

    def flat_steps(self) -> list[Step]:
        """Return the steps, with those that are checkpointed in place of their checkpoints."""
        nested = [step.steps if isinstance(step, CheckpointStep) else [step] for step in self.steps]
        return [step for steps in nested for step in steps]

    def explain(self) -> str:
        """Return the table of steps: what runs, from which slots to which, what is freed, and where it came from."""
        rows = [("step", "op", "in", "out", "frees", "where")]
        for index, step in enumerate(self.steps):
            sources = ",".join(map(str, step.sources))
            frees = ",".join(map(str, step.frees))
            rows.append((str(index), step.describe(), sources, str(step.target), frees, step.where))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        auxiliary = ", ".join(f"{output.key}: slot {output.slot}" for output in self.auxiliary) or "none"
        last = [
            f"output: slot {self.output}; auxiliary outputs: {auxiliary}; slots: {self.n_slots}",
            f"passes: {', '.join(self.passes.names()) or 'none (the plain reference)'}",
        ]
        return "\n".join([*lines, *last])

    def to_fx(self) -> fx.GraphModule:
        """Return the same computation as a `torch.fx.GraphModule`.

        It shares the modules of the graph as they are now; one output, or a tuple `(output, {node: tensor})` where
        there are auxiliary outputs. Ops that read their edge's data are wrapped together with it (`EdgeCall`).
        """
        from torch import fx

        from ._fx import modules_of

        steps = self.flat_steps()
        modules = modules_of(steps)
        graph = fx.Graph()
        values: Values = [graph.placeholder(f"x{index}" if index else "x") for index in range(self.n_inputs)]
        values += [None] * (self.n_slots - self.n_inputs)
        for step in steps:
            if isinstance(step, RelaxStep):  # each EdgeCall relaxes by itself
                continue
            inputs = [values[source] for source in step.sources]
            if isinstance(step, EdgeStep | CombineStep) and _may_change_inputs(step):
                inputs = [graph.call_method("clone", (value,)) for value in inputs]
            if isinstance(step, CombineStep) and step.module_name not in modules:
                combine = step.attributes["comb_op"]
                if combine is builtins.sum:
                    values[step.target] = functools.reduce(
                        lambda a, b: graph.call_function(operator.add, (a, b)), inputs
                    )
                else:
                    values[step.target] = graph.call_function(combine, (inputs,))
            elif isinstance(step, EdgeStep):
                values[step.target] = graph.call_module(step.module_name, (inputs[0],))
            elif isinstance(step, CallStep):
                argument: Any = inputs[0] if step.keys is None else dict(zip(step.keys, inputs, strict=True))
                values[step.target] = graph.call_module(step.module_name, (argument,))
            else:
                values[step.target] = graph.call_module(step.module_name, (inputs,))
        auxiliary = {output.key: values[output.slot] for output in self.auxiliary}
        graph.output((values[self.output], auxiliary) if auxiliary else values[self.output])
        return fx.GraphModule(modules, graph)
