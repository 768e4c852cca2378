"""Clipping looks at the weights' gradients of its own step: nothing that an earlier step left can change it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_searches import METHODS, UNTRAINED
from torch import nn

from naslib.optimizers import OPTIMIZERS, OneShotOptimizer
from naslib.search_spaces import NasBench201SearchSpace

CLIP = 1e-2  # far below what any method's gradient has
METHODS = [name for name in METHODS if name not in UNTRAINED]
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in METHODS} | {
    "darts second order": ("darts", {"unrolled": True}),
    "darts exact": ("darts", {"unrolled": True, "hessian": "exact"}),
    "drnas kl": ("drnas", {"regularizer": "kl"}),
    "gdas recompute": ("gdas", {"unselected": "recompute"}),
    "mixed_op reinforce": ("mixed_op", {"gradient": "reinforce"}),
    "proxylessnas full": ("proxylessnas", {"mode": "full", "warm_up_epochs": 0}),
    "proxylessnas two": ("proxylessnas", {"mode": "two", "warm_up_epochs": 0}),
    "proxylessnas reinforce": ("proxylessnas", {"update": "reinforce", "n_networks": 2, "warm_up_epochs": 0}),
    "pc_darts": ("pc_darts", {"parts": {"warm_up": {"epochs": 0}}}),
    "p_darts": ("p_darts", {"warm_up_epochs": 0}),
}


def _batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(6, 3, 4, 4, generator=generator), torch.randint(4, (6,), generator=generator)


def _searched(case: str, steps: int = 2, **keywords: Any) -> OneShotOptimizer:
    """Return a search that has taken some steps, so that gradients of theirs are there."""
    name, own = CASES[case]
    torch.manual_seed(0)
    optimizer = OPTIMIZERS.get(name)(**{"epochs": 3, "arch_learning_rate": 0.05, **own, **keywords})
    optimizer.adapt_search_space(NasBench201SearchSpace(n_classes=4, channels=8, cells_per_stage=1))
    optimizer.before_training()
    optimizer.graph.train()
    optimizer.new_epoch(0)
    for index in range(steps):
        _step(optimizer, index)
    return optimizer


def _step(optimizer: OneShotOptimizer, index: int) -> None:
    torch.manual_seed(100 + index)
    optimizer.step(_batch(index), _batch(50 + index))


def _poison(parameters: list[nn.Parameter]) -> None:
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, 1e3)


def _norms(optimizer: OneShotOptimizer) -> list[float]:
    """Collect the norm of the weights' gradients as their optimizer sees them."""
    norms: list[float] = []

    def look(*_: Any) -> None:
        norms.append(float(nn.utils.get_total_norm([w.grad for w in optimizer.weights if w.grad is not None])))

    optimizer.op_optimizer.register_step_pre_hook(look)
    return norms


def test_every_weight_sharing_method_is_here():
    assert len(METHODS) >= 30 and len(CASES) >= 38


@pytest.mark.parametrize("case", CASES)
def test_what_earlier_steps_left_changes_nothing(case: str):
    clean, poisoned = _searched(case, grad_clip=CLIP), _searched(case, grad_clip=CLIP)
    _poison([w for w in poisoned.weights if w.requires_grad])
    _poison(poisoned.architecture_parameters)
    norms = _norms(clean), _norms(poisoned)
    for optimizer in (clean, poisoned):
        _step(optimizer, 2)
    for found in norms:
        assert found == pytest.approx([CLIP], rel=1e-3)
    for kind in ("weights", "architectural_weights", "architecture_parameters"):
        for a, b in zip(getattr(clean, kind), getattr(poisoned, kind), strict=True):
            assert torch.equal(a, b), kind


@pytest.mark.parametrize("off", [None, 0])
@pytest.mark.parametrize("case", ["darts", "snas", "spos", "binary"])
def test_without_a_limit_nothing_is_clipped(case: str, off: float | None):
    optimizer = _searched(case, grad_clip=off)
    norms = _norms(optimizer)
    _step(optimizer, 2)
    assert norms[0] > 10 * CLIP


@pytest.mark.parametrize(("case", "key"), [("snas", "arch_grad_clip"), ("p_darts", "arch_grad_clip")])
def test_the_architectures_own_limit_is_for_its_gradients_alone(case: str, key: str):
    """A huge gradient of the weights, and what was left in them, does not shrink that of the architecture."""
    optimizer = _searched(case, grad_clip=CLIP, **{key: 1e-5})
    _poison([w for w in optimizer.weights if w.requires_grad])
    norms: list[float] = []
    optimizer.arch_optimizer.register_step_pre_hook(
        lambda *_: norms.append(float(nn.utils.get_total_norm([a.grad for a in optimizer.architecture_parameters])))
    )
    _step(optimizer, 2)
    assert norms == pytest.approx([1e-5], rel=0.05)


@pytest.mark.parametrize("case", ["darts", "snas", "p_darts"])
def test_the_weights_limit_is_not_for_the_architecture(case: str):
    found = []
    for limit in (None, CLIP):
        optimizer = _searched(case, steps=0, grad_clip=limit)
        optimizer.arch_optimizer.register_step_pre_hook(
            lambda *_: found.append([a.grad.clone() for a in optimizer.architecture_parameters])  # noqa: B023
        )
        _step(optimizer, 0)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
