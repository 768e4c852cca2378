"""CellWidening: how the cells of a space grow from one block to all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

from .decisions import Code


class CellWidening(ABC):
    """The cells of a space by their number of blocks, each of which is an architecture of its own.

    A block is what a cell grows by: two operations and what they read, or a vertex with its edges. A cell is described
    for a model by rows of words, one row per block: the words of one row are positions of the same meaning in all of
    them, and positions that have a vocabulary in common may share what a model knows of its words.

    Attributes:
        widths: The largest number of blocks.
        vocabularies: The number of words of each vocabulary.
        positions: Of each word of a row, the vocabulary that it is from.
    """

    widths: int
    vocabularies: tuple[int, ...]
    positions: tuple[int, ...]

    @abstractmethod
    def first(self) -> Iterator[Code]:
        """Yield the codes of all cells of one block, each once."""

    @abstractmethod
    def wider(self, code: Code) -> Iterator[Code]:
        """Yield the codes of all cells that a cell becomes by one more block; some may come more than once.

        Args:
            code: A canonical code of fewer than `widths` blocks.
        """

    @abstractmethod
    def width_of(self, code: Code) -> int:
        """Return the number of blocks of a canonical code."""

    @abstractmethod
    def rows(self, code: Code) -> Sequence[Sequence[int]]:
        """Return the words of a canonical code, a row per block, as long as `positions` each."""
