"""Tables of image files: columns, parts, paths, classes and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import ImageData, ImageSet, StreamSet, build_search_loaders, load_data
from naslib.errors import ConfigError, DataError, DatasetMissing

RNG = np.random.default_rng(0)
CLASSES = ("ant", "bee", "ant", "cat", "bee", "cat", "ant", "bee", "cat", "ant", "bee", "cat")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write twelve images, each of one level: 0, 20, 40 ... 220."""
    (tmp_path / "some images").mkdir()
    for index in range(12):
        Image.fromarray(np.full((8, 8), 20 * index, np.uint8)).save(tmp_path / "some images" / f"{index}.png")
    return tmp_path


def write(path: Path, rows: list[tuple[Any, ...]], header: str, separator: str = ",") -> Path:
    lines = [header, *(separator.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def images(indices: Any = range(12)) -> list[str]:
    return [f"some images/{index}.png" for index in indices]


def levels(part: Any) -> list[int]:
    assert isinstance(part, ImageSet)
    return (part.images[:, 0, 0, 0] // 20).tolist()


def classes_of(data: ImageData) -> dict[int, str]:
    """Return the class of each image, by its number."""
    found = {}
    for part in (data.train, data.test):
        found |= {n: data.info.class_names[y] for n, y in zip(levels(part), part.labels.tolist(), strict=True)}
    return found


@pytest.mark.parametrize(
    ("name", "header", "separator"),
    [
        ("t.csv", "path,label", ","),
        ("t.tsv", "file\tclass", "\t"),
        ("T.CSV", "\ufefffilename;Category", ";"),
        ("t.csv", "Image_Path|anything", "|"),
        ("t.tab", "note\timg\tlabel", "\t"),
    ],
)
def test_columns_are_found(
    folder: Path, name: str, header: str, separator: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    extra = ("n",) if "note" in header else ()
    write(folder / name, [(*extra, *row) for row in zip(images(), CLASSES, strict=True)], header, separator)
    data = load_data(str(folder / name))
    assert classes_of(data) == dict(enumerate(CLASSES)) and data.info.class_names == ("ant", "bee", "cat")
    assert data.info.name == name[0] and data.info.in_channels == 1 and len(data.test) == 2
    columns = header.lstrip("\ufeff").split(separator)[len(extra) :]
    assert f"paths are in column {columns[0]!r}, labels in {columns[1]!r}" in caplog.text


def test_named_columns_parts_and_absolute_paths(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    parts = ["train", "Train", "training", "test", "val", "train"] * 2
    rows = list(zip(map(str, map(folder.__truediv__, images())), CLASSES, parts, ["x"] * 12, strict=True))
    path = write(folder / "t.csv", rows, "where,kind,fold,label")
    data = load_data("table", path=str(path), paths="where", labels="kind", split="fold")
    assert levels(data.train) == [0, 1, 2, 5, 6, 7, 8, 11] and levels(data.test) == [3, 9]
    assert "the test part are the rows of test; 2 of val are not used" in caplog.text
    rows = [row for row in rows if row[2] != "test"]
    only_val = load_data(str(write(folder / "v.csv", rows, "path,label,split,other")))
    assert levels(only_val.test) == [4, 10]
    rows = [row for row in rows if row[2] != "val"]
    drawn = load_data(str(write(folder / "w.csv", rows, "path,label,split,other")))
    assert len(drawn.train) == 6 and len(drawn.test) == 2


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ([10, 9, 2] * 4, ("2", "9", "10"), [2, 1, 0]),  # in the order of numbers, not of text
        (["1.0", "2.0", "3"] * 4, ("1", "2", "3"), [0, 1, 2]),
        (["été", '"a, b"', "Z"] * 4, ("Z", "a, b", "été"), [2, 1, 0]),
    ],
)
def test_classes_of_every_kind(folder: Path, labels: list[Any], names: tuple[str, ...], expected: list[int]) -> None:
    write(folder / "t.csv", list(zip(images(), labels, ["train"] * 9 + ["test"] * 3, strict=True)), "path,label,split")
    data = load_data(str(folder / "t.csv"))
    assert data.info.class_names == names and data.test.labels.tolist() == expected
    assert data.info.class_counts == (3, 3, 3)


@pytest.mark.parametrize("in_memory", [True, False])
def test_values_of_several_columns(folder: Path, in_memory: bool) -> None:
    values = [(index / 8, -index, "note", index * 1e3) for index in range(12)]
    write(folder / "t.csv", [(p, *v) for p, v in zip(images(), values, strict=True)], "path,angle,depth,text,weight")
    data = load_data(str(folder / "t.csv"), task="regression", in_memory=in_memory, split_seed=1)
    assert data.info.class_names == ("angle", "depth", "weight") and data.info.task == "regression"
    assert data.info.class_counts == () and data.info.crop_padding == data.info.cutout_max == 0
    assert isinstance(data.train, ImageSet if in_memory else StreamSet) and not data.info.resized_crop
    loaders = build_search_loaders(data, batch_size=3, train_portion=0.5, seed=0)
    for loader in loaders:
        assert loader is not None
        for x, y in loader.as_eval():
            number = torch.round((x[:, 0, 4, 4] * data.info.std[0] + data.info.mean[0]) * 255 / 20)
            assert torch.equal(y, torch.stack([number / 8, -number, number * 1e3], dim=1))
    one = load_data(str(folder / "t.csv"), task="regression", labels="depth")
    assert one.info.class_names == ("depth",) and one.train.labels.shape == (10, 1)


def test_several_labels_of_an_image(folder: Path) -> None:
    rows = [(path, index % 2, int(index > 5)) for index, path in enumerate(images())]
    write(folder / "t.csv", rows, "path,odd,large")
    data = load_data(str(folder / "t.csv"), multi_label=True, labels=["odd", "large"])
    assert data.info.multi_label and data.info.class_names == ("odd", "large")
    for part in (data.train, data.test):
        assert part.labels.tolist() == [[n % 2, int(n > 5)] for n in levels(part)]


def test_parquet(folder: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"path": images(), "label": [1, 2, 5] * 4, "score": [float(n) for n in range(12)]})
    parquet.write_table(table, folder / "t.parquet")
    data = load_data(str(folder / "t.parquet"))
    assert classes_of(data) == {index: str((1, 2, 5)[index % 3]) for index in range(12)}
    values = load_data(str(folder / "t.parquet"), task="regression", labels=["score"])
    assert values.train.labels[:, 0].tolist() == levels(values.train)
    (folder / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match=r"cannot read the table .*t\.parquet"):
        load_data(str(folder / "t.parquet"))


def test_parquet_without_its_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (folder / "t.parquet").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"pip install 'naslib\[parquet\]'"):
        load_data(str(folder / "t.parquet"))


def test_missing_and_damaged_files_are_listed_together(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(
        folder / "t.csv",
        list(zip([*images(), "gone 1.png", "gone 2.png"], [*CLASSES, "ant", "bee"], strict=True)),
        "path,label",
    )
    (folder / "some images" / "7.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match="3 of 14 images cannot be read") as caught:
        load_data(str(folder / "t.csv"))
    text = str(caught.value)
    assert f"{folder / 'gone 1.png'}: there is no such file" in text and f"{folder / 'gone 2.png'}: there is" in text
    assert f"{folder / 'some images' / '7.png'}: it is no image that Pillow knows" in text
    data = load_data(str(folder / "t.csv"), skip_corrupt=True)
    assert classes_of(data) == {index: name for index, name in enumerate(CLASSES) if index != 7}
    assert list(data.about["left_out"].values()) == [
        "it is no image that Pillow knows", "there is no such file", "there is no such file",
    ]  # fmt: skip
    rows = [row for row in zip(images(), CLASSES, strict=True) if row[0] != "some images/7.png"]
    without = load_data(str(write(folder / "t.csv", rows, "path,label")))
    assert levels(without.train) == levels(data.train) and levels(without.test) == levels(data.test)


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("path,label\n", {}, r"has 1 line\(s\); it needs one of column names, and rows"),
        ("path,path\na,b\n", {}, "columns of the same name: 'path'"),
        ("path,label\na,b,c\n", {}, "has 2 columns, other numbers in lines 2"),
        ("where,what\na,b\n", {}, r"has no column that is called path, .*; say by paths which of 'where', 'what'"),
        ("path,a,b\nx,1,2\n", {}, r"say by labels which of its columns 'a', 'b' holds the classes"),
        ("path,label\nx,a\n", {"labels": "lable"}, r"no column 'lable' \(labels\); did you mean 'label'\?; it has"),
        ("path,label\nx,\n,b\n", {}, r"column 'path' is empty in row\(s\) 2"),
        ("path,label\nx,\ny,b\n", {}, r"column 'label' is empty in row\(s\) 1"),
        ("path,value\nx,1\ny,high\n", {"task": "regression"}, r"'value' must hold numbers, found 'high' in row 2"),
        ("path,label,split\nx,a,train\ny,b,holdout\n", {}, r"must hold train, test or val, found 'holdout'"),
        ("path,label,split\nx,a,test\ny,b,test\n", {}, r"has no row of the training part"),
        ("path,a,b\nx,1,2\n", {"labels": ["a", "b"]}, "labels must be one column of classes"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, more: dict[str, Any], message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_data(str(tmp_path / "t.csv"), **more)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(DatasetMissing, match=r"no table at none\.csv"):
        load_data("none.csv")
    with pytest.raises(ConfigError, match="needs the path of a table"):
        load_data("table")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="must be text in UTF-8"):
        load_data(str(tmp_path / "t.csv"))


def test_a_table_in_a_data_directory(folder: Path) -> None:
    write(folder / "t.csv", list(zip(images(), CLASSES, strict=True)), "path,label")
    assert classes_of(load_data("t.csv", data_dir=folder)) == dict(enumerate(CLASSES))
