"""Recurrent cells in language models."""

from __future__ import annotations

from math import factorial

from naslib.search_spaces import DartsRNNSearchSpace

from . import Entry, text

_NODES = 3

ENTRIES = {
    "darts_rnn": Entry(
        lambda n_classes, in_channels: DartsRNNSearchSpace(n_classes, in_channels, hidden=8, nodes=_NODES),
        size=factorial(_NODES) * 4**_NODES,  # node i reads one of i states by one of four operations
        batch=text,
        task="language_modelling",
        evaluation={"hidden": 8},
        refused={
            "gsparsity": "some of these are the same objects",  # all operations into a node share a matrix
            "lambda_darts": "needs a cell that the network has at least twice",
            "oles": "some of these are the same objects",
            "pc_darts": "cannot be built with 1/4 of its channels",
        },
        channels=(),
    ),
}
