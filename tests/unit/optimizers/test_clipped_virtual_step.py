"""The second-order step of DARTS with clipped gradients, against the authors' equations in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from small_spaces import batch, mlp_space
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.optimizers.oneshot.supernet.bilevel import at_weights

RATE, DECAY = 0.7, 0.01


def adapted(clip: float, hessian: str, **more: Any) -> DARTSOptimizer:
    torch.manual_seed(0)
    optimizer = DARTSOptimizer(
        learning_rate=RATE, momentum=0.0, weight_decay=DECAY, grad_clip=clip, unrolled=True, hessian=hessian, **more
    )
    optimizer.adapt_search_space(mlp_space())
    optimizer.before_training()
    optimizer.graph.double().train()
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.data = torch.randn(alpha.shape, dtype=torch.float64)
    return optimizer


def clipped(gradient: list[Tensor], limit: float) -> tuple[list[Tensor], float]:
    norm = float(sum(g.square().sum() for g in gradient)) ** 0.5
    factor = min(1.0, limit / (norm + 1e-6))
    return [g * factor for g in gradient], factor


def reference(optimizer: DARTSOptimizer, clip: float) -> list[Tensor]:
    """dL_val(w')/dalpha - xi c d2L_train/(dalpha dw) clip(dL_val/dw'), w' = w - xi (c g + wd w), by autograd twice."""
    weights, alphas = optimizer.weights, optimizer.architecture_parameters
    train, valid = batch(seed=1), batch(seed=2)

    def loss(data: Any) -> Tensor:
        return optimizer.task.loss(optimizer.graph(data[0]), data)

    gradient = torch.autograd.grad(loss(train), weights, create_graph=True, allow_unused=True)
    gradient = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, gradient, strict=True)]
    step, factor = clipped([g.detach() for g in gradient], clip)
    before = [w.detach().clone() for w in weights]
    with torch.no_grad():
        for w, g in zip(weights, step, strict=True):
            w.sub_(RATE * (g + DECAY * w))
    value = loss(valid)
    both = torch.autograd.grad(value, [*alphas, *weights], allow_unused=True)
    both = [torch.zeros_like(x) if g is None else g for x, g in zip([*alphas, *weights], both, strict=True)]
    with torch.no_grad():
        for w, old in zip(weights, before, strict=True):
            w.copy_(old)
    vector, _ = clipped(both[len(alphas) :], clip)
    # at the weights before the step, whose history is that of `gradient`
    gradient = torch.autograd.grad(loss(train), weights, create_graph=True, allow_unused=True)
    inner = sum((g * v).sum() for g, v in zip(gradient, vector, strict=True) if g is not None)
    product = torch.autograd.grad(inner, alphas)
    return [d - RATE * factor * p for d, p in zip(both[: len(alphas)], product, strict=True)]


@pytest.mark.parametrize("clip", [0.05, 1000.0])
@pytest.mark.parametrize(("hessian", "tolerance"), [("exact", 1e-9), ("finite_difference", 2e-3)])
def test_the_gradient_is_that_of_the_equations(clip: float, hessian: str, tolerance: float) -> None:
    optimizer = adapted(clip, hessian, clip_virtual_step=True)
    expected = reference(optimizer, clip)
    found, _, _ = optimizer.architecture_gradient(batch(seed=1), batch(seed=2))
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * 1e-2)
    plain, _, _ = adapted(clip, hessian).architecture_gradient(batch(seed=1), batch(seed=2))
    differs = any(not torch.allclose(a, b, rtol=1e-4) for a, b in zip(plain, found, strict=True))
    assert differs == (clip < 1)


def test_it_needs_a_virtual_step_and_a_norm() -> None:
    with pytest.raises(ConfigError, match=r"needs search\.unrolled: true"):
        DARTSOptimizer(clip_virtual_step=True)
    with pytest.raises(ConfigError, match=r"needs search\.grad_clip"):
        DARTSOptimizer(clip_virtual_step=True, unrolled=True, grad_clip=0)


def test_a_module_that_is_reached_in_two_ways_has_its_weights_back() -> None:
    shared = nn.Linear(2, 2)
    network = nn.Sequential(shared, nn.ModuleDict({"again": shared}), nn.Linear(2, 2))
    network[2].weight = shared.weight
    before = dict(network.named_parameters(remove_duplicate=False))
    other = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    with at_weights(network, other):
        seen = dict(network.named_parameters(remove_duplicate=False))
        assert all(not float(tensor.abs().sum()) for tensor in network[2]._parameters.values())
        assert network[0]._parameters["weight"] is other["0.weight"] is network[2]._parameters["weight"]
        assert all(parameter is not before[name] for name, parameter in seen.items())
    after = dict(network.named_parameters(remove_duplicate=False))
    assert list(after) == list(before) and all(after[name] is before[name] for name in before)
