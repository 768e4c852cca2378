"""Networks of layers, and recurrent cells that are trees."""

from __future__ import annotations

from math import prod

from naslib.search_spaces import NASRLCNNSearchSpace, NASRLRNNSearchSpace
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.schema import DecisionSpace

from . import Entry, all_methods, text

_VALUES = {"heights": (1, 3), "widths": (1, 3, 5), "filters": (4, 6), "strides": (1, 2)}
_WAYS = 2 * 3 * 2 * 2 * 2  # of one layer, its inputs apart


def _neighbours(space: DecisionSpace, code: Code) -> int:
    """Return how many networks differ in one decision, or by a last layer that reads the one before it alone."""
    choices = space.choices(code)
    depth = choices["depth"]
    own = depth * (1 + 2 + 1 + 1 + 1) + depth * (depth - 1) // 2
    less = depth > 2 and choices[f"layer_{depth}/inputs"] == (depth - 1,)
    return own + less + (_WAYS if depth < 4 else 0)


ENTRIES = {
    "nas_rl_cnn": Entry(
        lambda n_classes, in_channels: NASRLCNNSearchSpace(n_classes, in_channels, 2, 4, **_VALUES),
        # layer i reads any subset of i - 1 layers
        size=sum(prod(_WAYS * 2 ** (layer - 1) for layer in range(1, depth + 1)) for depth in (2, 3, 4)),
        neighbours=_neighbours,
        refused=all_methods("its layers concatenate what they read, and no network has them all"),
    ),
    "nas_rl_rnn": Entry(
        lambda n_classes, in_channels: NASRLRNNSearchSpace(n_classes, in_channels, base=4, hidden=6, layers=2),
        size=8**8 * 7 * 7,  # seven nodes and the injection, two indices of nodes
        batch=text,
        task="language_modelling",
        refused=all_methods("its cells are trees whose leaves have weights of their own, and no network has them all"),
        channels=(),
    ),
}
