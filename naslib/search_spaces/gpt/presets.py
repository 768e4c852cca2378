"""The choices of the language models, by name."""

from __future__ import annotations

from typing import NamedTuple

from naslib.search_spaces.core.elastic.sizes import Number


class GPTChoices(NamedTuple):
    """What can be chosen, and what goes with it.

    Attributes:
        embed: Features of a token.
        depth: Numbers of layers.
        heads: Numbers of heads of a layer.
        mlp_ratio: Features between the linear layers of a layer, by those of a token.
        bias: Whether attention and linear layers have biases: 1, 0, or either.
        head_dim: Size of a head.
    """

    embed: tuple[Number, ...]
    depth: tuple[Number, ...]
    heads: tuple[Number, ...]
    mlp_ratio: tuple[Number, ...]
    bias: tuple[Number, ...] = (0, 1)
    head_dim: int = 64


# The first three are those of [Sukthanker2024hwgptbench]
PRESETS = {
    "s": GPTChoices((192, 384, 768), (10, 11, 12), (4, 8, 12), (2, 3, 4)),
    "m": GPTChoices((256, 512, 1024), (22, 23, 24), (8, 12, 16), (2, 3, 4)),
    "l": GPTChoices((320, 640, 1280), (34, 35, 36), (8, 16, 20), (2, 3, 4)),
    "mini": GPTChoices((32, 48, 64), (2, 3, 4), (2, 3, 4), (1, 2, 3), head_dim=16),
}
