"""MovingAverage: gate gradients from running means, against a plain loop."""

from __future__ import annotations

import pytest
import torch

from naslib.errors import ConfigError
from naslib.optimizers.oneshot.moving_average import MovingAverage


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
