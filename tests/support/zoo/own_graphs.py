"""Graphs as a person writes them: sizes in layers and in candidates, and a list of combinations at a node."""

from __future__ import annotations

from tests.support.elastic_space import ElasticSpace
from tests.support.node_space import NodeSpace

from . import Entry

_SIZES = "looks at operations, and the space decides sizes as well"

ENTRIES = {
    "own_nodes": Entry(
        lambda n_classes, in_channels: NodeSpace(classes=n_classes, in_channels=in_channels),
        size=3**3 * 4,
        refused={"gsparsity": "combinations at nodes"},
    ),
    "own_sizes": Entry(
        lambda n_classes, in_channels: ElasticSpace(classes=n_classes, in_channels=in_channels),
        size=2 * (1 + 2) * (1 + 1 + 3 + 1),  # width, depth with the kernel of a second block, operation with its kernel
        neighbours=None,  # a deeper chain, or the candidate with sizes, brings a choice with it
        refused={
            "darts_pt": _SIZES,
            "gsparsity": _SIZES,
            "oles": "an operation that stopped would stop those that share its weights",
            "one_shot": _SIZES,
            "p_darts": "the values of a size share one weight and cannot leave the supernet",
            "pc_darts": "EntangledCandidate cannot be built with 1/4 of its channels",
        },
    ),
}
