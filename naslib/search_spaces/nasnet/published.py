"""Cells that papers found, as their authors published them: what `BlockNetwork` builds.

Which states make the output is a part of these, as it is in the published code: NASNet-A concatenates states that its
own blocks read, against the rule of its paper, and PNASNet-5 all of its blocks.
"""

from __future__ import annotations

from .genotype import BlockCell, CellGenotype


def _cell(text: str, concat: tuple[int, ...]) -> BlockCell:
    edges = tuple((op, int(state)) for op, state in (edge.split(":") for edge in text.split()))
    return BlockCell(edges, concat, ("add",) * (len(edges) // 2))


# [Zoph2018nasnet], figure 4
NASNET_A = CellGenotype(
    _cell(
        "sep_conv_5x5:1 sep_conv_3x3:0 sep_conv_5x5:0 sep_conv_3x3:0 avg_pool_3x3:1 skip_connect:0 "
        "avg_pool_3x3:0 avg_pool_3x3:0 sep_conv_3x3:1 skip_connect:1",
        (0, 2, 3, 4, 5, 6),
    ),
    _cell(
        "sep_conv_5x5:1 sep_conv_7x7:0 max_pool_3x3:1 sep_conv_7x7:0 avg_pool_3x3:1 sep_conv_5x5:0 "
        "skip_connect:3 avg_pool_3x3:2 sep_conv_3x3:2 max_pool_3x3:1",
        (3, 4, 5, 6),
    ),
)

_PNASNET_5 = _cell(
    "sep_conv_5x5:0 max_pool_3x3:0 sep_conv_7x7:1 max_pool_3x3:1 sep_conv_5x5:1 sep_conv_3x3:1 "
    "sep_conv_3x3:4 max_pool_3x3:1 sep_conv_3x3:0 skip_connect:1",
    (2, 3, 4, 5, 6),
)
# [Liu2018pnas], figure 1
PNASNET_5 = CellGenotype(_PNASNET_5, _PNASNET_5)
