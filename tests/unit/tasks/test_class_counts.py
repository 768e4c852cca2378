"""Counts by class against counts by hand: matrix, accuracy, precision, recall and F1 of each class."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from naslib.errors import DataError
from naslib.tasks import (
    ClassCounts,
    Classification,
    FewShot,
    LanguageModelling,
    Regression,
    Segmentation,
    SequenceClassification,
)
from naslib.tasks import class_counts as module


def logits_of(classes: torch.Tensor, k: int) -> torch.Tensor:
    """Return `(n, k, ...)` logits whose largest one is at the given classes."""
    return torch.nn.functional.one_hot(classes, k).movedim(-1, 1).float()


def by_hand(true, predicted, k):
    matrix = np.zeros((k, k), dtype=int)
    for row, column in zip(true.flatten().tolist(), predicted.flatten().tolist(), strict=True):
        matrix[row, column] += 1
    return matrix


@pytest.mark.parametrize("task", [Classification(), SequenceClassification()])
def test_a_matrix_and_scores_by_hand(task):
    #   true        0  0  0  1  1  3     class 2 does not occur, and is predicted once
    true = torch.tensor([0, 0, 0, 1, 1, 3])
    predicted = torch.tensor([0, 0, 1, 1, 2, 0])
    counts = ClassCounts(task)
    for part in (slice(0, 4), slice(4, 6)):
        counts.update(logits_of(predicted[part], 4), (None, true[part]))
    assert counts.matrix() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert counts.per_class(["a", "b", "c", "d"]) == [
        {"name": "a", "n": 3, "accuracy": 100 * 2 / 3, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3},
        {"name": "b", "n": 2, "accuracy": 50.0, "precision": 0.5, "recall": 0.5, "f1": 0.5},
        {"name": "c", "n": 0, "accuracy": None, "precision": 0.0, "recall": None, "f1": 0.0},
        {"name": "d", "n": 1, "accuracy": 0.0, "precision": None, "recall": 0.0, "f1": 0.0},
    ]
    assert [told["name"] for told in counts.per_class(["too", "few"])] == ["0", "1", "2", "3"]
    assert counts.summary(["a", "b", "c", "d"])["class_names"] == ["a", "b", "c", "d"]


def test_one_hot_targets_ignored_targets_and_ties():
    counts = ClassCounts(Classification())
    rows = torch.eye(3)[[0, 2]]
    counts.update(logits_of(torch.tensor([0, 1]), 3), (None, rows))
    counts.update(logits_of(torch.tensor([1, 1]), 3), (None, torch.tensor([-100, 1])))
    assert counts.matrix() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    # of equal outputs the class is that of the accuracy
    task, equal, true = Classification(), torch.zeros(4, 3), torch.tensor([0, 1, 2, 2])
    tied = ClassCounts(task)
    tied.update(equal, (None, true))
    hits = int(task.statistics(equal, (None, true))[0])
    assert sum(row[i] for i, row in enumerate(tied.matrix())) == hits


def test_pixels_that_do_not_count_are_left_out():
    generator = torch.Generator().manual_seed(0)
    true = torch.randint(0, 5, (3, 6, 7), generator=generator)
    predicted = torch.randint(0, 5, (3, 6, 7), generator=generator)
    blank = torch.rand(3, 6, 7, generator=generator) < 0.3
    task = Segmentation()
    counts = ClassCounts(task)
    targets = torch.where(blank, 255, true)
    counts.update(logits_of(predicted, 5), (None, targets))
    matrix = by_hand(true[~blank], predicted[~blank], 5)
    assert counts.matrix() == matrix.tolist()
    *_, count = task.statistics(logits_of(predicted, 5), (None, targets))
    assert matrix.sum() == int(count)


def test_many_classes_have_scores_and_no_matrix(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    true = torch.randint(0, 7, (200,), generator=generator)
    predicted = torch.where(torch.rand(200, generator=generator) < 0.5, true, 6 - true)
    batches = [(logits_of(predicted[i : i + 50], 7), (None, true[i : i + 50])) for i in range(0, 200, 50)]
    few = ClassCounts(Classification())
    for outputs, batch in batches:
        few.update(outputs, batch)
    monkeypatch.setattr(module, "MOST_IN_MATRIX", 6)
    many = ClassCounts(Classification())
    for outputs, batch in batches:
        many.update(outputs, batch)
    assert many.matrix() is None and few.matrix() == by_hand(true, predicted, 7).tolist()
    assert many.per_class() == few.per_class() and many.summary()["confusion_matrix"] is None
    assert module.ClassCounts(Classification()).summary() == {}


@pytest.mark.parametrize(
    "task",
    [Regression(), LanguageModelling(), FewShot(output_size=4), Classification("BCEWithLogitsLoss")],
    ids=lambda task: type(task).__name__,
)
def test_tasks_without_classes_count_none(task):
    counts = ClassCounts(task)
    counts.update(torch.zeros(2, 3), (None, torch.zeros(2, 3)))
    assert counts.summary() == {} and counts.matrix() is None and counts.per_class() is None


class Odd(Classification):
    """Reads outputs from the other end."""

    def predict(self, outputs):
        return outputs.argmin(dim=1)


class Whole(Segmentation):
    """Counts pictures rather than pixels."""

    def statistics(self, outputs, batch):
        return [(outputs.argmax(dim=1) == batch[1]).all(dim=(1, 2)).sum(), len(outputs)]


@pytest.mark.parametrize(("task", "shape"), [(Odd(), (2, 3)), (Whole(), (2, 3, 4, 4))], ids=["predict", "statistics"])
def test_subclasses_that_count_otherwise_count_no_classes_for_us(task, shape):
    counts = ClassCounts(task)
    counts.update(torch.zeros(shape), (None, torch.zeros(2, *shape[2:], dtype=torch.int64)))
    assert counts.summary() == {}
    if isinstance(task, Odd):
        with pytest.raises(DataError, match="Odd tells no probabilities of classes"):
            task.probabilities(torch.zeros(shape))


def test_probabilities():
    outputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    powers = outputs.exp()
    expected = powers / powers.sum(dim=1, keepdim=True)
    torch.testing.assert_close(Classification().probabilities(outputs), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(
        Classification("BCEWithLogitsLoss").probabilities(outputs), 1 / (1 + (-outputs).exp()), rtol=0, atol=1e-12
    )
    assert Classification("BCELoss").probabilities(expected) is expected
    dense = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(3))
    sums = Segmentation().probabilities(dense).sum(dim=1)
    torch.testing.assert_close(sums, torch.ones(2, 4, 5))
    words = LanguageModelling().probabilities(dense[0])
    torch.testing.assert_close(words.sum(dim=-1), torch.ones(3, 4))
    with pytest.raises(DataError, match="Regression tells no probabilities of classes: use predict"):
        Regression().probabilities(outputs)
