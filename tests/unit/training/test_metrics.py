"""The meter of a classification against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from naslib.tasks import Classification


def _batches():
    generator = torch.Generator().manual_seed(3)
    for n in (5, 7, 1):
        logits = torch.randn(n, 9, generator=generator)
        yield logits, torch.randint(9, (n,), generator=generator), torch.rand((), generator=generator)


def test_against_numpy():
    meter = Classification().meter()
    top1, top5, loss, count = 0, 0, 0.0, 0
    for step, (logits, target, value) in enumerate(_batches()):
        meter.update(logits, (None, target), value, step)
        order = np.argsort(-logits.numpy(), axis=1)
        top1 += int((order[:, 0] == target.numpy()).sum())
        top5 += sum(int(t) in row[:5] for t, row in zip(target, order, strict=True))
        loss += float(value) * len(target)
        count += len(target)
    score = meter.read()
    assert score.count == count == 13 and meter.first_bad_step() is None
    assert score.get("accuracy") == pytest.approx(100 * top1 / count, abs=1e-9)
    assert score.get("top5") == pytest.approx(100 * top5 / count, abs=1e-9)
    assert score.loss == pytest.approx(loss / count, abs=1e-7)


def test_few_classes_and_soft_targets():
    meter = Classification().meter()
    meter.update(torch.eye(2), (None, torch.tensor([[0.9, 0.1], [0.7, 0.3]])), torch.tensor(1.0))
    assert (meter.read().values, meter.read().count) == ((50.0, 100.0), 2)


def test_first_bad_step_stays():
    meter = Classification().meter()
    for step, loss in enumerate([1.0, float("inf"), 2.0, float("nan")]):
        meter.update(torch.eye(2), (None, torch.tensor([0, 1])), torch.tensor(loss), step)
    assert meter.first_bad_step() == 1
    meter.reset()
    assert meter.first_bad_step() is None and meter.read().deciding is None


def test_state_in_the_middle_of_an_epoch():
    whole, first, second = Classification().meter(), Classification().meter(), Classification().meter()
    batches = list(_batches())
    for batch in batches:
        whole.update(batch[0], (None, batch[1]), batch[2])
    first.update(batches[0][0], (None, batches[0][1]), batches[0][2])
    second.load_state_dict(first.state_dict())
    for batch in batches[1:]:
        second.update(batch[0], (None, batch[1]), batch[2])
    assert second.read() == whole.read() and first.read().count == 5
