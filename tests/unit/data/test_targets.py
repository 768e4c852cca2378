"""Targets other than one class: values, sets of classes, masks; what augmentation does to them, and what is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from naslib.data import AugmentOptions, BatchLoader, ImageData, ImageSet, load_data
from naslib.data.augment import Augmentation
from naslib.data.loaders import build_eval_loaders, build_search_loaders
from naslib.data.reduced import reduced
from naslib.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
X = RNG.integers(1, 200, (60, 6, 9), dtype=np.uint8)
MASKS = (X % 4).astype(np.int64)


def parts(data: ImageData) -> tuple[ImageSet, ImageSet]:
    assert isinstance(data.train, ImageSet) and isinstance(data.test, ImageSet)
    return data.train, data.test


@pytest.mark.parametrize(
    "y", [RNG.normal(size=60), RNG.integers(-9, 9, 60), torch.randn(60, 3), RNG.random((60, 1)) < 0.5]
)
def test_values(y: Any) -> None:
    data = ImageData.from_arrays("angles", X[:40], y[:40], X[40:], y[40:], task="regression")
    expected = torch.as_tensor(np.asarray(y)).float().reshape(60, -1)
    train, test = parts(data)
    assert torch.equal(torch.cat([train.labels, test.labels]), expected)
    assert data.info.output_size == expected.shape[1] == len(data.info.class_names)
    assert (data.info.task, data.info.crop_padding, data.info.cutout_max, data.info.flip) == ("regression", 0, 0, False)
    x, values = next(iter(build_search_loaders(data, batch_size=8, train_portion=0.5, seed=0).train))
    assert x.shape == (8, 1, 6, 9) and values.shape == (8, expected.shape[1]) and values.dtype == torch.float32


def test_values_go_with_their_image() -> None:
    y = X.astype(np.float64).sum((1, 2))
    data = ImageData.from_arrays("sums", X, y, task="regression")
    loaders = build_search_loaders(data, batch_size=8, train_portion=0.5, seed=0)
    assert loaders.valid is not None
    for loader in loaders:
        assert loader is not None
        for x, values in loader:
            pixels = (x * data.info.std[0] + data.info.mean[0]) * 255
            torch.testing.assert_close(pixels.sum((1, 2, 3)), values[:, 0], rtol=1e-5, atol=0)


@pytest.mark.parametrize("y", [np.eye(5)[np.arange(60) % 5] + np.eye(5)[np.arange(60) % 3] > 0, np.ones((60, 2), int)])
def test_sets_of_classes(y: np.ndarray) -> None:
    data = ImageData.from_arrays("tags", X, y, multi_label=True, class_names=list("abcde")[: y.shape[1]])
    train, _ = parts(data)
    assert train.labels.dtype == torch.float32 and train.labels.shape == (48, y.shape[1])
    assert data.info.multi_label and data.info.task == "classification" and data.info.crop_padding == 1
    assert next(iter(build_eval_loaders(data, batch_size=8, seed=0).test))[1].shape[1] == y.shape[1]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_masks_are_cropped_and_mirrored_with_their_image(memory_format: torch.memory_format) -> None:
    data = ImageData.from_arrays("masks", X, MASKS, task="segmentation", flip=True, crop_padding=2)
    train, _ = parts(data)
    assert train.labels.dtype == torch.uint8 and data.info.output_size == 4
    augmentation = AugmentOptions().resolve(data.info)
    assert augmentation == Augmentation(2, True)
    loader = BatchLoader(
        train, data.info, batch_size=16, seed=3, augmentation=augmentation, memory_format=memory_format
    )
    moved = 0
    for x, masks in loader.batches(0):
        pixels = torch.round((x[:, 0] * data.info.std[0] + data.info.mean[0]) * 255).long()
        assert masks.dtype == torch.int64
        outside = pixels == 0  # no pixel of X is 0: the padding
        assert torch.equal(masks == 255, outside)
        assert torch.equal(masks[~outside], pixels[~outside] % 4)
        moved += int(outside.flatten(1).any(1).sum())
    assert moved > 20


@pytest.mark.parametrize(
    ("masks", "names", "expected", "said"),
    [
        (MASKS, None, ("0", "1", "2", "3"), ""),
        (MASKS[:, None], list("abcd"), tuple("abcd"), ""),
        (MASKS.astype(np.float32), list("abcde"), tuple("abcde"), ""),
        (MASKS > 1, None, ("0", "1"), ""),
        (np.where(MASKS == 3, 255, MASKS), None, ("0", "1", "2"), ""),
        (np.where(MASKS == 1, 7, MASKS), None, ("0", "2", "3", "7"), "7 is class 3"),
        (MASKS * 1000, list("abcd"), tuple("abcd"), "3000 is class 3"),
    ],
)
def test_classes_of_masks(
    masks: np.ndarray, names: list[str] | None, expected: tuple[str, ...], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "naslib.data"):
        data = ImageData.from_arrays("masks", X, masks, task="segmentation", class_names=names)
    assert data.info.class_names == expected
    assert (said in caplog.text) if said else not caplog.text
    flat = masks.reshape(60, 6, 9).astype(np.int64)
    values = np.unique(flat[flat != 255])
    found = torch.cat([part.labels for part in parts(data)])
    for index, value in enumerate(values):
        assert (found == index).sum() == (flat == value).sum()
    assert (found == 255).sum() == (flat == 255).sum()


Y = RNG.normal(size=60)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (Y[:-1], {"task": "regression"}, "a value for each of the 60 images"),
        (np.where(Y > 0, np.nan, Y), {"task": "regression"}, "must be finite"),
        (Y.astype(str), {"task": "regression"}, "must hold numbers"),
        (Y * 1e200, {"task": "regression"}, "finite as float32"),
        (np.zeros((60, 3, 3)), {"task": "regression"}, r"\(n,\) or \(n, k\)"),
        (Y[:, None], {"task": "regression", "class_names": ["a", "b"]}, "2 class_names for 1 columns"),
        (np.eye(3)[np.arange(60) % 3] * 2, {"multi_label": True}, "must hold 0 and 1"),
        (np.arange(60) % 3, {"multi_label": True}, r"must be \(n, classes\) of 0 and 1"),
        (MASKS, {"multi_label": True, "task": "segmentation"}, "a kind of classification"),
        (MASKS[:, :5], {"task": "segmentation"}, r"masks of the images' size, \(n, h, w\) = \(60, 6, 9\)"),
        (MASKS - 1, {"task": "segmentation"}, "must not be negative"),
        (MASKS + 0.5, {"task": "segmentation"}, "found fractions"),
        (MASKS * 0, {"task": "segmentation"}, r"1 class\(es\) of pixels"),
        ((MASKS > 0) * 255, {"task": "segmentation"}, "masks of two classes are booleans, or 0 and 1"),
        (MASKS, {"task": "segmentation", "class_names": ["a", "b"]}, "holds 4 classes up to 3"),
        (MASKS, {}, "one label for each"),
        (MASKS, {"task": "detection"}, "task must be one of classification, regression, segmentation, got 'detection'"),
    ],
)
def test_what_does_not_fit_is_refused(y: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageData.from_arrays("own", X, y, **options)


def test_masks_of_the_test_part_have_known_classes() -> None:
    with pytest.raises(DataError, match=r"classes of pixels that the training masks lack: \[3\]"):
        ImageData.from_arrays("own", X, np.minimum(MASKS, 2), X, MASKS, task="segmentation")
    with pytest.raises(DataError, match="has 2 columns"):
        ImageData.from_arrays("own", X, Y, X, np.stack([Y, Y], 1), task="regression")


@pytest.mark.parametrize("task", ["regression", "segmentation"])
def test_a_cutout_is_not_made_unless_targets_survive_it(task: str) -> None:
    y = Y if task == "regression" else MASKS
    info = ImageData.from_arrays("own", X, y, task=task).info
    assert AugmentOptions(cutout=True).resolve(info).cutout_length == 0
    with pytest.raises(ConfigError, match="do not survive a cutout"):
        AugmentOptions(cutout=True, cutout_length=2).resolve(info)
    robust = ImageData.from_arrays("own", X, y, task=task, cutout_max=3).info
    assert AugmentOptions(cutout=True, cutout_length=2).resolve(robust).cutout_length == 2


@pytest.mark.parametrize("option", ["flip", "crop"])
def test_a_flip_or_crop_that_values_do_not_survive_is_refused(option: str) -> None:
    info = ImageData.from_arrays("own", X, Y, task="regression").info
    with pytest.raises(ConfigError, match=f"{option}: the targets of 'own' .regression. are not said to survive it"):
        AugmentOptions(**{option: True}).resolve(info)
    AugmentOptions(**{option: False}).resolve(info)


def test_reduced_sets_keep_their_targets() -> None:
    data = ImageData.from_arrays("own", X, Y, task="regression")
    small = reduced(data, train_images=10, image_size=(3, 3))
    train, test = parts(small)
    assert len(train) == 10 and train.labels.shape == (10, 1) and len(test) == 12 and small.info.crop_padding == 0
    with pytest.raises(DataError, match="targets have no size of their own"):
        reduced(ImageData.from_arrays("own", X, MASKS, task="segmentation"), image_size=3)


@pytest.mark.parametrize("task", ["regression", "segmentation"])
def test_npz_files(tmp_path: Path, task: str) -> None:
    y = Y if task == "regression" else MASKS
    np.savez(tmp_path / "own.npz", x=X, y=y)
    data = load_data(str(tmp_path / "own.npz"), task=task)
    assert data.info.task == task and data.info.output_size == (1 if task == "regression" else 4)
