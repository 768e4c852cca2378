"""Networks of memory banks."""

from __future__ import annotations

from typing import Any

from naslib.search_spaces import MemoryBankSearchSpace
from naslib.search_spaces.core.decisions import Code
from naslib.search_spaces.core.schema import DecisionSpace

from . import METHODS, Entry

# Of an operation: what is read, what is written, width, kernel and dilation along two axes, groups
_OP = 3 * 3 * 2 * 3 * 3 * 2
_MIXED = "runs several values of a size at once, and these layers run one"
# What runs single paths; the refusals of all others follow
_PATHS = ("enas", "fair_nas", "ofa", "one_shot", "random_nas", "smash", "spos")
_TINY = {"hyper_growth": 4, "hyper_layers": (2, 1), "n_random": 4, "n_perturbed": 2, "n_chain": 2}


def _memory_bank(**sizes: Any) -> MemoryBankSearchSpace:
    return MemoryBankSearchSpace(
        unit=2, channels=(4, 4), banks=2, ops=(1, 2), units=(1, 2), kernels=(3, 5), dilations=2, groups=(1, 2), **sizes
    )


def _neighbours(space: DecisionSpace, code: Code) -> int:
    """Return how many neighbours there are: a second operation has every form that an operation can have."""
    choices = space.choices(code)
    total = 0
    for decision in space.active(code):
        is_short = decision.name.endswith("/ops") and choices[decision.name] == 1
        total += _OP if is_short else len(decision.candidates) - 1
    return total


ENTRIES: dict[str, Entry] = {
    "memory_bank": Entry(
        _memory_bank,
        size=(2 * (_OP + _OP**2)) ** 2,
        neighbours=_neighbours,
        refused={
            **{name: _MIXED for name in METHODS if name not in _PATHS},
            "one_shot": "a network has one of the sizes",
        },
        keywords={"smash": _TINY},
    ),
}
