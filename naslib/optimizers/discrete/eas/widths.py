"""WidthChain: spaces whose decisions are sizes alone, as chains of layers that become wider and not deeper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from naslib.errors import ArchitectureError, UnsupportedBySpaceError
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.growing import POOL, GrowingChain
from naslib.search_spaces.core.restricted_codec import RestrictedCodec


class WidthChain(GrowingChain):
    """Take every decision of a space as the width of a layer, all layers in one block.

    Args:
        codec: Of a space whose decisions are numbers, in ascending order and always made.
    """

    def __init__(self, codec: Codec[Any]) -> None:
        space = codec.decision_space
        self._codec = codec
        self._widths = tuple(decision.candidates for decision in space.decisions) if space is not None else ()
        self.tokens = (*(str(width) for width in sorted({w for widths in self._widths for w in widths})), POOL)
        self.kernels, self.blocks, self.longest = (1,), 1, len(self._widths)

    def start(self) -> Code:
        """Return the architecture of the smallest widths."""
        return self._codec.from_decisions((0,) * len(self._widths))

    def words(self, code: Code) -> tuple[str, ...]:
        """Return the width of each layer."""
        genes = self._codec.to_decisions(code)
        return tuple(str(widths[gene]) for widths, gene in zip(self._widths, genes, strict=True))

    def widenable(self, code: Code) -> tuple[bool, ...]:
        """Say of each layer whether it is below its largest width."""
        genes = self._codec.to_decisions(code)
        return tuple(gene + 1 < len(widths) for widths, gene in zip(self._widths, genes, strict=True))

    def wider(self, code: Code, chosen: Sequence[bool]) -> Code:
        """Return the architecture in which the chosen layers have the next larger width."""
        genes, able = self._codec.to_decisions(code), self.widenable(code)
        grown = (gene + (flag and can) for gene, flag, can in zip(genes, chosen, able, strict=True))
        return self._codec.from_decisions(tuple(map(int, grown)))

    def layers(self, code: Code) -> tuple[int, ...]:
        """Return the number of layers, of the one block."""
        return (len(self._widths),)

    def deepenable(self, code: Code) -> tuple[bool, ...]:
        """Say no: there is no layer to add."""
        return (False,)

    def has_kernels(self, block: int) -> bool:
        """Say no."""
        return False

    def deeper(self, code: Code, block: int, layer: int, kernel: int) -> Code:
        """Raise.

        Raises:
            ArchitectureError: Always.
        """
        raise ArchitectureError(f"networks of {self._codec.name} have a fixed number of layers")


def growing_of(codec: Codec[Any]) -> GrowingChain:
    """Return how the networks of a space grow.

    Raises:
        UnsupportedBySpaceError: If its decisions are more than widths, and its codec does not say; or if some of its
            architectures are left out: a table lacks them, or they are beyond a limit.
    """
    if isinstance(codec, RestrictedCodec):
        raise UnsupportedBySpaceError(
            f"eas lets networks grow step by step, and architectures of {codec.name} that are between are left out: "
            "the table lacks them, or they are beyond search.limits"
        )
    growing = getattr(codec, "growing", None)
    if isinstance(growing, GrowingChain):
        return growing
    space = codec.decision_space
    if space is None or not all(
        decision.kind == "value" and decision.condition is None and _ascends(decision.candidates)
        for decision in space.decisions
    ):
        raise UnsupportedBySpaceError(
            f"eas makes chains of layers wider and deeper, and {codec.name} is none: take the space eas_cnn, or one "
            "that decides widths alone, such as nats_size"
        )
    return WidthChain(codec)


def _ascends(candidates: Sequence[Any]) -> bool:
    numbers = all(isinstance(candidate, int) and not isinstance(candidate, bool) for candidate in candidates)
    return numbers and list(candidates) == sorted(candidates)
