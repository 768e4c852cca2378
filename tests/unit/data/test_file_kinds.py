"""Image files of every kind: their pixels, what is chosen for them, and what is said."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.config import load_config
from naslib.config.extensions import SchemaExtensions
from naslib.data import ImageData, ImageSet, Preprocess, StreamSet, build_search_loaders, load_data
from naslib.data.decode import open_image
from naslib.data.facade import get_train_val_loaders
from naslib.data.headers import Header, ImageKind, choose, read_header
from naslib.data.image_files import FileOptions, read_files
from naslib.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
RAMP = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)  # 0 ... 65520


def memory(part: Any) -> torch.Tensor:
    assert isinstance(part, ImageSet)
    return part.images


def save(path: Path, array: np.ndarray, mode: str | None = None, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    (picture if mode is None else picture.convert(mode)).save(path, **more)
    return path


def colours(height: int = 12, width: int = 12) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def fill(root: Path, n: int = 6, names: str = "ab", size: tuple[int, int] = (12, 12)) -> Path:
    for name in names:
        for index in range(n):
            save(root / name / f"{index}.png", colours(*size))
    return root


# pixels of one file


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_among_eight_are_divided_by_257(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"deep.{suffix}", RAMP)
    found = np.asarray(open_image(path, 1, deep=65535))
    assert np.array_equal(found, np.rint(RAMP.astype(np.float64) / 257).astype(np.uint8))
    assert np.array_equal(np.asarray(open_image(path, 3, deep=65535)), np.repeat(found[:, :, None], 3, axis=2))
    with pytest.raises(DataError, match=r"must lie in 0\.\.255"):
        open_image(path, 1)


def test_levels_above_white_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "wide.tif", np.full((4, 4), 70000, dtype=np.int32))
    with pytest.raises(
        DataError, match=r"must lie in 0\.\.65535, found 70000\.\.70000; say which level is white: scale"
    ):
        open_image(path, 1, deep=65535)


def test_cmyk_becomes_red_green_and_blue(tmp_path: Path) -> None:
    flat = np.zeros((16, 16, 3), np.uint8) + np.array([200, 40, 90], np.uint8)
    path = save(tmp_path / "ink.jpg", flat, "CMYK", quality=95)
    with Image.open(path) as picture:
        assert picture.mode == "CMYK"
    assert np.abs(np.asarray(open_image(path, 3)).astype(int) - flat).max() <= 4


def test_opacity_is_dropped(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 256, (9, 7, 4), dtype=np.uint8)
    assert np.array_equal(np.asarray(open_image(save(tmp_path / "a.png", pixels), 3)), pixels[..., :3])


@pytest.mark.parametrize("transparency", [None, 3, bytes(range(256))])
def test_palettes_become_their_colours(tmp_path: Path, transparency: Any) -> None:
    picture = Image.fromarray(RNG.integers(0, 8, (9, 7), dtype=np.uint8), "L").convert("P")
    table = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    picture.putpalette(table.tobytes())
    numbers = np.asarray(picture)
    picture.save(tmp_path / "p.png", **({} if transparency is None else {"transparency": transparency}))
    assert np.array_equal(np.asarray(open_image(tmp_path / "p.png", 3)), table[numbers])


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_turned_as_their_exif_says(tmp_path: Path, orientation: int, suffix: str) -> None:
    pixels = colours(10, 16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / f"t.{suffix}", pixels, exif=exif)
    with Image.open(save(tmp_path / f"plain.{suffix}", pixels)) as plain:
        pixels = np.asarray(plain)  # a JPEG has other ones than it was given
    flipped = pixels[:, ::-1] if orientation in (2, 4, 5, 7) else pixels
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation]
    upright = np.rot90(flipped, turns)
    assert np.array_equal(np.asarray(open_image(path, 3)), upright)
    header = read_header(str(path))
    assert (header.height, header.width) == upright.shape[:2]
    preprocess = Preprocess(mean=[0.5] * 3, std=[0.25] * 3, in_channels=3, image_size=upright.shape[:2])
    for given in (path, Image.open(path)):
        seen = preprocess(given)[0].permute(1, 2, 0) * 0.25 + 0.5
        np.testing.assert_allclose(seen.numpy() * 255, upright, atol=1e-3)


# what is chosen


def headers(*sizes: tuple[int, int], mode: str = "RGB") -> list[Header]:
    return [Header(*size, mode) for size in sizes]


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (headers(*[(16, 24)] * 9, (480, 640)), (16, 24)),  # one odd file among ten
        (headers(*[(16, 24)] * 8, *[(480, 640)] * 2), 16),
        (headers((100, 120), (100, 120)), 100),
        (headers((101, 120), (103, 150), (90, 300)), 104),  # the median 101 is 12.6 times 8
        (headers((33, 40), (37, 37), (39, 50)), 40),
        (headers((20, 30), (21, 29), (23, 60)), 21),  # small ones are not rounded
        (headers((1000, 800), (500, 600), (900, 700)), 224),
    ],
)
def test_the_size_that_is_chosen(found: list[Header], size: Any) -> None:
    assert choose(found).size == size
    assert choose(found, [8, 10]).size == (8, 10) and choose(found, 9).size == 9


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["L", "1", "LA"], ImageKind(12, 1, 255.0, 0.0)),
        (["L", "RGB"], ImageKind(12, 3, 255.0, 0.0)),
        (["P"], ImageKind(12, 3, 255.0, 0.0)),
        (["I;16", "L"], ImageKind(12, 1, 65535.0, 0.0)),
        (["I;16B", "I"], ImageKind(12, 1, 65535.0, 0.0)),
        (["I;16", "RGB"], ImageKind(12, 3, 255.0, 65535.0)),
        (["F", "F"], ImageKind(12, 1, 1.0, 0.0)),
        (["F", "L"], ImageKind(12, 1, 255.0, 0.0)),
        (["F", "I;16"], ImageKind(12, 1, 255.0, 65535.0)),
    ],
)
def test_channels_and_white_that_are_chosen(modes: list[str], expected: ImageKind) -> None:
    assert choose([Header(12, 12, mode) for mode in modes]) == expected


def test_grey_folders_are_grey_networks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for index in range(12):
        save(tmp_path / "p" / "ab"[index % 2] / f"{index}.png", colours()[..., 0])
    data = load_data(str(tmp_path / "p"))
    assert data.info.in_channels == 1 and memory(data.train).shape == (10, 1, 12, 12)
    assert "12 image files of 12x12 pixels; image_size 12x12 was chosen; channels 1 (all files are grey)" in caplog.text
    assert data.about == {"chosen": {"image_size": 12, "channels": 1}, "left_out": {}}
    save(tmp_path / "p" / "a" / "odd.png", colours())
    assert load_data(str(tmp_path / "p")).info.in_channels == 3
    assert load_data(str(tmp_path / "p"), channels=1).info.in_channels == 1


def test_a_square_that_cuts_much_off_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_data(str(fill(tmp_path / "p", size=(70, 140))), image_size=[20, 40], in_memory=True)
    assert "is cut off" not in caplog.text
    load_data(str(tmp_path / "p"), in_memory=True)
    assert "images of 70x70 pixels show 50 % of a picture" in caplog.text


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_ramp_of_sixteen_bits_keeps_all_of_them(tmp_path: Path, in_memory: bool) -> None:
    for index in range(12):
        save(tmp_path / "p" / "ab"[index % 2] / f"{index:02}.png", np.roll(RAMP, index))
    data = load_data(str(tmp_path / "p"), in_memory=in_memory)
    assert data.info.scale == 65535 and data.info.in_channels == 1
    images, _ = next(iter(build_search_loaders(data, batch_size=5, train_portion=0.5, seed=0).test))
    seen = images.double() * data.info.std[0] + data.info.mean[0]
    ramps = np.stack([np.roll(RAMP, index) for index in range(12)]) / 65535
    for image in seen[:, 0].numpy():
        assert np.abs(ramps - image).max((1, 2)).min() < 1e-6
    preprocess = Preprocess.from_info(data.info)
    torch.testing.assert_close(
        preprocess(tmp_path / "p" / "a" / "00.png")[0, 0] * data.info.std[0] + data.info.mean[0],
        torch.from_numpy(RAMP / 65535).float(), rtol=0, atol=1e-6,
    )  # fmt: skip


# the same in training and in prediction


@pytest.mark.parametrize("deep", ["all", "some", "with colours"])
@pytest.mark.parametrize("image_size", [None, 9])
def test_what_is_predicted_on_is_what_is_tested_on(tmp_path: Path, deep: str, image_size: int | None) -> None:
    paths = []
    for part in ("train", "test"):
        for index in range(8):
            path = tmp_path / "p" / part / "ab"[index % 2] / f"{index} ü.png"
            levels = RNG.integers(0, 65536, (13, 17), dtype=np.uint16)
            if deep == "all" or index % 3:
                save(path, levels)
            else:
                save(path, (levels // 257).astype(np.uint8) if deep == "some" else colours(13, 17))
            paths += [path] if part == "test" else []
    data = load_data(str(tmp_path / "p"), image_size=image_size)
    assert (data.info.scale, data.info.deep) == ((255, 65535) if deep == "with colours" else (65535, 0))
    loaders = build_search_loaders(data, batch_size=2, train_portion=0.5, seed=0)
    tested = torch.cat([images for images, _ in loaders.test])
    preprocess = Preprocess.from_dict(json.loads(json.dumps(Preprocess.from_info(data.info).to_dict())))
    paths.sort()
    torch.testing.assert_close(preprocess(paths), tested, rtol=0, atol=2e-5)
    torch.testing.assert_close(preprocess([Image.open(path) for path in paths]), tested, rtol=0, atol=2e-5)


# names, and what is left out


def one_of_every_kind(root: Path) -> dict[str, Path]:
    """Write files of every kind into two class folders with names that need care; return the three bad ones."""
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = colours()[..., 0]
    for index, name in enumerate(("blaue Kreise", "é té")):
        save(root / name / f"{index} a.PNG", colours(20, 30))
        save(root / name / "grau.jpg", grey)
        save(root / name / "tinte.jpeg", colours(), "CMYK")
        save(root / name / "deckend.png", RNG.integers(0, 256, (14, 15, 4), dtype=np.uint8))
        save(root / name / "tief in" / "ñ.png", colours(), "P")
        save(root / name / "gedreht.JPG", colours(16, 40), exif=exif)
        save(root / name / "sechzehn.tif", RAMP)
        save(root / name / "w.webp", colours())
        (root / name / ".versteckt.png").write_bytes(b"x")
        (root / name / "notes.txt").write_text("hello")
    bad = {
        "image file is truncated": root / "é té" / "cut.png",
        "it is empty (0 bytes)": root / "é té" / "empty.jpg",
        "it is no image that Pillow knows": root / "blaue Kreise" / "page.png",
    }
    whole = (root / "é té" / "1 a.PNG").read_bytes()
    for path, content in zip(bad.values(), (whole[: len(whole) // 2], b"", b"<html>"), strict=True):
        path.write_bytes(content)
    return bad


def same(a: ImageData, b: ImageData) -> bool:
    parts = [(a.train, b.train), (a.test, b.test)]
    if isinstance(a.train, StreamSet):
        same_parts = all(x.paths == y.paths and torch.equal(x.labels, y.labels) for x, y in parts)  # type: ignore[union-attr]
    else:
        same_parts = all(torch.equal(memory(x), memory(y)) and torch.equal(x.labels, y.labels) for x, y in parts)
    return same_parts and a.info == b.info and a.info.class_counts == b.info.class_counts


@pytest.mark.parametrize("in_memory", [True, False])
def test_skipping_is_as_if_the_files_were_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, in_memory: bool
) -> None:
    caplog.set_level("INFO")
    bad = one_of_every_kind(tmp_path / "p")
    with pytest.raises(DataError, match="3 of 19 images cannot be read") as caught:
        load_data(str(tmp_path / "p"), in_memory=in_memory)
    for reason, path in bad.items():
        assert f"cannot read the image {path}: {reason}" in str(caught.value)
    for _ in range(2):  # from what is remembered, too
        data = load_data(str(tmp_path / "p"), in_memory=in_memory, skip_corrupt=True)
        assert data.about["left_out"] == {str(path): reason for reason, path in bad.items()}
    with pytest.raises(DataError, match="3 of 19"):
        load_data(str(tmp_path / "p"), in_memory=in_memory)
    assert "3 of 19 images cannot be read and are left out (skip_corrupt):" in caplog.text
    assert "1 file(s) are no images by their names: 'notes.txt'" in caplog.text
    for path in bad.values():
        path.unlink()
    assert same(data, load_data(str(tmp_path / "p"), in_memory=in_memory))
    assert data.info.class_names == ("blaue Kreise", "é té") and len(data.train) + len(data.test) == 16


def test_what_is_chosen_is_chosen_by_files_that_are_kept(tmp_path: Path) -> None:
    """The only file with colours, and those of another size, have headers and no pixels."""
    for index in range(12):
        save(tmp_path / "p" / "ab"[index % 2] / f"{index}.png", colours()[..., 0])
    for name in ("x.png", "y.png"):
        path = save(tmp_path / "p" / "a" / name, colours(40, 40))
        path.write_bytes(path.read_bytes()[:300])
    data = load_data(str(tmp_path / "p"), skip_corrupt=True)
    assert data.info.in_channels == 1 and data.info.image_size == 12 and len(data.about["left_out"]) == 2


def test_a_class_that_loses_all_its_files_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "p", names="abc")
    for path in (tmp_path / "p" / "b").iterdir():
        path.write_bytes(b"no")
    with pytest.raises(DataError, match=r"1 class\(es\) have no training image that can be read: 'b'"):
        load_data(str(tmp_path / "p"), skip_corrupt=True)
    for path in (tmp_path / "p").rglob("*.png"):
        path.write_bytes(b"no")
    with pytest.raises(DataError, match="18 of 18 images cannot be read"):
        load_data(str(tmp_path / "p"), skip_corrupt=True)


def test_all_beyond_the_first_twenty_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(tmp_path / "p", n=15)
    paths = sorted((tmp_path / "p").rglob("*.png"))
    for path in paths:
        path.write_bytes(b"no")
    with pytest.raises(DataError) as caught:
        load_data(str(tmp_path / "p"))
    assert all((str(path) in str(caught.value)) != (str(path) in caplog.text) for path in paths)


def test_decoded_images_are_not_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "p")
    opened: list[str] = []

    def counted(path: str, *more: Any) -> Any:
        opened.append(str(path))
        return open_image(path, *more)

    monkeypatch.setattr("naslib.data.stream_set.open_image", counted)
    load_data(str(tmp_path / "p"))
    assert len(opened) == len(set(opened)) == 12


def test_a_file_is_read_by_what_is_in_it_not_by_its_name(tmp_path: Path) -> None:
    pixels = colours()
    path = save(tmp_path / "a.png", pixels)
    path.rename(tmp_path / "a.jpg")
    assert np.array_equal(np.asarray(open_image(tmp_path / "a.jpg", 3)), pixels)


@pytest.mark.parametrize("size", [0, [8, 0], -3])
def test_a_size_of_no_pixels(tmp_path: Path, size: Any) -> None:
    with pytest.raises(DataError, match="image_size must be at least one pixel a side"):
        load_data(str(fill(tmp_path / "p")), image_size=size)


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are letters")
@pytest.mark.parametrize("in_memory", [True, False])
def test_names_whose_bytes_are_no_letters(tmp_path: Path, in_memory: bool) -> None:
    fill(tmp_path / "p")
    odd = os.fsdecode(os.fsencode(tmp_path / "p" / "a") + b"/\xff")
    shutil.copy(tmp_path / "p" / "a" / "0.png", f"{odd} whole.png")
    Path(f"{odd} bad.png").write_bytes(b"no")
    data = load_data(str(tmp_path / "p"), skip_corrupt=True, in_memory=in_memory)
    assert len(data.train) + len(data.test) == 13
    (name,) = json.loads(json.dumps(data.about["left_out"]).encode("utf-8"))
    assert name.encode("utf-8").endswith(b"\\udcff bad.png")


def test_the_folder_of_a_bare_word_is_pointed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fill(tmp_path / "birds").parent)
    words = {"datasets": ["digits"]}
    with pytest.raises(ConfigError, match=r"unknown dataset 'birds'; for the folder of that name write \./birds"):
        load_config(None, ["dataset=birds"], extensions=SchemaExtensions(**words))


def test_naslibs_function_reads_folders_with_their_keywords(tmp_path: Path) -> None:
    config = load_config(None, [f"dataset={fill(tmp_path / 'p')}", "image_size=8", "search.batch_size=4"])
    train, valid, tests, _, _ = get_train_val_loaders(config)
    assert valid is not None and next(iter(train))[0].shape == (4, 3, 8, 8) and tests.n_images == 2


def test_files_that_need_more_memory_than_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [str(save(tmp_path / f"{index}.png", colours())) for index in range(3)]
    monkeypatch.setattr("naslib.data.image_files.free_memory", lambda: 1000)
    files = read_files("few", paths, np.zeros(3, np.int64), FileOptions())
    assert len(files.images) == 3 and "set in_memory: false, or a smaller image_size" in caplog.text
