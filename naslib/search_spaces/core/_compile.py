"""Compile a graph to a Plan: topology is checked, nested graphs are inlined, and the end of every value is found."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Mapping
from typing import Any

from torch import nn

from naslib.errors import GraphError

from ._module_graph import ModuleGraph, label
from ._order import input_nodes, route, topological_order
from .drawing import key_of, sites_in, value_sites
from .edge import EdgeData
from .node_choices import NodeChoice
from .plan import (
    AuxiliaryOutput,
    CallStep,
    CheckpointStep,
    ChoiceStep,
    CombineStep,
    DependentStep,
    EdgeStep,
    Plan,
    Step,
)
from .primitives import AbstractCombOp


def check_op(graph: ModuleGraph, edge: tuple[int, int], op: Any) -> None:
    """Raise `GraphError` unless `op` can be executed."""
    where = f"edge {edge} of graph {label(graph)!r}"
    if isinstance(op, list):
        raise GraphError(
            f"{where} carries a list of {len(op)} candidate ops that no optimizer has turned into a MixedOp; "
            "call optimizer.adapt_search_space(graph), or choose one op per edge"
        )
    if inspect.isclass(op):
        raise GraphError(f"{where} carries the class {op.__name__}, not a module; call graph.compile() first")
    if not isinstance(op, nn.Module):
        raise GraphError(f"{where} carries {op!r} of type {type(op).__name__}; expected a torch.nn.Module")


def check_node(graph: ModuleGraph, node: int, attributes: Mapping[str, Any]) -> None:
    """Raise `GraphError` unless what a node does with what enters it can be executed."""
    where = f"node {node} of graph {label(graph)!r}"
    if "subgraph" in attributes:
        nested = attributes["subgraph"]
        if not isinstance(nested, ModuleGraph):
            raise GraphError(
                f"{where} has {nested!r} of type {type(nested).__name__} as its subgraph; expected a Graph (a module "
                "belongs on an edge, as its op)"
            )
        return
    combine = attributes.get("comb_op", sum)
    if isinstance(combine, list | tuple | nn.ModuleList):
        raise GraphError(
            f"{where} has a list of {len(combine)} candidates as its comb_op: a decision that no optimizer has made; "
            "call optimizer.adapt_search_space(graph) with one that takes decisions of nodes, or choose one comb_op"
        )
    if inspect.isclass(combine):
        raise GraphError(f"{where} has the class {combine.__name__} as its comb_op; give an instance of it")
    if not callable(combine):
        raise GraphError(
            f"{where} has {combine!r} of type {type(combine).__name__} as its comb_op; expected a function of a list "
            "of tensors (sum, say) or a module"
        )


class _Builder:
    """Collect the steps of a graph and of the graphs nested in it."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.auxiliary: list[AuxiliaryOutput] = []
        self.graphs: list[ModuleGraph] = []
        self.n_slots = 0
        # of every graph nested in the root: first step, last step + 1, slot of its output, place in words
        self.cells: list[tuple[int, int, int, str]] = []

    def slot(self) -> int:
        """Return a new slot."""
        self.n_slots += 1
        return self.n_slots - 1

    def graph(self, graph: ModuleGraph, inputs: dict[int, int], where: str, prefix: str, path: tuple[Any, ...]) -> int:
        """Emit the steps of `graph`.

        Args:
            graph: The graph.
            inputs: Slot of each of its input nodes.
            where: Place in words, for messages.
            prefix: Dotted prefix of module names.
            path: Place as nodes and edges, for auxiliary outputs.

        Returns:
            The slot of the output of its last node.
        """
        self.graphs.append(graph)
        order = topological_order(graph)
        incoming: dict[int, dict[int, int]] = {node: {} for node in order}
        result = -1
        slots: dict[int, int] = {}
        for node in order:
            graph._node[node].add_owner(graph)
            sources = {0: inputs[node]} if node in inputs else dict(sorted(incoming[node].items()))
            result = slots[node] = self.node(graph, node, sources, where, prefix, path, slots)
            targets = sorted(graph._succ[node])
            if not targets and node != order[-1]:
                self.auxiliary.append(AuxiliaryOutput((*path, node), weakref.ref(graph), result))
            for target in targets:
                incoming[target][node] = self.edge(graph, node, target, result, where, prefix, path)
        return result

    def node(
        self,
        graph: ModuleGraph,
        node: int,
        sources: dict[int, int],
        where: str,
        prefix: str,
        path: tuple[Any, ...],
        slots: dict[int, int],
    ) -> int:
        """Emit what happens at a node; return the slot of its value. `slots` has those of the nodes before it."""
        attributes = graph._node[node]
        check_node(graph, node, attributes)
        if "subgraph" in attributes:
            nested = attributes["subgraph"]
            place = f"{where}/{node}:{label(nested)}"
            name = f"{prefix}{graph.subgraph_name(node)}"
            return self.nested(nested, sources, place, name, (*path, node))
        is_input = 0 in sources  # nodes are counted from 1
        if len(sources) == 1 and (is_input or not getattr(attributes.get("comb_op"), "COMBINES_ONE", False)):
            return next(iter(sources.values()))
        target = self.slot()
        edges = [graph._succ[source][node] for source in sources]
        name = f"{prefix}{graph.comb_op_name(node)}"
        place = f"{where}/comb_op({node})"
        step = CombineStep(attributes, edges, tuple(sources.values()), target, place, name)
        choice = attributes.get("comb_op")
        if isinstance(choice, NodeChoice):
            key = key_of(choice.data)
            step = ChoiceStep(attributes, edges, step.sources, target, place, name, decision=key)
        elif isinstance(choice, AbstractCombOp) and choice.reads_choices:
            read = tuple((graph._node[other], slots[other]) for other in _earlier(choice, place, slots))
            step = DependentStep(attributes, edges, step.sources, target, place, name, read=read)
        self.steps.append(step)
        return target

    def edge(
        self, graph: ModuleGraph, u: int, v: int, source: int, where: str, prefix: str, path: tuple[Any, ...]
    ) -> int:
        """Emit the op of an edge; return the slot of its output."""
        data: EdgeData = graph._succ[u][v]
        check_op(graph, (u, v), data.op)
        place, name = f"{where}/edge({u},{v})", f"{prefix}{graph.edge_name(u, v)}"
        if isinstance(data.op, ModuleGraph):
            return self.nested(data.op, {u: source}, f"{place}:{label(data.op)}", name, (*path, (u, v)))
        target = self.slot()
        self.steps.append(EdgeStep(data, (source,), target, place, name, key_of(data)))
        return target

    def nested(self, graph: ModuleGraph, sources: dict[int, int], where: str, name: str, path: tuple[Any, ...]) -> int:
        """Emit a nested graph, inlined where possible; return the slot of its output."""
        inputs = route(graph, sources, where)
        if graph.can_be_inlined():
            start = len(self.steps)
            result = self.graph(graph, inputs, where, f"{name}.", path)
            if len(path) == 1:
                self.cells.append((start, len(self.steps), result, where))
            return result
        self.graphs.append(graph)
        target = self.slot()
        keys = None if len(sources) == 1 == len(inputs) else tuple(sources)
        self.steps.append(CallStep(graph, keys, tuple(sources.values()), target, where, name))
        return target


def _earlier(combine: AbstractCombOp, place: str, slots: Mapping[int, int]) -> tuple[int, ...]:
    """Return the nodes whose choices a combination reads.

    Raises:
        GraphError: If one is not computed before it.
    """
    missing = [node for node in combine.reads_choices if node not in slots]
    if missing:
        raise GraphError(
            f"{place} ({combine.get_op_name}) reads the choice at node {missing[0]}, which is not computed before it"
        )
    return combine.reads_choices


def _find_last_uses(builder: _Builder, output: int) -> None:
    kept = {output, *(auxiliary.slot for auxiliary in builder.auxiliary)}
    seen: set[int] = set()
    for step in reversed(builder.steps):
        last = dict.fromkeys(source for source in step.sources if source not in seen and source not in kept)
        step.frees = tuple(last)
        if step.target not in seen and step.target not in kept:  # never read, as behind a pruned node
            step.frees += (step.target,)
        seen.update(step.sources)


def _checkpoint_cells(builder: _Builder) -> None:
    """Replace the steps of every graph nested in the root by one CheckpointStep, unless another sink is in there."""
    sinks = {auxiliary.slot for auxiliary in builder.auxiliary}
    grouped: list[Step] = []
    position = 0
    for start, end, inside, place in builder.cells:
        grouped += builder.steps[position:start]
        steps = builder.steps[start:end]
        position = end
        targets = {step.target for step in steps}
        if len(steps) < 2 or targets & sinks or steps[-1].target != inside:
            grouped += steps
            continue
        entering = dict.fromkeys(source for step in steps for source in step.sources if source not in targets)
        _free_within(steps, keep={inside, *entering})
        grouped.append(CheckpointStep(steps, tuple(entering), inside, place))
    builder.steps = grouped + builder.steps[position:]


def _free_within(steps: list[Step], keep: set[int]) -> None:
    seen: set[int] = set()
    for step in reversed(steps):
        step.frees = tuple(dict.fromkeys(s for s in step.sources if s not in seen and s not in keep))
        seen.update(step.sources)


def build_plan(graph: ModuleGraph) -> tuple[Plan, list[ModuleGraph]]:
    """Compile `graph`.

    Returns:
        The plan, and every graph whose structure it depends on.

    Raises:
        GraphError: For a cycle, a graph that contains itself, a wrong number of inputs, or an op that cannot be
            executed; the message says where.
    """
    graph.check_nesting()
    builder = _Builder()
    nodes = input_nodes(graph)
    if not nodes:
        topological_order(graph)  # raises: a graph without input nodes is empty or has a cycle
    inputs = {node: builder.slot() for node in nodes}
    output = builder.graph(graph, inputs, label(graph), "", ())
    returned = {output, *(auxiliary.slot for auxiliary in builder.auxiliary)}
    for step in builder.steps:
        if isinstance(step, EdgeStep):
            step.returned = step.target in returned
    if graph.passes.checkpoint:
        _checkpoint_cells(builder)
    _find_last_uses(builder, output)
    decisions = [*sites_in(graph.nested_graphs()), *value_sites(graph)]
    plan = Plan(len(nodes), builder.n_slots, builder.steps, output, builder.auxiliary, graph.passes, decisions)
    return plan, builder.graphs
