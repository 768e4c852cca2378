"""Statement: the decisions of a graph, read off the candidates on its edges and the rule that its space states."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import torch

from naslib.errors import UnsupportedBySpaceError
from naslib.utils.log import get_logger

from ._ops_by_name import numbered, op_name
from ._owners import find_conditions
from ._searched_edges import SearchedEdge, condition_of, is_reachable, key_of
from ._searched_edges import searched_edges as searched_edges
from ._selection import KEPT_EDGES, flag_weaker_edges
from ._stated_values import stated_values
from ._updates import Scope, UpdatesMixin
from .chosen_inputs import gate_name
from .decisions import Decision, Site
from .edge import EdgeData
from .node_choices import NodeChoice
from .schema import Constraint, DecisionSpace

logger = get_logger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
# The rule of `prepare_discretization` that needs no statement of its own, by the name of its function
_STRONGEST = "keep_strongest_edges"
# Entry of an edge, shared by its copies: the name of its decision
_LABEL = "_decision"
# Private entry of an edge whose operation an optimizer chose: which of the edges of the decision it is
_NUMBER = "_number"


def _default(method: F) -> F:
    """Mark a method as what a space has where it overrides nothing."""
    method.is_default_hook = True  # type: ignore[attr-defined]
    return method


class StatementMixin(UpdatesMixin):
    """What a space says about its discrete architectures: the rule by which they are made, and their decisions.

    Attributes:
        OPTIMIZER_SCOPE: Scopes that an optimizer adapts.
        ALLOWS_ZERO: Whether a discrete architecture may have `Zero` on an edge under search.
        KEPT_EDGES: How many of the edges under search that enter a node of this graph are kept, wherever it is nested:
            those with the strongest operations. None leaves it to the rule of the space.
        NO_SUPERNET: Why its architectures share no weights, so that only searches on codes take the space; empty where
            they do.
    """

    OPTIMIZER_SCOPE: str | list[str] = "all"
    ALLOWS_ZERO: bool = True
    KEPT_EDGES: int | None = None
    NO_SUPERNET: str = ""
    _decision_space: DecisionSpace | None = None  # where it cannot be read off the edges any more

    @_default
    def prepare_discretization(self) -> None:
        """Remove what the space does not keep in a discrete architecture, reading `op_weights` of the edges."""

    def prune_parts(self, scope: Scope = None) -> None:
        """Remove the weaker edges, by `op_weights`, in graphs that say how many their nodes keep (`KEPT_EDGES`).

        Args:
            scope: Which graphs are searched; `OPTIMIZER_SCOPE` if None.
        """
        for graph in self._graphs_in_scope(self.OPTIMIZER_SCOPE if scope is None else scope):
            if graph.KEPT_EDGES is not None:
                for node in sorted(graph._node):
                    entering = [(u, graph._succ[u][node]) for u in sorted(graph._pred[node])]
                    flag_weaker_edges([(u, data) for u, data in entering if not data.is_final()], graph.KEPT_EDGES)
        self._remove_flagged_edges()

    @_default
    def select_primitive(self, edge_data: EdgeData) -> int:
        """Return the index of the candidate that stays on an edge: the largest of its `op_weights`."""
        return int(edge_data.op_weights.argmax())

    @_default
    def state_decisions(self, scope: Scope = None) -> DecisionSpace:
        """State what an architecture consists of, in agreement with `prepare_discretization`, read off the edges.

        A space that removes edges by a rule of its own overrides both hooks (`core.statement.state` reads the edges).

        Args:
            scope: Which graphs are searched; `OPTIMIZER_SCOPE` if None.

        Raises:
            UnsupportedBySpaceError: If there is nothing to choose.
        """
        return state(self, scope, kept_edges=KEPT_EDGES if uses_strongest_edges(type(self)) else None)

    @property
    def decision_space(self) -> DecisionSpace:
        """The decisions of the space; of a discrete architecture, those of the space that it comes from.

        Raises:
            UnsupportedBySpaceError: If there is nothing to choose.
        """
        return self._decision_space if self._decision_space is not None else self.present_decisions()

    def remember_decisions(self, scope: Scope = None) -> DecisionSpace:
        """Keep what is stated now, also on the edges, so that an architecture made of this graph can be read off it.

        Args:
            scope: Which graphs are searched; `OPTIMIZER_SCOPE` if None.

        Raises:
            UnsupportedBySpaceError: If there is nothing to choose.
        """
        self._decision_space = space = self.present_decisions(scope)
        graphs = self.nested_graphs()
        for decision in space.decisions:
            for site in decision.sites:
                if isinstance(site, Site) and site.head is not None:
                    name = decision.name if site.bit is None else gate_name(decision.name, site.bit)
                    graphs[site.number].edges[site.head, site.tail]._shared[_LABEL] = name
        return space

    def present_decisions(self, scope: Scope = None) -> DecisionSpace:
        """Return the decisions that the edges have now, of a space or of a supernet made of one, as its class states.

        A class that changes the rule (`prepare_discretization`) and not the statement (`state_decisions`) has its
        operations stated, with one warning. Op classes on the edges are instantiated in a copy.

        Args:
            scope: Which graphs are searched; `OPTIMIZER_SCOPE` if None.

        Raises:
            UnsupportedBySpaceError: If there is nothing to choose.
        """
        graph = self
        if _has_classes(self):
            graph = self.clone()
            graph.compile()
        if states_its_rule(type(self)):
            return graph.state_decisions(scope)
        _warn_of(type(self))
        return state(graph, scope)


def mark_decided(data: EdgeData, name: str | None, number: int) -> None:
    """Note on an edge whose operation was chosen the name of the decision, and which of its edges it is."""
    if name is not None:
        data._shared[_LABEL] = name
        data._private[_NUMBER] = number


def decided_edge(data: EdgeData) -> tuple[str, int] | None:
    """Return what `mark_decided` noted, None where it was not called."""
    return (data._shared[_LABEL], data._private[_NUMBER]) if _NUMBER in data._private else None


def data_at(graph: UpdatesMixin, site: Site) -> EdgeData | None:
    """Return what carries a decision of a supernet, on an edge or at a node of a graph; None where nothing does."""
    if site.head is not None:
        return graph.edges[site.head, site.tail]
    combine = graph._node[site.tail].get("comb_op")
    return combine.data if isinstance(combine, NodeChoice) else None


def label_of(data: EdgeData) -> str | None:
    """Return the name of the decision that was, or is, on an edge, where its graph remembers that."""
    return data._shared.get(_LABEL)


def _has_classes(graph: UpdatesMixin) -> bool:
    edges = [data for nested in graph.nested_graphs() for _, _, data in nested.edges(data=True)]
    return any(inspect.isclass(op) for data in edges if isinstance(data.op, list) for op in data.op)


def states_its_rule(cls: type[StatementMixin]) -> bool:
    """Say whether the decisions of a space are known: it prunes nothing, or by a rule that is stated or ours."""
    if _is_default(cls, "state_decisions"):
        return _is_default(cls, "prepare_discretization") or uses_strongest_edges(cls)
    return issubclass(_definer(cls, "state_decisions"), _definer(cls, "prepare_discretization"))


def _is_default(cls: type, name: str) -> bool:
    return getattr(getattr(cls, name), "is_default_hook", False)


def uses_strongest_edges(cls: type) -> bool:
    """Say whether a space discretizes by `keep_strongest_edges`: whether its hook, or one that it calls, names that."""
    for base in cls.__mro__:
        hook = vars(base).get("prepare_discretization")
        if hook is None:
            continue
        names = getattr(getattr(hook, "__code__", None), "co_names", ())
        if _STRONGEST in names:
            return True
        if "super" not in names:
            return False
    return False


def _definer(cls: type, name: str) -> type:
    return next(base for base in cls.__mro__ if name in vars(base))


@lru_cache
def _warn_of(cls: type) -> None:
    logger.warning(
        "%s removes edges by a rule of its own (prepare_discretization) and does not state it: its decision space has "
        "operations only. Override state_decisions as well (docs/decisions.md)",
        cls.__name__,
    )


def state(
    graph: StatementMixin,
    scope: Scope = None,
    *,
    kept_edges: int | None = None,
    names: Callable[[Any], str] = op_name,
    constraints: Sequence[Constraint] = (),
) -> DecisionSpace:
    """State the decisions of a graph: an operation per edge with candidates, edges that a node keeps, sizes, comb_ops.

    Copies of an edge (`Graph.copy`) share their decision. The label is `cell/1-3` for the edge from 1 to 3 of a graph
    called "cell", and `cell/3` for the inputs of its node 3; of several graphs of one name that decide differently, the
    second is `cell#2`. Decisions inside a candidate depend on that candidate. Candidates that the space never selects
    (`select_primitive`) are left out. Copies of a node share their decision as well; the
    combination at a node that has a list of them is `cell/3:comb_op`. The sizes of elastic layers come last, under
    their labels (`stated_values`).

    Args:
        graph: A space or a supernet, without op classes on its edges.
        scope: Which graphs are searched; the space's `OPTIMIZER_SCOPE` if None.
        kept_edges: How many edges a node keeps of those that enter it, where all of them are under search; None for
            all. The operation on such an edge depends on its being kept.
        names: Returns the name of a candidate; equal names get numbers.
        constraints: See `DecisionSpace`.

    Raises:
        UnsupportedBySpaceError: If there is nothing to choose.
    """
    scope = scope if scope is not None else graph.OPTIMIZER_SCOPE
    groups = searched_edges(graph, scope)
    selectable: dict[tuple[Any, ...], tuple[int, ...]] = {}  # asked once of candidates that are alike
    for edges in groups.values():
        alike = tuple((type(op), op_name(op)) for op in edges.candidates)
        if alike not in selectable:
            selectable[alike] = _selectable(graph, edges.candidates)
        if len(selectable[alike]) < len(alike) and edges.copies[0].graph.chosen_inputs() is not None:
            raise UnsupportedBySpaceError(
                f"{type(graph).__name__} never selects Zero (select_primitive), by which the choice of any subset of "
                f"inputs {edges.name!r} leaves one out"
            )
        edges.positions = selectable[alike]
        edges.indices = {position: index for index, position in enumerate(edges.positions)}
    find_conditions(graph, groups)
    decisions = _inputs(groups, kept_edges)
    decisions += _candidates(groups, names)
    decisions += stated_values(graph, groups)
    if not decisions:
        raise UnsupportedBySpaceError(
            f"{type(graph).__name__} has no edge with candidate operations in scope {scope!r}, and no elastic layer: "
            "there is nothing to decide"
        )
    return DecisionSpace(decisions, constraints)


def _selectable(graph: StatementMixin, candidates: Sequence[Any]) -> tuple[int, ...]:
    """Return the candidates that the space selects where they score best: some spaces leave `Zero` out."""
    if _is_default(type(graph), "select_primitive"):
        return tuple(range(len(candidates)))
    found = []
    for position in range(len(candidates)):
        scores = torch.zeros(len(candidates))
        scores[position] = 1.0
        if graph.select_primitive(EdgeData({"op": list(candidates), "op_weights": scores})) == position:
            found.append(position)
    if not found:
        raise UnsupportedBySpaceError(
            f"{type(graph).__name__}.select_primitive selects none of the candidates of an edge when it scores best"
        )
    return tuple(found)


def _inputs(groups: dict[Hashable, SearchedEdge], kept_edges: int | None) -> list[Decision]:
    """Return a decision for each node that more edges enter than it keeps; the edges take note of it."""
    copies = [copy for edges in groups.values() for copy in edges.copies]
    graphs = {copy.number: copy.graph for copy in copies}
    sites: dict[tuple[Hashable, ...], list[Site]] = {}
    kept_at: dict[tuple[Hashable, ...], int] = {}
    for number, nested in graphs.items():
        kept = nested.KEPT_EDGES if isinstance(nested, StatementMixin) and nested.KEPT_EDGES else kept_edges
        if kept is None or nested.chosen_inputs() is not None:  # the latter says itself which of them are chosen
            continue
        for node in sorted({copy.tail for copy in copies if copy.number == number}):
            entering = [(u, nested._succ[u][node]) for u in sorted(nested._pred[node])]
            searched = [(u, data) for u, data in entering if not data.is_final()]
            if len(searched) > kept and all(key_of(data) in groups for _, data in searched):
                key = tuple(key_of(data) for _, data in searched)
                kept_at[key] = kept
                sites.setdefault(key, []).append(Site(nested.name, number, None, node))
    found = []
    for keys, places in sites.items():
        entering_edges = [groups[key] for key in keys]
        first = entering_edges[0]
        if not is_reachable(first):
            continue
        name = f"{first.cell}/{places[0].tail}"
        for index, edges in enumerate(entering_edges):
            edges.taken = name, index
        sources = tuple(edges.copies[0].head for edges in entering_edges)
        found.append(Decision(name, "inputs", sources, kept_at[keys], condition_of(first), tuple(places)))
    return found


def _candidates(groups: dict[Hashable, SearchedEdge], names: Callable[[Any], str]) -> list[Decision]:
    """Return the decisions that candidates carry, those on the inputs of a graph that chooses among them included."""
    found: dict[str, Decision] = {}
    for edges in groups.values():
        if not is_reachable(edges):
            continue
        chosen = edges.copies[0].graph.chosen_inputs()
        if chosen is None:
            found[edges.name] = _operation(edges, names)
            continue
        name, n_inputs, n_chosen = chosen
        sites = [
            Site(graph.name, number, u, v, edges.positions, None if n_chosen is not None else (u or 0) - 1)
            for graph, number, u, v, _ in edges.copies
        ]
        before = found[name].sites if name in found else ()
        places = (*before, *sites)
        found[name] = Decision(name, "inputs", tuple(range(n_inputs)), n_chosen, condition_of(edges), places)
    return list(found.values())


def _operation(edges: SearchedEdge, names: Callable[[Any], str]) -> Decision:
    candidates = numbered([names(op) for op in edges.candidates])
    sites = tuple(Site(graph.name, number, u, v, edges.positions) for graph, number, u, v, _ in edges.copies)
    condition = edges.taken if edges.taken is not None else condition_of(edges)
    return Decision(edges.name, "op", tuple(candidates[i] for i in edges.positions), 1, condition, sites)
