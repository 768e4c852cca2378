"""GrowingChain: how the networks of a space become wider and deeper, for methods that let a network grow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .decisions import Code

# The word between two blocks
POOL = "pool"


class GrowingChain(ABC):
    """Read an architecture as a chain of layers in blocks, and let it grow by one step.

    A codec whose networks are chains has one as its attribute `growing`. Layers are counted within their block and
    blocks within the chain, both from 0.

    Attributes:
        tokens: All words that an architecture may have, `POOL` among them.
        kernels: Sides of the kernels that a new convolution may have.
        blocks: Number of blocks, those of linear layers included.
        longest: Largest number of layers in a block.
    """

    tokens: tuple[str, ...]
    kernels: tuple[int, ...]
    blocks: int
    longest: int

    @abstractmethod
    def start(self) -> Code:
        """Return the smallest architecture, from which a search may begin."""

    @abstractmethod
    def words(self, code: Code) -> tuple[str, ...]:
        """Return the architecture as words, one per layer, and `POOL` between two blocks."""

    @abstractmethod
    def widenable(self, code: Code) -> tuple[bool, ...]:
        """Say of each word whether it is a layer that can become wider."""

    @abstractmethod
    def wider(self, code: Code, chosen: Sequence[bool]) -> Code:
        """Return the architecture in which some layers have the next larger width.

        Args:
            code: The architecture.
            chosen: One entry per word; without effect where a word cannot become wider.
        """

    @abstractmethod
    def layers(self, code: Code) -> tuple[int, ...]:
        """Return the number of layers of each block."""

    @abstractmethod
    def deepenable(self, code: Code) -> tuple[bool, ...]:
        """Say of each block whether it may have one more layer."""

    @abstractmethod
    def has_kernels(self, block: int) -> bool:
        """Say whether the layers of a block are convolutions whose kernel is chosen."""

    @abstractmethod
    def deeper(self, code: Code, block: int, layer: int, kernel: int) -> Code:
        """Return the architecture with a layer more, as wide as the one before it.

        Args:
            code: The architecture.
            block: Where.
            layer: The layer that it comes after.
            kernel: Index of its kernel; without effect where the block has none.

        Raises:
            ArchitectureError: If the block is full, or has no such layer.
        """
