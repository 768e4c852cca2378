"""The choices of the vision transformers, by name."""

from __future__ import annotations

from typing import NamedTuple

from naslib.search_spaces.core.elastic.sizes import Number


class AutoFormerChoices(NamedTuple):
    """What can be chosen, and what goes with it.

    Attributes:
        embed: Features of a token.
        depth: Numbers of layers.
        heads: Numbers of heads of a layer.
        mlp_ratio: Features between the linear layers of a layer, by those of a token.
        head_dim: Size of a head.
        patch_size: Side of a patch; 0 for a quarter of the image.
        relative: Largest distance of relative positions; 0 for none.
    """

    embed: tuple[Number, ...]
    depth: tuple[Number, ...]
    heads: tuple[Number, ...]
    mlp_ratio: tuple[Number, ...]
    head_dim: int = 64
    patch_size: int = 16
    relative: int = 14


# The first three are those of [Chen2021autoformer], Table 1; queries, keys and values have 64 features per head
PRESETS = {
    "tiny": AutoFormerChoices((192, 216, 240), (12, 13, 14), (3, 4), (3.5, 4)),
    "small": AutoFormerChoices((320, 384, 448), (12, 13, 14), (5, 6, 7), (3, 3.5, 4)),
    "base": AutoFormerChoices((528, 576, 624), (14, 15, 16), (8, 9, 10), (3, 3.5, 4)),
    "cifar": AutoFormerChoices(
        (96, 128, 160), (5, 6, 7), (2, 3, 4), (1.5, 2, 3), head_dim=32, patch_size=4, relative=0
    ),
    "mini": AutoFormerChoices((32, 48, 64), (2, 3, 4), (2, 3, 4), (1, 2, 3), head_dim=16, patch_size=0, relative=0),
}
