"""Every bad file of a data set is named at once, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from naslib.build import main
from naslib.data import StreamSet, load_data
from naslib.data.locations import user_cache
from naslib.data.verify import read_all
from naslib.errors import DataError

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write train/ and test/ of 2 classes of 6 images of 20x20 each, as JPEG and PNG."""
    for part in ("train", "test"):
        for name in "ab":
            (tmp_path / "p" / part / name).mkdir(parents=True)
            for number in range(6):
                pixels = RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8)
                suffix = "jpg" if number % 2 else "png"
                Image.fromarray(pixels).save(tmp_path / "p" / part / name / f"{number}.{suffix}")
    return tmp_path / "p"


def damage(path: Path, kind: str) -> Path:
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"<html>404</html>", "cut": content[: len(content) // 2]}[kind])
    return path


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("image_size", [None, 16])
def test_all_bad_files_of_all_parts_are_named(folder: Path, in_memory: bool, image_size: int | None) -> None:
    bad = [
        damage(folder / "train" / "a" / "0.png", "text"),
        damage(folder / "test" / "a" / "1.jpg", "cut"),
        damage(folder / "test" / "b" / "2.png", "cut"),
        damage(folder / "test" / "b" / "5.jpg", "empty"),
    ]
    with pytest.raises(DataError, match="4 of 24 images cannot be read") as caught:
        load_data(str(folder), in_memory=in_memory, image_size=image_size)
    for path in bad:
        assert str(caught.value).count(f"cannot read the image {path}: ") == 1
    assert "it is no image that Pillow knows" in str(caught.value)


def test_one_bad_file(folder: Path) -> None:
    bad = damage(folder / "test" / "b" / "2.png", "cut")
    with pytest.raises(DataError, match=f"^cannot read the image {bad}: .*; remove or repair it$"):
        load_data(str(folder), in_memory=False)


def test_all_are_bad(folder: Path) -> None:
    for path in folder.rglob("*.*"):
        damage(path, "text")
    with pytest.raises(DataError, match="24 of 24 images cannot be read") as caught:
        load_data(str(folder))
    assert "and 4 more" in str(caught.value) and len(str(caught.value).splitlines()) == 22


def test_files_that_passed_are_not_decoded_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data(str(folder), in_memory=False)
    assert isinstance(data.train, StreamSet) and len(list((user_cache() / "checked-images").iterdir())) == 1
    opened: list[str] = []

    def open_image(path: str, channels: int) -> None:
        opened.append(path)

    monkeypatch.setattr("naslib.data.verify.open_image", open_image)
    load_data(str(folder), in_memory=False)
    assert not opened
    damage(folder / "test" / "b" / "2.png", "cut")
    load_data(str(folder), in_memory=False)
    assert len(opened) == 24


def test_a_cache_that_cannot_be_written(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    user_cache().parent.mkdir()
    user_cache().write_text("a file where the folder should be")
    assert len(load_data(str(folder), in_memory=False).train) == 12
    assert "checks the images again" in caplog.text


def test_whatever_a_decoder_raises_is_told_as_a_bad_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def convert(self: Image.Image, mode: str) -> None:
        raise KeyError("tile")

    monkeypatch.setattr(Image.Image, "convert", convert)
    with pytest.raises(DataError, match="24 of 24 images"):
        load_data(str(folder))


def test_nothing_is_trained_before(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [damage(folder / "test" / name / "3.jpg", "cut") for name in "ab"]
    words = ["--config", "darts.yaml", f"dataset={folder}", "dataset_args={in_memory: false}", "out_dir=runs"]
    assert main(words) == 2
    message = capsys.readouterr().err
    assert all(str(path) in message for path in bad) and "2 of 24 images cannot be read" in message
    assert not Path("runs").exists()


@pytest.mark.parametrize("n", [1, 63, 64, 65, 200])
def test_everything_is_read_whatever_fails(n: int) -> None:
    seen: list[int] = []

    def read(index: int) -> None:
        seen.append(index)
        if index % 7 == 0:
            raise DataError(f"item {index}")

    with pytest.raises(DataError) as caught:
        read_all(read, n, "items")
    assert sorted(seen) == list(range(n))
    bad = -(-n // 7)
    assert str(caught.value).startswith("item 0" if bad == 1 else f"{bad} of {n} items cannot be read:\n  item 0\n")


def test_all_damaged_arrays_of_a_file_are_named(tmp_path: Path) -> None:
    x, y = RNG.integers(0, 256, (50, 8, 8), dtype=np.uint8), np.arange(50) % 5
    path = tmp_path / "own.npz"
    np.savez(path, x=x, y=y, x_test=x[::-1], y_test=y[::-1])
    content = bytearray(path.read_bytes())
    for array in (x, np.ascontiguousarray(x[::-1])):
        place = content.index(array.tobytes()[:200])
        content[place + 100] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="2 of 4 arrays cannot be read") as caught:
        load_data(str(path))
    assert "cannot read x in" in str(caught.value) and "cannot read x_test in" in str(caught.value)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_byte_of_a_compressed_file_is_a_data_error(tmp_path: Path, seed: int) -> None:
    """Or it is harmless: in a field of the archive that nothing reads."""
    rng = np.random.default_rng(seed)
    path = tmp_path / "own.npz"
    x = np.repeat(rng.integers(0, 256, (50, 8, 1), dtype=np.uint8), 8, axis=2)
    np.savez_compressed(path, x=x, y=np.arange(50) % 5)
    whole = path.read_bytes()
    reference = load_data(str(path)).train
    for place in rng.integers(0, len(whole), 40).tolist():
        content = bytearray(whole)
        content[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(content)
        try:
            data = load_data(str(path)).train
        except DataError:
            continue
        assert (data.labels == reference.labels).all()
