"""ReinMax: exact for quadratic losses, equal to its definition by autograd, and whole through the network."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_by_hand, mlp_space
from torch import nn

from naslib.errors import ConfigError
from naslib.optimizers import ReinMaxOptimizer
from naslib.optimizers.oneshot.methods.reinmax import ReinMaxRelaxation
from naslib.optimizers.oneshot.supernet.estimators import reinmax_gradient, softmax_vjp


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _straight_through(logits, drawn, gradient):
    return softmax_vjp(logits.softmax(-1), gradient)


@pytest.mark.parametrize("n_ops", [3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_is_exact_for_a_quadratic_loss(n_ops: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    logits, linear = torch.randn(2, n_ops, generator=generator)
    matrix = torch.randn(n_ops, n_ops, generator=generator)
    p, samples = logits.softmax(-1), torch.eye(n_ops)
    losses = torch.stack([d @ matrix @ d + linear @ d for d in samples])
    exact = p * (losses - (p * losses).sum())
    slopes = [(matrix + matrix.T) @ d + linear for d in samples]

    def mean(rule, **kwargs):
        return sum(w * rule(logits, d, g, **kwargs) for w, d, g in zip(p, samples, slopes, strict=True))

    torch.testing.assert_close(mean(reinmax_gradient), exact, rtol=0, atol=1e-12)
    assert (mean(_straight_through) - exact).abs().max() > 1e-2
    assert (mean(reinmax_gradient, tau=2.0) - exact).abs().max() > 1e-3


@pytest.mark.parametrize("tau", [1.0, 1.7])
def test_the_rule_is_the_papers_expression_differentiated(tau: float):
    logits = torch.randn(4, 5, requires_grad=True)
    drawn = torch.eye(5)[torch.tensor([0, 2, 4, 2])]
    gradient = torch.randn(4, 5)
    first = (drawn + (logits / tau).softmax(-1)) / 2
    first = ((first.log() - logits).detach() + logits).softmax(-1)
    second = 2 * first - logits.softmax(-1) / 2
    (expected,) = torch.autograd.grad((second * gradient).sum(), logits)
    torch.testing.assert_close(reinmax_gradient(logits.detach(), drawn, gradient, tau), expected, rtol=0, atol=1e-12)


def test_samples_follow_the_softmax_and_are_drawn_alone():
    logits = torch.tensor([1.0, 0.0, -1.0, 0.5]).expand(20_000, 4)
    torch.manual_seed(0)
    draws = ReinMaxRelaxation()(logits, True)
    counts = torch.bincount(torch.tensor([draw.on[0] for draw in draws]), minlength=4)
    p = logits[0].softmax(-1)
    assert ((counts - 20_000 * p).abs() < 4 * (20_000 * p * (1 - p)).sqrt()).all()
    assert all(draw.evaluated == () and len(draw.on) == 1 for draw in draws[:50])  # no gradient is asked for
    assert [draw.on for draw in ReinMaxRelaxation()(logits[:3], False)] == [(0,)] * 3
    draw = ReinMaxRelaxation()(logits[:1].clone().requires_grad_(), True)[0]
    assert sorted((*draw.on, *draw.evaluated)) == [0, 1, 2, 3]


@pytest.mark.parametrize("tau", [1.0, 1.5])
def test_architecture_gradient_through_the_network(tau: float):
    torch.manual_seed(0)
    optimizer = ReinMaxOptimizer(tau=tau)
    optimizer.adapt_search_space(mlp_space())
    with torch.no_grad():
        for alpha in optimizer.architectural_weights:
            alpha.copy_(torch.randn_like(alpha))
    x, y = batch(seed=2)
    torch.manual_seed(5)
    found, _, _ = optimizer.architecture_gradient((x, y), (x, y))
    torch.manual_seed(5)
    logits = torch.stack([a.detach() for a in optimizer.architectural_weights]).requires_grad_()
    drawn = torch.stack([draw.weights for draw in ReinMaxRelaxation(tau)(logits, True)]).detach()
    first = (drawn + (logits / tau).softmax(-1)) / 2
    first = ((first.log() - logits).detach() + logits).softmax(-1)
    second = 2 * first - logits.softmax(-1) / 2
    rows = drawn + second - second.detach()
    loss = nn.functional.cross_entropy(mlp_by_hand(optimizer, x, rows), y)
    (expected,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(torch.stack(found), expected, rtol=0, atol=1e-12)
    assert set(drawn.flatten().tolist()) == {0.0, 1.0}


def test_the_weight_step_runs_only_what_is_drawn():
    torch.manual_seed(0)
    optimizer = ReinMaxOptimizer()
    optimizer.adapt_search_space(mlp_space())
    calls = []
    for data in optimizer.decisions:
        for primitive in data.op.primitives:
            primitive.register_forward_hook(lambda *_: calls.append(1))
    optimizer.weight_step(batch(seed=1))
    assert len(calls) == 3
    calls.clear()
    optimizer.architecture_step(batch(seed=1), batch(seed=2))
    assert len(calls) == 9


def test_temperatures_below_one_are_refused():
    with pytest.raises(ConfigError, match=r"at least 1, got 0\.5"):
        ReinMaxOptimizer(tau=0.5)
