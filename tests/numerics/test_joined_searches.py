"""Two ranks learn what one process learns from the joined batch: weights, alphas, parts, paths and decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from joined_searches import Case, differences, search
from part_figures import PARTS_KEYWORDS
from ranks import Ranks
from small_searches import ALL
from small_spaces import batch, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.parts import PARTS
from naslib.optimizers.registry import OPTIMIZERS
from naslib.tasks import Classification


def of_parts(*names: str) -> dict[str, Any]:
    """Return the keyword with some parts."""
    return {"parts": {name: dict(PARTS_KEYWORDS[name]) for name in names}}


# What goes over a batch in several passes; those that need convolutions have batch norms in evaluation mode
REFUSING = {"binary_moving_average", "metadapt", "te_nas"}
WITH_IMAGES, OF_IMAGES = {"pc_darts", "smash"}, {"latency", "partial_channels"}
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
    *(("mixed_op", {"gradient": g}) for g in ("masked", "masked_baseline", "renormalized", "reinforce")),
    ("mixed_op", {"gradient": "autodiff", "forward": "p"}),
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


# passes


def in_passes(name: str, keywords: dict[str, Any] | None = None, rows: int = 7) -> Case:
    """Return a search without batch norm by the batch."""
    images = name in WITH_IMAGES
    return Case(name, keywords or {}, rows=rows, frozen=images, plain=not images)


def compare_passes(case: Case, passes: int = 3) -> None:
    found = search(replace(case, keywords={**case.keywords, "accumulate": passes}))
    assert differences(search(case), found, 1e-10) == []


def weighted(**keywords: Any) -> dict[str, Any]:
    """Return the keyword with a task of classes, of which some count more or not at all."""
    loss = nn.CrossEntropyLoss(torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64), **keywords)
    return {"task": Classification(loss)}


PASSED: list[Case] = [
    in_passes("darts", weighted(ignore_index=1)),
    in_passes("darts", {"unrolled": True, "hessian": "exact", **weighted(label_smoothing=0.2)}),
    in_passes("snas"),
    in_passes("gdas"),
    in_passes("setn"),
]
ALL_PASSED = [
    *(in_passes(name) for name in ALL if name not in REFUSING),
    in_passes("darts", {"unrolled": True, **weighted(ignore_index=0)}, rows=9),
    in_passes("darts", {"task": Classification(nn.CrossEntropyLoss(reduction="sum"))}),
    in_passes("proxyless", {"update": "reinforce", "n_networks": 3}),
    in_passes("ofa", {"sandwich": True, "distillation": "in_place", **weighted(ignore_index=1)}),
    *(in_passes("darts", of_parts(name)) for name in sorted(set(PARTS_KEYWORDS) - OF_IMAGES)),
    *(Case("darts", of_parts(name), rows=7, frozen=True) for name in sorted(OF_IMAGES)),
]


@pytest.mark.parametrize("case", PASSED, ids=lambda case: case.title)
def test_passes_over_a_batch_learn_what_one_does(case: Case) -> None:
    compare_passes(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL_PASSED, ids=lambda case: case.title)
def test_passes_over_a_batch_learn_what_one_does_in_every_method(case: Case) -> None:
    compare_passes(case)


@pytest.mark.parametrize("name", sorted(REFUSING))
def test_what_cannot_be_gone_over_in_passes_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"search\.accumulate: .*(whole batch|mean outputs of a batch)"):
        search(Case(name, {"accumulate": 2}))


def test_passes_of_two_ranks(two_ranks: Ranks) -> None:
    case = in_passes("darts", weighted(ignore_index=1), rows=11)
    first, second = two_ranks.run(search, replace(case, keywords={**case.keywords, "accumulate": 2}))
    assert differences(first, second, 0.0) == []
    assert differences(search(case), first, 1e-10) == []


def test_passes_of_two_ranks_normalise_by_the_rows_of_a_pass(two_ranks: Ranks) -> None:
    compare(two_ranks, Case("darts", {"accumulate": 2}, rows=11))


@pytest.mark.parametrize(
    ("name", "keywords"),
    [("darts", {}), ("darts", {"unrolled": True, "hessian": "exact"}), ("snas", {}), ("ofa", {"distillation": "none"})],
)
def test_no_forward_of_a_step_sees_more_than_a_pass(name: str, keywords: dict[str, Any]) -> None:
    torch.manual_seed(0)
    optimizer: Any = OPTIMIZERS.get(name)(epochs=2, accumulate=3, **keywords)
    optimizer.adapt_search_space(mlp_space())
    optimizer.before_training()
    optimizer.new_epoch(0)
    seen: list[int] = []
    optimizer.graph.edges[1, 2].op.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    optimizer.step(batch(7, dtype=torch.float32), batch(7, seed=1, dtype=torch.float32))
    assert set(seen) == {2, 3} and sum(seen) % 7 == 0
