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
        columns, bounds, is_bit, least = [], [], [], []
        for node in nodes:
            bits = node.decision.n_chosen is None
            for number in range(node.stop - node.start):
                columns.append(self.width + number if bits else self.width)
                bounds.append(2 if bits else node.width)
                is_bit.append(bits)
                least.append(0 if node.decision.condition is None else MASKED)
            self.width += node.width
        # per gene: its first column, the bounds of its values, and whether it is a bit
        self._columns, self._bounds, self._is_bit = np.array(columns), np.array(bounds), np.array(is_bit)
        self._least = np.array(least)

    def checked(self, codes: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
        """Return canonical codes as ints, `(n, n_genes)`.

        Raises:
            ArchitectureError: If a code has another length, or a gene that is no candidate.
        """
        try:
            given = np.asarray(codes).reshape(len(codes), -1) if len(codes) else np.empty((0, self.n_genes))
            genes = given.astype(np.int64, copy=False)
        except (TypeError, ValueError) as error:
            raise self._refused(codes) from error
        if genes.shape[1] != self.n_genes or (genes < self._least).any() or (genes >= self._bounds).any():
            raise self._refused(codes)
        if given.dtype.kind not in "iu" and (given != genes).any():
            raise self._refused(codes)
        return genes

    def _refused(self, codes: Sequence[Sequence[int]] | np.ndarray) -> ArchitectureError:
        shown = shortened([tuple(code) if isinstance(code, np.ndarray) else code for code in codes[:1]])
        return ArchitectureError(f"not codes of this space, which have {self.n_genes} genes: {shown}")

    def of(self, codes: Sequence[Sequence[int]] | np.ndarray) -> np.ndarray:
        """Return canonical codes as rows of zeros and ones, float32 `(n, width)`; see `checked`."""
        genes = self.checked(codes)
        rows = np.zeros((len(genes), self.width), dtype=np.float32)
        places = self._columns + np.where(self._is_bit, 0, genes) + self.width * np.arange(len(genes))[:, None]
        is_one = genes >= self._is_bit  # a bit from 1, an index from 0
        rows.reshape(-1)[places.reshape(-1) if is_one.all() else places[is_one]] = 1
        return rows
