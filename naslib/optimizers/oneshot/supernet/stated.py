"""The statement of a space, as its supernet has it: which decisions the architecture parameters belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from naslib.errors import GraphError
from naslib.search_spaces.core.chosen_inputs import position_at
from naslib.search_spaces.core.decisions import MASKED, Decision, Site
from naslib.search_spaces.core.edge import EdgeData
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.node_choices import choices_at
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.statement import data_at

from .mixed_edges import decisions_in


@dataclass(frozen=True)
class StatedEdge:
    """One architecture parameter: the operation on an edge of the supernet, and on all its copies.

    Attributes:
        site: Where its first copy is; `positions` are the candidates that the space ever selects.
        decision: The operation as a decision, whose candidates are those; None where it is part of no architecture.
        gene: Of that decision in a code of the space.
        inputs: The decision on the inputs of the edge's target that may drop the edge; None where it always stays.
    """

    site: Site
    decision: Decision | None
    gene: int
    inputs: Decision | None


@dataclass(frozen=True)
class StatedSupernet:
    """The decisions of a space, and its architecture parameters.

    Attributes:
        space: The decisions, sites being those in the supernet.
        edges: One per architecture parameter, in their order.
    """

    space: DecisionSpace
    edges: tuple[StatedEdge, ...]

    def choices(self, code: Sequence[int]) -> tuple[int, ...]:
        """Return which candidate an architecture has per architecture parameter, -1 where it has not the edge.

        Args:
            code: A canonical code of `space`.
        """
        return tuple(
            MASKED
            if edge.decision is None or code[edge.gene] == MASKED
            else edge.site.positions[code[edge.gene]]
            if edge.decision.kind != "inputs"
            else _position(edge, edge.decision, code)
            for edge in self.edges
        )

    def same_decisions(self, space: DecisionSpace | None) -> bool:
        """Say whether codes of another statement mean the same here: candidates may be called otherwise."""
        return space is not None and [*map(_form, space.decisions)] == [*map(_form, self.space.decisions)]


def _position(edge: StatedEdge, decision: Decision, code: Sequence[int]) -> int:
    """Return which candidate carries the inputs that a code has chosen."""
    if edge.site.bit is not None:
        return edge.site.positions[code[edge.gene]]
    return position_at(decision, edge.site, tuple(code[edge.gene : edge.gene + decision.n_genes]))


def _form(decision: Decision) -> tuple[object, ...]:
    return decision.name, decision.kind, len(decision.candidates), decision.n_chosen, decision.condition


def stated(graph: Graph, scope: Scope) -> StatedSupernet:
    """Return what a supernet's space states about its decisions, as far as the supernet still has them.

    Args:
        graph: The supernet, parsed or not.
        scope: The scopes under search.

    Raises:
        GraphError: If the space states decisions that are not on its edges.
    """
    space = graph.present_decisions(scope)
    parameters = [id(data.alpha) for data in decisions_in(graph, scope)]
    graphs = graph.nested_graphs()
    found: dict[int, tuple[Decision, Site]] = {}
    for decision in space.decisions:
        sites = [site for site in decision.sites if isinstance(site, Site)]
        if decision.kind == "inputs" and not any(site.positions for site in sites):
            continue
        if decision.kind == "value":
            found[id(_value_edge(graph, decision).alpha)] = decision, _site_of_value(graph, decision.name)
            continue
        carriers = [(site, data_at(graphs[site.number], site)) for site in sites]
        if not carriers or any(carrier is None or not carrier.has("alpha") for _, carrier in carriers):
            raise GraphError(
                f"the space {graph.get_type()} states the decision {decision.name!r}, which is on no edge of its "
                "supernet; core.statement.state reads the decisions off the edges"
            )
        for site, carrier in carriers:
            if carrier is not None:
                found.setdefault(id(carrier.alpha), (decision, site))
    sites_of = _sites(graph, scope)
    edges = []
    for parameter in parameters:
        decision, site = found.get(parameter, (None, sites_of[parameter]))  # type: ignore[assignment]
        edges.append(_edge(space, decision, site))
    return StatedSupernet(space, tuple(edges))


def _edge(space: DecisionSpace, decision: Decision | None, site: Site) -> StatedEdge:
    if decision is None:
        return StatedEdge(site, None, 0, None)
    inputs = None
    if decision.condition is not None:
        condition = space.decision(decision.condition[0])
        inputs = condition if condition.kind == "inputs" else None
    return StatedEdge(site, decision, space.genes(decision.name).start + (site.bit or 0), inputs)


def _sites(graph: Graph, scope: Scope) -> dict[int, Site]:
    """Return where each architecture parameter is first, by its identity."""
    found: dict[int, Site] = {}
    numbers = {id(nested): number for number, nested in enumerate(graph.nested_graphs())}
    for nested in graph._graphs_in_scope(scope):
        for head, tail, data in sorted(nested.edges(data=True), key=lambda edge: edge[:2]):
            if data.has("alpha"):
                found.setdefault(id(data.alpha), Site(nested.name, numbers[id(nested)], head, tail))
        for choice in choices_at(nested):
            site = Site(nested.name, numbers[id(nested)], None, choice.node)
            found.setdefault(id(choice.data.alpha), site)
    for label, data in (graph.value_edges or {}).items():
        found.setdefault(id(data.alpha), _site_of_value(graph, label))
    return found


def _value_edge(graph: Graph, decision: Decision) -> EdgeData:
    values = graph.value_edges or {}
    if decision.name not in values:
        raise GraphError(
            f"the space {graph.get_type()} states the size {decision.name!r}, which no layer of its supernet has"
        )
    return values[decision.name]


def _site_of_value(graph: Graph, label: str) -> Site:
    """Return where a size is: nowhere in the graph, and each at a place of its own."""
    data = (graph.value_edges or {})[label]
    number = list(graph.value_edges or {}).index(label)
    return Site("", -1, None, number, tuple(range(data.alpha.numel())))
