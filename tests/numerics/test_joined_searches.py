"""Two ranks learn what one process learns from the joined batch: weights, alphas, parts, paths and decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from joined_searches import Case, differences, search
from part_figures import PARTS_KEYWORDS
from ranks import Ranks
from small_searches import ALL

from naslib.optimizers.oneshot.parts import PARTS


def of_parts(*names: str) -> dict[str, Any]:
    """Return the keyword with some parts."""
    return {"parts": {name: dict(PARTS_KEYWORDS[name]) for name in names}}


FEW = [
    Case("darts", rows=7),
    Case("darts", {"unrolled": True, "hessian": "exact"}),
    Case("gdas"),
    Case("enas"),
    Case("spos", selects=False),
]
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("darts", {"unrolled": True}),
    ("darts", {"unrolled": True, "clip_virtual_step": True, "grad_clip": 0.01}),
    ("darts", {"checkpoint_cells": True}),
    ("darts", {"batch_norm": "batch"}),
    ("darts", {"native": "on"}),
    ("darts", {"unrolled": True, **of_parts("latency")}),
    *(("proxyless", {"mode": mode}) for mode in ("full", "two")),
    ("proxyless", {"update": "reinforce", "n_networks": 3}),
    *(("mixed_op", {"gradient": g}) for g in ("autodiff", "masked", "masked_baseline", "renormalized", "reinforce")),
    ("mixed_op", {"gradient": "moving_average", "num_on_samples": 2}),
    ("edge_popup", {"train_weights": False}),
    ("ofa", {"sandwich": True, "distillation": "in_place"}),
    ("snas", {"arch_grad_clip": 0.1}),
    *(("darts", of_parts(name)) for name in sorted(PARTS_KEYWORDS)),
    ("gdas", of_parts("auxiliary_skip", "drop_path")),
    ("snas", of_parts("edge_normalization", "drop_path")),
]
PRODUCT = [
    *(Case(name, rows=rows, steps=2) for name in ALL for rows in (6, 7)),
    *(Case(name, keywords, rows=7) for name, keywords in OPTIONS),
]


def compare(two: Ranks, case: Case) -> None:
    alone = search(case)
    synced = replace(case, keywords={**case.keywords, "sync_batch_norm": True})
    first, second = two.run(search, synced)
    assert differences(first, second, 0.0) == []
    assert differences(alone, first, 1e-10) == []


def test_all_methods_and_parts_are_tried() -> None:
    assert len(ALL) == 34 and {case.name for case in PRODUCT} == set(ALL)
    assert {name for _, keywords in OPTIONS for name in keywords.get("parts", {})} == set(PARTS.names())


@pytest.mark.parametrize("case", FEW, ids=lambda case: case.title)
def test_two_ranks_learn_what_one_learns(two_ranks: Ranks, case: Case) -> None:
    compare(two_ranks, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", PRODUCT, ids=lambda case: case.title)
def test_two_ranks_learn_what_one_learns_in_every_method(two_ranks: Ranks, case: Case) -> None:
    compare(two_ranks, case)
