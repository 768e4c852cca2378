"""Owners: of which candidate of which decision a graph, or a size, is a part."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from ._module_graph import ModuleGraph
from ._searched_edges import SearchedEdge, candidates_on, key_of
from .elastic import Elastic, ElasticSequential, Value
from .node_choices import choices_at
from .primitives import AbstractPrimitive

# `(name of a decision, indices of its candidates)`: only they have what is looked at; None: it is always there
Owner = tuple[str, frozenset[int]] | None
Condition = tuple[str, int | tuple[int, ...]] | None


def find_conditions(graph: ModuleGraph, groups: Mapping[Hashable, SearchedEdge]) -> None:
    """Note of which candidates of which decision the edges of nested graphs are a part.

    Args:
        graph: A space or a supernet.
        groups: Its edges under search, with the candidates that the space ever selects.
    """
    owners: dict[int, list[Owner]] = {}
    for part, owner in owned_by(graph, groups):
        if isinstance(part, ModuleGraph):
            owners.setdefault(id(part), []).append(owner)
    for edges in groups.values():
        of_copies = [owner for nested, *_ in edges.copies for owner in owners.get(id(nested), ())]
        edges.is_reached = bool(of_copies)
        edges.condition = condition_by(of_copies) if of_copies else None


def condition_by(owners: Sequence[Owner]) -> Condition:
    """Return the condition of what has these owners: none where it is always there, or inside of several decisions."""
    first = owners[0]
    if first is None or any(owner is None or owner[0] != first[0] for owner in owners):
        return None
    indices = sorted(set().union(*(owner[1] for owner in owners if owner is not None)))
    return first[0], indices[0] if len(indices) == 1 else tuple(indices)


def owned_by(
    graph: ModuleGraph, groups: Mapping[Hashable, SearchedEdge]
) -> Iterator[tuple[ModuleGraph | Value, Owner]]:
    """Yield the graphs in a graph, itself included, and its values, with the innermost choice that they are a part of.

    What is only in candidates that are never selected is left out; what is in several places comes several times.
    """
    return _Walk(groups).through(graph, None)


class _Walk:
    def __init__(self, groups: Mapping[Hashable, SearchedEdge]) -> None:
        self.groups = groups

    def through(self, part: Any, owner: Owner) -> Iterator[tuple[ModuleGraph | Value, Owner]]:
        """Look into a module."""
        if isinstance(part, ModuleGraph):
            yield part, owner
            yield from self._graph(part, owner)
            return
        if not isinstance(part, nn.Module):
            return
        leaves = part.sizes.leaves if isinstance(part, Elastic) else ()
        yield from ((leaf, owner) for leaf in leaves)
        if isinstance(part, ElasticSequential) and len(part.sizes.leaves) == 1:
            yield from self._chain(part, part.sizes.leaves[0], owner)
            return
        embedded = part.get_embedded_ops() or () if isinstance(part, AbstractPrimitive) else ()
        members = {id(member): member for member in (*part._modules.values(), *embedded)}
        for member in members.values():
            yield from self.through(member, owner)

    def _chain(
        self, chain: ElasticSequential, depth: Value, owner: Owner
    ) -> Iterator[tuple[ModuleGraph | Value, Owner]]:
        lengths = [int(chain.sizes.sizes[0].at({depth.label: value})) for value in depth.values]
        for position, block in enumerate(chain.blocks):
            long = frozenset(index for index, length in enumerate(lengths) if length > position)
            yield from self.through(block, owner if len(long) == len(depth.values) else (depth.label, long))

    def _graph(self, graph: ModuleGraph, owner: Owner) -> Iterator[tuple[ModuleGraph | Value, Owner]]:
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

    def _edge(self, data: Any, key: Hashable, owner: Owner) -> Iterator[tuple[ModuleGraph | Value, Owner]]:
        candidates = candidates_on(data)
        edge = self.groups.get(key) if candidates is not None else None
        if edge is None:
            for op in candidates if candidates is not None else [data.op]:
                yield from self.through(op, owner)
            return
        for position, op in enumerate(candidates or ()):
            if position in edge.indices:
                yield from self.through(op, (edge.name, frozenset({edge.indices[position]})))
