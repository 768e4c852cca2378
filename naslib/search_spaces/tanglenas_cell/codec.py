"""Codes of the TangleNAS cell space: the genotype of its authors, and six numbers as its table has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naslib.errors import ArchitectureError, did_you_mean
from naslib.search_spaces.core.literals import shortened
from naslib.search_spaces.core.spelled_codec import Spelling

OP_NAMES = ("sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
CELLS = ("normal", "reduce")
# The decisions of a cell, and the number of the input of each edge in a genotype
EDGES = ((2, 3), (2, 4), (3, 4))
SOURCES = (0, 0, 1)
NODES = (1, 2)


def decision_names() -> list[str]:
    """Return the decisions in the order of a code: the edges of the normal cell, then those of the reduction cell."""
    return [f"{cell}/{u}-{v}" for cell in CELLS for u, v in EDGES]


class TangleNASGenotype(Spelling):
    """The authors' genotype: `normal` and `reduce`, three pairs of an operation and its source each.

    `normal_concat` and `reduce_concat` are always nodes 1 and 2. As text also in the form of a `Genotype(...)`.
    """

    def read(self, spec: Any) -> Mapping[str, Any] | None:
        """Return the candidates by decision; see the parent.

        Raises:
            ArchitectureError: If it has the form, and is no cell of this space.
        """
        if not isinstance(spec, Mapping) or not {*CELLS} <= {*spec}:
            return None
        found: dict[str, Any] = {}
        for cell in CELLS:
            names = _operations(cell, spec[cell])
            concat = list(spec.get(f"{cell}_concat", NODES))
            if concat != list(NODES):
                raise ArchitectureError(f"{cell}_concat of a TangleNAS cell is {list(NODES)}, not {concat}")
            found |= {f"{cell}/{u}-{v}": name for (u, v), name in zip(EDGES, names, strict=True)}
        return found

    def write(self, choices: Mapping[str, Any]) -> dict[str, Any]:
        """Return the genotype."""
        genotype: dict[str, Any] = {}
        for cell in CELLS:
            names = [choices[f"{cell}/{u}-{v}"] for u, v in EDGES]
            genotype[cell] = [[name, source] for name, source in zip(names, SOURCES, strict=True)]
            genotype[f"{cell}_concat"] = list(NODES)
        return genotype


def _operations(cell: str, edges: Any) -> list[str]:
    """Return the operations of a cell in the order of its edges."""
    form = [["operation", source] for source in SOURCES]
    pairs = list(edges) if isinstance(edges, Sequence) and not isinstance(edges, str) else []
    if len(pairs) != len(EDGES) or any(isinstance(pair, str) or len(pair) != 2 for pair in pairs):
        raise ArchitectureError(f"{cell} of a TangleNAS cell is {form}, not {shortened(edges)}")
    if [pair[1] for pair in pairs] != list(SOURCES):
        raise ArchitectureError(
            f"the edges of {cell} come from the nodes {list(SOURCES)}, in this order, not from "
            f"{[pair[1] for pair in pairs]}"
        )
    for name, _ in pairs:
        if name not in OP_NAMES:
            raise ArchitectureError(
                f"{cell}: the TangleNAS cell has no operation {name!r}{did_you_mean(str(name), OP_NAMES)} "
                f"(it has: {', '.join(OP_NAMES)})"
            )
    return [name for name, _ in pairs]


def count_parameters(code: Sequence[int], n_classes: int = 10, in_channels: int = 1, channels: int = 32) -> int:
    """Return the number of parameters of the network of `code` for images of 28 pixels, in closed form.

    Args:
        code: Six indices of operations.
        n_classes: Number of classes.
        in_channels: Channels of the images.
        channels: Channels of the first two cells; the third has twice as many.
    """
    total = 0
    normal, reduce = code[:3], code[3:]
    cells = [(reduce, in_channels, channels), (normal, 2 * channels, channels), (reduce, 2 * channels, 2 * channels)]
    for operations, reads, width in cells:
        total += reads * width + sum(_of_operation(OP_NAMES[index], width) for index in operations)
    hidden = 4 * channels
    return total + (hidden * 3 * 3 + 1) * hidden + (hidden + 1) * n_classes


def _of_operation(name: str, channels: int) -> int:
    kernel = int(name[-1])
    once = channels * kernel**2 + channels**2
    return 2 * once if name.startswith("sep") else once
