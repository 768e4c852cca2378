"""The codec of the hierarchical space: codes, genotypes, and variation as the paper's evolution has it."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from naslib.errors import ArchitectureError
from naslib.search_spaces.core._ops_by_name import op_name
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import as_value, plain
from naslib.search_spaces.core.ops_basic import DropPath
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.stated_codec import StatedCodec

from .genotype import Edge, Hierarchy, HierarchySizes, as_hierarchy, edges, motif_name, to_json, trivial
from .primitives import NAMES, NONE

CELL = "cell"


class HierarchicalCodec(Codec[Graph]):
    """Code architectures as their decision space does: a gene for every edge of the cell and of every motif.

    Motifs that the cell does not have make no difference: they are a part of the code, and not of the hash.

    Args:
        space: The decisions.
        sizes: Of the genotype.
    """

    name = "hierarchical"

    def __init__(self, space: DecisionSpace, sizes: HierarchySizes) -> None:
        self._space = space
        self.sizes = sizes

    @property
    def decision_space(self) -> DecisionSpace:
        """The decisions of the space."""
        return self._space

    def canonical(self, spec: Any) -> Code:
        """Return the code of a code, a genotype or the candidates by decision, each as value or as text.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        spec = as_value(spec)
        if isinstance(spec, Mapping) and spec and set(spec) <= set(self._space.names):
            return self._space.code_of(spec)
        if isinstance(spec, Mapping | Hierarchy):
            return self.code_of(as_hierarchy(spec, self.sizes))
        return self._space.canonical(plain(spec))

    def code_of(self, hierarchy: Hierarchy) -> Code:
        """Return the code of an architecture."""
        choices = {f"{CELL}/{i}-{j}": hierarchy.cell.get((i, j), NONE) for i, j in edges(self.sizes.cell_nodes)}
        for number, table in enumerate(hierarchy.motifs):
            for i, j in edges(self.sizes.motif_nodes):
                choices[f"{motif_name(number)}/{i}-{j}"] = table.get((i, j), NONE)
        return self._space.code_of(choices)

    def to_hierarchy(self, code: Code) -> Hierarchy:
        """Return the architecture of a code."""
        choices = self._space.choices(code)

        def table(name: str, nodes: int) -> dict[Edge, str]:
            named = {(i, j): str(choices[f"{name}/{i}-{j}"]) for i, j in edges(nodes)}
            return {edge: op for edge, op in named.items() if op != NONE}

        motifs = [table(motif_name(number), self.sizes.motif_nodes) for number in range(self.sizes.motifs)]
        return Hierarchy(tuple(motifs), table(CELL, self.sizes.cell_nodes))

    def genotype(self, code: Code) -> dict[str, Any]:
        """Return the tables of all levels, to be written as JSON."""
        return to_json(self.to_hierarchy(code))

    def identity(self, code: Code) -> Code:
        """Return the code with nothing in the motifs that the cell does not have."""
        hierarchy = self.to_hierarchy(self.canonical(code))
        there = set(hierarchy.cell.values())
        motifs = [table if motif_name(number) in there else {} for number, table in enumerate(hierarchy.motifs)]
        return self.code_of(Hierarchy(tuple(motifs), hierarchy.cell))

    def mutate(self, code: Code, rng: Random) -> Code:
        """Return a code with another operation on one edge, drawn as in [Liu2018hierarchical].

        A level above the first, a motif of it, an edge of that, and an operation of the level below other than the one
        that is there, `none` included: each uniformly, so that edges are added, changed and removed.
        """
        code = self.canonical(code)
        if rng.randrange(2):
            name, nodes = CELL, self.sizes.cell_nodes
        else:
            name, nodes = motif_name(rng.randrange(self.sizes.motifs)), self.sizes.motif_nodes
        i, j = rng.choice(edges(nodes))
        gene = self._space.genes(f"{name}/{i}-{j}").start
        n_candidates = len(self._space.decision(f"{name}/{i}-{j}").candidates)
        other = rng.randrange(n_candidates - 1)
        return (*code[:gene], other + (other >= code[gene]), *code[gene + 1 :])

    def trivial(self) -> Code:
        """Return the code that evolution starts from: chains of identities."""
        return self.code_of(trivial(self.sizes))

    def initial(self, rng: Random, mutations: int = 1000) -> Code:
        """Return an individual of a first population: the trivial code, mutated at random many times."""
        code = self.trivial()
        for _ in range(mutations):
            code = self.mutate(code, rng)
        return code

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discrete graph; motifs that it has lost are empty.

        Raises:
            ArchitectureError: If it is not discrete.
        """
        cells = [nested for nested in graph.nested_graphs() if nested.name == CELL]
        if not cells:
            raise ArchitectureError(f"the graph {graph.name!r} has no cell called {CELL!r}")
        motifs: list[dict[Edge, str]] = [{} for _ in range(self.sizes.motifs)]
        cell: dict[Edge, str] = {}
        for i, j, data in cells[0].edges(data=True):
            op = _inner(data.op)
            if isinstance(op, Graph):
                cell[i, j] = op.name
                number = self.sizes.names.index(op.name) - 1
                motifs[number] = {(u, v): _name(inner.op, u, v) for u, v, inner in op.edges(data=True)}
            else:
                _name(op, i, j)
        found = [{edge: op for edge, op in table.items() if op != NONE} for table in motifs]
        return self.code_of(Hierarchy(tuple(found), cell))

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the operations that `code` names on all edges of `graph`."""
        StatedCodec(self.name, self._space).apply(graph, code)


def _inner(op: Any) -> Any:
    return op.op if isinstance(op, DropPath) else op


def _name(op: Any, i: int, j: int) -> str:
    known = "a list of candidates" if isinstance(op, list) else op_name(_inner(op))
    if known not in NAMES:
        raise ArchitectureError(f"edge ({i}, {j}) carries {known}, no operation of a motif: the graph is not discrete")
    return NAMES[known]
