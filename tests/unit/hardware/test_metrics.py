"""The costs of a network: names, units, and numbers that a hand can add up."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.hardware import metrics
from naslib.search_spaces.core.query_metrics import Metric


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1))


class _Skip(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """Hold the input, three tensors between, and the output."""
        a = x + 1
        b = a * 2
        c = b.view(-1) * 3
        return c.view_as(a) + a


class _InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """Take one tensor beside the input."""
        return (x * 2).add_(1).relu_()


def test_names_units_and_metrics() -> None:
    found = [(m.name, m.unit, m.metric) for m in metrics.METRICS.values()]
    assert found == [
        ("params", "M", Metric.PARAMETERS),
        ("macs", "M", Metric.FLOPS),
        ("memory", "MB", Metric.MEMORY),
        ("latency", "ms", Metric.LATENCY),
        ("energy", "mJ", None),
    ]
    assert all(m.metric is None or m.metric.unit == m.unit for m in metrics.METRICS.values())
    assert not any(m.objective.maximize for m in metrics.METRICS.values())


def test_sizes_of_a_network() -> None:
    network = _network()
    weights = 3 * 8 * 9 + 8 + 8 * 2 + 8 * 4 * 9 + 4
    assert metrics.params(network) == weights / 1e6
    assert metrics.macs(network, (3, 10, 6)) == pytest.approx((3 * 8 * 9 + 8 * 4 * 9) * 60 / 1e6, rel=1e-12)


def test_memory_is_weights_buffers_and_what_is_alive_at_once() -> None:
    network = _network().train()
    # float32: weights, two statistics of 8, and one count of 8 bytes; the input, what enters batch norm and what leaves
    kept = 4 * (3 * 8 * 9 + 8 + 8 * 2 + 8 * 4 * 9 + 4 + 16) + 8
    assert metrics.memory(network, (3, 10, 6)) == (kept + 4 * 60 * (3 + 8 + 8)) / 1e6
    assert network.training and network[1].num_batches_tracked == 0
    assert metrics.memory(network.double(), (3, 10, 6)) == (2 * (kept - 8) + 8 + 8 * 60 * (3 + 8 + 8)) / 1e6


@pytest.mark.parametrize(("network", "tensors"), [(_Skip(), 5), (_InPlace(), 2), (nn.Identity(), 1)])
def test_memory_follows_the_life_of_tensors(network: nn.Module, tensors: int) -> None:
    assert metrics.memory(network, (2, 5, 5)) == tensors * 200 / 1e6


def test_an_auxiliary_head_costs_nothing_at_inference() -> None:
    network = nn.Module()
    network.add_module("auxiliary", nn.Linear(10, 10))
    network.add_module("rest", nn.Linear(5, 2))
    network.forward = lambda x: network.rest(x)  # type: ignore[method-assign, operator, assignment]
    assert metrics.params(network) == 12e-6
    assert metrics.memory(network, (5,)) == 4 * (12 + 5 + 2) / 1e6


def test_latency_is_measured_and_leaves_the_mode() -> None:
    network = _network().train()
    found = metrics.latency(network, (3, 4, 4))
    assert found.milliseconds > 0
    assert found.runs == 50
    assert found.threads == torch.get_num_threads()
    assert network.training


def test_energy_and_unknown_names() -> None:
    with pytest.raises(ConfigError, match="energy of a network cannot be measured here"):
        metrics.energy(_network(), (3, 4, 4))
    with pytest.raises(ConfigError, match=r"search.limits: no cost is called 'mac'.*'macs'"):
        metrics.metric_named("mac", "search.limits")
    assert metrics.metric_named("FLOPS").name == "macs"
    assert metrics.metric_named("Latency").unit == "ms"
