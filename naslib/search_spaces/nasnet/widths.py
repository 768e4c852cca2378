"""Cells of fewer blocks in the codes of a space, and how cells grow by a block ([Liu2018pnas])."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.decisions import MASKED, Code
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.widening import CellWidening

from .cells import block_node, branch_node, node_of_state
from .genotype import BlockCell, CellGenotype


class Widths:
    """Read and write codes of cells that have the first blocks only: the genes of the others are -1.

    Args:
        space: The decisions of the space.
        cells: Names of the graphs that decide.
        blocks: Blocks of a whole cell.
    """

    def __init__(self, space: DecisionSpace, cells: Sequence[str], blocks: int) -> None:
        self.space, self.blocks = space, blocks
        self.genes: list[list[int]] = [[] for _ in range(blocks)]  # of each block
        block_of = {
            f"{cell}/{node}": block
            for cell in cells
            for block in range(blocks)
            for node in (branch_node(block, 0), branch_node(block, 1), block_node(block))
        }
        for name in space.names:
            graph, _, where = name.rpartition("/")
            node = where.partition(":")[0].rpartition("-")[2]
            at = space.genes(name)
            self.genes[block_of[f"{graph}/{node}"]] += range(at.start, at.stop)

    def of(self, code: Sequence[int]) -> int:
        """Return how many blocks a code decides, the first ones; all of them where it is no code of fewer."""
        if len(code) != self.space.n_genes:
            return self.blocks
        there = [any(code[gene] != MASKED for gene in genes) for genes in self.genes]
        found = there.index(False) if False in there else self.blocks
        return found if found and not any(there[found:]) else self.blocks

    def filled(self, code: Sequence[int]) -> Code:
        """Return a code of all blocks that begins with those of a code of fewer: the first candidates for the rest."""
        genes = [*code]
        for block in range(self.of(code), self.blocks):
            for gene in self.genes[block]:
                genes[gene] = 0
        return self.space.canonical(genes)

    def masked(self, code: Sequence[int], blocks: int) -> Code:
        """Return the code of the first blocks of a code."""
        genes = [*code]
        for block in range(blocks, self.blocks):
            for gene in self.genes[block]:
                genes[gene] = MASKED
        return tuple(genes)

    def canonical(self, code: Sequence[int]) -> Code:
        """Return the canonical code of a code of some blocks or all.

        Raises:
            ArchitectureError: If it is none of the space.
        """
        blocks = self.of(code)
        return self.space.canonical(code) if blocks == self.blocks else self.masked(self.filled(code), blocks)


class BlockWidening(CellWidening):
    """Cells by their number of blocks; where normal and reduction cells are decided apart, the two are the same.

    A new block reads any two of the states before it, by any two operations, and combines them in any way that the
    space has. Its two branches are not in order, so that a first cell of two states and eight operations is one of
    16 * 17 / 2 = 136, as in [Liu2018pnas]. The output is by the rule of the space.

    The row of a block has the states and then the operations of its branches, and its combination where there are two.

    Args:
        widths: Which genes are of which block.
        cells: Names of the graphs that decide.
        operations: Names of the operations.
        combine: How blocks combine their branches: what the decision calls each of the names in genotypes.
        read: From a code to its genotype.
    """

    def __init__(
        self,
        widths: Widths,
        cells: Sequence[str],
        operations: Sequence[str],
        combine: Mapping[str, str],
        read: Callable[[Code], CellGenotype],
    ) -> None:
        self.widths, self.operations, self.combine = widths.blocks, tuple(operations), dict(combine)
        self.read, self._space, self._cells = read, widths.space, tuple(cells)
        # of each block, which genes mean what: by branch, and of the combination
        self._branches = [[self._branch(block, branch) for branch in (0, 1)] for block in range(self.widths)]
        self._combined = [self._combinations(block) for block in range(self.widths)]
        self._words = [[self._read(choices) for choices in branches] for branches in self._branches]
        several = len(self.combine) > 1
        self.vocabularies = (self.widths + 1, len(self.operations), *((len(self.combine),) if several else ()))
        self.positions = (0, 0, 1, 1, *((2,) if several else ()))

    def first(self) -> Iterator[Code]:
        """Yield the cells of one block, the order of its branches aside."""
        return self._with_block((MASKED,) * self._space.n_genes, 0)

    def wider(self, code: Code) -> Iterator[Code]:
        """Yield the cells of one more block."""
        return self._with_block(code, self.width_of(code))

    def width_of(self, code: Code) -> int:
        """Return the number of blocks."""
        return self._cell(code).blocks

    def rows(self, code: Code) -> Sequence[Sequence[int]]:
        """Return a row per block."""
        found = []
        for branches, combined in zip(self._words, self._combined, strict=True):
            chosen = [branch.get(code[gene]) for gene, branch in branches]
            pairs = [(state, ops[code[at]]) for state, at, ops in filter(None, chosen)]
            if not pairs:
                break
            words = [state for state, _ in pairs] + [op for _, op in pairs]
            if len(combined) > 1:
                words.append(next(place for place, own in enumerate(combined) if code[own[0][0]] == own[0][1]))
            found.append(tuple(words))
        return found

    def _cell(self, code: Code) -> BlockCell:
        """Return the cell that a code has for both strides.

        Raises:
            ArchitectureError: If the normal and the reduction cell differ.
        """
        cells = self.read(code)
        if cells.normal.edges != cells.reduce.edges or cells.normal.combine != cells.reduce.combine:
            raise ArchitectureError("cells grow block by block as one: the normal and the reduction cell differ here")
        return cells.normal

    def _with_block(self, code: Code, block: int) -> Iterator[Code]:
        """Yield a code with every choice of the genes of a block."""
        branches, combined = self._branches[block], self._combined[block]
        places = range(len(branches[0]))
        for first, second in itertools.combinations_with_replacement(places, 2):
            for combination in combined:
                genes = [*code]
                for gene, value in (*branches[0][first], *branches[1][second], *combination):
                    genes[gene] = value
                yield tuple(genes)

    def _branch(self, block: int, branch: int) -> list[list[tuple[int, int]]]:
        """Return the genes, with their values, of each choice of a state and an operation."""
        space, node = self._space, branch_node(block, branch)
        found = []
        for state in range(2 + block):
            source = node_of_state(state)
            for op in self.operations:
                pairs = []
                for cell in self._cells:
                    read, carries = f"{cell}/{node}", f"{cell}/{source}-{node}"
                    pairs.append((space.genes(read).start, space.decision(read).candidates.index(source)))
                    pairs.append((space.genes(carries).start, space.decision(carries).candidates.index(op)))
                found.append(pairs)
        return found

    def _read(self, choices: list[list[tuple[int, int]]]) -> tuple[int, dict[int, tuple[int, int, dict[int, int]]]]:
        """Return the gene of what a branch reads, and by its value the state, the gene of the operation, and which."""
        n_ops, found = len(self.operations), {}
        for state in range(len(choices) // n_ops):
            own = choices[state * n_ops : (state + 1) * n_ops]
            ops = {pairs[1][1]: op for op, pairs in enumerate(own)}
            found[own[0][0][1]] = state, own[0][1][0], ops
        return choices[0][0][0], found

    def _combinations(self, block: int) -> list[list[tuple[int, int]]]:
        """Return the genes, with their values, of each combination; nothing where there is one."""
        if len(self.combine) == 1:
            return [[]]
        names = [f"{cell}/{block_node(block)}:comb_op" for cell in self._cells]
        space = self._space
        return [
            [(space.genes(name).start, space.decision(name).candidates.index(stated)) for name in names]
            for stated in self.combine.values()
        ]
