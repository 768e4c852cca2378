"""Graph: a search space, or any part of one, as a networkx DAG that is a torch module."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from naslib.errors import GraphError, did_you_mean
from naslib.search_spaces.core.kernels import strided

from ._attributes import recall_auxiliary
from ._compile import build_plan, input_nodes, label, route
from ._updates import EdgeView as EdgeView
from ._updates import Scope as Scope
from ._updates import UpdatesMixin
from .architecture import ArchitectureMixin
from .batch_norm import use_running_statistics
from .edge import EdgeData as EdgeData
from .plan import CallStep, Plan
from .primitives import MixedOp
from .schema import DecisionSpace
from .shared_work import Passes
from .statement import decisions_of, default_hook, state_by_rule

G = TypeVar("G", bound="Graph")


class Graph(ArchitectureMixin, UpdatesMixin):
    """A directed acyclic graph whose edges carry operations and whose nodes combine what enters them.

    Nodes are ints >= 1 with the attribute `comb_op` (default `sum`) and optionally `subgraph`, a Graph. Edges carry
    `EdgeData` with an `op`: a module, a Graph, or a list of candidates until an optimizer has adapted the graph. Every
    method of `networkx.DiGraph` is available.

    Args:
        name: Used in module names and messages; must not contain a dot.
        scope: Label by which update functions select graphs.

    Attributes:
        OPTIMIZER_SCOPE: Scopes that an optimizer adapts.
        QUERYABLE: Whether a discretized graph can be queried in a benchmark.
        input_node_idxs: What `set_input` was told.
        is_parsed: Whether the ops are registered as submodules.
    """

    OPTIMIZER_SCOPE: str | list[str] = "all"
    QUERYABLE = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have a foreign `forward` compute its convolutions as the edges do."""
        super().__init_subclass__(**kwargs)
        strided.guard_methods(cls, "forward", "forward_with_auxiliary")

    # compiling and executing

    def compile(self) -> None:
        """Instantiate op classes on the edges.

        An op class (or each class in a list of ops) is called with the edge's other entries as keyword arguments; of a
        list-valued entry each op of a list gets its own element. Entries that the signature does not take are left out.

        Raises:
            GraphError: If a required argument is missing; the message names the edge.
        """
        for graph in self.nested_graphs():
            for u, v in graph.edges:
                data = graph._succ[u][v]
                if data.is_final():
                    continue
                where = f"edge ({u}, {v}) of graph {label(graph)!r}"
                entries = data.to_dict()
                op = entries.pop("op")
                if isinstance(op, list):
                    if any(inspect.isclass(o) for o in op):
                        made = [_instantiate(o, _entries_of(entries, i, len(op)), where) for i, o in enumerate(op)]
                        data.set("op", made)
                elif inspect.isclass(op):
                    data.set("op", _instantiate(op, entries, where))

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

    def _register_modules(self) -> None:
        """Make `_modules` hold exactly the ops, subgraphs and comb_ops, besides what the user registered.

        Graphs in them that are not registered yet follow.
        """
        for name, data in (self._registered or {}).items():
            self._modules.pop(name, None)
            if data is not None:
                data.remove_owner(self)
        registered: dict[str, EdgeData | None] = {}
        for node in sorted(self._node):
            attributes = self._node[node]
            attributes.add_owner(self)
            if "subgraph" in attributes:
                registered[self.subgraph_name(node)] = None
                self._modules[self.subgraph_name(node)] = attributes["subgraph"]
            elif isinstance(attributes.get("comb_op"), nn.Module):
                registered[self.comb_op_name(node)] = None
                self._modules[self.comb_op_name(node)] = attributes["comb_op"]
            for target in sorted(self._succ[node]):
                data, name = self._succ[node][target], self.edge_name(node, target)
                registered[name] = data
                if isinstance(data.op, nn.Module):
                    self._modules[name] = data.op
                data.add_owner(self, name)
        self._registered = registered
        self.is_parsed = True
        for graph in self._children():
            if not graph.is_parsed:
                graph._register_modules()

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
        for _, _, data in self.edges(data=True):
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

    def forward(self, x: Tensor | Mapping[int, Tensor]) -> Tensor:
        """Execute the nodes in lexicographic topological order and return the output of the last.

        Args:
            x: The input, or one tensor per source index where the graph has several input nodes.
        """
        return self.forward_with_auxiliary(x)[0]

    def forward_with_auxiliary(self, x: Tensor | Mapping[int, Tensor]) -> tuple[Tensor, dict[Any, Tensor]]:
        """Execute the graph.

        Returns:
            The output of the last node, and the outputs of the other sinks by node (by path, such as `(5, 3)` for node
            3 of the graph at node 5, where the sink is in a nested graph).
        """
        plan = self.plan
        if isinstance(x, Mapping):
            return plan.run(list(route(self, self._by_source(x), label(self)).values()))
        if plan.n_inputs != 1:
            raise GraphError(f"graph {label(self)!r} has {plan.n_inputs} input nodes; pass {{source_index: tensor}}")
        return plan.run([x])

    def _by_source(self, x: Mapping[int, Tensor]) -> dict[int, Tensor]:
        if self.input_node_idxs is None:
            return dict(x)
        return {index: x[index] for index in dict.fromkeys(self.input_node_idxs) if index in x}

    def auxiliary_logits(self) -> Tensor | list[Tensor] | None:
        """Return what this thread's last eager forward left at the sinks other than the last.

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

        A discrete network inherits nothing of a search then, so that its BN keeps running statistics again where the
        search had normalised by the batch (`use_batch_statistics`); a supernet stays as it was.
        """
        graph = self if inplace else self.clone()
        roots: list[nn.Module] = [graph]
        for nested in graph.nested_graphs():
            roots += nested._modules_in_use()
        for module in dict.fromkeys(module for root in roots for module in root.modules()):
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
        if not any(isinstance(module, MixedOp) for root in roots for module in root.modules()):
            for root in roots:
                use_running_statistics(root)
        return graph

    # hooks of a search space

    @default_hook
    def prepare_discretization(self) -> None:
        """Remove what the space does not keep in a discrete architecture, reading `op_weights` of the edges."""

    def prepare_evaluation(self) -> None:
        """Change a discrete architecture into what is evaluated (an auxiliary head, say)."""

    @default_hook
    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State what an architecture consists of, in agreement with `prepare_discretization`, read off the edges.

        A space that removes edges by a rule of its own overrides both hooks (`core.statement.state` reads the edges).

        Args:
            scope: Which graphs are searched; `OPTIMIZER_SCOPE` if None.

        Raises:
            UnsupportedBySpaceError: If there is nothing to choose.
        """
        return state_by_rule(self, scope)

    @property
    def decision_space(self) -> DecisionSpace:
        """The decisions of the space; of a discrete architecture, those of the space that it comes from.

        Raises:
            UnsupportedBySpaceError: If there is nothing to choose.
        """
        if self._decision_space is not None:
            return self._decision_space
        stated = self.codec.decision_space if self.codec is not None else None
        if stated is not None and (self._code is not None or not len(self)):
            return stated
        return decisions_of(self)


def _entries_of(entries: Mapping[str, Any], index: int, n_ops: int) -> dict[str, Any]:
    return {k: v[index] if isinstance(v, list) and len(v) == n_ops else v for k, v in entries.items()}


def _instantiate(op: Any, entries: Mapping[str, Any], where: str) -> Any:
    """Return `op(**entries)` with the entries that its signature takes; instances are returned as they are."""
    if not inspect.isclass(op):
        return op
    parameters = inspect.signature(op).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {k: v for k, v in entries.items() if takes_all or k in parameters}
    missing = [
        p.name
        for p in parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in arguments
    ]
    if missing:
        has = ", ".join(entries) or "no entries"
        raise GraphError(f"{where}: {op.__name__} needs {', '.join(missing)}; the edge has {has}")
    made = op(**arguments)
    if isinstance(made, Graph):
        made.compile()
    return made
