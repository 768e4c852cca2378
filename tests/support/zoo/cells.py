"""Cell spaces: the lists of operations of the DARTS space, NASNet, PNAS, hierarchical cells."""

from __future__ import annotations

from typing import Any

from naslib.search_spaces import (
    HierarchicalSearchSpace,
    NasBench301SearchSpace,
    NASNetSearchSpace,
    PNASSearchSpace,
)

from . import Entry

_TINY = {"cells": 3, "channels": 4, "auxiliary": False}
_TINY_BLOCKS = {"cells_per_stage": 1, "channels": 4, "auxiliary": False}
_FOUR = ("skip_connect", "conv_1x1", "max_pool_3x3", "sep_conv_3x3")


def _darts(primitives: Any, nodes: int = 2) -> Any:
    return lambda **sizes: NasBench301SearchSpace(channels=4, cells=3, nodes=nodes, primitives=primitives, **sizes)


def _pairs(*numbers: int) -> int:
    """Return in how many ways two edges into each node are chosen, n of them, in both cells."""
    ways = 1
    for n in numbers:
        ways *= n * (n - 1) // 2
    return ways**2


ENTRIES = {
    "darts_7": Entry(_darts("darts_7"), size=_pairs(2, 3) * 7**8, evaluation=_TINY),
    # two operations on each of the 2 x 14 edges, their own
    "darts_s1": Entry(_darts("s1", nodes=4), size=_pairs(2, 3, 4, 5) * 2**16, evaluation=_TINY),
    "darts_s2": Entry(_darts("s2"), size=_pairs(2, 3) * 2**8, evaluation=_TINY),
    "darts_s3": Entry(_darts("s3"), size=_pairs(2, 3) * 2**8, evaluation=_TINY),
    "darts_s4": Entry(_darts("s4"), size=_pairs(2, 3) * 2**8, evaluation=_TINY),
    # block k: two branches, each reads one of 2 + k states by one of four operations
    "nasnet": Entry(
        lambda **sizes: NASNetSearchSpace(channels=4, cells_per_stage=1, blocks=2, primitives=_FOUR, **sizes),
        size=((2 * 4) ** 2 * (3 * 4) ** 2) ** 2,
        evaluation=_TINY_BLOCKS,
    ),
    "nasnet_combined": Entry(
        lambda **sizes: NASNetSearchSpace(
            channels=4, cells_per_stage=1, blocks=1, primitives=_FOUR, combine=("add", "concat"), **sizes
        ),
        size=((2 * 4) ** 2 * 2) ** 2,
        evaluation=_TINY_BLOCKS,
        refused={"gsparsity": "combinations at nodes"},
    ),
    "pnas": Entry(
        lambda **sizes: PNASSearchSpace(channels=4, cells_per_stage=1, blocks=2, **sizes),
        size=(2 * 8) ** 2 * (3 * 8) ** 2,
        evaluation=_TINY_BLOCKS,
    ),
    # three edges of two motifs with seven operations, and three of the cell with none or one of the motifs
    "hierarchical": Entry(
        lambda **sizes: HierarchicalSearchSpace(channels=4, motifs=2, motif_nodes=3, cell_nodes=3, **sizes),
        size=7**6 * 3**3,
        evaluation={"cells_per_stage": 1, "channels": 4},
        refused={
            "gsparsity": "takes each candidate for itself, and some have decisions of their own inside",
            "p_darts": "a decision inside of a candidate would leave the supernet with it",
            "pc_darts": "takes each candidate for itself, and some have decisions of their own inside",
        },
    ),
}
