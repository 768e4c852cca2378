"""For what loss the estimators of the architecture gradient are unbiased: all draws enumerated, as the docs say.

The loss of a decision is `J = E L(y)`, y the sum of the outputs of what is drawn without replacement from the softmax.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from naslib.optimizers.oneshot.supernet.estimators import RULES, reinmax_gradient
from naslib.optimizers.oneshot.supernet.sampling import log_probability

K = 4
LOGITS = torch.tensor([0.3, -0.6, 0.9, 0.1], dtype=torch.float64)
OUTPUTS = torch.tensor([[1.0, 0.2], [-0.4, 0.7], [0.5, -1.1], [0.9, 1.3]], dtype=torch.float64)
COEFFICIENTS = torch.tensor([0.8, -0.5], dtype=torch.float64)
Loss = Callable[[Tensor], Tensor]
LOSSES: dict[str, Loss] = {
    "linear": lambda y: y @ COEFFICIENTS,
    "quadratic": lambda y: (y - 0.3).square() @ COEFFICIENTS,
    "exponential": lambda y: (y @ COEFFICIENTS).exp(),
}


def _draws(n: int) -> list[tuple[int, ...]]:
    """Return all ordered draws of n operations."""
    return list(itertools.permutations(range(K), n))


def _probability(logits: Tensor, draw: tuple[int, ...]) -> Tensor:
    return log_probability(logits.unsqueeze(0), torch.tensor([draw]))[0].exp()


def _gate_gradients(loss: Loss, on: tuple[int, ...]) -> Tensor:
    """Return `a_k = <dL/dy, o_k>` for all operations."""
    y = OUTPUTS[list(on)].sum(0).requires_grad_()
    return OUTPUTS @ torch.autograd.grad(loss(y), y)[0]


def exact(loss: Loss, n_on: int) -> Tensor:
    """Return dJ/dlogits by autograd."""
    logits = LOGITS.clone().requires_grad_()
    expected = sum(_probability(logits, draw) * loss(OUTPUTS[list(draw)].sum(0)) for draw in _draws(n_on))
    return torch.autograd.grad(expected, logits)[0]


def by_gates(rule: str, loss: Loss, n_on: int, n_eval: int = K) -> Tensor:
    """Return the expectation of the estimator: the first n_on of a draw run, the first n_eval are evaluated."""
    total = torch.zeros(K, dtype=torch.float64)
    for draw in _draws(n_eval):
        mask = torch.zeros(1, K, dtype=torch.bool)
        mask[0, list(draw)] = True
        gradient = _gate_gradients(loss, draw[:n_on]).unsqueeze(0)
        total += _probability(LOGITS, draw) * RULES[rule](LOGITS.unsqueeze(0), mask, gradient)[0]
    return total


def by_reinmax(loss: Loss) -> Tensor:
    total = torch.zeros(K, dtype=torch.float64)
    for (k,) in _draws(1):
        drawn = torch.eye(K, dtype=torch.float64)[k]
        total += _probability(LOGITS, (k,)) * reinmax_gradient(LOGITS, drawn, _gate_gradients(loss, (k,)))
    return total


def by_rewards(loss: Loss, n_on: int, baseline: float) -> Tensor:
    total = torch.zeros(K, dtype=torch.float64)
    for draw in _draws(n_on):
        logits = LOGITS.clone().requires_grad_()
        log_p = log_probability(logits.unsqueeze(0), torch.tensor([draw]))[0]
        (score,) = torch.autograd.grad(log_p, logits)
        total += _probability(LOGITS, draw) * (loss(OUTPUTS[list(draw)].sum(0)) - baseline) * score
    return total


def _error(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


# estimator, operations that run, losses for which its expectation is the gradient
TABLE = [
    ("gates", 1, ("linear",)),
    ("gates", 2, ()),
    ("masked", 1, ()),
    ("masked_baseline", 1, ()),
    ("renormalized", 1, ()),
    ("reinmax", 1, ("linear", "quadratic")),
    ("reinforce", 1, ("linear", "quadratic", "exponential")),
    ("reinforce", 2, ("linear", "quadratic", "exponential")),
]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("estimator", "n_on", "unbiased"), TABLE)
def test_what_an_estimator_is_unbiased_for(estimator: str, n_on: int, unbiased: tuple[str, ...], loss: str):
    function = LOSSES[loss]
    if estimator == "reinmax":
        found = by_reinmax(function)
    elif estimator == "reinforce":
        found = by_rewards(function, n_on, baseline=0.7)
    else:
        found = by_gates(estimator, function, n_on, K if estimator == "gates" else 2)
    error = _error(found, exact(function, n_on))
    assert error < 1e-12 if loss in unbiased else error > 1e-2


@pytest.mark.parametrize("rule", ["masked", "masked_baseline", "renormalized"])
def test_partial_evaluation_with_everything_evaluated_is_the_gates_estimator(rule: str):
    for loss in LOSSES.values():
        torch.testing.assert_close(by_gates(rule, loss, 1, K), by_gates("gates", loss, 1), rtol=0, atol=1e-14)


def test_pairs_weigh_the_pairwise_differences():
    """Two evaluated operations under a linear loss: the term of each pair has a positive weight of its own."""
    loss, p = LOSSES["linear"], LOGITS.softmax(-1)
    a = OUTPUTS @ COEFFICIENTS
    for rule, power in (("masked_baseline", 1), ("renormalized", 2)):
        expected = torch.zeros(K, dtype=torch.float64)
        for i, j in _draws(2):
            together = p[i] * p[j] / (1 - p[i]) + p[i] * p[j] / (1 - p[j])
            expected[i] += together / (p[i] + p[j]) ** power * p[i] * p[j] * (a[i] - a[j])
        torch.testing.assert_close(by_gates(rule, loss, 1, 2), expected, rtol=0, atol=1e-14)
    pairwise = sum(torch.eye(K, dtype=torch.float64)[i] * p[i] * p[j] * (a[i] - a[j]) for i, j in _draws(2))
    torch.testing.assert_close(exact(loss, 1), pairwise, rtol=0, atol=1e-14)


def test_the_straight_through_gumbel_estimator_is_biased_for_a_linear_loss():
    """Two operations, equal logits, tau = 1: the mean derivative of the soft sample is 1/6, that of p is 1/4."""
    noise = torch.linspace(-60, 60, 240001, dtype=torch.float64)  # the difference of two Gumbels is logistic
    density = noise.sigmoid() * (-noise).sigmoid()
    soft = torch.trapezoid(density * noise.sigmoid() * (-noise).sigmoid(), noise)
    assert float(soft) == pytest.approx(1 / 6, abs=1e-9)
    p = torch.tensor([0.5, 0.5])
    assert float(p[0] * (1 - p[0])) == 0.25
