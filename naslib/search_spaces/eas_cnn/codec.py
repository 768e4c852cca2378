"""Codes of plain convolutional networks: depth, widths and kernels of each block; the genotype is a string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naslib.errors import UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.spelled_codec import SpelledCodec

from .growth import ConvGrowth
from .layers import NAME, Chain, LayerString, Limits, chain_of


class EASCodec(Codec[Any]):
    """Code networks as their decisions do; genotypes are the authors' strings.

    Args:
        limits: Of the space.

    Attributes:
        limits: Of the space.
        growing: How architectures become wider and deeper.
    """

    name = NAME

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._space = limits.decision_space()
        self._spelled = SpelledCodec(NAME, self._space, LayerString(limits))
        self.growing = ConvGrowth(limits, self._space)

    @property
    def decision_space(self) -> DecisionSpace:
        """Depth of every block, width and kernel of every layer that it then has."""
        return self._space

    def canonical(self, spec: Any) -> Code:
        """Return the code of an architecture: a code, the candidates by decision, or the authors' string.

        Raises:
            ArchitectureError: If it is none of this space.
        """
        return self._spelled.canonical(spec)

    def genotype(self, code: Code) -> Any:
        """Return the authors' string."""
        return self._spelled.genotype(code)

    def chain(self, code: Code) -> Chain:
        """Return the layers of an architecture."""
        return chain_of(self._space.choices(code), self.limits)

    def from_graph(self, graph: Any) -> Code:
        """Raise: the layers of a network are known by its code only."""
        raise UnsupportedBySpaceError(f"no architecture is set on this {NAME} yet: use set_spec")

    def apply(self, graph: Any, code: Code) -> None:
        """Build the network that `code` names."""
        graph.put_chain(self.chain(code))

    def network_sizes(self, code: Code, graph: Any, input_shape: Sequence[int]) -> tuple[int, int]:
        """Return the parameters and multiply-accumulates of a network in closed form.

        Args:
            code: The architecture.
            graph: The space, for the number of classes.
            input_shape: Of one image, `(channels, height, width)`.
        """
        channels, height, width = input_shape
        params = macs = 0
        chain = self.chain(code)
        for number, block in enumerate(chain):
            pixels = height * width if number < len(chain) - 1 else 1
            for layer in block:
                weights = channels * layer.width * max(layer.kernel, 1) ** 2
                params, macs = params + weights + 2 * layer.width, macs + weights * pixels
                channels = layer.width
            height, width = height // 2, width // 2
        return params + (channels + 1) * graph.n_classes, macs + channels * graph.n_classes
