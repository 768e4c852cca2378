"""Losses and scores of every task against formulas, and what a task makes of batches."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import torch
from sklearn import metrics
from torch import Tensor, nn
from torch.nn import functional as F

from naslib.errors import ConfigError, DataError
from naslib.tasks import (
    TASKS,
    Classification,
    LanguageModelling,
    Regression,
    Score,
    Segmentation,
    SequenceClassification,
    Task,
    build_task,
    settle_task,
)
from naslib.tasks.record import describe_task, rebuild_task

CPU = torch.device("cpu")


def _draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _classes(high: int, *shape: int, seed: int = 1) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def _measured(task: Task, outputs: Tensor, targets: Tensor, sizes: tuple[int, ...] = (5, 3)) -> dict[str, float | None]:
    """Measure in several batches, the last one being what is left."""
    meter, start = task.meter(), 0
    for size in (*sizes, len(targets) - sum(sizes)):
        part = slice(start, start + size)
        batch = (outputs[part], targets[part])
        meter.update(outputs[part], batch, task.loss(outputs[part], batch))
        start += size
    return meter.read().by_name()


def test_every_name_is_a_task_that_states_its_scores():
    assert {"regression", "segmentation", "language_modelling", "sequence_classification"} < set(TASKS)
    for name in TASKS:
        task = build_task(name)
        assert task.scores and len({score.name for score in task.scores}) == len(task.scores)


# scores against formulas


def test_classification_scores():
    logits, labels = _draw(11, 7), _classes(7, 11)
    found = _measured(Classification(), logits, labels)
    ranks = (logits > logits.gather(1, labels[:, None])).sum(1)
    assert found == {
        "accuracy": pytest.approx(100 * (ranks == 0).double().mean().item(), abs=1e-9),
        "top5": pytest.approx(100 * (ranks < 5).double().mean().item(), abs=1e-9),
    }


def test_many_labels_are_scored_by_f1():
    logits, labels = _draw(11, 4), (_draw(11, 4, seed=3) > 0.5).double()
    task = Classification("BCEWithLogitsLoss")
    found = _measured(task, logits, labels)
    guess = (logits > 0).long().numpy()
    assert task.score.name == "f1" and torch.equal(task.predict(logits), (logits > 0).long())
    assert found["f1"] == pytest.approx(100 * metrics.f1_score(labels.numpy(), guess, average="micro"), abs=1e-9)
    assert found["accuracy"] == pytest.approx(100 * (guess == labels.numpy()).mean(), abs=1e-9)


@pytest.mark.parametrize("outputs", [1, 3])
def test_regression_scores(outputs: int):
    values, targets = _draw(11, outputs), 3 * _draw(11, outputs, seed=5) + 100
    found = _measured(Regression(), values, targets)
    true, guess = targets.numpy(), values.numpy()
    assert found["rmse"] == pytest.approx(math.sqrt(metrics.mean_squared_error(true, guess)), rel=1e-9)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(true, guess), rel=1e-9)
    assert found["r2"] == pytest.approx(metrics.r2_score(true, guess), rel=1e-6)


def test_r2_of_constant_targets_is_nothing():
    found = _measured(Regression(), _draw(11, 1), torch.full((11, 1), 7.0, dtype=torch.float64))
    assert found["r2"] is None and found["rmse"] is not None


def test_values_are_not_broadcast():
    """`(n,)` targets with `(n, 1)` outputs: torch's criterion would compare every pair."""
    values, targets, task = _draw(6, 1), _draw(6, seed=2), Regression()
    expected = (values[:, 0] - targets).square().mean()
    torch.testing.assert_close(task.loss(values, (None, targets)), expected, rtol=0, atol=1e-14)


def test_segmentation_scores_leave_out_what_does_not_count():
    logits, masks = _draw(6, 3, 4, 5), _classes(3, 6, 4, 5)
    masks[2] = 255
    masks[0, 0] = 255
    task = Segmentation()
    counted = masks != 255
    true, guess = masks[counted].numpy(), logits.argmax(1)[counted].numpy()
    found = _measured(task, logits, masks, (1, 3))
    assert found["accuracy"] == pytest.approx(100 * metrics.accuracy_score(true, guess), abs=1e-9)
    assert found["mean_iou"] == pytest.approx(100 * metrics.jaccard_score(true, guess, average="macro"), abs=1e-9)
    rows = logits.permute(0, 2, 3, 1)[counted].log_softmax(-1)
    expected = -rows.gather(1, masks[counted][:, None]).mean()
    torch.testing.assert_close(task.loss(logits, (None, masks)), expected, rtol=0, atol=1e-12)


def test_a_class_that_never_occurs_has_no_share_in_the_mean():
    logits = torch.zeros(1, 4, 1, 2)
    logits[0, 0, 0, 0] = logits[0, 1, 0, 1] = 1.0
    found = _measured(Segmentation(), logits, torch.tensor([[[0, 0]]]), ())
    assert found == {"accuracy": 50.0, "mean_iou": pytest.approx(25.0)}  # 1/2 and 0/1, classes 2 and 3 left out


def test_perplexity_is_that_of_the_tokens_whatever_the_loss():
    logits, tokens = _draw(6, 5, 9), _classes(9, 6, 5)
    tokens[0, 3:] = -100
    counted = tokens != -100
    mean = -logits.log_softmax(-1)[counted].gather(1, tokens[counted][:, None]).mean().item()
    for task in (LanguageModelling(), LanguageModelling().smoothed(0.3)):
        assert _measured(task, logits, tokens, (1, 2))["perplexity"] == pytest.approx(math.exp(mean), rel=1e-6)
    assert LanguageModelling().reward(40.0) == 2.0 and not LanguageModelling().score.maximize


def test_tokens_alone_are_shifted():
    task, tokens = LanguageModelling(), _classes(9, 3, 6)
    for batch in (tokens, (tokens,), {"input_ids": tokens}, tokens.numpy()):
        inputs, targets = task.to_device(batch, CPU)
        assert torch.equal(inputs, tokens[:, :-1]) and torch.equal(targets, tokens[:, 1:])
    given = task.to_device({"input_ids": tokens, "labels": tokens}, CPU)
    assert torch.equal(given[0], given[1])


def test_class_weights_and_smoothing_are_torchs():
    logits, labels, weights, share = _draw(8, 3), _classes(3, 8), [0.2, 1.0, 3.0], 0.1
    w = torch.tensor(weights, dtype=torch.float64)
    logs = logits.log_softmax(-1)
    nll = -logs.gather(1, labels[:, None])[:, 0] * w[labels]
    spread = -(logs * w).sum(1) / 3
    expected = ((1 - share) * nll + share * spread).sum() / w[labels].sum()
    task = Classification(label_smoothing=share, class_weights=weights)
    task.criterion.weight = w
    torch.testing.assert_close(task.loss(logits, (None, labels)), expected, rtol=0, atol=1e-12)
    plain = Classification(class_weights=weights)
    plain.criterion.weight = w
    torch.testing.assert_close(plain.loss(logits, (None, labels)), nll.sum() / w[labels].sum(), rtol=0, atol=1e-12)


def test_smoothing_ends_with_the_training():
    logits, labels = _draw(8, 3), _classes(3, 8)
    plain = F.cross_entropy(logits, labels)
    for task in (Classification(label_smoothing=0.4), Classification().smoothed(0.4), Segmentation().smoothed(0.4)):
        assert task.loss(logits, (None, labels)) != plain
        torch.testing.assert_close(task.plain().loss(logits, (None, labels)), plain, rtol=0, atol=1e-12)
    own = nn.CrossEntropyLoss(label_smoothing=0.4)  # of the criterion that a person gave
    assert Classification(own).plain().criterion is own


# what goes together


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        (Classification, "MSELoss"),
        (Classification, nn.L1Loss()),
        (Classification, F.mse_loss),
        (Segmentation, "mse"),
        (Regression, "CrossEntropyLoss"),
        (Regression, nn.BCEWithLogitsLoss()),
        (Regression, F.cross_entropy),
    ],
)
def test_a_loss_of_another_kind_is_refused(task: type[Task], loss: object):
    with pytest.raises(ConfigError, match=r"the loss \w+ is of"):
        task(loss)
    with pytest.raises(ConfigError, match=r"the loss \w+ is of"):
        task().with_loss(loss)


def test_what_the_loss_says_of_the_task():
    assert isinstance(settle_task(None, "mse"), Regression) and isinstance(settle_task(None, F.l1_loss), Regression)
    assert isinstance(settle_task(None), Classification) and settle_task(None, "bce_with_logits").multi_label
    assert isinstance(settle_task("regression", "L1Loss").criterion, nn.L1Loss)
    own = nn.MSELoss()
    assert settle_task(Regression(), own).criterion is own
    with pytest.raises(ConfigError, match="did you mean"):
        settle_task("regresion")
    with pytest.raises(ConfigError, match=r"naslib\.tasks\.Task"):
        settle_task(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="class_weights"):
        Classification(nn.CrossEntropyLoss(), class_weights=[1.0, 2.0])
    with pytest.raises(ConfigError, match="takes no 'weight'"):
        Classification("MultiLabelMarginLoss", class_weights=[1.0, 2.0])
    with pytest.raises(ConfigError, match="class_weights"):
        Classification(class_weights=[1.0, -2.0])


class _Own(Task):
    scores = (Score("far", False),)

    def loss(self, outputs, batch):
        return outputs.sum()

    def statistics(self, outputs, batch):
        return outputs.abs().sum(), len(outputs)


def test_a_task_with_a_loss_of_its_own_takes_no_other():
    for wrong in (lambda: _Own().with_loss("mse"), lambda: _Own().smoothed(0.1), lambda: settle_task(_Own(), "mse")):
        with pytest.raises(ConfigError, match="loss of its own"):
            wrong()
    assert _Own().value_of(torch.tensor([1.0, -3.0]), (torch.zeros(2), None)) == 2.0
    assert _Own().reward(2.0) == -2.0 and _Own().plain().scores == _Own().scores
    with pytest.raises(ConfigError, match="has no loss"):
        type("Lossless", (Task,), {"statistics": lambda self, o, b: (1, 1), "scores": _Own.scores})()


def test_rewards_and_qualities_rise_with_what_is_better():
    for name in TASKS:
        task = build_task(name)
        better, worse = (90.0, 10.0) if task.score.maximize else (10.0, 90.0)
        assert task.reward(better) > task.reward(worse) and task.score.quality(better) > task.score.quality(worse)
    assert Classification().reward(62.5) == 0.625


# batches


@pytest.mark.parametrize(
    "batch",
    [
        (torch.ones(4, 1, 8, 8), torch.arange(4)),
        [np.ones((4, 1, 8, 8)), np.arange(4, dtype=np.int32)],
        (torch.ones(4, 1, 8, 8, dtype=torch.float64), torch.arange(4, dtype=torch.uint8)[:, None]),
        (np.full((4, 1, 8, 8), 255, np.uint8), list(range(4))),
        (torch.full((4, 1, 8, 8), 65535, dtype=torch.uint16), torch.arange(4, dtype=torch.int16)),
        {"image": torch.ones(4, 1, 8, 8), "label": torch.arange(4)},
        {"pixel_values": np.ones((4, 1, 8, 8)), "labels": torch.arange(4), "index": torch.arange(4)},
        {"Label": torch.arange(4)[:, None], "Image": torch.ones(4, 1, 8, 8)},
        [{"data": torch.ones(4, 1, 8, 8), "label": torch.arange(4)}],
        ([torch.ones(1, 8, 8)] * 4, torch.arange(4), ["names", "of", "four", "files"]),
        (np.ones((4, 8, 8, 1), np.float32)[::-1].transpose(0, 3, 1, 2), np.arange(4)),
    ],
)
def test_batches_of_many_kinds_are_the_same(batch: object):
    inputs, targets = Classification().to_device(batch, CPU)
    assert torch.equal(inputs, torch.ones(4, 1, 8, 8)) and inputs.dtype is torch.float32
    assert torch.equal(targets, torch.arange(4)) and targets.dtype is torch.int64
    assert Classification().batch_problems((inputs, targets)) == []


def test_names_that_are_not_usual():
    batch = {"scan": torch.ones(2, 3), "finding": torch.tensor([0, 1])}
    with pytest.raises(DataError, match=r"keys 'scan', 'finding', none of which .*task_args\.inputs"):
        Classification().to_device(batch, CPU)
    assert torch.equal(Classification(inputs="scan", targets="finding").to_device(batch, CPU)[1], batch["finding"])
    with pytest.raises(DataError, match="without the key 'age'"):
        Classification(inputs="scan", targets="age").to_device(batch, CPU)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (torch.zeros(4, 2), "expected a pair"),
        ((torch.zeros(4, 2),), "expected a pair"),
        ("text", "it is a str"),
        ((torch.zeros(4, 2, dtype=torch.int64), torch.zeros(4)), "uint8"),
        ((["a", "b"], [0, 1]), "expected a tensor"),
        (([torch.zeros(2), torch.zeros(3)], [0, 1]), "one shape"),
    ],
)
def test_batches_that_cannot_be_understood(batch: object, message: str):
    with pytest.raises(DataError, match=message):
        Classification().to_device(batch, CPU)


@pytest.mark.parametrize(
    ("task", "targets", "message"),
    [
        (Classification(), torch.zeros(4), r"float32 tensor of shape \(4,\).*integer type"),
        (Classification(), torch.tensor([0, 1, -1, 2]), "must not be negative"),
        (Classification(), torch.zeros(3, dtype=torch.int64), "differ in number"),
        (Classification(), torch.ones(4, 3), "do not sum to 1.*BCEWithLogitsLoss"),
        (Classification(), torch.zeros(4, 8, 8, dtype=torch.int64), "segmentation"),
        (Classification("BCEWithLogitsLoss"), torch.tensor([0, 1, 2, 3]), "zeros and ones.*CrossEntropyLoss"),
        (Regression(), torch.tensor([0.0, math.nan, 0.0, 0.0]), "NaN"),
        (Segmentation(), torch.zeros(4, dtype=torch.int64), "classification"),
        (Segmentation(), torch.full((4, 8, 8), -1), "255"),
    ],
)
def test_targets_that_are_none_of_the_task(task: Task, targets: Tensor, message: str):
    batch = task.to_device((torch.ones(4, 1, 8, 8), targets), CPU)
    (problem,) = task.batch_problems(batch)
    assert re.search(message, problem), problem


@pytest.mark.parametrize(
    ("task", "outputs", "targets", "message"),
    [
        (Classification(), torch.zeros(4, 3), torch.tensor([0, 1, 2, 3]), "from 0 to 3, but the network has 3"),
        (Classification(), torch.zeros(4, 3, 8, 8), torch.tensor([0, 1, 2, 0]), "segmentation"),
        (Classification("BCEWithLogitsLoss"), torch.zeros(4, 3), torch.tensor([0.0, 1.0, 1.0, 0.0]), "as many labels"),
        (Classification(class_weights=[1, 2]), torch.zeros(4, 3), torch.tensor([0, 1, 2, 0]), "2 weights"),
        (Regression(), torch.zeros(4, 10), torch.zeros(4), "classification"),
        (Segmentation(), torch.zeros(4, 3), torch.zeros(4, 8, 8, dtype=torch.int64), "n, classes, height"),
        (Segmentation(), torch.zeros(4, 3, 4, 4), torch.zeros(4, 8, 8, dtype=torch.int64), "resolution"),
        (Segmentation(), torch.zeros(4, 3, 8, 8), torch.full((4, 8, 8), 7), "ignore_index"),
        (LanguageModelling(), torch.zeros(4, 8, 5), torch.full((4, 8), 5), "tokens 0 to 4"),
        (LanguageModelling(), torch.zeros(4, 5), torch.zeros(4, 8, dtype=torch.int64), "vocabulary"),
    ],
)
def test_networks_that_do_not_fit(task: Task, outputs: Tensor, targets: Tensor, message: str):
    (problem,) = task.output_problems(outputs, (torch.ones(4, 1, 8, 8), targets))
    assert message in problem


def test_tokens_and_signals_are_told_apart():
    task = SequenceClassification()
    assert task.prepare_inputs(torch.ones(2, 3, dtype=torch.uint8)).dtype is torch.int64
    assert task.prepare_inputs(torch.ones(2, 3, dtype=torch.float64)).dtype is torch.float32


# records


def test_a_record_makes_the_task_again():
    tasks = [Classification("bce_with_logits", output_size=4), Regression("L1Loss", "degrees"), Segmentation(None, 9)]
    tasks.append(Classification().with_loss(nn.BCEWithLogitsLoss()))
    tasks.append(Classification(lambda outputs, targets: outputs.sum()))
    for task in tasks:
        record = describe_task(task)
        again = rebuild_task(record)
        assert again is not None and type(again) is type(task) and again.scores == task.scores
        assert again.output_size == task.output_size
        outputs = _draw(3, 4, 2, 2) if isinstance(task, Segmentation) else _draw(3, 4)
        torch.testing.assert_close(again.predict(outputs), task.predict(outputs))
