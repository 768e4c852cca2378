"""Growth of plain convolutional networks: the next larger width, a layer more."""

from __future__ import annotations

from collections.abc import Sequence

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.growing import POOL, GrowingChain
from naslib.search_spaces.core.schema import DecisionSpace

from .layers import Chain, ChainLayer, Limits, chain_of, choices_of

# Of the convolutions of the smallest network, where the space has it
_START_KERNEL = 3


class ConvGrowth(GrowingChain):
    """Let architectures of `eas_cnn` grow as [Cai2018eas] does.

    Args:
        limits: Of the space.
        space: Its decisions.
    """

    def __init__(self, limits: Limits, space: DecisionSpace) -> None:
        self._limits, self._space = limits, space
        convolutions = [ChainLayer(width, kernel).word for width in limits.widths for kernel in limits.kernels]
        self.tokens = (*convolutions, *(ChainLayer(units).word for units in limits.units), POOL)
        self.kernels = limits.kernels
        self.blocks = limits.blocks + 1
        self.longest = max(limits.depth, limits.dense)

    def start(self) -> Code:
        """Return the architecture with one layer in each block, of the smallest width, kernels 3 by 3 if there are."""
        limits = self._limits
        kernel = _START_KERNEL if _START_KERNEL in limits.kernels else limits.kernels[0]
        convolution = (ChainLayer(limits.widths[0], kernel),)
        return self._code((*[convolution] * limits.blocks, (ChainLayer(limits.units[0]),)))

    def words(self, code: Code) -> tuple[str, ...]:
        """Return one word per layer, and `POOL` between two blocks."""
        found: list[str] = []
        for block in self._chain(code):
            found += [POOL] * bool(found) + [layer.word for layer in block]
        return tuple(found)

    def widenable(self, code: Code) -> tuple[bool, ...]:
        """Say of each word whether it is a layer below the largest width."""
        found: list[bool] = []
        for index, block in enumerate(self._chain(code)):
            largest = self._limits.ladder(index)[-1]
            found += [False] * bool(found) + [layer.width < largest for layer in block]
        return tuple(found)

    def wider(self, code: Code, chosen: Sequence[bool]) -> Code:
        """Return the architecture in which the chosen layers have the next larger width."""
        flags = iter(chosen)
        chain = []
        for index, block in enumerate(self._chain(code)):
            if index:
                next(flags)
            ladder = self._limits.ladder(index)
            chain.append(tuple(layer._replace(width=_next(ladder, layer.width, next(flags))) for layer in block))
        return self._code(tuple(chain))

    def layers(self, code: Code) -> tuple[int, ...]:
        """Return the number of layers of each block."""
        return tuple(len(block) for block in self._chain(code))

    def deepenable(self, code: Code) -> tuple[bool, ...]:
        """Say of each block whether it may have one more layer."""
        return tuple(count < self._limits.deepest(block) for block, count in enumerate(self.layers(code)))

    def has_kernels(self, block: int) -> bool:
        """Say whether the layers of a block are convolutions."""
        return block < self._limits.blocks

    def deeper(self, code: Code, block: int, layer: int, kernel: int) -> Code:
        """Return the architecture with a layer more behind a layer of a block, as wide as that one.

        Raises:
            ArchitectureError: If the block is full, or has no such layer.
        """
        chain = list(self._chain(code))
        layers = chain[block]
        if not 0 <= layer < len(layers):
            raise ArchitectureError(f"block {block} has layers 0 to {len(layers) - 1}, and no layer {layer}")
        if len(layers) >= self._limits.deepest(block):
            raise ArchitectureError(f"block {block} is full: it has {len(layers)} layers")
        side = self.kernels[kernel] if self.has_kernels(block) else 0
        chain[block] = (*layers[: layer + 1], ChainLayer(layers[layer].width, side), *layers[layer + 1 :])
        return self._code(tuple(chain))

    def _chain(self, code: Code) -> Chain:
        return chain_of(self._space.choices(code), self._limits)

    def _code(self, chain: Chain) -> Code:
        return self._space.code_of(choices_of(chain, self._limits))


def _next(ladder: Sequence[int], width: int, chosen: bool) -> int:
    """Return the next larger width if it is wanted, the width itself where there is none."""
    return min((other for other in ladder if other > width), default=width) if chosen else width
