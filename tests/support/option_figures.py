"""Figures of the options: measurements that show the effect of each, whatever else is in the search."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from observed_search import (
    Figure,
    Search,
    flat,
    observe,
    parameters_of,
    still,
    train_batch,
    valid_batch,
)
from small_spaces import ConvSpace
from torch import Tensor
from torch.func import functional_call

from naslib.search_spaces.core.batch_norm import batch_norm_modules, frozen_batch_norm_statistics
from naslib.search_spaces.core.plan import CheckpointStep


def checkpoint_cells(search: Search) -> None:
    """Both cells are checkpointed, and every gradient is what it is without."""
    found = []
    for checkpoint in (True, False):
        optimizer = still(search.build(checkpoint_cells=checkpoint))
        steps = [step for step in optimizer.graph.plan.steps if isinstance(step, CheckpointStep)]
        assert len(steps) == (2 if checkpoint else 0)
        seen = observe(optimizer)
        found.append(torch.cat([flat(seen.weights), flat(seen.alphas) if seen.alphas else torch.zeros(0)]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-7, atol=1e-9)
    assert found[0].norm() > 1e-4


def batch_norm(search: Search) -> None:
    """No running statistics are kept, by whatever is in the supernet, before and after steps."""
    optimizer = search.build(batch_norm="batch")
    for seed in (3, 4):
        observe(optimizer, seed)
        norms = batch_norm_modules(optimizer.graph)
        assert norms and all(norm.running_mean is None and not norm.track_running_stats for norm in norms)
    assert flat(optimizer.weights).isfinite().all()


def unrolled(search: Search) -> None:
    """The gradient of the architecture is that at the weights after a virtual step."""
    _second_order(replace(search, space=partial(ConvSpace, kind="smooth")), "finite_difference", 0.01)


def hessian(search: Search) -> None:
    """The same, exactly."""
    _second_order(search, "exact", 1e-8)


def _second_order(search: Search, kind: str, tolerance: float) -> None:
    keywords = {"unrolled": True, "hessian": kind, "learning_rate": 1.0, "amp": False}
    optimizer = still(search.build(**keywords))
    for group in optimizer.op_optimizer.param_groups:
        group["lr"] = 1.0  # the virtual step's
    parameters = parameters_of(optimizer)
    weights = {name: p.detach().requires_grad_() for name, p in optimizer.graph.named_parameters()}

    def loss(at: dict[str, Tensor], data: Any) -> Tensor:
        return optimizer.loss(functional_call(optimizer.graph, at, (data[0],)), data[1])

    passes = optimizer.graph.passes
    optimizer.graph.set_passes(native=False, checkpoint=False)
    torch.manual_seed(3)
    with frozen_batch_norm_statistics(optimizer.graph):
        gradient = torch.autograd.grad(loss(weights, train_batch()), list(weights.values()), create_graph=True)
        decay = optimizer.op_optimizer.param_groups[0]["weight_decay"]
        stepped = {n: w - (g + decay * w) for (n, w), g in zip(weights.items(), gradient, strict=True)}
        total = optimizer.architecture_loss(loss(stepped, valid_batch()))
        expected = flat(torch.autograd.grad(total, parameters))
    optimizer.graph.passes = passes
    torch.manual_seed(3)
    with ExitStack() as stack:
        stack.enter_context(frozen_batch_norm_statistics(optimizer.graph))
        found = flat(optimizer.architecture_gradient(train_batch(), valid_batch())[0])
        optimizer.unrolled = False
        torch.manual_seed(3)
        first_order = flat(optimizer.architecture_gradient(train_batch(), valid_batch())[0])
    assert (first_order - expected).norm() > 1e-4
    assert (found - expected).norm() < tolerance * (expected.norm() + first_order.norm())


def amp(search: Search) -> None:
    """The forward of the weight step runs in bfloat16, and the step is finite."""
    torch.set_default_dtype(torch.float32)
    try:
        optimizer = search.build(amp=True)
        assert observe(optimizer).dtypes["training"] == {torch.bfloat16}
        assert flat(optimizer.weights).isfinite().all()
        assert observe(search.build(amp=False)).dtypes["training"] == {torch.float32}
    finally:
        torch.set_default_dtype(torch.float64)


def native(search: Search) -> None:
    """The compiled kernels are on in the plan, and every gradient is what it is without."""
    found = []
    for mode in ("on", "off"):
        optimizer = still(replace(search, space=partial(ConvSpace, kind="depthwise")).build(native=mode))
        assert optimizer.graph.passes.native == (mode == "on")
        seen = observe(optimizer)
        found.append(torch.cat([flat(seen.weights), flat(seen.alphas) if seen.alphas else torch.zeros(0)]))
        assert optimizer.graph.passes.native == (mode == "on")
    torch.testing.assert_close(found[0], found[1], rtol=1e-7, atol=1e-9)


OPTION_FIGURES: dict[str, Figure] = {
    name: globals()[name] for name in ("unrolled", "hessian", "checkpoint_cells", "batch_norm", "amp", "native")
}
OPTION_VALUES: dict[str, dict[str, Any]] = {
    "unrolled": {"unrolled": True},
    "hessian": {"unrolled": True, "hessian": "exact"},
    "checkpoint_cells": {"checkpoint_cells": True},
    "batch_norm": {"batch_norm": "batch"},
    "amp": {"amp": True},
    "native": {"native": "on"},
}
