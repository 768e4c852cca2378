"""Codes as vectors of zeros and ones: one entry per candidate of each decision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from naslib.errors import ArchitectureError

from ._decision_tree import Node
from .decisions import MASKED
from .literals import shortened


class CodeVectors:
    """Where the candidates of all decisions are in a vector.

    Args:
        nodes: The decisions, in the order of the genes.

    Attributes:
        n_genes: Length of a code.
        width: Length of a vector.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.n_genes = nodes[-1].stop
        self.width = 0
        columns, bounds, is_bit = [], [], []
        for node in nodes:
            bits = node.decision.n_chosen is None
            for number in range(node.stop - node.start):
                columns.append(self.width + number if bits else self.width)
                bounds.append(2 if bits else node.width)
                is_bit.append(bits)
            self.width += node.width
        # per gene: its first column, the bound of its values, and whether it is a bit
        self._columns, self._bounds, self._is_bit = np.array(columns), np.array(bounds), np.array(is_bit)

    def of(self, codes: Sequence[Sequence[int]]) -> np.ndarray:
        """Return canonical codes as rows of zeros and ones, float32 `(n, width)`.

        Raises:
            ArchitectureError: If a code has another length, or a gene that is no candidate.
        """
        genes = np.asarray(codes, dtype=np.int64).reshape(len(codes), -1) if len(codes) else np.empty((0, self.n_genes))
        if genes.shape[1] != self.n_genes or (genes < MASKED).any() or (genes >= self._bounds).any():
            raise ArchitectureError(f"not codes of this space, which have {self.n_genes} genes: {shortened(codes[:1])}")
        rows = np.zeros((len(genes), self.width), dtype=np.float32)
        row, gene = np.nonzero(np.where(self._is_bit, genes > 0, genes >= 0))
        chosen = np.where(self._is_bit[gene], 0, genes[row, gene]).astype(np.int64)
        rows[row, self._columns[gene] + chosen] = 1
        return rows
