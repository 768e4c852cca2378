"""BN's switch and the change to affine BN."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from naslib.errors import ConfigError
from naslib.search_spaces.core import primitives as ops
from naslib.search_spaces.core.batch_norm import (
    batch_norm_modules,
    frozen_batch_norm_statistics,
    make_batch_norm_affine,
)
from naslib.search_spaces.core.flops import count_macs


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        ops.SepConv(3, 4, 3, 1, 1, affine=False), ops.MaxPool(4, 3, 1), ops.ReLUConvBN(4, 4, 1)
    ).double()  # fmt: skip


def batch() -> Tensor:
    return torch.randn(4, 3, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_frozen_statistics_normalise_by_the_batch_and_update_nothing() -> None:
    net, x = network(), batch()
    before = copy.deepcopy(net.state_dict())
    with frozen_batch_norm_statistics(net):
        frozen = net(x)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    torch.testing.assert_close(frozen, net(x), rtol=0, atol=0)
    assert all(norm.num_batches_tracked == 1 for norm in batch_norm_modules(net))


def test_frozen_statistics_in_evaluation_mode_use_the_running_statistics() -> None:
    net, x = network(), batch()
    net(x)
    net.eval()
    with frozen_batch_norm_statistics(net):
        frozen = net(x)
    torch.testing.assert_close(frozen, net(x), rtol=0, atol=0)


def test_the_switch_nests_takes_a_list_and_comes_back_after_an_exception() -> None:
    net, x = network(), batch()
    norms = batch_norm_modules(net)
    norms[1].track_running_stats = False
    state = [norm.track_running_stats for norm in norms]
    with frozen_batch_norm_statistics(norms):
        with pytest.raises(RuntimeError, match="boom"), frozen_batch_norm_statistics(net):
            raise RuntimeError("boom")
        net(x)
        assert all(norm.num_batches_tracked == 0 for norm in norms)
    assert [norm.track_running_stats for norm in norms] == state


def test_the_switch_works_under_torch_func() -> None:
    net, x = network(), batch()
    parameters = dict(net.named_parameters())

    def loss(values: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(net, values, (x,)).square().sum()

    with frozen_batch_norm_statistics(net):
        tangent = {key: torch.ones_like(value) for key, value in parameters.items()}
        _, product = torch.func.jvp(torch.func.grad(loss), (parameters,), (tangent,))
        step = 1e-6
        plus, minus = (
            torch.func.grad(loss)({key: value + sign * step for key, value in parameters.items()}) for sign in (1, -1)
        )
    for key in parameters:
        torch.testing.assert_close(product[key], (plus[key] - minus[key]) / (2 * step), rtol=1e-3, atol=1e-3)
    assert all(norm.num_batches_tracked == 0 for norm in batch_norm_modules(net))


def test_affine_batch_norm_changes_no_output_and_no_statistic() -> None:
    net, x = network(), batch()
    net(x)
    buffers = {key: value.clone() for key, value in net.named_buffers()}
    net.eval()
    expected, size = net(x), sum(p.numel() for p in net.parameters())
    modules = list(net.modules())
    net[2].op[2].weight.data.fill_(3.0)
    expected = net(x)
    assert make_batch_norm_affine(net) is net
    torch.testing.assert_close(net(x), expected, rtol=0, atol=0)
    assert all(torch.equal(value, buffers[key]) for key, value in net.named_buffers())
    assert sum(p.numel() for p in net.parameters()) == size + 2 * (3 + 4 + 4)
    assert all(p.dtype == torch.float64 for p in net.parameters()) and list(net.modules()) == modules
    make_batch_norm_affine(net)
    assert (net[2].op[2].weight == 3).all()


def test_macs_count_convolutions_and_linear_layers_only() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8),
        nn.AvgPool2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )  # fmt: skip
    net[1].eval()
    before = copy.deepcopy(net.state_dict())
    assert count_macs(net, (3, 8, 8)) * 1e6 == pytest.approx(27 * 8 * 64 + 9 * 8 * 16 + 80)
    assert net.training and not net[1].training and net[0].training
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    with pytest.raises(ConfigError, match="channels, height, width"):
        count_macs(net, (3, 8, 8, 8))
