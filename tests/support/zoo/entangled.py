"""Spaces whose architectures are slices of shared weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from naslib.search_spaces import (
    NATSBenchSizeSearchSpace,
    OFAMobileNetV3SearchSpace,
    TangleNASCellSearchSpace,
    TangleNASMacroSearchSpace,
)
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.schema import DecisionSpace

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


def _ofa(**sizes: Any) -> OFAMobileNetV3SearchSpace:
    return OFAMobileNetV3SearchSpace(
        kernels=(3, 5),
        expansions=(2, 3),
        depths=(1, 2),
        widths=(8,) * 9,
        strides=(1, 2, 1, 1, 1, 2),
        image_size=8,
        **sizes,
    )


def _ofa_size(kernels: int, expansions: int, depths: tuple[int, ...]) -> int:
    """Return how many networks there are: in each of five stages, some blocks that choose a kernel and an expansion."""
    return int(sum((kernels * expansions) ** depth for depth in depths)) ** 5


def _ofa_neighbours(space: DecisionSpace, code: Code) -> int:
    """Return one other for each size; of a longer stage, as many as its second block has forms."""
    total = 0
    for decision in space.active(code):
        is_short = decision.name.endswith("depth") and space.choices(code)[decision.name] == 1
        total += 4 if is_short else 1
    return total


ENTRIES: dict[str, Entry] = {
    "nats_size": Entry(
        lambda **sizes: NATSBenchSizeSearchSpace(channels=(2, 3, 4), **sizes),
        size=3**5,
        refused={**NO_SIZES, **NEED_EDGES},
    ),
    "ofa_mobilenetv3": Entry(
        lambda **sizes: _ofa(**sizes),
        size=_ofa_size(kernels=2, expansions=2, depths=(1, 2)),
        neighbours=_ofa_neighbours,
        refused={**NO_SIZES, **NEED_EDGES},
    ),
    "ofa_mobilenetv3_at_resolutions": Entry(
        lambda **sizes: _ofa(resolutions=(6, 8), **sizes),
        size=2 * _ofa_size(kernels=2, expansions=2, depths=(1, 2)),
        neighbours=_ofa_neighbours,
        refused={**NO_SIZES, **NEED_EDGES},
    ),
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
