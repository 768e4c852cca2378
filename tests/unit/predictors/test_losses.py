"""Losses of predictors against loops over pairs and places."""

from __future__ import annotations

import math

import pytest
import torch

from naslib.errors import ConfigError
from naslib.predictors.losses import LOSSES, RANKING, get_loss, hinge_pair, list_mle, mse, weighted_mse

GENERATOR = torch.Generator().manual_seed(0)
PREDICTED = torch.randn(12, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.rand(12, generator=GENERATOR, dtype=torch.float64)
TARGET[3] = TARGET[7]


def test_squares():
    pairs = list(zip(PREDICTED.tolist(), TARGET.tolist(), strict=True))
    assert float(mse(PREDICTED, TARGET)) == pytest.approx(sum((p - y) ** 2 for p, y in pairs) / 12, abs=1e-12)
    wanted = sum((math.exp(y) - 1) / (math.e - 1) * (p - y) ** 2 for p, y in pairs) / 12
    assert float(weighted_mse(PREDICTED, TARGET)) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_hinge_is_a_mean_over_pairs(margin: float):
    p, y = PREDICTED.tolist(), TARGET.tolist()
    terms = [max(0.0, margin - (p[i] - p[j])) for i in range(12) for j in range(12) if y[i] > y[j]]
    assert len(terms) == 65  # of 66 pairs one is tied
    assert float(hinge_pair(PREDICTED, TARGET, margin)) == pytest.approx(sum(terms) / 65, abs=1e-12)
    assert float(hinge_pair(torch.arange(3.0), torch.arange(3.0), 0.5)) == 0.0
    assert float(hinge_pair(PREDICTED, torch.ones(12))) == 0.0


def test_list_mle_is_the_likelihood_of_the_order():
    order = sorted(range(12), key=lambda i: (-TARGET[i], i))
    scores = [float(PREDICTED[i]) for i in order]
    likelihood = 1.0
    for i in range(12):
        likelihood *= math.exp(scores[i]) / sum(math.exp(s) for s in scores[i:])
    assert float(list_mle(PREDICTED, TARGET)) == pytest.approx(-math.log(likelihood) / 12, abs=1e-12)
    assert float(list_mle(PREDICTED + 700, TARGET)) == pytest.approx(-math.log(likelihood) / 12, abs=1e-9)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_gradients_are_those_of_differences(name: str):
    predicted = PREDICTED.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: get_loss(name)(p, TARGET), predicted)


def test_descent_orders_what_it_learns():
    for name in sorted(RANKING):
        scores = torch.zeros(12, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([scores], lr=0.05)
        for _ in range(400):
            optimizer.zero_grad()
            get_loss(name)(scores, TARGET).backward()
            optimizer.step()
        i, j = [k for k in range(12) if k != 3], torch.argsort(TARGET[[k for k in range(12) if k != 3]])
        assert bool((scores.detach()[i][j].diff() > 0).all()), name


def test_an_unknown_loss_is_named():
    with pytest.raises(ConfigError, match=r"no loss 'list_mel' of predictors; did you mean 'list_mle'|did you mean"):
        get_loss("list_mel")
