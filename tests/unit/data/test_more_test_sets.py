"""More test sets: folders, tables and arrays, numbered and scaled as the training part is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import ImageData, ImageSet, build_eval_loaders, load_data
from naslib.errors import ConfigError, DataError, DatasetMissing

RNG = np.random.default_rng(0)
Y = np.arange(24) % 3


def save(path: Path, level: int, size: tuple[int, int] = (8, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write training images of three classes, and a folder, a table and arrays of two of them."""
    for name in "abc":
        for index in range(6):
            save(tmp_path / "p" / name / f"{index}.png", 10 * index)
    save(tmp_path / "rainy" / "c" / "1.png", 77)
    save(tmp_path / "rainy" / "b" / "2.png", 88, (16, 32))
    save(tmp_path / "rainy" / "b" / "3.png", 99)
    (tmp_path / "night.csv").write_text(
        "path,label,split\nrainy/c/1.png,c,test\nrainy/b/2.png,b,train\nrainy/b/3.png,b,test\n"
    )
    np.savez(tmp_path / "arrays.npz", x=np.full((2, 8, 8, 3), 66, np.uint8), y=np.array(["c", "a"]))
    return tmp_path


def content(part: Any) -> list[tuple[int, int]]:
    assert isinstance(part, ImageSet)
    assert tuple(part.images.shape[1:]) == (3, 8, 8) and (part.images == part.images[:, :1, :1, :1]).all()
    return list(zip(part.images[:, 0, 0, 0].tolist(), part.labels.tolist(), strict=True))


def test_folders_tables_and_arrays(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    sets = {"rain": str(folder / "rainy"), "night": "night.csv", "arrays": "arrays.npz"}
    data = load_data("imagefolder", data_dir=folder, path="p", test_sets=sets)
    assert {name: content(part) for name, part in data.test_sets.items()} == {
        "rain": [(88, 1), (99, 1), (77, 2)],
        "night": [(77, 2), (99, 1)],
        "arrays": [(66, 2), (66, 0)],
    }
    assert "test set 'rain' has 3 items" in caplog.text
    assert data.info == load_data("imagefolder", data_dir=folder, path="p").info
    loaders = build_eval_loaders(data, batch_size=2, seed=0)
    assert list(loaders.test.test_sets) == list(sets) and loaders.train.test_sets == {}
    images, labels = next(iter(loaders.test.test_sets["arrays"]))
    expected = (66 / 255 - np.array(data.info.mean)) / np.array(data.info.std)
    torch.testing.assert_close(images[0, :, 0, 0].double(), torch.from_numpy(expected), rtol=0, atol=1e-5)
    assert labels.tolist() == [2, 0]
    assert loaders.test.about["items"] == {
        "train": 14, "test": 4, "test set rain": 3, "test set night": 2, "test set arrays": 2,
    }  # fmt: skip


def test_bad_files_are_listed_or_left_out(folder: Path) -> None:
    (folder / "rainy" / "b" / "2.png").write_bytes(b"")
    sets = {"rain": str(folder / "rainy")}
    with pytest.raises(DataError, match=r"rainy/b/2\.png: it is empty"):
        load_data(str(folder / "p"), test_sets=sets)
    data = load_data(str(folder / "p"), test_sets=sets, skip_corrupt=True)
    assert content(data.test_sets["rain"]) == [(99, 1), (77, 2)]
    assert data.about["left_out"] == {str(folder / "rainy" / "b" / "2.png"): "it is empty (0 bytes)"}


def arrays(folder: Path, x: np.ndarray, y: np.ndarray, other: dict[str, Any], **more: Any) -> ImageData:
    np.savez(folder / "own.npz", x=x, y=y)
    np.savez(folder / "other.npz", **other)
    return load_data(str(folder / "own.npz"), test_sets={"other": str(folder / "other.npz")}, **more)


@pytest.mark.parametrize(
    ("x", "y", "more"),
    [
        (RNG.integers(0, 60000, (24, 6, 5), dtype=np.uint16), Y + 1, {}),
        (RNG.normal(size=(24, 6, 5, 3)).astype(np.float32), np.eye(3)[Y], {}),
        (RNG.normal(size=(24, 8, 6, 5)).astype(np.float32), Y, {"layout": "nchw"}),
        (RNG.normal(size=(24, 7)).astype(np.float32), np.array(list("xyz"))[Y], {}),
        (RNG.integers(0, 9, (24, 7)), Y, {}),
        (RNG.normal(size=(24, 11, 3)).astype(np.float32), Y, {"kind": "sequence"}),
        (RNG.integers(0, 256, (24, 6, 5), dtype=np.uint8), Y / 2, {"task": "regression"}),
        (RNG.integers(0, 256, (24, 6, 5), dtype=np.uint8), np.stack([Y % 2, Y > 1], 1), {"multi_label": True}),
        (
            RNG.integers(0, 256, (24, 6, 5), dtype=np.uint8),
            RNG.choice([2, 5, 255], (24, 6, 5)),
            {"task": "segmentation"},
        ),
        (RNG.integers(0, 9, (24, 7)), None, {"task": "language_modelling"}),
    ],
)
def test_a_test_set_of_the_training_arrays_is_the_training_part(
    tmp_path: Path, x: np.ndarray, y: np.ndarray | None, more: dict[str, Any]
) -> None:
    targets = {} if y is None else {"y": y}
    parts = {**targets, "x": x, "x_test": x, **({} if y is None else {"y_test": y})}
    np.savez(tmp_path / "own.npz", **parts)
    np.savez(tmp_path / "other.npz", x=x, **targets)
    data = load_data(str(tmp_path / "own.npz"), test_sets={"other": str(tmp_path / "other.npz")}, **more)
    other = data.test_sets["other"]
    assert isinstance(other, ImageSet) and isinstance(data.train, ImageSet)
    assert torch.equal(other.images.double(), data.train.images.double())
    assert torch.equal(other.labels, data.train.labels)


def test_what_does_not_fit_is_named(folder: Path, tmp_path: Path) -> None:
    x = RNG.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=r"holds \['d'\], which are not among the classes \['a', 'b', 'c'\]"):
        arrays(tmp_path, x, np.array(list("abc"))[Y], {"x": x, "y": np.array(list("abd"))[Y]})
    with pytest.raises(DataError, match=r"test set 'other'.*expected \(c, h, w\) = \(3, 8, 8\)"):
        arrays(tmp_path, x, Y, {"x": x[:, :4], "y": Y})
    with pytest.raises(DataError, match="its pixels are float64, those of 'own' bytes; give bytes"):
        arrays(tmp_path, x, Y, {"x": x / 300.1, "y": Y})
    with pytest.raises(DataError, match=r"has 2 columns of values, 'own' has 1|targets of regression must be \(n, 1\)"):
        arrays(tmp_path, x, Y / 2, {"x": x, "y": np.stack([Y, Y], 1)}, task="regression")
    save(folder / "new" / "d" / "1.png", 1)
    save(folder / "new" / "a" / "1.png", 1)
    with pytest.raises(DataError, match=r"holds \['d'\], which are not among the classes"):
        load_data(str(folder / "p"), test_sets={"new": str(folder / "new")})
    with pytest.raises(DatasetMissing, match="no test set 'gone' at nowhere"):
        load_data(str(folder / "p"), test_sets={"gone": "nowhere"})
    with pytest.raises(DataError, match="test_sets must be a mapping of names to paths"):
        load_data(str(folder / "p"), test_sets=["rainy"])
    (folder / "note.txt").write_text("hello")
    with pytest.raises(DataError, match="is neither a folder, nor a table"):
        load_data(str(folder / "p"), test_sets={"note": str(folder / "note.txt")})
    with pytest.raises(ConfigError, match="takes no 'test_sets'"):
        load_data("digits", test_sets={})
