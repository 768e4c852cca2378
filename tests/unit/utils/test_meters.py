"""Means, accuracies, parameter counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from naslib.utils.meters import AverageMeter, accuracy, count_parameters_in_MB


def test_average_is_weighted() -> None:
    meter = AverageMeter()
    assert (meter.avg, meter.sum, meter.cnt) == (0, 0, 0)
    meter.update(1.0, 3)
    meter.update(5.0)
    meter.update(100.0, 0)
    assert (meter.avg, meter.sum, meter.cnt) == (2.0, 8.0, 4)
    meter.reset()
    assert (meter.avg, meter.cnt) == (0, 0)


def test_average_of_tensors_stays_a_tensor() -> None:
    meter = AverageMeter()
    value = torch.tensor(1.0)
    meter.update(value, 2)
    meter.update(torch.tensor(4.0), 1)
    assert isinstance(meter.avg, torch.Tensor)
    assert float(meter.avg) == 2.0
    assert float(value) == 1.0


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_accuracy_equals_sorting(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(50, classes, generator=generator, requires_grad=True)
    target = torch.randint(classes, (50,), generator=generator)
    found = accuracy(logits, target, topk=(1, 2, 5))
    for k, value in zip((1, 2, 5), found, strict=True):
        ranked = [sorted(range(classes), key=lambda c, row=row: -row[c])[:k] for row in logits.tolist()]
        expected = 100 * sum(int(t) in best for t, best in zip(target, ranked, strict=True)) / 50
        assert value.shape == ()
        assert not value.requires_grad
        assert float(value) == pytest.approx(expected, abs=1e-4)


def test_accuracy_default_and_edges() -> None:
    logits = torch.tensor([[0.0, 1.0], [2.0, 1.0]])
    assert [float(a) for a in accuracy(logits, torch.tensor([1, 1]))] == [50.0]
    assert [float(a) for a in accuracy(logits, torch.tensor([[1], [0]]), (1, 5))] == [100.0, 100.0]
    assert [float(a) for a in accuracy(logits[:0], torch.tensor([], dtype=torch.long), (1, 5))] == [0.0, 0.0]


def test_parameters_in_millions_without_auxiliary() -> None:
    model = nn.ModuleDict({"a": nn.Linear(1000, 100), "auxiliary_head": nn.Linear(10, 10)})
    model["shared"] = model["a"]
    assert count_parameters_in_MB(model) == pytest.approx(0.1001, abs=0)
