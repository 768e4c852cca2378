"""MovingAverage: gate gradients from running means, against a plain loop."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from naslib.errors import ConfigError
from naslib.mixed_operations import BinaryMovingAverageMixedOp
from naslib.optimizers.oneshot.supernet.moving_average import MovingAverage


def test_moving_average_is_bias_corrected_per_operation():
    """Outputs that never change are estimated exactly from the first evaluation on."""
    rule, n_ops = MovingAverage(0.1), 4
    outputs = torch.randn(n_ops, 6, 3, dtype=torch.float64)
    for step, evaluated in enumerate([(0, 1), (0, 2), (0, 1), (2, 1)]):
        grad = torch.randn(6, 3, dtype=torch.float64)
        gradient = torch.zeros(n_ops, dtype=torch.float64)
        rule(grad, {k: outputs[k] for k in evaluated}, gradient)
        expected = torch.stack([(grad.sum(0) * o.mean(0)).sum() for o in outputs])
        known = [0, 1] if step == 0 else [0, 1, 2]
        torch.testing.assert_close(gradient[known], expected[known], rtol=1e-12, atol=1e-12)
        assert gradient[3] == -torch.inf
    assert rule.counts.tolist() == [3, 3, 2, 0]


def test_moving_average_against_a_plain_loop():
    rate, generator = 0.3, torch.Generator().manual_seed(0)
    rule = MovingAverage(rate)
    means, counts = [torch.zeros(5).double() for _ in range(3)], [0, 0, 0]
    for _ in range(12):
        chosen = torch.randperm(3, generator=generator)[:2].tolist()
        found = {k: torch.randn(4, 5, generator=generator, dtype=torch.float64) for k in chosen}
        grad = torch.randn(4, 5, generator=generator, dtype=torch.float64)
        gradient = torch.zeros(3, dtype=torch.float64)
        rule(grad, found, gradient)
        for k in range(3):
            if k in found:
                fresh = found[k].mean(0)
                expected = float(grad.sum(0) @ fresh)
                means[k] = means[k] + rate * (fresh - means[k])
                counts[k] += 1
            elif counts[k]:
                expected = float(grad.sum(0) @ means[k] / (1 - (1 - rate) ** counts[k]))
            else:
                expected = -torch.inf
            assert gradient[k].item() == pytest.approx(expected, rel=1e-10)
    assert min(counts) >= 2


def test_moving_average_of_rate_one_remembers_the_last_call():
    rule = MovingAverage(1.0)
    for value in (1.0, 3.0):
        rule(torch.ones(2, 1), {0: torch.full((2, 1), value)}, torch.zeros(2))
    gradient = torch.zeros(2)
    rule(torch.ones(2, 1), {1: torch.zeros(2, 1)}, gradient)
    assert gradient.tolist() == [6.0, 0.0]
    for rate in (0.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="rate of a moving average"):
            MovingAverage(rate)


def test_moving_average_refuses_another_size_and_starts_anew_with_other_candidates():
    rule = MovingAverage(0.1)
    rule(torch.ones(2, 3, 4, 4), {0: torch.ones(2, 3, 4, 4)}, torch.zeros(2))
    rule(torch.ones(7, 3, 4, 4), {0: torch.ones(7, 3, 4, 4)}, torch.zeros(2))  # another number of examples
    with pytest.raises(ConfigError, match=r"were \(3, 4, 4\) per example and are \(3, 8, 8\) now"):
        rule(torch.ones(2, 3, 8, 8), {0: torch.ones(2, 3, 8, 8)}, torch.zeros(2))
    rule(torch.ones(2, 3, 4, 4), {0: torch.ones(2, 3, 4, 4)}, torch.zeros(1))
    assert rule.counts.tolist() == [1]


def _replicas(layer: nn.Module, n: int) -> list[nn.Module]:
    """Return what `torch.nn.DataParallel` calls: copies of all modules, linked as the originals are."""
    found = []
    for _ in range(n):
        modules = list(layer.modules())
        made = {id(module): module._replicate_for_data_parallel() for module in modules}
        for module in modules:
            replica = made[id(module)]
            for key, child in module._modules.items():
                replica._modules[key] = made[id(child)]
            for key, parameter in module._parameters.items():
                replica._parameters[key] = parameter
        found.append(made[id(layer)])
    return found


def test_replicas_take_note_where_the_layer_does():
    """Two replicas of a step, each with half the batch, are two calls of the layer itself."""
    torch.manual_seed(0)
    layer = BinaryMovingAverageMixedOp([nn.Linear(4, 4) for _ in range(4)], 2, 1, 0.2).double()
    plain = copy.deepcopy(layer)
    for step in range(15):
        halves = torch.randn(2, 6, 4, dtype=torch.float64)
        gradients = []
        for called in ([plain, plain], _replicas(layer, 2)):
            torch.manual_seed(step)
            loss = sum(module(half).square().sum() for module, half in zip(called, halves, strict=True))
            owner = plain if called[0] is plain else layer
            gradients.append(torch.autograd.grad(loss, owner.alpha)[0])
        torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-12)
    counts = layer.mixture.gate_rule.counts
    assert counts.sum() == 2 * 2 * 15 and torch.equal(counts, plain.mixture.gate_rule.counts)
    assert gradients[1].ne(0).all()  # what was not evaluated is estimated; the masked variant has zeros there
    restored = BinaryMovingAverageMixedOp([nn.Linear(4, 4) for _ in range(4)], 2, 1, 0.2).double()
    restored.load_state_dict(layer.state_dict())
    assert torch.equal(restored.mixture.gate_rule.mean, layer.mixture.gate_rule.mean)
    assert restored.float().mixture.gate_rule.mean.dtype == torch.float32
