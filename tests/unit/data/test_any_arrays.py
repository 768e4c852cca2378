"""Arrays of any rank for any task: what they are taken as, by what names, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from naslib.data import ImageData, ImageSet, load_data
from naslib.errors import DataError

RNG = np.random.default_rng(0)
N = 24
Y = np.arange(N) % 3


def load(folder: Path, arrays: dict[str, Any], **more: Any) -> ImageData:
    np.savez(folder / "own.npz", **arrays)
    return load_data(str(folder / "own.npz"), **more)


def inputs(part: Any) -> torch.Tensor:
    assert isinstance(part, ImageSet)
    return part.images


BYTES = RNG.integers(0, 256, (N, 6, 5), dtype=np.uint8)
FLOATS = RNG.normal(size=(N, 7)).astype(np.float32)
TOKENS = RNG.integers(0, 9, (N, 7))
SERIES = RNG.normal(size=(N, 11, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "more", "kind", "shape", "task"),
    [
        (BYTES, {}, "image", (1, 6, 5), "classification"),
        (BYTES[..., None], {}, "image", (1, 6, 5), "classification"),
        (RNG.integers(0, 256, (N, 6, 5, 3), dtype=np.uint8), {}, "image", (3, 6, 5), "classification"),
        (RNG.integers(0, 256, (N, 3, 6, 5), dtype=np.uint8), {}, "image", (3, 6, 5), "classification"),
        (RNG.normal(size=(N, 8, 6, 5)), {"layout": "nchw"}, "image", (8, 6, 5), "classification"),  # slices of a volume
        (RNG.normal(size=(N, 6, 5, 8)), {"layout": "nhwc"}, "image", (8, 6, 5), "classification"),
        (FLOATS, {}, "sequence", (1, 7), "sequence_classification"),
        (FLOATS > 0, {}, "sequence", (1, 7), "sequence_classification"),
        (BYTES[:, 0], {}, "sequence", (1, 5), "sequence_classification"),
        (-TOKENS, {}, "sequence", (1, 7), "sequence_classification"),
        (TOKENS, {}, "tokens", (7,), "sequence_classification"),
        (TOKENS, {"kind": "sequence"}, "sequence", (1, 7), "sequence_classification"),
        (BYTES[:, 0], {"kind": "tokens"}, "tokens", (5,), "sequence_classification"),
        (SERIES, {"task": "sequence_classification"}, "sequence", (3, 11), "sequence_classification"),
        (SERIES, {"kind": "sequence"}, "sequence", (3, 11), "sequence_classification"),
        (SERIES, {"kind": "sequence", "layout": "nct"}, "sequence", (11, 3), "sequence_classification"),
        (SERIES.transpose(0, 2, 1), {"kind": "sequence"}, "sequence", (3, 11), "sequence_classification"),
        (SERIES, {}, "image", (1, 11, 3), "classification"),
    ],
)
def test_what_an_array_is_taken_as(
    tmp_path: Path, x: np.ndarray, more: dict[str, Any], kind: str, shape: tuple[int, ...], task: str
) -> None:
    data = load(tmp_path, {"x": x, "y": Y}, **more)
    info = data.info
    assert (info.kind, info.input_shape, info.task, info.num_classes) == (kind, shape, task, 3)
    assert info.class_counts == (7, 7, 5) or sum(info.class_counts) == len(data.train)
    values = load(tmp_path, {"x": x, "y": np.stack([Y / 2, -Y], 1)}, **{**more, "task": "regression"})
    if "task" not in more:
        assert (values.info.kind, values.info.input_shape) == (kind, shape)
        assert values.info.task == "regression" and values.train.labels.shape[1] == 2


def test_the_numbers_of_sequences_and_vectors(tmp_path: Path) -> None:
    data = load(tmp_path, {"x": SERIES, "y": Y, "x_test": SERIES[:5], "y_test": Y[:5]}, kind="sequence")
    assert torch.equal(inputs(data.train), torch.from_numpy(SERIES.transpose(0, 2, 1).copy()))
    vectors = load(tmp_path, {"x": FLOATS, "y": Y, "x_test": FLOATS[:5], "y_test": Y[:5]})
    assert torch.equal(inputs(vectors.test), torch.from_numpy(FLOATS[:5, None]))
    np.testing.assert_allclose(vectors.info.mean, FLOATS.mean(dtype=np.float64), rtol=1e-6)


def test_the_vocabulary_is_that_of_all_parts_or_said(tmp_path: Path) -> None:
    other = np.full((5, 7), 12)
    data = load(tmp_path, {"x": TOKENS, "y": Y, "x_test": other, "y_test": Y[:5]})
    assert data.info.vocabulary == 13 and inputs(data.test).dtype == torch.int64
    assert load(tmp_path, {"x": TOKENS, "y": Y}, vocabulary=30).info.vocabulary == 30
    with pytest.raises(DataError, match=r"must lie in 0\.\.7 \(vocabulary\)"):
        load(tmp_path, {"x": TOKENS, "y": Y}, vocabulary=8)


def test_language_models_of_rows_and_of_one_text(tmp_path: Path) -> None:
    rows = load(tmp_path, {"x": TOKENS}, task="language_modelling")
    assert rows.info.kind == "tokens" and rows.info.vocabulary == rows.info.num_classes == 9
    for part in (rows.train, rows.test):
        assert torch.equal(inputs(part)[:, 1:], part.labels[:, :-1]) and inputs(part).shape[1] == 6
    text = np.arange(100) % 10
    one = load(tmp_path, {"x": text, "x_test": text[:80]}, task="language_modelling")
    assert inputs(one.train).shape == (2, 35) and torch.equal(one.train.labels, (inputs(one.train) + 1) % 10)
    assert len(one.test) == 2 and inputs(one.test)[1].tolist() == (np.arange(35, 70) % 10).tolist()
    given = load(tmp_path, {"x": TOKENS, "y": 8 - TOKENS}, task="language_modelling")
    assert torch.equal(given.train.labels, 8 - inputs(given.train).long())
    with pytest.raises(DataError, match="has 20 tokens, fewer than a window of 35"):
        load(tmp_path, {"x": text[:20]}, task="language_modelling")
    with pytest.raises(DataError, match=r"next tokens must be \(24, 7\)"):
        load(tmp_path, {"x": TOKENS, "y": TOKENS[:, 1:]}, task="language_modelling")


@pytest.mark.parametrize(
    ("names", "test"),
    [
        (("x_train", "y_train"), ("x_test", "y_test")),
        (("X", "Y"), ("X_test", "Y_test")),
        (("xtrain", "ytrain"), ("xtest", "ytest")),
        (("images", "labels"), ("test_images", "test_labels")),
        (("train_images", "train_labels"), ("test_images", "test_labels")),
        (("data", "target"), ("data_val", "target_val")),
        (("image_train", "y_train"), ("image_valid", "y_valid")),
        (("train-data", "train-targets"), ("testing.data", "testing.targets")),
    ],
)
def test_names_of_arrays(tmp_path: Path, names: tuple[str, str], test: tuple[str, str]) -> None:
    parts = {names[0]: BYTES, names[1]: Y, test[0]: BYTES[:4, ::-1], test[1]: Y[:4]}
    data = load(tmp_path, {**parts, "meta": np.zeros(3), "val_ids": np.zeros(2)})
    assert np.array_equal(inputs(data.train)[:, 0].numpy(), BYTES)
    assert np.array_equal(inputs(data.test)[:, 0].numpy(), BYTES[:4, ::-1])


def test_a_part_for_validation_is_not_used_beside_a_test_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    parts = {
        f"{part}_{kind}": v[:k]
        for part, k in (("train", 24), ("val", 3), ("test", 6))
        for kind, v in (("images", BYTES), ("labels", Y))
    }
    data = load(tmp_path, parts)
    assert len(data.train) == 24 and len(data.test) == 6 and "that for validation is not used" in caplog.text


@pytest.mark.parametrize(
    ("arrays", "more", "message"),
    [
        ({"x": np.zeros((N, 1, 4, 5, 6)), "y": Y}, {}, r"has 5 axes.*volumes .* are read by no search space; slices"),
        ({"x": np.zeros(N), "y": Y}, {}, r"one number for each item, \(24,\)"),
        ({"x": FLOATS, "y": Y}, {"task": "segmentation"}, "segmentation has a class per pixel of images"),
        ({"x": BYTES, "y": Y}, {"task": "language_modelling"}, "must be tokens, integers"),
        ({"x": BYTES, "y": Y}, {"layout": "nct"}, "layout of image data is nchw or nhwc, got 'nct'"),
        ({"x": FLOATS, "y": Y}, {"layout": "nchw"}, "layout of sequence data is nct or ntc"),
        ({"x": TOKENS, "y": Y}, {"layout": "ntc"}, "layout of tokens data is none"),
        ({"x": np.zeros((N, 4, 5, 6)), "y": Y}, {"kind": "sequence"}, r"must be sequences \(n, t\), \(n, c, t\)"),
        ({"images": BYTES, "data": BYTES, "labels": Y}, {}, "'images', 'data' could all be the inputs"),
        ({"x": BYTES, "y": Y, "x_test": BYTES}, {}, "give both x_test and y_test or neither; it has x_test"),
        ({"x": BYTES}, {}, r"must hold x and y .*, it holds x"),
        ({"x": BYTES, "labels": Y}, {}, "must hold x and y .*, it holds labels, x"),
    ],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, arrays: dict[str, Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(tmp_path, arrays, **more)


@pytest.mark.parametrize(
    "y",
    [Y + 1, Y / 1, (Y + 1).astype(np.float32), np.array(list("abc"))[Y], np.eye(3, dtype=int)[Y], Y[:, None]],
)
@pytest.mark.parametrize("x", [BYTES, FLOATS, TOKENS], ids=["images", "vectors", "tokens"])
def test_labels_of_every_kind(tmp_path: Path, x: np.ndarray, y: np.ndarray) -> None:
    data = load(tmp_path, {"x": x, "y": y, "x_test": x[:6], "y_test": y[:6]})
    assert data.info.num_classes == 3 and data.train.labels.tolist() == Y.tolist()
    assert data.test.labels.tolist() == Y[:6].tolist() and data.info.class_counts == (8, 8, 8)


def test_masks_and_their_pixels(tmp_path: Path) -> None:
    masks = (BYTES > 100).astype(np.uint8) * 3
    masks[:, 0] = 255
    data = load(tmp_path, {"x": BYTES, "y": masks, "x_test": BYTES[:4], "y_test": masks[:4]}, task="segmentation")
    assert data.info.class_counts == (int((masks == 0).sum()), int((masks == 3).sum()))
    assert data.info.class_names == ("0", "3")
