"""Layers of plain convolutional networks, what a space of them allows, and the string that the authors write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from naslib.errors import ArchitectureError
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.growing import POOL
from naslib.search_spaces.core.literals import shortened
from naslib.search_spaces.core.schema import DecisionSpace
from naslib.search_spaces.core.spelled_codec import Spelling

NAME = "eas_cnn"
DENSE = "dense"
_CONV, _FC = "conv", "fc"


class ChainLayer(NamedTuple):
    """A layer of a chain.

    Attributes:
        width: Filters of a convolution, units of a linear layer.
        kernel: Side of the kernel, 0 for a linear layer.
    """

    width: int
    kernel: int = 0

    @property
    def word(self) -> str:
        """As the authors write it: `conv-16-3`, `fc-64`."""
        return f"{_CONV}-{self.width}-{self.kernel}" if self.kernel else f"{_FC}-{self.width}"


# The blocks of convolutions, then the block of linear layers
Chain = tuple[tuple[ChainLayer, ...], ...]


@dataclass(frozen=True)
class Limits:
    """What the networks of a space consist of.

    Attributes:
        blocks: Number of blocks of convolutions.
        depth: Largest number of convolutions in a block.
        widths: Filters that a convolution may have, ascending.
        kernels: Sides of kernels.
        dense: Largest number of linear layers before the classifier.
        units: That a linear layer may have, ascending.
    """

    blocks: int
    depth: int
    widths: tuple[int, ...]
    kernels: tuple[int, ...]
    dense: int
    units: tuple[int, ...]

    def names(self) -> list[str]:
        """Return the names of the blocks."""
        return [*(f"block_{number}" for number in range(1, self.blocks + 1)), DENSE]

    def deepest(self, block: int) -> int:
        """Return the largest number of layers of a block."""
        return self.depth if block < self.blocks else self.dense

    def ladder(self, block: int) -> tuple[int, ...]:
        """Return the widths that layers of a block may have."""
        return self.widths if block < self.blocks else self.units

    def decision_space(self) -> DecisionSpace:
        """Return the decisions: of each block its depth, and of each layer that it then has its width and kernel."""
        decisions = []
        for index, name in enumerate(self.names()):
            deepest = self.deepest(index)
            depth = f"{name}/depth"
            decisions.append(Decision(depth, "value", tuple(range(1, deepest + 1))))
            for layer in range(1, deepest + 1):
                condition = (depth, tuple(range(layer - 1, deepest))) if layer > 1 else None
                width = Decision(f"{name}/width_{layer}", "value", self.ladder(index), condition=condition)
                decisions.append(width)
                if index < self.blocks:
                    decisions.append(Decision(f"{name}/kernel_{layer}", "value", self.kernels, condition=condition))
        return DecisionSpace(decisions)


def choices_of(chain: Chain, limits: Limits) -> dict[str, int]:
    """Return an architecture by the names of its decisions."""
    found: dict[str, int] = {}
    for name, block in zip(limits.names(), chain, strict=True):
        found[f"{name}/depth"] = len(block)
        for number, layer in enumerate(block, start=1):
            found[f"{name}/width_{number}"] = layer.width
            if layer.kernel:
                found[f"{name}/kernel_{number}"] = layer.kernel
    return found


def chain_of(choices: Mapping[str, Any], limits: Limits) -> Chain:
    """Return the layers of an architecture that is given by its decisions."""
    return tuple(
        tuple(
            ChainLayer(choices[f"{name}/width_{number}"], choices.get(f"{name}/kernel_{number}", 0))
            for number in range(1, choices[f"{name}/depth"] + 1)
        )
        for name in limits.names()
    )


class LayerString(Spelling):
    """The authors' string: `conv-16-3_conv-16-3_pool_conv-32-3_pool_fc-64`, filters, then kernel.

    Args:
        limits: Of the space.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def read(self, spec: Any) -> Mapping[str, Any] | None:
        """Return the sizes by decision; see the parent.

        Raises:
            ArchitectureError: If a word is no layer, or blocks are missing.
        """
        if not isinstance(spec, str) or not spec.startswith((f"{_CONV}-", f"{_FC}-")):
            return None
        blocks: list[list[ChainLayer]] = [[]]
        for word in spec.split("_"):
            if word == POOL:
                blocks.append([])
            else:
                blocks[-1].append(_layer(word))
        names = self.limits.names()
        if len(blocks) != len(names) or not all(blocks):
            raise ArchitectureError(
                f"an architecture of {NAME} has {len(names) - 1} blocks of convolutions and one of linear layers, with "
                f"{POOL!r} between them and a layer in each, not {shortened(spec)}"
            )
        for index, (name, block) in enumerate(zip(names, blocks, strict=True)):
            deepest = self.limits.deepest(index)
            if len(block) > deepest:
                raise ArchitectureError(
                    f"{name} has at most {deepest} layers here, not {len(block)} as in {shortened(spec)}"
                )
            if any((layer.kernel == 0) != (name == DENSE) for layer in block):
                raise ArchitectureError(f"{name} of {shortened(spec)} has layers of another kind")
        return choices_of(tuple(map(tuple, blocks)), self.limits)

    def write(self, choices: Mapping[str, Any]) -> str:
        """Return the string."""
        return spelled(chain_of(choices, self.limits))


def spelled(chain: Chain) -> str:
    """Return the string of an architecture."""
    return f"_{POOL}_".join("_".join(layer.word for layer in block) for block in chain)


def _layer(word: str) -> ChainLayer:
    kind, *sizes = word.split("-")
    expected = {_CONV: 2, _FC: 1}.get(kind)
    if expected != len(sizes) or not all(size.isdecimal() for size in sizes):
        raise ArchitectureError(f"a layer is conv-FILTERS-KERNEL or fc-UNITS, not {word!r}")
    numbers = [int(size) for size in sizes]
    return ChainLayer(numbers[0], numbers[1] if kind == _CONV else 0)
