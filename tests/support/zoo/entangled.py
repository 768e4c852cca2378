"""Spaces whose architectures are slices of shared weights."""

from __future__ import annotations

import torch
from torch import Tensor

from naslib.search_spaces import TangleNASCellSearchSpace, TangleNASMacroSearchSpace

from . import Entry

_SHARES = "looks at the weights of each candidate, and these share theirs"
_SIZES = "looks at operations, and the space decides sizes as well"
_CANNOT_SHRINK = "it keeps no arguments of its constructor"
# Methods that need candidates on edges, with words of the reason
NEED_EDGES = {
    "darts_minus": "no edge has a mixture that it can be put around",
    "lambda_darts": "needs a cell that the network has at least twice",
    "pc_darts": "no node sums two or more edges under search",
}
# Methods that cannot search sizes, with words of the reason
NO_SIZES = {
    "p_darts": "the values of a size share one weight and cannot leave the supernet",
    "darts_pt": _SIZES,
    "one_shot": _SIZES,
    "gsparsity": _SIZES,
}


def _images_of_12(n: int, seed: int, in_channels: int = 3, n_classes: int = 4) -> tuple[Tensor, Tensor]:
    """Return random images `(n, in_channels, 12, 12)`, the smallest that the macro space takes, and labels."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(n, in_channels, 12, 12, generator=generator)
    return inputs, torch.randint(n_classes, (n,), generator=generator)


ENTRIES: dict[str, Entry] = {
    "tanglenas_cell": Entry(
        lambda **sizes: TangleNASCellSearchSpace(channels=4, image_size=8, **sizes),
        size=(4**3) ** 2,
        refused={"oles": _SHARES, "gsparsity": _SHARES, "pc_darts": _CANNOT_SHRINK},
    ),
    "tanglenas_macro": Entry(
        lambda **sizes: TangleNASMacroSearchSpace(channels=1, image_size=12, **sizes),
        size=3**4 * 3**4,
        batch=_images_of_12,
        refused={**NO_SIZES, **NEED_EDGES},
    ),
}
