"""TransNAS-Bench-101."""

from __future__ import annotations

from math import comb

from naslib.search_spaces import TransBench101SearchSpaceMacro, TransBench101SearchSpaceMicro

from . import Entry, all_methods

_MACRO = sum(sum(comb(depth, k) for k in range(1, 5)) * sum(comb(depth, k) for k in range(1, 4)) for depth in (4, 5, 6))

ENTRIES = {
    "transbench101_macro": Entry(
        lambda **sizes: TransBench101SearchSpaceMacro(channels=4, **sizes),
        size=_MACRO,
        neighbours=None,  # what is allowed depends on all modules together
        refused=all_methods("differ in the width and the resolution of every module"),
    ),
    "transbench101_micro": Entry(
        lambda **sizes: TransBench101SearchSpaceMicro(channels=4, cells_per_module=2, **sizes), size=4**6
    ),
}
