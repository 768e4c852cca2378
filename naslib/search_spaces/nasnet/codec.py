"""Codecs of cells of blocks: between the decisions of a space, and the genotypes that people write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.core._ops_by_name import op_name
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.encodings import FixedEdges
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.literals import Call, as_value, plain
from naslib.search_spaces.core.primitives import Concat1x1
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.stated_codec import StatedCodec

from .cells import block_node, branches, cut_off, follow_rule, node_of_state, state_of_node
from .genotype import BlockCell, CellGenotype, as_cells, to_json
from .rules import OutputRule
from .widths import BlockWidening, Widths

# What a decision calls the combinations
COMBINATION_OF = {"sum": "add", "Concat1x1": "concat"}
_NAME_OF_COMBINATION = {"add": "sum", "concat": "Concat1x1"}


class BlockCodec(Codec[Graph]):
    """Code architectures as their decision space does, and write them as genotypes.

    Of two branches of a block that is added either may come first: the codes differ, the hash does not. A cell that has
    the first blocks only is an architecture, too, with -1 for the genes of the others; no draw or change makes one.

    Args:
        name: Of the space.
        space: Its decisions.
        cells: Names of the graphs that decide: of the normal and the reduction cell, or of the one that is both.
        names: Names of operations in genotypes, by those on edges.
        blocks: Number of blocks.
        rule: What makes the output of a cell.
        combine: How blocks combine their branches: the combinations that there are.
    """

    def __init__(
        self,
        name: str,
        space: DecisionSpace,
        cells: Sequence[str],
        names: Mapping[str, str],
        blocks: int,
        rule: OutputRule,
        combine: Sequence[str],
    ) -> None:
        self.name = name
        self._space = space
        self.cells = tuple(cells)
        self.names = dict(names)
        self.blocks = blocks
        self.rule = rule
        self.combine = tuple(combine)
        self.operations = tuple(dict.fromkeys(names.values()))
        self.widths = Widths(space, cells, blocks)

    @property
    def decision_space(self) -> DecisionSpace:
        """The decisions of the space."""
        return self._space

    def decision_order(self) -> list[str]:
        """Cell by cell and block by block: both states, both operations, the combination ([Zoph2018nasnet])."""
        found: list[str] = []
        for name in self.cells:
            pairs = [(node, sources) for _, node, sources in branches(self.blocks)]
            for block in range(self.blocks):
                both = pairs[2 * block : 2 * block + 2]
                found += [f"{name}/{node}" for node, _ in both]
                found += [f"{name}/{source}-{node}" for node, sources in both for source in sources]
                found.append(f"{name}/{block_node(block)}:comb_op")
        return [name for name in found if name in self._space.names]

    def fixed_edges(self) -> FixedEdges:
        """From the branches to their blocks, and from all blocks to the output, whichever the rule keeps of these."""
        output = block_node(self.blocks - 1) + 1
        within = [(node, block_node(position // 2)) for position, node, _ in branches(self.blocks)]
        return {name: (*within, *((block_node(b), output) for b in range(self.blocks))) for name in self.cells}

    def canonical(self, spec: Any) -> Code:
        """Return the code of a code, a genotype or the candidates by decision, each as value or as text.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        spec = as_value(spec)
        if isinstance(spec, Mapping) and "genotype" in spec:
            return self.canonical(spec["genotype"])
        if isinstance(spec, Mapping) and spec and set(spec) <= set(self._space.names):
            return self._space.code_of(spec)
        if is_written(spec):
            return self._code_of(as_cells(spec, self.operations, len(self.cells) == 1, self.rule))
        spec = plain(spec)
        return self.widths.canonical(spec) if isinstance(spec, list) else self._space.canonical(spec)

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` belongs to the space, or is that of cells with fewer blocks, in the canonical spelling."""
        try:
            return self.widths.canonical(code) == tuple(code)
        except ArchitectureError:
            return False

    def widening(self) -> BlockWidening:
        """Return how cells grow by a block.

        Raises:
            UnsupportedBySpaceError: If the states of the output are the same for all cells.
        """
        if self.rule.fixed:
            raise UnsupportedBySpaceError(
                f"cells of {self.name} do not grow block by block where concat names the states of the output, which "
                "cells of fewer blocks do not have; take concat=unused or concat=all"
            )
        combine = {name: _NAME_OF_COMBINATION[name] for name in self.combine}
        return BlockWidening(self.widths, self.cells, self.operations, combine, self.to_cells)

    def genotype(self, code: Code) -> dict[str, list[Any]]:
        """Return the genotype as lists, to be written as JSON."""
        return to_json(self.to_cells(code), one_cell=len(self.cells) == 1)

    def to_cells(self, code: Code) -> CellGenotype:
        """Return the cells of a code."""
        blocks = self.widths.of(code)
        choices = self._space.choices(code if blocks == self.blocks else self.widths.filled(code))
        found = [self._cell(number, name, choices, blocks) for number, name in enumerate(self.cells)]
        return CellGenotype(found[0], found[-1])

    def identity(self, code: Code) -> Code:
        """Return the code with the branches of every block in order."""
        cells = self.to_cells(self.canonical(code))
        return self._code_of(CellGenotype(_in_order(cells.normal), _in_order(cells.reduce)), may_be_narrow=True)

    def from_graph(self, graph: Graph) -> Code:
        """Read the code off a discrete graph.

        Raises:
            ArchitectureError: If a branch has not exactly one edge, or an edge carries no operation of the space.
        """
        cells = [self._read(number, self._cells_of(graph, name)[0], name) for number, name in enumerate(self.cells)]
        return self._code_of(CellGenotype(cells[0], cells[-1]))

    def apply(self, graph: Graph, code: Code) -> None:
        """Put the operations that `code` names on the edges of all cells of `graph`, and remove the other edges."""
        StatedCodec(self.name, self._space).apply(graph, self.widths.filled(code))
        for name in self.cells:
            for cell in self._cells_of(graph, name):
                cut_off(cell, self.widths.of(code))
        self.follow_rule(graph)

    def follow_rule(self, graph: Graph) -> None:
        """Let the cells of a discrete graph give out what the rule says."""
        for name in self.cells:
            for cell in self._cells_of(graph, name):
                follow_rule(cell, self.rule)

    def _cells_of(self, graph: Graph, name: str) -> list[Graph]:
        nested = [graph.nodes[node].get("subgraph") for node in sorted(graph.nodes)]
        found = [cell for cell in nested if isinstance(cell, Graph) and cell.name == name]
        if not found:
            raise ArchitectureError(f"the graph {graph.name!r} has no cell called {name!r}")
        return found

    def _cell(self, number: int, name: str, choices: Mapping[str, Any], blocks: int) -> BlockCell:
        edges = []
        for _, node, _ in branches(blocks):
            (source,) = choices[f"{name}/{node}"]
            edges.append((str(choices[f"{name}/{source}-{node}"]), state_of_node(source)))
        key = f"{name}/{{}}:comb_op"
        combine = [
            COMBINATION_OF[choices[key.format(node)]] if key.format(node) in choices else self.combine[0]
            for node in map(block_node, range(blocks))
        ]
        return BlockCell(tuple(edges), self.rule.states(number, edges), tuple(combine))

    def _code_of(self, genotype: CellGenotype, may_be_narrow: bool = False) -> Code:
        if len(self.cells) == 1 and genotype.normal != genotype.reduce:
            raise ArchitectureError(f"{self.name} has one cell for both strides; the genotype has two that differ")
        choices: dict[str, Any] = {}
        for number, (name, cell) in enumerate(zip(self.cells, genotype, strict=False)):
            self._check(number, name, cell, may_be_narrow)
            for position, node, _ in branches(cell.blocks):
                op, state = cell.edges[position]
                source = node_of_state(state)
                choices[f"{name}/{node}"] = (source,)
                choices[f"{name}/{source}-{node}"] = op
            if len(self.combine) > 1:
                for block, combine in enumerate(cell.combine):
                    choices[f"{name}/{block_node(block)}:comb_op"] = _NAME_OF_COMBINATION[combine]
            for _, node, sources in branches(self.blocks):  # what a cell of fewer blocks does not decide
                if node > block_node(cell.blocks - 1):
                    choices[f"{name}/{node}"] = (sources[0],)
                    choices[f"{name}/{sources[0]}-{node}"] = self.operations[0]
                    if len(self.combine) > 1:
                        choices[f"{name}/{block_node((node - 3) // 3)}:comb_op"] = _NAME_OF_COMBINATION[self.combine[0]]
        return self.widths.masked(self._space.code_of(choices), genotype.normal.blocks)

    def _check(self, number: int, name: str, cell: BlockCell, may_be_narrow: bool) -> None:
        """Raise `ArchitectureError` unless a cell is one of this space."""
        if cell.blocks != self.blocks and not (may_be_narrow and cell.blocks < self.blocks):
            raise ArchitectureError(f"{name} has {cell.blocks} blocks; the cells of this space have {self.blocks}")
        if other := set(cell.combine) - set(self.combine):
            raise ArchitectureError(f"{name} combines by {', '.join(sorted(other))}; this space by {self.combine}")
        expected = self.rule.states(number, cell.edges)
        if cell.concat != expected:
            raise ArchitectureError(
                f"{name} gives out the states {list(cell.concat)}; cells of this space give out {list(expected)} "
                f"(concat={self.rule.name}): give the space the states, concat={{normal: [...], reduce: [...]}}"
            )

    def _read(self, number: int, cell: Graph, name: str) -> BlockCell:
        edges = []
        for _, node, _ in branches(self.blocks):
            sources = list(cell.predecessors(node))
            if len(sources) != 1:
                raise ArchitectureError(
                    f"node {node} of {name!r} has {len(sources)} inputs instead of one: the graph is not discrete"
                )
            op = cell.edges[sources[0], node].op
            known = "a list of candidates" if isinstance(op, list) else op_name(op)
            if known not in self.names:
                raise ArchitectureError(f"edge ({sources[0]}, {node}) of {name!r} carries {known}, no op of a genotype")
            edges.append((self.names[known], state_of_node(sources[0])))
        combine = [
            "concat" if isinstance(cell.nodes[block_node(block)].get("comb_op"), Concat1x1) else "add"
            for block in range(self.blocks)
        ]
        return BlockCell(tuple(edges), self.rule.states(number, edges), tuple(combine))


class WrittenBlockCodec(Codec[Graph]):
    """Hold any genotype of blocks as a code: what is built from it, and not drawn.

    A code lists, for the normal cell and then the reduction cell, (state, operation) of all branches, the combination
    of each block (0 or 1), and the states of the output as the bits of a number.

    Args:
        blocks: Number of blocks.
        operations: Those that there are.
    """

    name = "a genotype of blocks"

    def __init__(self, blocks: int, operations: Sequence[str]) -> None:
        self.blocks = blocks
        self.operations = tuple(operations)

    def canonical(self, spec: Any) -> Code:
        """Return the code of a code or of a genotype.

        Raises:
            ArchitectureError: If it is none.
        """
        values = plain(spec)
        if isinstance(values, list) and len(values) == 2 * self._length and all(type(v) is int for v in values):
            return self._code_of(self.to_cells(tuple(values)))
        return self._code_of(as_cells(spec, self.operations, one_cell=True))

    @property
    def _length(self) -> int:
        return 5 * self.blocks + 1

    def to_cells(self, code: Code) -> CellGenotype:
        """Return the cells of a code."""
        normal, reduce = (self._cell(code[start : start + self._length]) for start in (0, self._length))
        return CellGenotype(normal, reduce)

    def genotype(self, code: Code) -> dict[str, list[Any]]:
        """Return the genotype as lists, to be written as JSON."""
        return to_json(self.to_cells(code))

    def is_valid(self, code: Code) -> bool:
        """Say whether `code` is the code of a genotype."""
        try:
            return self.canonical(code) == tuple(code)
        except (ArchitectureError, IndexError):
            return False

    def from_graph(self, graph: Graph) -> Code:
        """Raise `ArchitectureError`: a network keeps its code.

        Raises:
            ArchitectureError: Always.
        """
        raise ArchitectureError("only a network that was built from a genotype has the genotype")

    def apply(self, graph: Graph, code: Code) -> None:
        """Raise `UnsupportedBySpaceError`: a network is built from its genotype.

        Raises:
            UnsupportedBySpaceError: Always.
        """
        raise UnsupportedBySpaceError("BlockNetwork(genotype) builds a network; one that is built has its genotype")

    def _cell(self, code: Code) -> BlockCell:
        n = 4 * self.blocks
        edges = [(self.operations[op], state) for state, op in zip(code[:n:2], code[1:n:2], strict=True)]
        combine = ["concat" if gene else "add" for gene in code[n : n + self.blocks]]
        mask = code[-1]
        return BlockCell(tuple(edges), tuple(s for s in range(self.blocks + 2) if mask >> s & 1), tuple(combine))

    def _code_of(self, genotype: CellGenotype) -> Code:
        code: list[int] = []
        for cell in as_cells(genotype, self.operations):
            code += [value for op, state in cell.edges for value in (state, self.operations.index(op))]
            code += [int(combine == "concat") for combine in cell.combine]
            code.append(sum(1 << state for state in cell.concat))
        return tuple(code)


def _in_order(cell: BlockCell) -> BlockCell:
    """Return a cell with the branches of every block that adds them in order of state and operation."""
    edges: list[tuple[str, int]] = []
    for block, combine in enumerate(cell.combine):
        pair = cell.edges[2 * block : 2 * block + 2]
        edges += sorted(pair, key=lambda edge: (edge[1], edge[0])) if combine == "add" else pair
    return cell._replace(edges=tuple(edges))


def is_written(spec: Any) -> bool:
    """Say whether a value has the form of a genotype, and not of a code."""
    if isinstance(spec, Mapping | Call | CellGenotype) or hasattr(spec, "normal"):
        return True
    values = plain(spec) if isinstance(spec, list | tuple) else None
    return isinstance(values, list) and len(values) == 4 and isinstance(values[0], list)
