"""Graph: a search space, or any part of one, as a networkx DAG that is a torch module."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from naslib.errors import GraphError, UnsupportedBySpaceError, did_you_mean
from naslib.search_spaces.core.kernels import strided

from ._attributes import recall_auxiliary
from ._compile import build_plan
from ._module_graph import label
from ._order import input_nodes, route
from ._updates import EdgeView as EdgeView
from ._updates import Scope as Scope
from .architecture import ArchitectureMixin, was_decided
from .batch_norm import make_batch_norm_affine, use_running_statistics
from .edge import EdgeData as EdgeData
from .given_weights import carry_over, draw_anew
from .plan import CallStep, Plan
from .primitives import DropPath, Identity, MixedOp, Zero
from .shared_work import Passes

G = TypeVar("G", bound="Graph")
# What a graph reads: a tensor; where it has several input nodes, one for each, in order or by source index
Inputs = Tensor | Sequence[Tensor] | Mapping[int, Tensor]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Graph(ArchitectureMixin):
    """A directed acyclic graph whose edges carry operations and whose nodes combine what enters them.

    Nodes are ints >= 1 with the attribute `comb_op` (default `sum`) and optionally `subgraph`, a Graph. Edges carry
    `EdgeData` with an `op`: a module, a Graph, or a list of candidates until an optimizer has adapted the graph. Every
    method of `networkx.DiGraph` is available.

    Args:
        name: Used in module names and messages; must not contain a dot.
        scope: Label by which update functions select graphs.

    Attributes:
        QUERYABLE: Whether a discretized graph can be queried in a benchmark.
        TASKS: Names of the tasks that a space has a head for; None where it does not say.
        MUST_DECIDE: Whether each decision has to take part in a forward, which is held against the first batch.
        INPUTS: What it reads: `"image"`, `"sequence"`, `"tokens"`; None where it does not say.
        drop_path_schedule: How the probability of its drop-paths rises in a retraining that is not told otherwise.
        input_node_idxs: What `set_input` was told.
        assignment: What its decisions run in forwards for which no other assignment holds; None draws them anew.
        is_parsed: Whether the ops are registered as submodules.
        value_edges: Of a supernet, by the label of a value decision, its candidates and its parameter, kept as an edge
            keeps them; None where no optimizer has adapted the graph.
        chosen_values: Of a discrete architecture, the values that elastic layers had, by label.
    """

    QUERYABLE = False
    TASKS: tuple[str, ...] | None = None
    INPUTS: tuple[str, ...] | None = None
    MUST_DECIDE: ClassVar[bool] = False

    drop_path_schedule: str = "epochs"
    _plan: Plan | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have a foreign `forward` compute its convolutions as the edges do."""
        super().__init_subclass__(**kwargs)
        strided.guard_methods(cls, "forward", "forward_with_auxiliary")

    def nested_graphs(self) -> list[Graph]:
        """Return this graph and all graphs nested in its nodes, edges and candidate ops, each once, parents first."""
        return super().nested_graphs()

    def can_be_inlined(self) -> bool:
        """Say whether a plan may dissolve this graph: its forward is Graph's own, and nobody hooked into it."""
        own = type(self).forward is Graph.forward and type(self).forward_with_auxiliary is Graph.forward_with_auxiliary
        return own and not any(getattr(self, hooks) for hooks in _HOOKS)

    # compiling and executing

    def parse(self) -> None:
        """Register ops, subgraphs and comb_ops as submodules and compile the plan.

        Raises:
            GraphError: For a cycle, a graph that contains itself, an unreachable node, inputs that do not fit, or an
                edge that has no single op yet.
        """
        roots = input_nodes(self)
        if len(roots) > 1 and self.input_node_idxs is None:
            raise GraphError(
                f"graph {label(self)!r}: no edge enters the nodes {roots}, so all but one are unreachable from the "
                "input; connect or remove them, or name the inputs with set_input([...])"
            )
        plan = self.plan
        for graph in reversed(self.nested_graphs()):
            graph._register_modules()
        self._plan = plan

    def _build_plan(self) -> Plan:
        """Compile, and have every graph on which the result depends report its changes."""
        plan, graphs = build_plan(self)
        for graph in graphs:
            if graph._plan_users is None:
                graph._plan_users = weakref.WeakSet()
            graph._plan_users.add(self)
        called = {id(step.module) for step in plan.steps if isinstance(step, CallStep)}
        inlined = {id(graph) for graph in graphs} - called
        for graph in self.nested_graphs():
            if id(graph) not in inlined and type(graph).forward is Graph.forward:
                graph.plan  # noqa: B018 - compiled now rather than in the first forward, where torch.compile looks on
        return plan

    def _apply(self: G, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> G:
        """Convert weights, and what lies on the edges beside the ops: `to`, `double`, `half` and the like end here."""
        super()._apply(fn, recurse)
        registered = {id(module) for module in self._modules.values()}
        subgraphs = [attributes["subgraph"] for attributes in self._node.values() if "subgraph" in attributes]
        loose = [module for module in [*self._modules_in_use(), *subgraphs] if id(module) not in registered]
        if recurse and loose:  # the graph was not parsed
            self.check_nesting()
            for module in loose:
                module._apply(fn)
        for data in [*(data for _, _, data in self.edges(data=True)), *(self.value_edges or {}).values()]:
            data.apply_to_tensors(fn)
        return self

    def op_changed(self, name: str, old: Any, new: Any) -> None:
        """Register the op that replaced `old` on the edge registered as `name` (called by the edge)."""
        if isinstance(new, nn.Module):
            self._modules[name] = new
        else:
            self._modules.pop(name, None)
        structural = (Graph, MixedOp)
        if isinstance(old, structural) or isinstance(new, structural) or not isinstance(new, nn.Module):
            self.structure_changed()

    def set_passes(self: G, **switches: bool) -> G:
        """Switch rewrites of the plan on or off (see `Passes`); return self.

        All are exact, and on unless switched off. Switching all off gives the plain reference.

        Raises:
            GraphError: For an unknown pass.
        """
        known = [entry.name for entry in fields(Passes)]
        unknown = [name for name in switches if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], known)
            raise GraphError(f"unknown pass {unknown[0]!r}{hint} (known: {', '.join(known)})")
        self.passes = replace(self.passes, **switches)
        return self

    @property
    def plan(self) -> Plan:
        """The compiled plan, built where there is none."""
        if torch.compiler.is_compiling():
            self._compile_outside_of_trace()
        plan = self._plan
        if plan is None:
            plan = self._plan = self._build_plan()
        return plan

    def _compile_outside_of_trace(self) -> None:
        if self._plan is None:
            self._plan = self._build_plan()

    # `torch.compiler.assume_constant_result`, without its import of the whole compiler (2 s of CPU in every process)
    _compile_outside_of_trace._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def forward(self, x: Inputs, *more: Tensor) -> Tensor:
        """Execute the nodes in lexicographic topological order and return the output of the last.

        `x` has any shape that the operations take.

        Args:
            x: The input. Where the graph has several input nodes: one tensor per source index, or a list with one
                tensor per input node, in order.
            *more: The tensors of the other input nodes, where `x` is that of the first: `cell(s0, s1)`.
        """
        return self.forward_with_auxiliary(x, *more)[0]

    def forward_with_auxiliary(self, x: Inputs, *more: Tensor) -> tuple[Tensor, dict[Any, Tensor]]:
        """Execute the graph; arguments as of `forward`.

        Returns:
            The output of the last node, and the outputs of the other sinks by node (by path, such as `(5, 3)` for node
            3 of the graph at node 5, where the sink is in a nested graph).
        """
        plan = self.plan
        if isinstance(x, Mapping):
            return plan.run(list(route(self, self._by_source(x), label(self)).values()), self.assignment)
        inputs: list[Any] = [*x] if isinstance(x, list | tuple) and plan.n_inputs != 1 and not more else [x, *more]
        if plan.n_inputs != len(inputs):
            raise GraphError(
                f"graph {label(self)!r} has {plan.n_inputs} input nodes, and got {len(inputs)} tensor(s); pass one for "
                "each, in order, or {source_index: tensor}"
            )
        return plan.run(inputs, self.assignment)

    def _by_source(self, x: Mapping[int, Tensor]) -> dict[int, Tensor]:
        if self.input_node_idxs is None:
            return dict(x)
        return {index: x[index] for index in dict.fromkeys(self.input_node_idxs) if index in x}

    def auxiliary_logits(self) -> Tensor | list[Tensor] | None:
        """Return what this thread's last eager forward left at the sinks other than the last.

        Each is `(n, classes)` where the space is one of classification.

        One tensor where there is one such sink, a list ordered by node where there are more, None where there is none.
        """
        outputs = recall_auxiliary(self)
        values = [outputs[node] for node in sorted(outputs)]
        return values[0] if len(values) == 1 else values or None

    def modules_str(self) -> str:
        """Return the registered modules as torch prints them."""
        if not self.is_parsed:
            return f"Graph {label(self)} has not been parsed yet."
        return "\n".join(f"{name}: {module}" for name, module in self._modules.items())

    def reset_weights(self: G, inplace: bool = False) -> G:
        """Re-initialise every module that has `reset_parameters`, in place or in a clone; return the graph.

        Frozen parameters keep their values, and what `pretrained` took note of gets back the weights that it had.
        A discrete network inherits nothing of a search then, so that its BN keeps running statistics again where the
        search had normalised by the batch (`use_batch_statistics`); a supernet stays as it was.
        """
        graph = self if inplace else self.clone()
        roots: list[nn.Module] = [graph]
        for nested in graph.nested_graphs():
            roots += nested._modules_in_use()
        draw_anew(dict.fromkeys(module for root in roots for module in root.modules()))
        if not any(isinstance(module, MixedOp) for root in roots for module in root.modules()):
            for root in roots:
                use_running_statistics(root)
        return graph

    def take_given(self: G, source: Graph) -> G:
        """Take what is frozen or pretrained from a graph that this one is built after, in place; return this graph.

        Operations are the same by the name of their graph, its number among those of that name, and their edge.

        Args:
            source: A graph of the same space, perhaps of another size.
        """
        carry_over(_by_place(source), _by_place(self))
        return self

    # hooks of a search space

    def prepare_evaluation(self) -> None:
        """Change a discrete architecture into what is evaluated (an auxiliary head, say)."""

    def evaluation_network(
        self, cells: int | None = None, channels: int | None = None, auxiliary: bool | None = None
    ) -> Graph:
        """Return the network that is retrained for this discrete architecture: fresh weights, affine BN, drop-path.

        What is frozen stays as it is, and what `pretrained` took note of begins with the weights that it had then.
        A graph of no particular space keeps its size.

        Raises:
            UnsupportedBySpaceError: If a size is given that this space cannot change.
        """
        given = {"cells": cells, "channels": channels}
        fixed = [f"evaluation.{key}={value}" for key, value in given.items() if value is not None]
        if fixed:
            raise UnsupportedBySpaceError(f"{', '.join(fixed)}: {self.get_type()} has one size; leave the keys out")
        graph = self.clone()
        graph.update_edges(_add_drop_path, scope=graph.OPTIMIZER_SCOPE, private_edge_data=True)
        graph.parse()
        make_batch_norm_affine(graph)
        return graph.reset_weights(inplace=True)


def _add_drop_path(edge: Any) -> None:
    op = edge.data.op
    if was_decided(edge.data) and not isinstance(op, (Identity, nn.Identity, Zero, DropPath)):
        edge.data.set("op", DropPath(op))


def _by_place(graph: Graph) -> dict[str, nn.Module]:
    """Return the modules on the edges of a graph and of all in it, and their children, by names that say where."""
    found: dict[str, nn.Module] = {}
    numbers: Counter[str] = Counter()
    for nested in graph.nested_graphs():
        name = f"{nested.name or 'graph'}#{numbers[nested.name or '']}"
        numbers[nested.name or ""] += 1
        for u, v, data in nested.edges(data=True):
            ops = data.op if isinstance(data.op, list) else [data.op]
            for index, op in enumerate(ops):
                if isinstance(op, nn.Module) and not isinstance(op, Graph):
                    place = f"{name}-edge({u},{v})" + (f"[{index}]" if len(ops) > 1 else "")
                    found |= {f"{place}.{key}".rstrip("."): module for key, module in op.named_modules()}
    return found
