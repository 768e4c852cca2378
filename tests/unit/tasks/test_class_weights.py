"""Balanced weights of classes: n / (k n_c), in search and retraining alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from naslib.config import load_config
from naslib.data import ImageData
from naslib.errors import ConfigError
from naslib.tasks import Classification, ClassTask, Regression, Segmentation, build_task, check_weights, with_data
from naslib.tasks.class_task import balanced_weights
from naslib.tasks.record import describe_task, rebuild_task
from naslib.tasks.sequence import SequenceClassification
from naslib.training.fit import warn_of_imbalance

RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], [80, 15, 5])
X = RNG.integers(0, 256, (100, 6, 6), dtype=np.uint8)


def data_of(labels: np.ndarray = LABELS, **more: Any) -> ImageData:
    return ImageData.from_arrays("uneven", X[: len(labels)], labels, X[:6], labels[[0, 0, 80, 80, 95, 95]], **more)


def test_weights_are_those_of_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert balanced_weights([80, 15, 5]) == pytest.approx(expected.tolist(), rel=1e-15)
    assert balanced_weights([80, 15, 5]) == pytest.approx([100 / 240, 100 / 45, 100 / 15], rel=1e-15)
    assert balanced_weights([80, 0, 20]) == pytest.approx([0.625, 1.0, 2.5])


@pytest.mark.parametrize("kind", [Classification, SequenceClassification])
def test_the_loss_is_weighted_once_the_data_is_known(kind: type[Classification]) -> None:
    info = data_of().info
    assert info.class_counts == (80, 15, 5)
    task = with_data(kind(class_weights="balanced", label_smoothing=0.1), info)
    weights = torch.tensor([100 / 240, 100 / 45, 100 / 15])
    assert task.class_weights == pytest.approx(weights.tolist())
    outputs = torch.from_numpy(RNG.normal(size=(9, 3))).float()
    targets = torch.arange(9) % 3
    other = with_data(kind(class_weights="balanced"), info).with_loss("NLLLoss")
    for used, share in ((task, 0.1), (task.plain(), 0.0), (task.smoothed(0.3), 0.3), (other, None)):
        if share is None:
            expected = nn.functional.nll_loss(outputs, targets, weights)
        else:
            expected = nn.functional.cross_entropy(outputs, targets, weights, label_smoothing=share)
        torch.testing.assert_close(used.loss(outputs, (None, targets)), expected)
    per_item = nn.functional.cross_entropy(outputs, targets, reduction="none")
    by_hand = (weights[targets] * per_item).sum() / weights[targets].sum()
    torch.testing.assert_close(task.plain().loss(outputs, (None, targets)), by_hand)
    check_weights(task)


def test_pixels_of_masks_are_counted_without_those_that_do_not_count() -> None:
    masks = np.zeros((20, 6, 6), np.uint8)
    masks[:, 0] = 1
    masks[:, 5] = 255
    data = ImageData.from_arrays("masks", X[:20], masks, X[:2], masks[:2], task="segmentation")
    assert data.info.class_counts == (20 * 24, 20 * 6)
    task = with_data(Segmentation(class_weights="balanced"), data.info)
    assert task.class_weights == pytest.approx((0.625, 2.5))
    outputs, targets = torch.randn(2, 2, 6, 6), torch.from_numpy(masks[:2]).long()
    expected = nn.functional.cross_entropy(outputs, targets, torch.tensor([0.625, 2.5]), ignore_index=255)
    torch.testing.assert_close(task.loss(outputs, (None, targets)), expected)
    assert task.output_problems(torch.randn(2, 3, 6, 6), (None, targets)) == [
        "class_weights has 2 weights, the network 3 outputs"
    ]
    assert Segmentation(class_weights=[1, 2]).class_weights == (1.0, 2.0)


def test_the_record_has_the_numbers() -> None:
    task = with_data(Classification(class_weights="balanced"), data_of().info)
    record = describe_task(task)
    assert record["arguments"]["class_weights"] == pytest.approx([100 / 240, 100 / 45, 100 / 15])
    again = rebuild_task(record)
    assert isinstance(again, ClassTask) and again.class_weights == task.class_weights
    unknown = rebuild_task(describe_task(Classification(class_weights="balanced")))
    assert isinstance(unknown, ClassTask) and unknown.class_weights == "balanced"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Classification(class_weights="balnced"), "got 'balnced'; did you mean 'balanced'"),
        (lambda: Classification(class_weights=3), "must be 'balanced' or one number per class, got 3"),
        (lambda: Segmentation(class_weights=[1, -1]), "none of them negative"),
        (lambda: Classification(nn.CrossEntropyLoss(), class_weights="balanced"), "is ready-made, give it them"),
        (lambda: Classification("MultiLabelMarginLoss", class_weights="balanced"), "takes no weights of classes"),
        (lambda: build_task("regression", {"class_weights": "balanced"}), "task_args do not fit the task 'regression'"),
    ],
)
def test_weights_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_nothing_is_balanced_in_silence_without_counts() -> None:
    check_weights(Regression())
    many = ImageData.from_arrays("many", X, np.stack([LABELS == 0, LABELS > 0], 1), multi_label=True)
    for info in (None, many.info):
        with pytest.raises(ConfigError, match="class_weights: balanced needs a data set that says the one class"):
            check_weights(with_data(Classification(class_weights="balanced"), info))


def test_uneven_classes_are_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    warn_of_imbalance(Classification(), data_of(class_names=["cat", "dog", "owl"]).info)
    assert (
        "class 'cat' has 80 training items, class 'owl' 5, 16 times fewer: task_args.class_weights=balanced lets"
    ) in caplog.text
    caplog.clear()
    info = data_of().info
    warn_of_imbalance(with_data(Classification(class_weights="balanced"), info), info)
    assert "the loss weighs classes: 0 0.4167, 1 2.222, 2 6.667" in caplog.text
    caplog.clear()
    warn_of_imbalance(Classification(), data_of(np.arange(100) % 3).info)
    warn_of_imbalance(Regression(), info)
    warn_of_imbalance(Classification(), None)
    assert not caplog.text


def test_words_at_the_top_level_go_where_they_belong(tmp_path: Path) -> None:
    words = ["dataset=some/folder", "class_weights=balanced", "skip_corrupt=true", "image_size=[16, 24]"]
    config = load_config(None, [*words, "test_sets={rain: a/b}", "dataset_args.channels=1"])
    assert config.task_args == {"class_weights": "balanced"}
    assert config.dataset_args == {
        "channels": 1, "image_size": [16, 24], "skip_corrupt": True, "test_sets": {"rain": "a/b"},
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"class_weights: task_args is 3, which has no keys of its own"):
        load_config({"task_args": 3, "class_weights": "balanced"})
    with pytest.raises(ConfigError, match=r"image_size: 8 contradicts dataset_args\.image_size: 9"):
        load_config(None, ["image_size=8", "dataset_args.image_size=9"])
