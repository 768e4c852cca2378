"""A graph as a class: its operations are attributes, its nodes are statements of the forward."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from naslib.errors import ExportError
from naslib.search_spaces.core._order import input_nodes, route, topological_order
from naslib.search_spaces.core.combine import Select, channel_concat
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.in_place import changes_input
from naslib.search_spaces.core.node_choices import DECIDED
from naslib.search_spaces.core.ops_concat import ConcatOfSome
from naslib.search_spaces.core.primitives import AbstractCombOp, DropPath, Identity, Zero

from ._folding import literal, without_dead_stores
from ._library import Library
from ._parts import ContainerSource, ModuleSource, Torch


def name(identifier: str) -> ast.Name:
    """Return a name that is read."""
    return ast.Name(identifier, ast.Load())


def call(attribute: str, arguments: Sequence[ast.expr]) -> ast.Call:
    """Return `self.attribute(arguments)`."""
    return ast.Call(ast.Attribute(name("self"), attribute, ast.Load()), list(arguments), [])


def snake(text: str) -> str:
    """Return `CamelCase` as `camel_case`."""
    text = text.replace("ReLU", "Relu").replace("ResNet", "Resnet").replace("BN", "Bn").replace("NORM", "Norm")
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])|(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", text)
    return re.sub(r"\W+|__+", "_", spaced).strip("_").lower()


def camel(text: str) -> str:
    """Return `snake_case` as `SnakeCase`."""
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"\W+|_", text) if word) or "Block"


def runs_itself(graph: Graph) -> bool:
    """Say whether a graph has no forward of its own."""
    return type(graph).forward is Graph.forward and type(graph).forward_with_auxiliary is Graph.forward_with_auxiliary


def needed_nodes(graph: Graph) -> set[int]:
    """Return the nodes whose values have an effect on the output of a graph."""
    if not runs_itself(graph):
        return set(graph.nodes)
    found: set[int] = set()
    waiting = [topological_order(graph)[-1]]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += used_sources(graph, node)
    return found


def used_sources(graph: Graph, node: int) -> list[int]:
    """Return the sources of a node that have an effect on its value."""
    sources = sorted(graph._pred[node])
    attributes = graph._node[node]
    if "subgraph" in attributes:
        if not sources:
            return []
        nested = attributes["subgraph"]
        needed = needed_nodes(nested)
        routed = route(nested, {source: source for source in sources}, "a cell")
        return sorted({source for inner, source in routed.items() if inner in needed})
    combine = attributes.get("comb_op", sum)
    if combine is sum:  # zeros add nothing, unless there is nothing else
        there = [source for source in sources if not isinstance(plain_op(graph, source, node), Zero)]
        return there or sources[:1]
    if isinstance(combine, AbstractCombOp) and len(sources) > 1:
        return [sources[position] for position in combine.used_inputs(len(sources))]
    return sources


def plain_op(graph: Graph, source: int, target: int) -> Any:
    """Return the operation of an edge without its drop-path."""
    op = graph._succ[source][target].op
    while isinstance(op, DropPath):
        op = op.op
    return op


class GraphWriter:
    """Write the forward of one graph.

    Args:
        graph: The graph.
        part: Makes the part of a module: called with it, with whether it may write into its input, its place, and the
            data of its edges.
        library: What stands before the classes of the file.
        where: The graph in words, for messages.
        whole: Whether outputs other than the last are wanted as well.

    Attributes:
        items: The operations, by the names that they have as attributes.
    """

    def __init__(
        self, graph: Graph, part: Callable[..., ModuleSource], library: Library, where: str, whole: bool
    ) -> None:
        self.graph, self.part, self.library, self.where, self.whole = graph, part, library, where, whole
        self.order = topological_order(graph)
        self.inputs = input_nodes(graph)
        self.items: list[tuple[str, Any]] = []
        self.values: dict[int, ast.expr] = {}
        self.body: list[ast.stmt] = []
        self.needed = needed_nodes(graph)
        degrees = [sum(source in self.needed for source in graph.predecessors(node)) for node in self.needed]
        out = [sum(target in self.needed for target in graph.successors(node)) for node in self.needed]
        self.is_chain = len(self.inputs) == 1 and max(degrees) <= 1 and max(out) <= 1 and not whole
        self.is_macro = any("subgraph" in graph._node[node] for node in self.needed) or self.is_chain

    def _sources(self, node: int) -> list[int]:
        return sorted(self.graph._pred[node])

    def variable(self, node: int) -> str:
        """Return the name of a node's value."""
        return "x" if self.is_chain or self.inputs == [node] else f"x{node}"

    def write(self) -> list[ast.stmt]:
        """Return the statements of the forward."""
        nodes = [node for node in self.order if node in self.needed]
        for node in nodes:
            value = self._node(node)
            if node != nodes[-1] and not isinstance(value, ast.Name):
                value = self._assign(node, value)
            self.values[node] = value
        last = self.values[nodes[-1]]
        self._number([*self.body, ast.Expr(last)])
        if not self.whole:
            return without_dead_stores([*self.body, ast.Return(last)])
        others = [node for node in nodes[:-1] if not self.graph._succ[node]]
        found = ast.Dict([ast.Constant(node) for node in others], [self.values[node] for node in others])
        return [*self.body, ast.Return(ast.Tuple([last, found], ast.Load()))]

    def _assign(self, node: int, value: ast.expr) -> ast.expr:
        self.body.append(ast.Assign([ast.Name(self.variable(node), ast.Store())], value))
        return name(self.variable(node))

    def attribute(self, wanted: str, part: ModuleSource) -> str:
        """Give a part a name."""
        taken = {known for known, _ in self.items}
        found, number = wanted, 1
        while found in taken:
            number += 1
            found = f"{wanted}_{number}"
        self.items.append((found, part))
        return found

    def _number(self, body: list[ast.stmt]) -> None:
        """Give the first of several attributes of one name a number, too."""
        known = [known for known, _ in self.items]
        first = {wanted: f"{wanted}_1" for wanted in known if f"{wanted}_2" in known and f"{wanted}_1" not in known}
        self.items[:] = [(first.get(known, known), item) for known, item in self.items]
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
                    node.attr = first.get(node.attr, node.attr)

    # nodes

    def _node(self, node: int) -> ast.expr:
        attributes = self.graph._node[node]
        sources = self._sources(node)
        is_input = node in self.inputs
        if "subgraph" in attributes:
            nested = attributes["subgraph"]
            given: dict[int, ast.expr] = {0: name(self.variable(node))} if is_input else {}
            used = used_sources(self.graph, node)
            given |= {source: self._edge(source, node) if source in used else name("None") for source in sources}
            return self._nested(nested, given, snake(nested.name or "cell"))
        if is_input:
            return name(self.variable(node))
        combine = attributes.get("comb_op", sum)
        if len(sources) == 1 and not getattr(combine, "COMBINES_ONE", False):
            return self._edge(sources[0], node)
        return self._combined(node, combine, sources)

    def _combined(self, node: int, combine: Any, sources: list[int]) -> ast.expr:
        if combine is builtins.sum:
            return self._sum(node, sources)
        if combine is channel_concat:
            return self._concat([self._edge(source, node) for source in sources])
        if type(combine) is ConcatOfSome:
            return self._concat([self._edge(sources[position], node) for position in combine.positions])
        if type(combine) is Select:
            return self._edge(sources[combine.index], node)
        used = used_sources(self.graph, node)
        values = [self._edge(source, node) if source in used else name("None") for source in sources]
        if changes_input(combine) and combine is not sum:
            values = [_clone(value) for value in values]
        given: list[ast.expr] = [ast.List(values, ast.Load())]
        if isinstance(combine, AbstractCombOp) and combine.reads_choices:
            given.append(literal([self._decided(other) for other in combine.reads_choices]))
        if isinstance(combine, nn.Module):
            edges = tuple(self.graph._succ[source][node] for source in sources)
            return call(self.attribute(f"combine_{node}", self.part(combine, True, f"comb_op({node})", edges)), given)
        function = self.library.expression(combine, getattr(combine, "__name__", "combine"), {}, self.where)
        return ast.Call(function, given, [])

    def _decided(self, node: int) -> int:
        decided = self.graph._node[node].get(DECIDED)
        if decided is None:
            raise ExportError(f"{self.where} cannot be written as source: nothing is decided at node {node}")
        return int(decided[1])

    def _sum(self, node: int, sources: list[int]) -> ast.expr:
        """Return the sum of what enters."""
        there = used_sources(self.graph, node)
        total = self._edge(there[0], node)
        for source in there[1:]:
            total = ast.BinOp(total, ast.Add(), self._edge(source, node))
        return total

    def _concat(self, values: list[ast.expr]) -> ast.expr:
        if len(values) == 1:
            return values[0]
        self.library.imports.add("torch")
        concat = ast.Attribute(name("torch"), "cat", ast.Load())
        return ast.Call(concat, [ast.List(values, ast.Load())], [ast.keyword("dim", ast.Constant(1))])

    # edges

    def _edge(self, source: int, target: int) -> ast.expr:
        """Return what an edge gives."""
        op, value = plain_op(self.graph, source, target), self.values[source]
        if isinstance(op, list):
            raise ExportError(f"{self.where} cannot be written as source: nothing is decided at edge {source, target}")
        if isinstance(op, Graph):
            wanted = snake(op.name or "cell") if self.is_macro else f"edge_{source}_{target}"
            return self._nested(op, {source: value}, wanted)
        if type(op) in (Identity, nn.Identity):
            return value
        if type(op) is Zero and op.stride == 1 and op.C_in == op.C_out:
            self.library.imports.add("torch")
            return ast.Call(ast.Attribute(name("torch"), "zeros_like", ast.Load()), [value], [])
        part = self.part(op, False, f"edge({source},{target})", self.graph._succ[source][target])
        if isinstance(part, Torch) and part.kind == "nn.Identity":
            return value
        if not isinstance(part, Torch) and changes_input(op):
            value = _clone(value)
        wanted = f"edge_{source}_{target}"
        if self.is_macro:
            is_head = isinstance(part, ContainerSource) and target == self.order[-1]
            wanted = "head" if is_head else snake(getattr(part, "name", type(op).__name__))
        return call(self.attribute(wanted, part), [value])

    def _nested(self, nested: Graph, given: dict[int, ast.expr], wanted: str) -> ast.expr:
        needed = needed_nodes(nested)
        values = [value for node, value in route(nested, given, self.where).items() if node in needed]
        return call(self.attribute(wanted, self.part(nested, True, nested.name or "graph")), values)


def _clone(value: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(value, "clone", ast.Load()), [], [])
