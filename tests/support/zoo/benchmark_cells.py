"""The spaces of the NAS-Bench-101 family."""

from __future__ import annotations

from naslib.search_spaces import NasBench1Shot1SearchSpace, NasBench101SearchSpace

from . import Entry, all_methods, one_decision_away

ENTRIES = {
    "nasbench101": Entry(
        lambda **sizes: NasBench101SearchSpace(channels=8, **sizes),
        size=423_624,  # [Ying2019nasbench101]
        neighbours=None,  # isomorphic changes count once
        refused=all_methods("the channels of its vertices depend on which of them enter the output"),
    ),
    **{
        f"nasbench1shot1_{number}": Entry(
            lambda number=number, **sizes: NasBench1Shot1SearchSpace(
                search_space=number, channels=4, cells_per_stack=1, **sizes
            ),
            size=size,  # [Zela2020nasbench1shot1]
            neighbours=one_decision_away if number == 2 else None,  # loose ends have several codes
            refused={
                "gsparsity": "the space decides combinations at nodes as well",
                "pc_darts": "no node sums two or more edges under search",
            },
            evaluation={"channels": 8},
        )
        for number, size in ((1, 6_240), (2, 29_160), (3, 363_648))
    },
}  # fmt: skip
