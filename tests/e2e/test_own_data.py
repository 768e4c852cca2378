"""A search on data of one's own: image files of every kind with bad ones among them, tables, vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import naslib
from naslib.build import main

RNG = np.random.default_rng(0)
TINY = ["--config", "darts.yaml", "search.epochs=1", "evaluation.epochs=2", "search.batch_size=8"]
TINY += ["evaluation.batch_size=8", "out_dir=runs"]
SMALL = ["search_space_args={cells: 2, nodes: 1, channels: 4}", "evaluation.channels=4", "evaluation.cells=2"]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def write(path: Path, kind: int, level: int) -> None:
    """Write one of eight kinds of image files, all of one grey level and some noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = RNG.integers(14, 30, 2).tolist()
    grey = (level + RNG.integers(0, 40, (height, width))).astype(np.uint8)
    picture = Image.fromarray(np.stack([grey] * 3, axis=2))
    if kind == 0:
        picture.save(path.with_suffix(".PNG"))
    elif kind == 1:
        Image.fromarray(grey).save(path.with_suffix(".jpg"))
    elif kind == 2:
        picture.convert("CMYK").save(path.with_suffix(".jpeg"), quality=95)
    elif kind == 3:
        picture.convert("RGBA").save(path.with_suffix(".png"))
    elif kind == 4:
        picture.convert("P").save(path.with_suffix(".png"))
    elif kind == 5:
        exif = Image.Exif()
        exif[0x0112] = 6
        picture.save(path.with_suffix(".JPG"), exif=exif)
    elif kind == 6:
        Image.fromarray(grey.astype(np.uint16) * 257).save(path.with_suffix(".tif"))
    else:
        picture.save(path.with_suffix(".webp"))


def one_run() -> tuple[Path, dict[str, object]]:
    (path,) = Path("runs").rglob("summary.json")
    return path.parent, json.loads(path.read_text(encoding="utf-8"))


def test_a_folder_of_every_kind_with_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for part, n in (("train", 12), ("test", 8), ("bei Nacht", 8)):
        root = tmp_path / ("more" if part == "bei Nacht" else "my images") / part
        for name, level, share in (("été", 10, 1), ("blaue Kreise", 190, 2)):
            for index in range(n // share):
                write(root / name / "tief er" / f"{index} ü", index % 8, level)
    bad = [tmp_path / "my images" / "train" / "été" / "cut.png", tmp_path / "my images" / "test" / "été" / "empty.jpg"]
    bad[0].write_bytes(next((bad[0].parent / "tief er").glob("*.PNG")).read_bytes()[:70])
    bad[1].write_bytes(b"")
    words = [*TINY, *SMALL, f"dataset={tmp_path / 'my images'}", "class_weights=balanced"]
    words.append(f"dataset_args.test_sets={{night: {tmp_path / 'more' / 'bei Nacht'}}}")
    assert main(words) == 2
    message = capsys.readouterr().err
    assert "2 of 32 images cannot be read" in message and all(str(path) in message for path in bad)
    assert not Path("runs").exists()
    assert main([*words, "dataset_args.skip_corrupt=true"]) == 0
    said = capsys.readouterr().out
    folder, summary = one_run()
    data = summary["data"]
    assert isinstance(data, dict) and set(data["left_out"]) == set(map(str, bad))
    assert data["items"] == {"train": 18, "test": 12, "test set night": 12} and data["class_counts"] == [6, 12]
    assert data["class_weights"] == pytest.approx([1.5, 0.75])
    size = data["chosen"]["image_size"]
    for text in ("2 of 32 images cannot be read and are left out", f"image_size {size}x{size} was chosen", "night"):
        assert text in said and text in (folder / "log.log").read_text(encoding="utf-8")
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert config["dataset_args"]["image_size"] == size and config["dataset_args"]["channels"] == 3
    network = naslib.load_network(folder)
    for root, score in (
        (tmp_path / "my images" / "test", summary["test_accuracy"]),
        (tmp_path / "more" / "bei Nacht", summary["test_sets"]["night"]["accuracy"]),  # type: ignore[index]
    ):
        paths = sorted(path for path in root.rglob("*.*") if path not in bad)
        right = [path.parts[-3] == name for path, name in zip(paths, network.predict_names(paths), strict=True)]
        assert len(paths) == 12 and 100 * np.mean(right) == pytest.approx(score)
    record = json.loads((folder / "eval" / "network.json").read_text(encoding="utf-8"))
    assert record["task"]["arguments"]["class_weights"] == pytest.approx([1.5, 0.75])


def test_many_labels_are_not_balanced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(
        "many.npz", x=np.arange(60 * 64, dtype=np.uint8).reshape(60, 8, 8), y=np.eye(4, dtype=int)[[[0, 1]] * 60].sum(1)
    )
    words = ["dataset=many.npz", "dataset_args.multi_label=true", "class_weights=balanced"]
    assert main([*TINY, *SMALL, *words]) == 2
    assert "class_weights: the loss BCEWithLogitsLoss takes no weights of classes" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_table_of_values(tmp_path: Path) -> None:
    lines = ["file;hell;dunkel"]
    for index in range(40):
        Image.fromarray(np.full((9, 12), 6 * index, np.uint8)).save(tmp_path / f"bild {index}.png")
        lines.append(f"bild {index}.png;{index / 40};{1 - index / 40}")
    (tmp_path / "werte.csv").write_text("\n".join(lines), encoding="utf-8")
    words = ["dataset=werte.csv", "dataset_args={task: regression, labels: [hell, dunkel]}"]
    assert main([*TINY, *SMALL, *words]) == 0
    folder, summary = one_run()
    assert summary["score_name"] == "rmse" and summary["data"]["items"] == {"train": 32, "test": 8}  # type: ignore[index]
    network = naslib.load_network(folder)
    assert network.class_names == ["hell", "dunkel"]
    assert network.predict(tmp_path / "bild 3.png").shape == (1, 2)


@pytest.mark.slow
def test_vectors_on_a_space_that_reads_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y = np.arange(60) % 3
    np.savez("vectors.npz", x=(y[:, None] + RNG.normal(size=(60, 10)) / 10).astype(np.float32), y=y + 1)
    assert main([*TINY, *SMALL, "dataset=vectors.npz"]) == 2
    message = capsys.readouterr().err
    assert "has no head for sequence_classification on sequences" in message and "simple_sequence" in message
    words = [
        "search_space=simple_sequence",
        "search_space_args={channels: 4}",
        "evaluation={cells: null, channels: null}",
    ]
    assert main([*TINY, *words, "dataset=vectors.npz"]) == 0
    folder, _ = one_run()
    assert set(naslib.load_network(folder).predict_names(np.zeros((2, 10), np.float32))) <= {"1", "2", "3"}
