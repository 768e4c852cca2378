"""StatedCodec: the codes of a space that has none of its own, which are those of its decision space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ArchitectureError, SpecAlreadySetError

from ._ops_by_name import names_by_edge, op_name
from .chosen_inputs import chosen_at, gate_of, position_at
from .codec import Code, Codec
from .decisions import MASKED, Decision, Site
from .edge import EdgeData
from .elastic.candidates import put_values
from .literals import as_value, plain
from .node_choices import choices_at, combinations_in, put_combination
from .ops_basic import DropPath, Zero
from .ops_mixed import MixedOp
from .schema import DecisionSpace
from .statement import StatementMixin, label_of


class StatedCodec(Codec[StatementMixin]):
    """Code architectures as their decision space does, and put them on the edges where that says its decisions are.

    Args:
        name: Of the space.
        space: Its decisions.
    """

    def __init__(self, name: str, space: DecisionSpace) -> None:
        self.name = name
        self._space = space

    @property
    def decision_space(self) -> DecisionSpace:
        """The decisions of the space."""
        return self._space

    def reads(self, spec: Any) -> bool:
        """Say whether `spec` has a form that only this codec knows (`SpelledCodec`)."""
        return False

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture: a code, the candidates by decision, or a list of operations by edge.

        Args:
            spec: A code of the decision space, what `DecisionSpace.choices` returns, or what `Graph.genotype()` does,
                each as value or as text.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        spec = plain(as_value(spec))
        if isinstance(spec, Mapping) and "genotype" in spec:
            return self.canonical(spec["genotype"])
        if isinstance(spec, Mapping):
            return self._space.code_of(spec)
        if isinstance(spec, list) and any(isinstance(entry, Mapping) for entry in spec):
            return self._code_of_genotype(spec)
        return self._space.canonical(spec)

    def genotype(self, code: Code) -> dict[str, Any]:
        """Return the candidates by decision, as JSON can hold them."""
        return plain(self._space.choices(code))

    def _code_of_genotype(self, spec: list[Any]) -> Code:
        by_label = {f"{graph}/{u}-{v}": name for (graph, u, v), name in names_by_edge(spec).items()}
        unknown = [label for label in by_label if label not in self._space.names]
        if unknown:
            raise ArchitectureError(f"{self.name} has no edge under search called {unknown[0]!r}")
        return self._code_from({d.name: by_label[d.name] for d in self._space.decisions if d.name in by_label})

    def _code_from(self, operations: Mapping[str, Any]) -> Code:
        """Return the code of the operations that are there; of inputs, those are chosen whose edges have one."""
        return self._space.code_of(self.with_inputs(operations))

    def with_inputs(self, operations: Mapping[str, Any]) -> dict[str, Any]:
        """Return choices by decision, and the inputs that follow from them: those whose edges have an operation."""
        choices = dict(operations)
        for decision in self._space.decisions:
            if decision.kind == "op" and decision.name in operations and decision.condition is not None:
                other = self._space.decision(decision.condition[0])
                if other.kind == "inputs":
                    source = other.candidates[decision.condition_indices[0]]
                    choices[other.name] = (*choices.get(other.name, ()), source)
        return choices

    def from_graph(self, graph: StatementMixin) -> Code:
        """Read the code off a discrete graph that was made of a space by an optimizer, or by `set_spec`.

        Raises:
            ArchitectureError: If the graph is not discrete, or has lost edges otherwise than its space states.
        """
        return self._code_from(self.choices_in(graph))

    def choices_in(self, graph: StatementMixin) -> dict[str, Any]:
        """Return by decision what is on the edges and at the nodes of a discrete graph, and its sizes.

        Raises:
            ArchitectureError: If the graph is not discrete.
        """
        operations: dict[str, Any] = {}
        for nested in graph.nested_graphs():
            for _, _, data in nested.edges(data=True):
                name = label_of(data)
                if name is None:
                    continue
                gate = gate_of(name)
                if gate is not None and self._is_subset(gate[0]):
                    if not isinstance(data.op, Zero):
                        operations[gate[0]] = {*operations.get(gate[0], ()), gate[1]}
                    else:
                        operations.setdefault(gate[0], set())
                elif name in self._space.names and name not in operations:
                    operations[name] = candidate_on(self._space.decision(name), data)
            operations |= self._combinations_in(nested)
        operations |= {
            label: value for label, value in (graph.chosen_values or {}).items() if label in self._space.names
        }
        if not operations:
            raise ArchitectureError(
                f"{self.name} is not discrete yet: set an architecture, or let an optimizer find one"
            )
        return {name: _in_order(picked) for name, picked in operations.items()}

    def _is_subset(self, name: str) -> bool:
        """Say whether there is a decision of that name on any subset of inputs."""
        return name in self._space.names and self._space.decision(name).n_chosen is None

    def _combinations_in(self, graph: StatementMixin) -> dict[str, Any]:
        """Return the combinations that were chosen at the nodes of one graph, by decision."""
        found = {}
        for name, index in combinations_in(graph).values():
            if name in self._space.names:
                decision = self._space.decision(name)
                picked = tuple(decision.candidates[i] for i in chosen_at(decision, decision.sites[0], index))
                found[name] = picked if decision.kind == "inputs" else picked[0]
        return found

    def apply(self, graph: StatementMixin, code: Code) -> None:
        """Put the operations that `code` names on the edges, plain layers of its sizes in them; remove other edges."""
        graphs = graph.nested_graphs()
        chosen = dict(zip(self._space.names, self._space.chosen(code), strict=True))
        edges = [
            (decision, graphs[site.number], site)
            for decision in self._space.decisions
            for site in decision.sites
            if isinstance(site, Site) and site.positions
        ]
        undecided = all(_candidates_at(nested, site) is not None for _, nested, site in edges)
        if not undecided or graph.chosen_values:
            raise SpecAlreadySetError(
                f"an architecture has been set on this {self.name} already; take a fresh search space, or a clone of it"
            )
        for decision, nested, site in edges:
            indices = chosen[decision.name]
            if site.head is None:
                candidates = _candidates_at(nested, site)
                if indices is not None and candidates is not None:
                    put_combination(nested, site.tail, candidates[position_at(decision, site, indices)], decision.name)
            elif indices is not None:
                data, position = nested.edges[site.head, site.tail], position_at(decision, site, indices)
                data.set("primitives", list(data.op))
                data.set("op_index", position, shared=True)  # an elastic layer becomes a plain one
                data.set("op", data.op[position])
            elif self._is_dropped(decision, code):
                nested.remove_edge(site.head, site.tail)
        values = [decision.name for decision in self._space.decisions if decision.kind == "value"]
        put_values(graph, {name: indices[0] for name in values if (indices := chosen[name]) is not None})

    def _is_dropped(self, decision: Decision, code: Code) -> bool:
        """Say whether an operation is not decided because its edge goes, and not because it is inside of no choice."""
        if decision.condition is None:
            return False
        other = self._space.decision(decision.condition[0])
        return other.kind == "inputs" and code[self._space.genes(other.name).start] != MASKED


def _in_order(picked: Any) -> Any:
    """Return the indices of chosen inputs in order; anything else as it is."""
    return tuple(sorted(picked)) if isinstance(picked, set) else picked


def _candidates_at(graph: StatementMixin, site: Site) -> list[Any] | None:
    """Return the candidates at a place under search, None where an architecture has been set."""
    if site.head is not None:
        op = graph.edges[site.head, site.tail].op
        return op if isinstance(op, list) else None
    return next((choice.data.op for choice in choices_at(graph) if choice.node == site.tail), None)


def candidate_on(decision: Decision, data: EdgeData) -> Any:
    """Return which candidate of a decision is on a discrete edge.

    Raises:
        ArchitectureError: If it is none, or not decided.
    """
    op = data.op.op if isinstance(data.op, DropPath) else data.op
    if isinstance(op, list | MixedOp):
        raise ArchitectureError(f"the operation of {decision.name!r} is not decided yet")
    name = op_name(op)
    same = [candidate for candidate in decision.candidates if candidate == name or candidate.startswith(f"{name} (")]
    if len(same) == 1:
        return same[0]
    position = data.get("op_index")
    if data.has("primitives"):
        position = next((i for i, candidate in enumerate(data.primitives) if candidate is op), position)
    positions = decision.sites[0].positions if decision.sites else ()
    if position not in positions:
        raise ArchitectureError(f"{name} on the edge of {decision.name!r} is none of {', '.join(decision.candidates)}")
    return decision.candidates[positions.index(position)]
