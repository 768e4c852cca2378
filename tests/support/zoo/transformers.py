"""Transformers of elastic layers."""

from __future__ import annotations

from math import prod

from naslib.search_spaces import AutoFormerSearchSpace, GPTSearchSpace
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.schema import DecisionSpace

from . import SIDE, Entry, text

# Of a layer: numbers of heads, and MLP ratios
_LAYER = 2 * 2


def _neighbours(space: DecisionSpace, code: Code) -> int:
    """Return how many neighbours there are: a longer chain has every choice of the layers that it has more."""
    depth = int(space.choices(code)["depth"])
    others = sum(len(decision.candidates) - 1 for decision in space.active(code) if decision.name != "depth")
    longer = [_LAYER ** max(0, other - depth) for other in space.decision("depth").candidates if other != depth]
    return others + sum(longer)


def _autoformer(n_classes: int, in_channels: int, **arguments: object) -> AutoFormerSearchSpace:
    return AutoFormerSearchSpace(
        *(n_classes, in_channels, SIDE),
        **{"embed": (6, 8), "depth": (1, 2, 3), "heads": (1, 2), "mlp_ratio": (1, 1.5), "head_dim": 4, **arguments},
    )


def _gpt(n_classes: int, in_channels: int, **arguments: object) -> GPTSearchSpace:
    return GPTSearchSpace(
        *(n_classes, in_channels),
        **{"embed": (6, 8), "depth": (1, 2, 3), "heads": (1, 2), "mlp_ratio": (1, 2), "head_dim": 4, **arguments},
    )


_REFUSED: dict[str, str] = {}

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
