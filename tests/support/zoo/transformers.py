"""Transformers of elastic layers."""

from __future__ import annotations

from math import prod
from typing import Any

from naslib.search_spaces import AutoFormerSearchSpace, GPTSearchSpace
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.schema import DecisionSpace

from . import SIDE, Entry, text

# Of a layer: numbers of heads, and MLP ratios
_LAYER = 2 * 2
_SIZES: dict[str, Any] = {"embed": (6, 8), "depth": (1, 2, 3), "heads": (1, 2), "head_dim": 4}


def _neighbours(space: DecisionSpace, code: Code) -> int:
    """Return how many neighbours there are: a longer chain has every choice of the layers that it has more."""
    depth = int(space.choices(code)["depth"])
    others = sum(len(decision.candidates) - 1 for decision in space.active(code) if decision.name != "depth")
    longer = [_LAYER ** max(0, other - depth) for other in space.decision("depth").candidates if other != depth]
    return others + sum(longer)


def _autoformer(n_classes: int, in_channels: int, **arguments: Any) -> AutoFormerSearchSpace:
    return AutoFormerSearchSpace(
        *(n_classes, in_channels, SIDE),
        **{**_SIZES, "mlp_ratio": (1, 1.5), **arguments},
    )


def _gpt(n_classes: int, in_channels: int, **arguments: Any) -> GPTSearchSpace:
    return GPTSearchSpace(
        *(n_classes, in_channels),
        **{**_SIZES, "mlp_ratio": (1, 2), **arguments},
    )


# They have no cell, no edge under search and no operation: every decision is a size
_REFUSED = {
    "darts_minus": "no edge has a mixture that it can be put around",
    "darts_pt": "a size that is taken out leaves its weights to the others",
    "gsparsity": "its groups are the weights of an operation",
    "lambda_darts": "needs a cell that the network has at least twice",
    "one_shot": "a network has one of the sizes",
    "p_darts": "the values of a size share one weight and cannot leave the supernet",
    "pc_darts": "no node sums two or more edges under search",
}

ENTRIES = {
    "autoformer": Entry(
        _autoformer,
        size=2 * sum(prod([_LAYER] * depth) for depth in (1, 2, 3)),
        neighbours=_neighbours,
        refused=_REFUSED,
    ),
    "gpt": Entry(
        _gpt,
        size=2 * 2 * sum(prod([_LAYER] * depth) for depth in (1, 2, 3)),
        batch=text,
        task="language_modelling",
        neighbours=_neighbours,
        refused=_REFUSED,
        channels=(),
    ),
}
