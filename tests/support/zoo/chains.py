"""Chains of mobile blocks."""

from __future__ import annotations

from naslib.search_spaces import (
    FBNetSearchSpace,
    MnasNetSearchSpace,
    NasBenchMacroSearchSpace,
    ProxylessNASSearchSpace,
)

from . import Entry

SMALL = {"stem_stride": 1, "image_size": 8, "head_channels": 8}

# A layer is there once, and no two of them end in one node
REFUSED = {
    "lambda_darts": "needs a cell that the network has at least twice",
    "pc_darts": "no node sums two or more edges under search",
}

ENTRIES = {
    "proxylessnas": Entry(
        lambda **sizes: ProxylessNASSearchSpace(
            widths=(4, 8), n_cells=(2, 2), strides=(1, 2), kernels=(3,), expansions=(1, 2),
            stem_channels=4, first_channels=4, **SMALL, **sizes,
        ),
        size=3 * 3 * 2 * 3,
        evaluation={"dropout": 0.1},
        refused=REFUSED,
    ),
    "fbnet": Entry(
        lambda **sizes: FBNetSearchSpace(
            widths=(8, 16), n_cells=(2, 1), strides=(1, 2), stem_channels=8, **SMALL, **sizes
        ),
        size=9**3,
        refused=REFUSED,
    ),
    "nasbench_macro": Entry(
        lambda **sizes: NasBenchMacroSearchSpace(channels=4, head_channels=8, **sizes), size=3**8, refused=REFUSED,
    ),
    "mnasnet": Entry(
        lambda **sizes: MnasNetSearchSpace(
            blocks=["ds_r1_k3_s1_e1_c4", "ir_r1|2_k3_s2_e1|2_c8_se0|0.25", ["ir_r2_k3_s1_e2_c8", "er_r1_k3_s1_e2_c8"]],
            stem_channels=4, **SMALL, **sizes,
        ),
        size=8 * 2,
        refused=REFUSED,
    ),
    "mnasnet_by_block": Entry(
        lambda **sizes: MnasNetSearchSpace(
            blocks=["ir_r2_k3|5_s1_e1_c4_nre|nhs"], decide="block", stem_channels=4, **SMALL, **sizes
        ),
        size=4**2,
        refused=REFUSED,
    ),
}  # fmt: skip
