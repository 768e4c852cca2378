"""Tables of images and the files of their masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import ImageData, ImageSet, build_search_loaders, load_data
from naslib.errors import DataError

RNG = np.random.default_rng(0)


def write(folder: Path, masks: list[np.ndarray], mode: str | None = None, suffix: str = "png") -> Path:
    """Write images whose level says their number, masks, and the table."""
    lines = ["image,mask"]
    for index, mask in enumerate(masks):
        Image.fromarray(np.full((*mask.shape, 3), index, np.uint8)).save(folder / f"{index}.png")
        picture = Image.fromarray(mask)
        if mode == "P":
            picture = picture.convert("P")
            picture.putpalette(RNG.integers(0, 256, 768, dtype=np.uint8).tobytes())
        picture.save(folder / f"{index} mask.{suffix}")
        lines.append(f"{index}.png,{index} mask.{suffix}")
    (folder / "t.csv").write_text("\n".join(lines))
    return folder / "t.csv"


def load(path: Path, **more: Any) -> ImageData:
    return load_data(str(path), task="segmentation", **more)


def masks_of(data: ImageData) -> dict[int, np.ndarray]:
    found = {}
    for part in (data.train, data.test):
        assert isinstance(part, ImageSet)
        found |= {int(x[0, 0, 0]): y.numpy() for x, y in zip(part.images, part.labels, strict=True)}
    return found


@pytest.mark.parametrize(("mode", "suffix"), [(None, "png"), ("P", "png"), (None, "tif")])
def test_masks_are_the_numbers_in_their_files(tmp_path: Path, mode: str | None, suffix: str) -> None:
    masks = [RNG.choice(np.array([0, 1, 4, 255], np.uint8), (8, 12)) for _ in range(10)]
    data = load(write(tmp_path, masks, mode, suffix))
    assert data.info.class_names == ("0", "1", "4") and data.info.image_size == (8, 12)
    numbered = {0: 0, 1: 1, 4: 2, 255: 255}
    for index, mask in masks_of(data).items():
        assert np.array_equal(mask, np.vectorize(numbered.get)(masks[index]))
    inside = np.concatenate([masks[n].reshape(-1) for n in (int(x[0, 0, 0]) for x in data.train.images)])  # type: ignore[union-attr]
    assert data.info.class_counts == tuple(int((inside == value).sum()) for value in (0, 1, 4))
    x, y = next(iter(build_search_loaders(data, batch_size=4, train_portion=0.5, seed=0).train))
    assert x.shape == (4, 3, 8, 12) and y.shape == (4, 8, 12) and y.dtype == torch.int64


def test_no_and_yes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    masks = [RNG.choice(np.array([0, 255], np.uint8), (8, 8)) for _ in range(6)]
    data = load(write(tmp_path, masks), class_names=["background", "cell"])
    assert data.info.class_names == ("background", "cell")
    assert all(np.array_equal(mask, masks[index] // 255) for index, mask in masks_of(data).items())
    assert "hold 0 and 255 alone, which are taken as 0 and 1" in caplog.text


def test_masks_are_cut_as_their_images(tmp_path: Path) -> None:
    """Of 20x40 pixels at 10x10 the middle half of the columns is left, of every second row and column one."""
    masks = [np.repeat(np.repeat(RNG.integers(0, 3, (10, 20), dtype=np.uint8), 2, 0), 2, 1) for _ in range(6)]
    data = load(write(tmp_path, masks), image_size=10)
    for index, mask in masks_of(data).items():
        assert np.array_equal(mask, masks[index][::2, ::2][:, 5:15])


def test_large_images_are_kept_in_memory(tmp_path: Path) -> None:
    data = load(write(tmp_path, [RNG.integers(0, 3, (70, 70), dtype=np.uint8) for _ in range(6)]))
    assert data.info.image_size == 70 and isinstance(data.train, ImageSet) and data.info.crop_padding == 9


def test_bad_masks_are_listed_or_left_out_with_their_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, [RNG.integers(0, 3, (8, 8), dtype=np.uint8) for _ in range(10)])
    (tmp_path / "2 mask.png").unlink()
    Image.fromarray(np.zeros((4, 8), np.uint8)).save(tmp_path / "5 mask.png")
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "7 mask.png")
    with pytest.raises(DataError, match="3 of 10 masks cannot be read") as caught:
        load(path)
    for text in ("2 mask.png: there is no such file", "5 mask.png has 4x8 pixels, its image", "pixels of mode RGB"):
        assert text in str(caught.value)
    data = load(path, skip_corrupt=True)
    assert sorted(masks_of(data)) == [0, 1, 3, 4, 6, 8, 9] and len(data.about["left_out"]) == 3
    assert "3 of 10 masks cannot be read and are left out with their images" in caplog.text
    with pytest.raises(DataError, match="images with masks are kept in memory"):
        load(path, skip_corrupt=True, in_memory=False)
