"""The value decisions of a graph: the sizes of the elastic layers in it, and of which choice each is a part."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from torch import nn

from naslib.errors import DecisionError

from ._module_graph import ModuleGraph
from ._searched_edges import SearchedEdge, candidates_on, key_of
from .decisions import Decision
from .elastic import Elastic, ElasticSequential, Value, values_in
from .node_choices import choices_at

# `(name of a decision, indices of its candidates)`: only they have what is looked at; None: it is always there
Owner = tuple[str, frozenset[int]] | None


def stated_values(graph: ModuleGraph, groups: Mapping[Hashable, SearchedEdge]) -> list[Decision]:
    """Return the value decisions of a graph, in the order of its layers.

    A size that only layers inside of one candidate have depends on that candidate, and a size in a block of a chain on
    the chain being so long. A size that several choices have in common is always decided.

    Args:
        graph: A space or a supernet.
        groups: The edges under search, with the candidates that the space ever selects.

    Raises:
        DecisionError: If a label is also the name of another decision.
    """
    leaves = values_in(graph)  # raises where labels clash
    names = {edge.name for edge in groups.values()}
    clashing = [leaf.label for leaf in leaves if leaf.label in names]
    if clashing:
        raise DecisionError(f"{clashing[0]!r} is the name of an operation on an edge: give the value another label")
    owners: dict[str, list[Owner]] = {}
    for leaf, owner in _Walk(groups).through(graph, None):
        owners.setdefault(leaf.label, []).append(owner)
    return [
        Decision(leaf.label, "value", leaf.values, 1, _condition(owners[leaf.label]))
        for leaf in leaves
        if leaf.label in owners  # not only in candidates that are never selected
    ]


def _condition(owners: list[Owner]) -> tuple[str, int | tuple[int, ...]] | None:
    first = owners[0]
    if first is None or any(owner is None or owner[0] != first[0] for owner in owners):
        return None
    indices = sorted(set().union(*(owner[1] for owner in owners if owner is not None)))
    return first[0], indices[0] if len(indices) == 1 else tuple(indices)


class _Walk:
    """Yield the decisions of elastic layers with the innermost choice that they are a part of."""

    def __init__(self, groups: Mapping[Hashable, SearchedEdge]) -> None:
        self.groups = groups

    def through(self, part: Any, owner: Owner) -> Iterator[tuple[Value, Owner]]:
        """Look into a module."""
        if isinstance(part, ModuleGraph):
            yield from self._graph(part, owner)
            return
        if not isinstance(part, nn.Module):
            return
        leaves = part.sizes.leaves if isinstance(part, Elastic) else ()
        yield from ((leaf, owner) for leaf in leaves)
        if isinstance(part, ElasticSequential) and isinstance(part.sizes.sizes[0], Value):
            yield from self._chain(part, part.sizes.sizes[0], owner)
            return
        for member in part._modules.values():
            yield from self.through(member, owner)

    def _chain(self, chain: ElasticSequential, depth: Value, owner: Owner) -> Iterator[tuple[Value, Owner]]:
        for position, block in enumerate(chain.blocks):
            long = frozenset(index for index, value in enumerate(depth.values) if value > position)
            yield from self.through(block, owner if len(long) == len(depth.values) else (depth.label, long))

    def _graph(self, graph: ModuleGraph, owner: Owner) -> Iterator[tuple[Value, Owner]]:
        seen: set[int] = set()
        for choice in choices_at(graph):
            seen.add(id(graph._node[choice.node]["comb_op"]))
            yield from self._edge(choice.data, choice.key, owner)
        for source in sorted(graph._succ):
            attributes = graph._node[source]
            for module in (attributes.get("subgraph"), attributes.get("comb_op")):
                if id(module) not in seen or module is None:
                    seen.add(id(module))
                    yield from self.through(module, owner)
            for target in sorted(graph._succ[source]):
                data = graph._succ[source][target]
                seen.add(id(data.op))
                yield from self._edge(data, key_of(data), owner)
        for module in graph._modules.values():  # what a user registered besides
            if id(module) not in seen:
                yield from self.through(module, owner)

    def _edge(self, data: Any, key: Hashable, owner: Owner) -> Iterator[tuple[Value, Owner]]:
        candidates = candidates_on(data)
        edge = self.groups.get(key) if candidates is not None else None
        if edge is None:
            for op in candidates if candidates is not None else [data.op]:
                yield from self.through(op, owner)
            return
        for position, op in enumerate(candidates or ()):
            if position in edge.indices:
                yield from self.through(op, (edge.name, frozenset({edge.indices[position]})))
