"""Read off an adapted supernet what a controller decides."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import networkx as nx
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.supernet.mixed_edges import decisions_in
from naslib.optimizers.oneshot.supernet.stated import StatedEdge, StatedSupernet, stated
from naslib.search_spaces.core.combine import Select
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.graph import Graph, Scope
from naslib.search_spaces.core.node_choices import Combination
from naslib.search_spaces.core.primitives import Identity, Zero
from naslib.search_spaces.core.statement import states_its_rule

from .controller_space import Cell, Condition, ControllerSpace, Layer, Node, Pick, Single

# Candidates by decision
Candidates = Sequence[Sequence[nn.Module]]


def controller_space_of(graph: Graph, scope: Scope) -> ControllerSpace:
    """Return the discrete architectures of an adapted supernet, as its space states them.

    Raises:
        ConfigError: If the space does not state its rule, or has constraints.
    """
    if not states_its_rule(type(graph)):
        raise ConfigError(
            f"{type(graph).__name__} removes edges by a rule that it does not state: enas needs a space that states "
            "its decisions (state_decisions), or keeps the edges with the largest scores"
        )
    supernet = stated(graph, scope)
    if supernet.space.constraints:
        raise ConfigError("enas decides one after another: it cannot keep to the constraints of this space")
    candidates = [data.op.primitives for data in decisions_in(graph, scope)]
    graphs = graph.nested_graphs()
    numbers = dict.fromkeys(edge.site.number for edge in supernet.edges if not _is_size(edge))
    cells = [_cell(graphs[number], number, supernet, candidates) for number in numbers]
    sizes = [Single(index, _condition(supernet, edge)) for index, edge in enumerate(supernet.edges) if _is_size(edge)]
    both = list(zip(supernet.edges, candidates, strict=True))
    in_order = [cell for _, cell in sorted(zip(numbers, cells, strict=True), key=lambda pair: pair[0])]
    return ControllerSpace(
        tuple(cells),
        tuple(edge.site.positions or tuple(range(len(ops))) for edge, ops in both),
        tuple(len(ops) for ops in candidates),
        tuple(next((k for k, op in enumerate(ops) if isinstance(op, Zero)), None) for ops in candidates),
        _order([*cells, *sizes]),
        () if sizes else _layers(in_order, candidates),
        _vocabularies(supernet, candidates),
    )


def _is_size(edge: StatedEdge) -> bool:
    return edge.site.number < 0  # it is on no edge of the graph


def _is_at_node(edge: StatedEdge) -> bool:
    return edge.site.head is None and not _is_size(edge)


def _cell(cell: Graph, number: int, supernet: StatedSupernet, candidates: Candidates) -> Cell:
    """Return the nodes of a graph with decisions."""
    entering: dict[int, list[int]] = {}
    at_nodes: dict[int, int] = {}
    own = [index for index, edge in enumerate(supernet.edges) if edge.site.number == number and not _is_size(edge)]
    for index in own:
        edge = supernet.edges[index]
        if _is_at_node(edge):
            at_nodes[edge.site.tail] = index
        else:
            entering.setdefault(edge.site.tail, []).append(index)
    picks = _picks(cell, at_nodes, supernet, candidates)
    nodes = []
    for target in nx.lexicographical_topological_sort(cell):
        feeds = picks.get(target)
        if target not in entering and (target not in at_nodes or _is_before_an_edge(cell, target, feeds, entering)):
            continue
        indices = sorted(entering.get(target, ()), key=lambda index: supernet.edges[index].site.head or 0)
        inputs = supernet.edges[indices[0]].inputs if indices else None
        kept = len(indices) if inputs is None else inputs.n_chosen
        sources = tuple(supernet.edges[index].site.head or 0 for index in indices)
        before = [picks[source] for source in sources if source in picks and _only_feeds(cell, source)]
        if feeds is not None:  # chooses what it is itself
            nodes.append(Node(target, tuple(indices), sources, kept, (*before, feeds)))
        else:
            nodes.append(Node(target, tuple(indices), sources, kept, tuple(before), at_nodes.get(target)))
    known = {node.index for node in nodes} | set(picks)
    read = {source for node in nodes for source in (*node.sources, *(s for p in node.picks for s in p.sources))}
    condition = _condition(supernet, supernet.edges[own[0]]) if own else None
    return Cell(tuple(sorted(read - known)), tuple(nodes), condition)


def _picks(cell: Graph, at_nodes: dict[int, int], supernet: StatedSupernet, candidates: Candidates) -> dict[int, Pick]:
    """Return the choices of one input, by the node that they are at."""
    found = {}
    for node, index in at_nodes.items():
        selects, positions = _selects(candidates[index]), supernet.edges[index].site.positions
        if selects:
            entering = sorted(cell._pred[node])
            sources = [entering[selects[k].index] for k in positions or range(len(selects))]
            found[node] = Pick(index, tuple(sources))
    return found


def _selects(ops: Sequence[nn.Module]) -> list[Select]:
    """Return the candidates at a node that takes one of its inputs; none where one does anything else."""
    found = [op.combine for op in ops if isinstance(op, Combination) and isinstance(op.combine, Select)]
    return found if len(found) == len(ops) else []


def _only_feeds(cell: Graph, node: int) -> bool:
    """Say whether a node has one reader: what is chosen there is then a part of what that does."""
    return len(cell._succ[node]) == 1


def _is_before_an_edge(cell: Graph, node: int, pick: Pick | None, entering: dict[int, list[int]]) -> bool:
    """Say whether a choice of one input is made where the edge behind it is decided."""
    return pick is not None and _only_feeds(cell, node) and next(iter(cell._succ[node])) in entering


def _condition(supernet: StatedSupernet, edge: StatedEdge) -> Condition | None:
    """Return what a decision depends on beside its own node's inputs."""
    decision: Decision | None = edge.inputs if edge.inputs is not None else edge.decision
    if decision is None or decision.condition is None:
        return None
    name = decision.condition[0]
    for index, other in enumerate(supernet.edges):
        if other.decision is not None and other.decision.name == name and other.decision.kind != "inputs":
            positions = other.site.positions
            return Condition(index, tuple(positions[k] for k in decision.condition_indices))
    return None  # on inputs of another graph: decided in any case, and run where that is


def _order(units: Sequence[Cell | Single]) -> tuple[Cell | Single, ...]:
    """Return the units so that what one depends on is decided before; else in their order."""
    left, done, found = [*units], set[int](), []
    while left:
        ready = next((u for u in left if u.condition is None or u.condition.decision in done), left[0])
        left.remove(ready)
        found.append(ready)
        done |= {ready.decision} if isinstance(ready, Single) else _decided_in(ready)
    return tuple(found)


def _decided_in(cell: Cell) -> set[int]:
    found = {decision for node in cell.nodes for decision in node.decisions}
    found |= {pick.decision for node in cell.nodes for pick in node.picks}
    return found | {node.option for node in cell.nodes if node.option is not None}


def _layers(cells: Sequence[Cell], candidates: Candidates) -> tuple[Layer, ...]:
    """Return the layers of a space that is a chain of them, the i-th with i skips; none of any other space."""
    nodes = [node for cell in cells for node in cell.nodes]
    if len(nodes) < 2 or any(cell.condition is not None or cell.chooses_inputs for cell in cells):
        return ()
    layers = []
    for number, node in enumerate(nodes):
        skips = tuple(decision for decision in node.decisions if _is_skip(candidates[decision]))
        operations = [decision for decision in node.decisions if decision not in skips]
        if len(operations) != 1 or len(skips) != number or node.option is not None:
            return ()
        layers.append(Layer(operations[0], skips))
    return tuple(layers)


def _is_skip(ops: Sequence[nn.Module]) -> bool:
    """Say whether an operation is to be there or not: `Zero` or `Identity`, in this order."""
    return len(ops) == 2 and isinstance(ops[0], Zero) and isinstance(ops[1], Identity)


def _vocabularies(supernet: StatedSupernet, candidates: Candidates) -> tuple[int | None, ...]:
    """Return by decision which words it chooses from: None for operations on edges and for picks."""
    numbers: dict[Hashable, int] = {}
    found: list[int | None] = []
    for edge, ops in zip(supernet.edges, candidates, strict=True):
        words: Hashable = None
        if _is_size(edge):
            words = edge.decision.name if edge.decision is not None else (len(ops), edge.site.tail)
        elif _is_at_node(edge) and not _selects(ops):
            words = (len(ops), edge.decision.candidates if edge.decision is not None else ())
        found.append(None if words is None else numbers.setdefault(words, len(numbers)))
    return tuple(found) if numbers else ()
