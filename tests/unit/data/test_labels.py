"""One rule for labels: what becomes a class, what is refused, and what is said before the search."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import DatasetInfo, ImageData, ImageSet, build_search_loaders, load_data
from naslib.data.splits import keep_single, split_test
from naslib.errors import DataError

X = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
MOD4 = np.arange(60) % 4


def by_arrays(folder: Path, y: Any, **more: Any) -> ImageData:
    return ImageData.from_arrays("own", X, y, X[:8], np.asarray(y)[:8], **more)


def by_npz(folder: Path, y: Any, **more: Any) -> ImageData:
    np.savez(folder / "own.npz", x=X, y=np.asarray(y), x_test=X[:8], y_test=np.asarray(y)[:8])
    return load_data(str(folder / "own.npz"), **more)


@pytest.mark.parametrize("build", [by_arrays, by_npz])
@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0, 1, 2, 7], int), ([1, 2, 3, 4], np.uint8), ([3, 5, 10_000_000, 2**40], np.int64), ([1, 2, 3, 9], float)],
)
def test_distinct_labels_are_the_classes(
    build: Any, values: list[int], dtype: type, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = build(tmp_path, np.array(values)[MOD4].astype(dtype))
    assert data.info.num_classes == 4
    assert data.info.class_names == tuple(map(str, values))
    assert data.train.label_array.tolist() == MOD4.tolist()
    assert data.test.label_array.tolist() == MOD4[:8].tolist()
    assert "numbered in ascending order: label " + str(values[0]) + " is class 0" in caplog.text
    assert f"label {values[3]} is class 3" in caplog.text


@pytest.mark.parametrize(
    "y",
    [
        MOD4,
        MOD4[:, None],
        MOD4.astype(np.float32),
        torch.from_numpy(MOD4),
        MOD4.tolist(),
        torch.from_numpy(MOD4).bfloat16(),
        torch.from_numpy(MOD4.astype(np.uint16)),
        np.array(list(MOD4), dtype=object),
    ],
)
def test_usual_labels_are_taken_without_a_word(y: Any, caplog: pytest.LogCaptureFixture) -> None:
    data = ImageData.from_arrays("own", X, y)
    assert data.info.class_names == ("0", "1", "2", "3") and not caplog.records


@pytest.mark.parametrize("kind", [int, bool, float])
def test_one_hot_rows(kind: type) -> None:
    data = ImageData.from_arrays("own", X, np.eye(4, dtype=kind)[MOD4], X[:8], np.eye(4, dtype=kind)[MOD4[:8]])
    assert data.train.label_array.tolist() == MOD4.tolist() and data.info.num_classes == 4


@pytest.mark.parametrize("kind", ["U", "S", "O"])
def test_text_labels(kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = np.array(["dog", "ant", "cat", "bee"])
    y = words[MOD4].astype(object if kind == "O" else kind)
    build = by_arrays if kind == "O" else by_npz
    data = build(tmp_path, y)
    assert data.info.class_names == ("ant", "bee", "cat", "dog")
    assert [data.info.class_names[index] for index in data.train.label_array] == words[MOD4].tolist()
    assert not caplog.records


def test_booleans_are_two_classes() -> None:
    data = ImageData.from_arrays("own", X, MOD4 % 2 == 1)
    assert data.info.class_names == ("0", "1")


def test_given_names(caplog: pytest.LogCaptureFixture) -> None:
    assert by_arrays(Path(), MOD4, class_names=list("wxyz")).info.class_names == tuple("wxyz")
    assert not caplog.records
    data = by_arrays(Path(), MOD4 + 1, class_names=list("wxyz"))
    assert data.train.label_array.tolist() == MOD4.tolist()
    assert "label 1 is class 0 (w)" in caplog.text and len(caplog.records) == 1
    by_name = by_arrays(Path(), np.array(list("zyxw"))[MOD4], class_names=list("wxyz"))
    assert by_name.train.label_array.tolist() == (3 - MOD4).tolist()
    with pytest.raises(DataError, match="'w' more than once"):
        by_arrays(Path(), MOD4, class_names=list("wwyz"))
    with pytest.raises(DataError, match=r"0\.\.4 \(5 class names\), found 1004"):
        by_arrays(Path(), MOD4 + 1001, class_names=list("vwxyz"))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (MOD4 - 1, r"must not be negative, found -1 \(15 of 60 labels\)"),
        (MOD4 + 0.5, r"integers from 0 or class names, got dtype float64 with values such as 0\.5"),
        (np.where(MOD4 == 1, np.nan, 1.0), "with values such as nan"),
        (np.full(60, 1e300), "with values such as 1e"),
        (MOD4.astype(complex), "got complex128"),
        (np.full(60, 2**63, np.uint64), "got uint64"),
        (
            np.array(["a", 1] * 30, dtype=object),
            "all integers from 0 or all class names, found values of type int, str",
        ),
        (np.eye(4)[MOD4] * 0.5, "one-hot rows of zeros and a single 1"),
        (np.ones((60, 2)), "one-hot rows"),
        (np.zeros((60, 2, 2)), "one label for each of the 60 images"),
        ([[1], [1, 2]], "one entry for each image"),
        (np.arange(60), "60 classes for 60 images, fewer than two"),
        (np.arange(60) // 1.5 // 1, "40 classes for 60 images"),
        (np.full(60, 7), "it has 1 class"),
    ],
)
def test_refused(y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        ImageData.from_arrays("own", X, y)
    assert len(str(caught.value)) < 400


def test_a_class_only_in_the_test_part() -> None:
    tests = np.array([0, 7, 7, 9])
    with pytest.raises(DataError, match=r"has classes that the training part lacks: 7 \(2 images\), 9 \(1 image\),"):
        ImageData.from_arrays("own", X, MOD4, X[:4], tests)
    with pytest.raises(DataError, match=r"lacks: d \(3 images\)"):
        ImageData.from_arrays("own", X, MOD4 % 3, X[:4], tests % 2 * 3, class_names=list("abcd"))
    with pytest.raises(DataError, match="labels of two kinds: 'own' y_train names, 'own' y_test numbers"):
        ImageData.from_arrays("own", X, np.array(list("abcd"))[MOD4], X[:4], tests)
    with pytest.raises(DataError) as caught:
        ImageData.from_arrays("own", X, MOD4, X, np.arange(60) + 4)
    assert "and 50 more" in str(caught.value) and len(str(caught.value)) < 500


def info(classes: int) -> DatasetInfo:
    return DatasetInfo("loaded", classes, 1, 8, (0.5,), (0.5,), tuple(f"c{index}" for index in range(classes)))


def part(labels: Any) -> ImageSet:
    labels = torch.as_tensor(labels, dtype=torch.int64)
    return ImageSet(torch.zeros(len(labels), 1, 8, 8, dtype=torch.uint8), labels)


def test_loaders_of_ones_own_are_held_to_the_rule(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match=r"lacks: c3 \(1 image\)"):
        ImageData(info(4), part(MOD4 % 3), part([3, 0]))
    ImageData(info(30), part(MOD4), part([3, 0]))
    assert "26 of 30 classes have no training image and cannot be learned: 'c4', 'c5'" in caplog.text
    assert "and 16 more" in caplog.text


def test_a_class_with_a_single_image(caplog: pytest.LogCaptureFixture) -> None:
    y = MOD4.copy()
    y[17] = 9
    data = ImageData.from_arrays("own", X, y)
    assert "1 of 5 classes have a single training image" in caplog.text and "'9'" in caplog.text
    assert (data.train.label_array == 4).sum() == 1 and (data.test.label_array == 4).sum() == 0
    for portion in (0.1, 0.5, 0.9):
        loaders = build_search_loaders(data, batch_size=4, train_portion=portion, seed=3)
        assert 4 in data.train.label_array[loaders.train.indices]


def test_single_images_stay_with_the_training_part() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2, 3])
    train, test = split_test(labels, 0.5)
    assert {3, 6} <= set(train.tolist()) and sorted([*train, *test]) == list(range(7))
    first, second = keep_single(labels, np.array([0]), np.array([1, 2, 3, 4, 5, 6]))
    assert first.tolist() == [0, 3, 6] and second.tolist() == [1, 2, 4, 5]
    with pytest.raises(DataError, match="leaves 4 for training and 0"):
        split_test(np.arange(4), 0.5)


def test_a_part_without_a_class_is_said(caplog: pytest.LogCaptureFixture) -> None:
    y = np.array([0] * 28 + [1] * 28 + [2, 2, 3, 3])
    data = ImageData(info(4), part(y), part([0, 1]))
    build_search_loaders(data, batch_size=2, train_portion=0.1, seed=0)
    assert "leaves no image of 2 class(es) to train the weights on: 'c2', 'c3'" in caplog.text


def test_memory_is_that_of_the_labels() -> None:
    y = MOD4.copy()
    y[::2] += 10_000_000
    tracemalloc.start()
    data = ImageData.from_arrays("own", X, y)
    build_search_loaders(data, batch_size=4, train_portion=0.5, seed=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert data.info.num_classes == 4
    assert peak < 2**20


def save(path: Path, broken: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    if broken:
        path.write_bytes(path.read_bytes()[:60])


@pytest.mark.parametrize("parts", [False, True])
def test_left_behind_folders_are_no_classes(tmp_path: Path, parts: bool) -> None:
    roots = [tmp_path / "p" / "train", tmp_path / "p" / "test"] if parts else [tmp_path / "p"]
    for root in roots:
        for name in ("b", "a", "C"):
            for index in range(5):
                save(root / name / f"{index}.png")
            save(root / name / ".ipynb_checkpoints" / "0-checkpoint.png")
            save(root / name / "._0.png", broken=True)
            (root / name / "Thumbs.db").write_bytes(b"x")
        for name in (".ipynb_checkpoints", "__MACOSX", ".git", "__pycache__", "@eaDir", "lost+found"):
            save(root / name / "1.png")
        (root / "Thumbs.db").write_bytes(b"x")
        (root / ".DS_Store").write_bytes(b"x")
    data = load_data(str(tmp_path / "p"))
    assert data.info.class_names == ("C", "a", "b")
    assert len(data.train) + len(data.test) == (30 if parts else 15)


def test_order_of_images_is_that_of_torchvision(tmp_path: Path) -> None:
    """The test split is drawn on this order, so a change would move the test images of earlier runs."""
    from torchvision.datasets import ImageFolder

    from naslib.data.sets._class_folders import scan_class_folders

    for name in ("x/b.PNG", "x/a/2.png", "x/a/10.png", "x/a.png", "x/a-b/1.jpg", "y/deep/er/1.png", "y/Z.png"):
        save(tmp_path / "p" / name)
    reference = ImageFolder(str(tmp_path / "p"))
    assert scan_class_folders(tmp_path / "p") == (reference.classes, reference.samples)


def test_empty_class_folders_are_named(tmp_path: Path) -> None:
    for name in "abcd":
        save(tmp_path / "p" / name / "0.png")
        save(tmp_path / "p" / name / "1.png")
    for name in ("empty", "notes"):
        (tmp_path / "p" / name).mkdir()
    (tmp_path / "p" / "notes" / "read.me").write_text("hello")
    with pytest.raises(DataError, match=r"2 class folder\(s\) without an image file .*: 'empty', 'notes'"):
        load_data(str(tmp_path / "p"))


def test_a_folder_class_only_in_the_test_part_or_single(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, count in (("a", 5), ("b", 5), ("rare", 1)):
        for index in range(count):
            save(tmp_path / "p" / name / f"{index}.png")
    data = load_data(str(tmp_path / "p"))
    assert "'rare'" in caplog.text and (data.train.label_array == 2).sum() == 1
    for place in ("train/a", "train/b", "test/a", "test/new"):
        for index in range(2):
            save(tmp_path / "q" / place / f"{index}.png")
    with pytest.raises(DataError, match=r"lacks: new \(2 images\)"):
        load_data(str(tmp_path / "q"))
