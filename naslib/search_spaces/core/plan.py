"""Plan: a graph compiled to a flat list of steps, re-entrant and frugal with memory."""

from __future__ import annotations

import builtins
import functools
import operator
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from naslib.search_spaces.core.kernels.autograd import ordinary_autograd

from ._attributes import remember_auxiliary
from ._fx import modules_of
from ._module_graph import ModuleGraph
from ._needed import skipped
from ._steps import CallStep as CallStep
from ._steps import CheckpointStep as CheckpointStep
from ._steps import ChoiceStep as ChoiceStep
from ._steps import CombineStep as CombineStep
from ._steps import DependentStep as DependentStep
from ._steps import EdgeStep as EdgeStep
from ._steps import Step as Step
from ._steps import Values, Works, holding, may_change_inputs
from .assignment import Assignment, current
from .drawing import Sites, draw
from .shared_work import Passes

if TYPE_CHECKING:
    from torch import fx


@dataclass(slots=True)
class AuxiliaryOutput:
    """A sink other than the last: the path of the node (`(5, 3)`: node 3 of the graph at node 5) and its slot."""

    path: tuple[Any, ...]
    graph: weakref.ref[ModuleGraph]
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
        decisions: Those of the graph and of all that is nested in it, also of what is called and not inlined.
    """

    n_inputs: int
    n_slots: int
    steps: list[Step]
    output: int
    auxiliary: list[AuxiliaryOutput] = field(default_factory=list)
    passes: Passes = field(default_factory=Passes)
    decisions: list[Sites] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._traced = replace(self.passes, mix=False)
        self._transformed = replace(self.passes, mix=False, accumulate=False)
        self._combinations = [step for step in self.steps if isinstance(step, CombineStep)]

    def run(self, inputs: Sequence[Tensor], standing: Assignment | None = None) -> tuple[Tensor, dict[Any, Tensor]]:
        """Execute the steps.

        Inputs of any shape that the operations take.

        Where there are decisions, they run what the assignment says that holds (`assignment.current`); the outermost
        forward without one takes `standing`, or draws all decisions, once.

        Args:
            inputs: One tensor per input node.
            standing: What is assigned unless something else is.

        Returns:
            The output, and the auxiliary outputs by node (by path for those of nested graphs). State lives in local
            variables only: a forward may be nested in another, or run in several threads at once.
        """
        if not self.decisions:
            return self._execute(inputs, None)
        assignment = current()
        if assignment is not None:
            return self._execute(inputs, assignment)
        assignment = draw(self.decisions) if standing is None else standing
        with holding(assignment):
            return self._execute(inputs, assignment)

    def _execute(self, inputs: Sequence[Tensor], assignment: Assignment | None) -> tuple[Tensor, dict[Any, Tensor]]:
        values: Values = [*inputs, *[None] * (self.n_slots - len(inputs))]
        works = Works([None] * self.n_slots, self._passes_now(), assignment)
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
        unread = skipped(self.steps, self._combinations, self._kept(), works) if self._combinations else ()
        try:
            for step in self.steps:
                if step.target not in unread:
                    values[step.target] = step.run(values, works)
                for slot in step.frees:
                    values[slot] = works.slots[slot] = None
        except Exception as error:
            if step is not None:
                error.add_note(f"while executing {step.where}")
            raise

    def _kept(self) -> set[int]:
        return {self.output, *(output.slot for output in self.auxiliary)}

    def _remember(self, values: Values) -> None:
        by_graph: dict[int, tuple[ModuleGraph, dict[int, Tensor]]] = {}
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
            *([f"drawn once per forward: {len(self.decisions)} decisions"] if self.decisions else []),
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

        steps = self.flat_steps()
        modules = modules_of(steps)
        graph = fx.Graph()
        values: Values = [graph.placeholder(f"x{index}" if index else "x") for index in range(self.n_inputs)]
        values += [None] * (self.n_slots - self.n_inputs)
        for step in steps:
            inputs = [values[source] for source in step.sources]
            if isinstance(step, EdgeStep | CombineStep) and may_change_inputs(step):
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
