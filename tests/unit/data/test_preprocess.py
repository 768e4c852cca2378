"""The preprocessing of a served network equals that of the loaders."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from naslib.data import ImageData, Preprocess, build_eval_loaders
from naslib.data.transforms import build_transforms
from naslib.errors import DataError


def test_equals_the_evaluation_loader(colour_data: ImageData) -> None:
    loaders = build_eval_loaders(colour_data, batch_size=20, seed=0)
    batch, _ = next(iter(loaders.test))
    images = colour_data.test.images  # type: ignore[union-attr]
    preprocess = Preprocess.from_info(colour_data.info)
    assert torch.equal(preprocess(images), batch)
    assert torch.equal(preprocess(images.permute(0, 2, 3, 1).numpy()), batch)
    torch.testing.assert_close(preprocess(images / 255.0), batch, rtol=0, atol=1e-5)
    for index in range(3):
        picture = Image.fromarray(images[index].permute(1, 2, 0).numpy())
        assert torch.equal(preprocess(picture), batch[index : index + 1])
        assert torch.equal(preprocess(images[index]), batch[index : index + 1])


def test_equals_torchvision(colour_data: ImageData) -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))
    preprocess = Preprocess.from_info(colour_data.info)
    _, reference = build_transforms(colour_data.info)
    torch.testing.assert_close(preprocess(picture)[0], reference(picture), rtol=0, atol=1e-5)
    tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    by_tensor = transforms.Compose(
        [
            transforms.Resize(16),
            transforms.CenterCrop(16),
            transforms.Normalize(colour_data.info.mean, colour_data.info.std),
        ]
    )
    assert torch.equal(preprocess(tensor), preprocess(picture))
    between = (tensor / 255.0) ** 1.1  # no levels of 8 bits: nothing is rounded
    torch.testing.assert_close(preprocess(between)[0], by_tensor(between), rtol=0, atol=1e-4)


def test_grey() -> None:
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=8)
    square = torch.randint(0, 256, (8, 8), dtype=torch.uint8)
    torch.testing.assert_close(preprocess(square)[0, 0], (square / 255 - 0.5) / 0.25)
    assert torch.equal(preprocess(square.numpy()), preprocess(square))
    colour = Image.fromarray(np.zeros((8, 8, 3), np.uint8))
    torch.testing.assert_close(preprocess(colour), torch.full((1, 1, 8, 8), -2.0))


def test_round_trip(colour_data: ImageData) -> None:
    preprocess = Preprocess.from_info(colour_data.info)
    again = Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict())))
    images = colour_data.test.images  # type: ignore[union-attr]
    assert torch.equal(preprocess(images), again(images))
    assert not preprocess.state_dict()


@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 4, 16, 16), (16,), (16, 16)])
def test_wrong_channels(colour_data: ImageData, shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"expected 3 channel\(s\)"):
        Preprocess.from_info(colour_data.info)(torch.zeros(shape))


def test_wrong_array(colour_data: ImageData) -> None:
    with pytest.raises(DataError, match="expected an array"):
        Preprocess.from_info(colour_data.info)(np.zeros(5))


@pytest.fixture
def preprocess(colour_data: ImageData) -> Preprocess:
    return Preprocess.from_info(colour_data.info)


GREY = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=16)
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)


def test_lists_paths_and_pictures(tmp_path: Path, preprocess: Preprocess) -> None:
    pictures = [Image.fromarray(RNG.integers(0, 256, (20 + i, 30, 3), dtype=np.uint8)) for i in range(3)]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    expected = torch.cat([preprocess(picture) for picture in pictures])
    for given in (pictures, tuple(pictures), paths, [str(path) for path in paths], [pictures[0], *paths[1:]]):
        assert torch.equal(preprocess(given), expected)
    assert torch.equal(preprocess(str(paths[1])), expected[1:2])
    mixed = preprocess([COLOUR, torch.from_numpy(COLOUR[0]).permute(2, 0, 1), COLOUR[1] / 255.0])
    torch.testing.assert_close(mixed, preprocess(COLOUR[[0, 1, 2, 3, 4, 0, 1]]), rtol=0, atol=1e-5)
    assert preprocess([]).shape == (0, 3, 16, 16)


def test_layouts_of_arrays(preprocess: Preprocess) -> None:
    expected = preprocess(COLOUR)
    chw = COLOUR.transpose(0, 3, 1, 2)
    for given in (chw, COLOUR[::-1][::-1], np.asfortranarray(COLOUR), COLOUR.astype(">i4"), COLOUR.astype(np.uint16)):
        assert torch.equal(preprocess(given), expected)
    assert torch.equal(preprocess(chw[2]), expected[2:3])
    opaque = np.concatenate([COLOUR, np.full((5, 16, 16, 1), 255, np.uint8)], axis=3)
    assert torch.equal(preprocess(opaque), expected)
    for kind in (np.float16, np.float32, np.float64, np.longdouble, ">f4"):
        floats = preprocess((COLOUR / 255.0).astype(kind))
        torch.testing.assert_close(floats, expected, rtol=0, atol=0.02 if kind is np.float16 else 1e-5)


def test_grey_and_colour_are_converted_as_by_pillow(preprocess: Preprocess) -> None:
    as_pictures = torch.cat([GREY(Image.fromarray(array)) for array in COLOUR])
    assert torch.equal(GREY(COLOUR), as_pictures)
    torch.testing.assert_close(GREY(COLOUR / 255.0), as_pictures, rtol=0, atol=0.5 / 255 / 0.25 + 1e-5)
    grey = COLOUR[..., 0]
    assert torch.equal(GREY(grey), torch.cat([GREY(array) for array in grey]))  # (n, h, w), also where n is 3
    assert torch.equal(GREY(grey[:3]), GREY(grey)[:3])
    assert torch.equal(preprocess(grey[0]), preprocess(Image.fromarray(grey[0])))
    assert torch.equal(preprocess(grey[..., None]), torch.cat([preprocess(array) for array in grey]))


def test_booleans_are_black_and_white() -> None:
    mask = COLOUR[0, :, :, 0] > 100
    expected = GREY(mask.astype(np.uint8) * np.uint8(255))
    assert torch.equal(GREY(mask), expected) and torch.equal(GREY(torch.from_numpy(mask)), expected)
    assert torch.equal(GREY(Image.fromarray(mask)), expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (COLOUR.astype(np.float32), r"floats must lie in 0\.\.1, found 0\.\.255: divide grey levels by 255"),
        (torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(0)), r"normalised images go to the network"),
        (np.full((16, 16, 3), np.nan), r"must lie in 0\.\.1, found nan"),
        (COLOUR.astype(np.int16) - 1, r"integers must lie in 0\.\.255, found -1\.\.254"),
        (COLOUR.astype(np.uint16) * 257, r"integers must lie in 0\.\.255"),
        (COLOUR.astype(complex), "must hold numbers, got an array of dtype complex128"),
        (torch.zeros(3, 16, 16, dtype=torch.complex64), "hold numbers"),
        (torch.zeros(3, 16, 16).to_sparse(), "must be dense"),
        (torch.full((3, 16, 16), 256, dtype=torch.int32).to(torch.uint16), r"0\.\.255"),
        (np.zeros((16, 0, 3), np.uint8), "must have pixels"),
        (np.array(["a.png"]), "expected an array"),
        (np.array([["a.png"]]), "must hold numbers"),
        (COLOUR[:, :, :, :2], "with 1, 3 or 4 channels, got shape"),
        (7, "path of a file.*or a list of images, got int"),
        ({"image": 1}, "got dict"),
        ([COLOUR[0], None], "got NoneType"),
        ("nowhere.png", "cannot read the image nowhere.png: there is no such file"),
        (__file__, "it is no image that Pillow knows"),
    ],
)
def test_what_is_no_image(preprocess: Preprocess, image: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        preprocess(image)


def test_floats_may_overshoot_by_half_a_grey_level(preprocess: Preprocess) -> None:
    assert preprocess(np.full((16, 16, 3), 1.0015)).shape == (1, 3, 16, 16)
    with pytest.raises(DataError, match=r"0\.\.1"):
        preprocess(np.full((16, 16, 3), 1.01))


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("I;16", "png"), ("I;16", "tif"), ("I", "tif"), ("F", "tif"), ("I;16", None), ("I", None), ("F", None)],
)
def test_pictures_of_more_than_eight_bits_are_never_cut_off(tmp_path: Path, mode: str, suffix: str | None) -> None:
    """Pillow's own conversion makes everything above 255 white."""
    kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    levels = RNG.integers(0, 256, (16, 16))
    within = levels.astype(kind) if mode != "F" else (levels / 255).astype(kind)
    beyond = (levels * 257).astype(kind)
    given = []
    for name, array in (("within", within), ("beyond", beyond)):
        picture = Image.fromarray(array)
        assert picture.mode == mode
        path = tmp_path / f"{name}.{suffix}"
        if suffix:
            picture.save(path)
        given.append(path if suffix else picture)
    assert torch.equal(GREY(given[0]), GREY(levels.astype(np.uint8)))
    with pytest.raises(DataError, match=r"must lie in 0\.\."):
        GREY(given[1])
