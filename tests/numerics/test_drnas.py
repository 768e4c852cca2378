"""DrNAS: the Dirichlet sample and its pathwise gradient, the divergence per decision, and what is derived."""

from __future__ import annotations

import pytest
import torch
from small_spaces import batch, mlp_space
from torch.distributions import Beta, Dirichlet, kl_divergence

from naslib.errors import ConfigError
from naslib.optimizers import DrNASOptimizer
from naslib.optimizers.oneshot.methods.drnas.dirichlet import (
    concentration,
    dirichlet_mean,
    dirichlet_sample,
    divergence_from_uniform,
    total_divergence,
)

LOGITS = [[0.4, -0.7, 1.3, 0.0], [-2.0, 0.1, 0.05, -0.3]]


def _logits() -> torch.Tensor:
    return torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)


def _adapted(**kwargs) -> DrNASOptimizer:
    torch.manual_seed(0)
    optimizer = DrNASOptimizer(**kwargs)
    optimizer.adapt_search_space(mlp_space())
    optimizer.graph.double()
    for alpha in optimizer.architectural_weights:
        alpha.data = torch.randn(3, dtype=torch.float64)
    optimizer._build_optimizers()
    return optimizer


def test_concentrations_are_elu_plus_one_and_positive_everywhere():
    logits = torch.linspace(-5, 5, 41, dtype=torch.float64, requires_grad=True)
    found = concentration(logits)
    torch.testing.assert_close(found, torch.nn.functional.elu(logits) + 1, rtol=0, atol=1e-14)
    (slope,) = torch.autograd.grad(found.sum(), logits)
    expected = torch.where(logits > 0, torch.ones(()).double(), logits.detach().exp())
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-14)
    extreme = torch.tensor([-500.0, -30.0, 0.0], requires_grad=True)
    assert (concentration(extreme) > 0).all()
    sample = dirichlet_sample(extreme)
    assert sample.isfinite().all() and torch.autograd.grad(sample[2], extreme)[0].isfinite().all()


def test_pathwise_gradients_average_to_the_gradient_of_the_expectation():
    # E of a quadratic under a Dirichlet distribution in closed form, differentiated by autograd
    draws, logits = 200_000, _logits()
    first, second = torch.tensor([1.0, -2.0, 0.5, 3.0]).double(), torch.tensor([0.3, 1.0, -1.0, 2.0]).double()

    def expectation(values: torch.Tensor) -> torch.Tensor:
        beta = torch.nn.functional.elu(values) + 1
        total = beta.sum(-1, keepdim=True)
        mean = beta / total
        square = (beta * (beta + 1)) / (total * (total + 1))  # E theta_k^2
        return (mean * first + square * second).sum()

    (expected,) = torch.autograd.grad(expectation(logits), logits)
    torch.manual_seed(3)
    theta = dirichlet_sample(logits.expand(draws, 2, 4))
    assert (theta > 0).all() and torch.allclose(theta.sum(-1), torch.ones(()).double())
    (found,) = torch.autograd.grad((theta * first + theta**2 * second).sum() / draws, logits)
    torch.testing.assert_close(found, expected, rtol=0, atol=8e-3)
    step = torch.zeros_like(logits)
    step[0, 1] = 1e-5
    with torch.no_grad():
        difference = (expectation(logits + step) - expectation(logits - step)) / 2e-5
    torch.testing.assert_close(found[0, 1], difference, rtol=0, atol=8e-3)


def test_pathwise_gradient_of_one_sample_is_the_implicit_derivative():
    # two candidates: theta_1 ~ Beta(a, b), dtheta/da = -(dF/da)(theta) / p(theta) by central differences of the CDF
    a, b = 1.3, 2.1
    logits = torch.tensor([[a - 1, b - 1]], dtype=torch.float64, requires_grad=True)
    torch.manual_seed(1)
    theta = dirichlet_sample(logits)
    (found,) = torch.autograd.grad(theta[0, 0], logits)
    at = theta[0, 0].item()

    def cdf(first: float, second: float) -> float:
        grid = torch.linspace(0, at, 200_001, dtype=torch.float64)[1:]
        density = Beta(torch.tensor(first).double(), torch.tensor(second).double()).log_prob(grid).exp()
        return float(torch.trapezoid(density, grid))

    h = 1e-4
    density = Beta(torch.tensor(a).double(), torch.tensor(b).double()).log_prob(theta[0, 0].detach()).exp().item()
    slopes = [cdf(a + h, b) - cdf(a - h, b), cdf(a, b + h) - cdf(a, b - h)]
    expected = [-slope / (2 * h) / density for slope in slopes]
    torch.testing.assert_close(found[0], torch.tensor(expected).double(), rtol=0, atol=2e-4)


def test_one_sample_per_decision_and_forward_and_the_mean_in_evaluation():
    optimizer = _adapted()
    relax, logits = optimizer.relaxation(), _logits()
    torch.manual_seed(0)
    rows = relax(logits, True)
    torch.manual_seed(0)
    torch.testing.assert_close(torch.stack(rows), Dirichlet(torch.nn.functional.elu(logits) + 1).rsample())
    first, second = (torch.stack(relax(logits, False)) for _ in range(2))
    assert torch.equal(first, second) and not torch.equal(first, torch.stack(rows))
    torch.testing.assert_close(first, Dirichlet(torch.nn.functional.elu(logits) + 1).mean)
    optimizer.graph.eval()
    x, _ = batch()
    assert torch.equal(optimizer.graph(x), optimizer.graph(x))
    optimizer.graph.train()
    assert not torch.equal(optimizer.graph(x), optimizer.graph(x))


def test_the_divergence_is_that_of_every_row_by_itself():
    logits = _logits()
    beta = torch.nn.functional.elu(logits) + 1
    expected = kl_divergence(Dirichlet(beta), Dirichlet(torch.ones_like(beta)))
    found = divergence_from_uniform(logits)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    gradients = (torch.autograd.grad(value.sum(), logits, retain_graph=True)[0] for value in (found, expected))
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)
    torch.testing.assert_close(divergence_from_uniform(torch.zeros(2, 5).double()), torch.zeros(2).double())
    # one Dirichlet distribution over all rows together, which NASLib takes, is another number
    joint = kl_divergence(Dirichlet(beta.flatten()), Dirichlet(torch.ones(8).double()))
    assert (joint - expected.sum()).abs().item() > 0.1
    mixed = [logits[0], logits[1, :3], logits[1]]
    parts = [kl_divergence(Dirichlet(b), Dirichlet(torch.ones_like(b))) for b in (beta[0], beta[1, :3], beta[1])]
    torch.testing.assert_close(total_divergence(mixed), torch.stack(parts).sum(), rtol=0, atol=1e-12)


def test_the_step_adds_the_gradient_of_the_divergence_and_no_weight_decay():
    plain, kl = _adapted(), _adapted(regularizer="kl", reg_scale=0.25)
    gradients = []
    for optimizer in (plain, kl):
        torch.manual_seed(9)
        gradients.append(optimizer.architecture_gradient(batch(), batch(seed=1))[0])
    for before, after, alpha in zip(*gradients, kl.architectural_weights, strict=True):
        beta = torch.nn.functional.elu(alpha) + 1
        divergence = kl_divergence(Dirichlet(beta), Dirichlet(torch.ones_like(beta)))
        (extra,) = torch.autograd.grad(0.25 * divergence, alpha)
        torch.testing.assert_close(after - before, extra, rtol=0, atol=1e-12)
    assert plain.arch_optimizer.param_groups[0]["weight_decay"] == 1e-3
    assert kl.arch_optimizer.param_groups[0]["weight_decay"] == 0.0


def test_the_derived_candidate_is_that_of_the_largest_mean():
    optimizer = _adapted()
    for alpha in optimizer.architectural_weights:
        scores = optimizer.decision_weights(alpha)
        assert int(scores.argmax()) == int(dirichlet_mean(alpha).argmax())
        torch.testing.assert_close(scores, alpha.detach().exp() / alpha.detach().exp().sum())


def test_parts_expect_by_the_mean():
    optimizer = _adapted()
    for alpha, expected in zip(optimizer.architectural_weights, optimizer.choice_probabilities(), strict=True):
        torch.testing.assert_close(expected, Dirichlet(torch.nn.functional.elu(alpha) + 1).mean)
        assert expected.requires_grad


@pytest.mark.parametrize(("key", "value"), [("regularizer", "l1"), ("reg_scale", -1.0)])
def test_bad_keywords(key, value):
    with pytest.raises(ConfigError, match=key):
        DrNASOptimizer(**{key: value})
