"""Codec of recurrent cells that are trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.encodings import FixedEdges
from naslib.search_spaces.core.literals import as_value, plain, shortened
from naslib.search_spaces.core.schema import DecisionSpace

from .decisions import n_nodes, tree_decisions
from .genotype import TreeCell, cell_of


class TreeCodec(Codec[Any]):
    """Code cells as their decisions: combination and activation of every node and of the injection, both indices.

    Args:
        base: Leaves of the tree.
    """

    name = "nas_rl_rnn"

    def __init__(self, base: int = 8) -> None:
        self.base = base
        self._space = tree_decisions(base)

    @property
    def decision_space(self) -> DecisionSpace:
        """Combination and activation of every node and of the injection, and both cell indices."""
        return self._space

    def fixed_edges(self) -> FixedEdges:
        """There are no edges under search."""
        return {}

    def canonical(self, spec: Any) -> Code:
        """Return the code of a code, a `TreeCell` or its mapping, or the candidates by decision, also as text.

        Raises:
            ArchitectureError: If it is no cell of this space.
        """
        if isinstance(spec, TreeCell):
            return self.canonical(spec.to_json())
        spec = plain(as_value(spec))
        if isinstance(spec, Mapping) and set(spec) == {"genotype"}:
            return self.canonical(spec["genotype"])
        if isinstance(spec, Mapping) and not set(spec).isdisjoint(TreeCell._fields):
            return self._space.code_of(self._read(spec).choices())
        return self._space.code_of(spec) if isinstance(spec, Mapping) else self._space.canonical(spec)

    def _read(self, spec: Mapping[str, Any]) -> TreeCell:
        odd = sorted({*spec} ^ {*TreeCell._fields}, key=str)
        if odd:
            hint = did_you_mean(str(odd[0]), TreeCell._fields)
            raise ArchitectureError(f"a tree cell has {', '.join(TreeCell._fields)}; look at {odd[0]!r}{hint}")
        nodes = spec["nodes"]
        if not isinstance(nodes, list) or len(nodes) != n_nodes(self.base):
            raise ArchitectureError(
                f"a tree of {self.base} leaves has {n_nodes(self.base)} nodes, each (combination, activation), not "
                f"{shortened(nodes)}"
            )
        pairs = [*nodes, spec["inject"]]
        wrong = [pair for pair in pairs if not isinstance(pair, list) or len(pair) != 2]
        if wrong:
            raise ArchitectureError(
                f"a node is (combination, activation), such as (add, tanh), not {shortened(wrong[0])}"
            )
        labels = tuple((pair[0], pair[1]) for pair in pairs)
        return TreeCell(labels[:-1], labels[-1], spec["cell_out"], spec["cell_in"])

    def cell(self, code: Code) -> TreeCell:
        """Return the cell of a canonical code."""
        return cell_of(self._space, code)

    def genotype(self, code: Code) -> dict[str, Any]:
        """Return the cell, to be written as JSON."""
        return self.cell(code).to_json()

    def from_graph(self, graph: Any) -> Code:
        """Raise: the cell of a network is known by its code only."""
        raise ArchitectureError("no architecture is set on this nas_rl_rnn yet: use set_spec")

    def apply(self, graph: Any, code: Code) -> None:
        """Build the cells that `code` names."""
        graph.put_cell(self.cell(code))
