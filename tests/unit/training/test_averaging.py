"""Averaged SGD: when it begins, and that it is torch's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from naslib.errors import ConfigError
from naslib.training.averaging import WeightAverage
from naslib.training.schedule import scaled_rate


def steps(network: nn.Module, optimizer: torch.optim.Optimizer, count: int, start: int = 0, average=None) -> None:
    for step in range(start, start + count):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()
        if average is not None:
            average.after_step()


def test_it_begins_when_validation_was_better_before() -> None:
    """Epoch k begins it if its loss is above the least of epochs 0 to k - patience - 1."""
    average = WeightAverage(nn.Linear(1, 1), patience=2)
    begins = []
    for loss in (5.0, 4.0, 6.0, 4.5, 3.0, 3.5, 3.9, 3.1):
        average.after_epoch(loss)
        begins.append(average.is_on)
    # before the fourth, only the 5 is compared with; then the 4, then 4 and 6 ...; 3.9 is below 4, 3.1 is above 3
    assert begins == [False, False, False, False, False, False, False, True]
    assert average.losses == [5.0, 4.0, 6.0, 4.5, 3.0, 3.5, 3.9, 3.1]


def test_without_validation_nothing_begins() -> None:
    average = WeightAverage(nn.Linear(1, 1), patience=1)
    for _ in range(5):
        average.after_epoch(None)
    assert not average.is_on


@pytest.mark.parametrize("count", [1, 2, 3, 10])
def test_the_mean_is_that_of_torch(count: int) -> None:
    torch.manual_seed(0)
    network = nn.Linear(3, 2).double()
    other = copy.deepcopy(network)
    average = WeightAverage(network, patience=1)
    average.is_on = True
    steps(network, torch.optim.SGD(network.parameters(), lr=0.25, weight_decay=0.01), count, average=average)
    theirs = torch.optim.ASGD(other.parameters(), lr=0.25, t0=0, lambd=0.0, weight_decay=0.01)
    steps(other, theirs, count)
    torch.testing.assert_close(network.weight, other.weight, rtol=1e-12, atol=0)  # the steps are those of SGD
    own = network.weight.detach().clone()
    with average.averaged():  # torch keeps the factors of its mean in single precision
        for mine, their in zip(network.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(mine.detach(), theirs.state[their]["ax"], rtol=1e-6, atol=1e-9)
    assert torch.equal(network.weight, own)


def test_it_goes_on_after_a_checkpoint_also_of_the_end() -> None:
    def train(stop: int | None, put: bool = False) -> torch.Tensor:
        torch.manual_seed(0)
        network = nn.Linear(3, 2).double()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
        average = WeightAverage(network, patience=1)
        average.is_on = True
        steps(network, optimizer, 7 if stop is None else stop, average=average)
        if stop is not None:
            if put:
                average.put()
            saved = copy.deepcopy([network.state_dict(), average.state_dict()])
            network = nn.Linear(3, 2).double()
            network.load_state_dict(saved[0])
            average = WeightAverage(network, patience=1)
            average.load_state_dict(saved[1])
            average.take_back()
            optimizer = torch.optim.SGD(network.parameters(), lr=0.3)
            steps(network, optimizer, 7 - stop, stop, average)
        average.put()
        return network.weight.detach().clone()

    expected = train(None)
    for stop in (1, 2, 5):
        assert torch.equal(train(stop), expected) and torch.equal(train(stop, put=True), expected)


def test_batch_norms_are_refused() -> None:
    with pytest.raises(ConfigError, match="running statistics are not those of averaged weights"):
        WeightAverage(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), patience=5)


def test_a_rate_is_scaled_for_one_step() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    weight.grad = torch.ones(1)
    with scaled_rate(optimizer, 0.4):
        optimizer.step()
    assert float(weight.detach()) == pytest.approx(0.8) and optimizer.param_groups[0]["lr"] == 0.5
