"""The spaces of the NAS-Bench-101 family."""

from __future__ import annotations

from naslib.search_spaces import NasBench101SearchSpace

from . import Entry, all_methods

ENTRIES = {
    "nasbench101": Entry(
        lambda **sizes: NasBench101SearchSpace(channels=8, **sizes),
        size=423_624,  # [Ying2019nasbench101]
        neighbours=None,  # isomorphic changes count once
        refused=all_methods("the channels of its vertices depend on which of them enter the output"),
    ),
}  # fmt: skip
