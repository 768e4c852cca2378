"""Images of any size, number of channels and numeric type: the numbers that a network sees, by formula."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import AugmentOptions, BatchLoader, ImageData, ImageSet, Preprocess, load_data
from naslib.data.augment import Augmentation, crop_and_flip, draw
from naslib.data.decode import covering
from naslib.data.loaders import build_search_loaders
from naslib.data.reduced import reduced
from naslib.data.transforms import build_transforms
from naslib.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
LABELS = np.arange(60) % 3
FORMATS = [torch.contiguous_format, torch.channels_last]


def stored(data: ImageData) -> torch.Tensor:
    assert isinstance(data.train, ImageSet)
    return data.train.images


def seen(data: ImageData, memory_format: torch.memory_format = torch.contiguous_format) -> torch.Tensor:
    """Return what a network sees of the test part."""
    assert isinstance(data.test, ImageSet)
    loader = BatchLoader(data.test, data.info, batch_size=50, shuffle=False, memory_format=memory_format)
    return next(iter(loader))[0]


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    ("pixels", "unit"),
    [
        (RNG.integers(0, 256, (60, 2, 16, 24), dtype=np.uint8), 255),
        (RNG.integers(0, 65536, (60, 2, 16, 24), dtype=np.uint16), 65535),
        (RNG.integers(-1000, 3000, (60, 2, 16, 24), dtype=np.int16), 32767),
        (RNG.integers(0, 2**31, (60, 2, 16, 24), dtype=np.int64), 2**63 - 1),
        (RNG.normal(2, 3, (60, 2, 16, 24)).astype(np.float32), 1),
        (RNG.random((60, 2, 16, 24)).astype(np.float16), 1),
        (RNG.random((60, 2, 16, 24)), 1),
        (RNG.random((60, 2, 16, 24)) < 0.3, 1),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, np.ndarray) else "",
)
def test_every_numeric_type_is_scaled_as_stated(
    pixels: np.ndarray, unit: float, memory_format: torch.memory_format
) -> None:
    data = ImageData.from_arrays("own", pixels[:40], LABELS[:40], pixels[40:], LABELS[40:])
    values = pixels.astype(np.float64) / unit
    mean, std = values[:40].mean((0, 2, 3), keepdims=True), values[:40].std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(data.info.mean, mean.ravel(), rtol=1e-6)
    np.testing.assert_allclose(data.info.std, std.ravel(), rtol=1e-6)
    expected = torch.from_numpy((values[40:] - mean) / std).float()
    torch.testing.assert_close(seen(data, memory_format).contiguous(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(Preprocess.from_info(data.info)(pixels[40:]), expected, rtol=1e-5, atol=1e-5)


def test_a_scale_of_ones_own_is_stated_in_the_description_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    x = RNG.integers(0, 4096, (60, 1, 16, 24), dtype=np.uint16)
    with caplog.at_level(logging.INFO, "naslib.data"):
        data = ImageData.from_arrays("twelve bits", x, LABELS, scale=4095)
    assert data.info.scale == 4095 and "uint16 are divided by 4095" in caplog.text
    assert abs(data.info.mean[0] - 0.5) < 0.02
    again = Preprocess.from_dict(Preprocess.from_info(data.info).to_dict())
    assert isinstance(data.test, ImageSet)
    torch.testing.assert_close(again(data.test.images.to(torch.float64)), seen(data), rtol=0, atol=1e-5)
    with caplog.at_level(logging.INFO, "naslib.data"):
        ImageData.from_arrays("floats", RNG.normal(size=(60, 8, 8)), LABELS)
    assert "float64 are taken as they are" in caplog.text


def test_grey_levels_as_floats_are_kept_as_bytes_without_loss() -> None:
    x = RNG.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)
    assert stored(ImageData.from_arrays("own", x / 255.0, LABELS)).dtype == torch.uint8
    # one part that is none makes floats of both
    data = ImageData.from_arrays("own", x[:40] / 255.0, LABELS[:40], x[40:] / 254.0, LABELS[40:])
    assert stored(data).dtype == torch.float32 and data.info.scale == 1


def test_parts_of_different_types_need_a_scale() -> None:
    x = RNG.integers(0, 4096, (60, 8, 8), dtype=np.uint16)
    with pytest.raises(DataError, match=r"x_train' uint16.*|different types.*scale="):
        ImageData.from_arrays("own", x, LABELS, x / 7.0, LABELS)
    data = ImageData.from_arrays("own", x, LABELS, x.astype(np.float32), LABELS, scale=4095)
    assert data.info.scale == 4095
    for scale in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(DataError, match="scale must be a positive number"):
            ImageData.from_arrays("own", x, LABELS, scale=scale)


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((60, 16, 24), None, (1, 16, 24)),
        ((60, 16, 24, 3), None, (3, 16, 24)),
        ((60, 3, 16, 24), None, (3, 16, 24)),
        ((60, 1, 5, 40), None, (1, 5, 40)),
        ((60, 4, 16, 24), None, (4, 16, 24)),
        ((60, 16, 24, 5), None, (5, 16, 24)),
        ((60, 12, 24, 12), None, (12, 24, 12)),
        ((60, 12, 24, 12), "nhwc", (12, 12, 24)),
        ((60, 16, 24, 3), "nchw", (16, 24, 3)),
    ],
)
def test_channels_are_found_or_said(shape: tuple[int, ...], layout: str | None, expected: tuple[int, ...]) -> None:
    data = ImageData.from_arrays("own", np.zeros(shape, np.uint8), LABELS, layout=layout)  # type: ignore[arg-type]
    assert data.info.input_shape == expected == tuple(stored(data).shape[1:])


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(DataError, match="layout must be 'nchw' or 'nhwc', got 'chw'"):
        ImageData.from_arrays("own", np.zeros((60, 3, 8, 8)), LABELS, layout="chw")  # type: ignore[arg-type]


def test_sizes_that_depend_on_the_side_take_the_shorter_one() -> None:
    info = ImageData.from_arrays("wide", np.zeros((60, 16, 24), np.uint8), LABELS).info
    assert (info.image_size, info.height, info.width) == ((16, 24), 16, 24)
    assert (info.crop_padding, info.cutout_max, info.resize) == (2, 8, 16)
    assert type(info).from_dict(info.to_dict()) == info
    assert AugmentOptions(cutout=True, cutout_length=15).resolve(info).cutout_length == 15
    with pytest.raises(ConfigError, match="would erase the 16x24 images"):
        AugmentOptions(cutout=True, cutout_length=16).resolve(info)
    assert info.describe() == "wide: 3 classes, images 1x16x24"


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.float32])
def test_crops_and_flips_of_wide_images_equal_slices(channels_last: bool, dtype: torch.dtype) -> None:
    raw = torch.from_numpy(RNG.integers(0, 256, (50, 2, 5, 9))).to(dtype)
    draws = draw(Augmentation(2, True), (5, 9), 50, torch.device("cpu"), 0)
    given = raw.permute(0, 2, 3, 1).contiguous() if channels_last else raw
    found = crop_and_flip(given, draws, 2, channels_last)
    found = found.permute(0, 3, 1, 2) if channels_last else found
    padded = np.pad(raw.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)))
    for index in range(50):
        top, left, flip = (int(row[index]) for row in (draws.top, draws.left, draws.flip))
        crop = padded[index, :, top : top + 5, left : left + 9]
        np.testing.assert_array_equal(found[index].numpy(), crop[:, :, ::-1] if flip else crop)
    assert set(draws.top.tolist()) == set(draws.left.tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("memory_format", FORMATS)
def test_cutout_reaches_every_place_of_a_wide_image(memory_format: torch.memory_format) -> None:
    data = ImageData.from_arrays("wide", RNG.integers(1, 256, (600, 4, 11), dtype=np.uint8), np.arange(600) % 2)
    assert isinstance(data.train, ImageSet)
    options = {"batch_size": 480, "augmentation": Augmentation(cutout_length=2), "memory_format": memory_format}
    images, _ = next(iter(BatchLoader(data.train, data.info, **options)))  # type: ignore[arg-type]
    plain, _ = next(iter(BatchLoader(data.train, data.info, **{**options, "augmentation": None})))  # type: ignore[arg-type]
    cut = (images != plain) | (images == 0)
    assert (images[~cut] == plain[~cut]).all()
    covered = cut[:, 0].sum(0)
    assert covered.shape == (4, 11) and (covered > 0).all()
    assert cut[:, 0].sum((1, 2)).max() == 4 and cut[:, 0].sum((1, 2)).min() >= 1


def test_per_image_transforms_of_wide_images() -> None:
    data = ImageData.from_arrays("wide", RNG.integers(0, 256, (60, 3, 12, 20), dtype=np.uint8), LABELS)
    assert isinstance(data.test, ImageSet)
    picture = Image.fromarray(data.test.images[0].permute(1, 2, 0).numpy())
    train, valid = build_transforms(data.info, AugmentOptions(cutout=True))
    torch.testing.assert_close(valid(picture), seen(data)[0], rtol=0, atol=1e-5)
    assert train(picture).shape == (3, 12, 20)


@pytest.mark.parametrize(
    ("given", "resize", "size", "expected"),
    [
        ((100, 120), 32, 32, (32, 38)),
        ((120, 100), 32, 32, (38, 32)),
        ((16, 24), 16, (16, 24), (16, 24)),
        ((100, 100), 16, (16, 24), (24, 24)),
        ((100, 300), 16, (16, 24), (16, 48)),
        ((300, 100), 18, (16, 24), (81, 27)),
    ],
)
def test_pictures_of_another_size_cover_the_box(
    given: tuple[int, int], resize: int, size: int | tuple[int, int], expected: tuple[int, int]
) -> None:
    assert covering(given, resize, size) == expected


def test_preprocess_of_pictures_and_arrays_agree_on_wide_images() -> None:
    preprocess = Preprocess(mean=[0.5], std=[0.25], in_channels=1, image_size=(8, 12))
    smooth = np.linspace(0, 255, 16)[:, None] * np.linspace(0.2, 1, 40)[None]
    levels = smooth.astype(np.uint8)
    by_picture, by_array = preprocess(Image.fromarray(levels)), preprocess(levels)
    assert by_picture.shape == by_array.shape == (1, 1, 8, 12)
    assert (by_picture - by_array).abs().max() < 2 / 255 / 0.25


def test_sixteen_bit_pictures_of_a_sixteen_bit_network(tmp_path: Path) -> None:
    x = RNG.integers(0, 65536, (60, 16, 24), dtype=np.uint16)
    data = ImageData.from_arrays("deep", x, LABELS)
    preprocess = Preprocess.from_info(data.info)
    Image.fromarray(x[0]).save(tmp_path / "a.png")
    for given in (Image.fromarray(x[0]), tmp_path / "a.png", x[0], x[0].astype(np.float64), torch.from_numpy(x[:1])):
        expected = (x[0] / 65535 - data.info.mean[0]) / data.info.std[0]
        torch.testing.assert_close(preprocess(given)[0, 0], torch.from_numpy(expected).float(), rtol=0, atol=1e-4)
    with pytest.raises(DataError, match="must be finite"):
        preprocess(np.full((16, 24), np.nan))


def test_many_channels_are_read_in_both_layouts_and_never_as_pictures() -> None:
    preprocess = Preprocess(mean=[0.5] * 5, std=[0.25] * 5, in_channels=5, image_size=(6, 7))
    x = RNG.integers(0, 256, (3, 5, 6, 7), dtype=np.uint8)
    expected = (torch.from_numpy(x) / 255 - 0.5) / 0.25
    for given in (x, x.transpose(0, 2, 3, 1), torch.from_numpy(x), list(x)):
        torch.testing.assert_close(preprocess(given), expected, rtol=0, atol=1e-5)
    with pytest.raises(DataError, match="the network sees 5: give arrays"):
        preprocess(Image.new("RGB", (7, 6)))
    with pytest.raises(DataError, match="with the network's 5 channels"):
        preprocess(x[:, :4])


def test_npz_of_wide_sixteen_bit_images(tmp_path: Path) -> None:
    x = RNG.integers(0, 65536, (60, 6, 9, 4), dtype=np.uint16)
    np.savez(tmp_path / "deep.npz", x=x, y=LABELS)
    data = load_data(str(tmp_path / "deep.npz"), scale=1000)
    assert data.info.input_shape == (4, 6, 9) and data.info.scale == 1000
    np.testing.assert_allclose(data.info.mean, stored(data).double().mean((0, 2, 3)) / 1000, rtol=1e-9)


def test_folder_of_wide_images(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "p" / name).mkdir(parents=True)
        for number in range(10):
            pixels = RNG.integers(0, 256, (16, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "p" / name / f"{number}.png")
    data = load_data(str(tmp_path / "p"))
    assert data.info.image_size == (16, 24) and stored(data).shape == (16, 3, 16, 24)
    first = np.asarray(Image.open(tmp_path / "p" / "a" / "0.png")).transpose(2, 0, 1)
    assert isinstance(data.test, ImageSet)
    assert any(np.array_equal(first, image) for image in [*stored(data).numpy(), *data.test.images.numpy()])
    for in_memory in (True, False):
        small = load_data(str(tmp_path / "p"), image_size=[8, 10], in_memory=in_memory)
        loaders = build_search_loaders(small, batch_size=4, train_portion=0.5, seed=0)
        assert next(iter(loaders.train))[0].shape == (4, 3, 8, 10)
    areas = load_data(str(tmp_path / "p"), image_size=[8, 10], in_memory=False, resized_crop=True)
    assert next(iter(build_search_loaders(areas, batch_size=4, train_portion=0.5, seed=0).train))[0].shape[2:] == (
        8,
        10,
    )
    with pytest.raises(DataError, match="must be a number of pixels, or height and width"):
        load_data(str(tmp_path / "p"), image_size="big")


def test_wide_images_are_averaged_down_and_so_is_what_is_predicted() -> None:
    x = RNG.integers(0, 256, (60, 1, 8, 12), dtype=np.uint8)
    small = reduced(ImageData.from_arrays("wide", x[:40], LABELS[:40], x[40:], LABELS[40:]), image_size=(4, 6))
    blocks = x[40:].reshape(20, 1, 4, 2, 6, 2).mean((3, 5))
    assert isinstance(small.test, ImageSet)
    assert np.abs(small.test.images.numpy() - blocks).max() <= 0.5
    assert small.info.image_size == (4, 6) and small.info.resize == 4
    smooth = np.broadcast_to(np.linspace(0, 255, 12).astype(np.uint8), (1, 8, 12))
    expected = smooth.reshape(4, 2, 6, 2).mean((1, 3)) / 255
    found = Preprocess.from_info(small.info)(smooth[0])[0, 0] * small.info.std[0] + small.info.mean[0]
    np.testing.assert_allclose(found.numpy()[:, 1:-1], expected[:, 1:-1], rtol=0, atol=0.02)
    with pytest.raises(ConfigError, match="between 1 and 8x12"):
        reduced(ImageData.from_arrays("wide", x, LABELS), image_size=(9, 6))


@pytest.mark.parametrize("in_memory", [True, False])
def test_folder_of_sixteen_bit_pictures(tmp_path: Path, in_memory: bool) -> None:
    x = RNG.integers(0, 65536, (20, 6, 9), dtype=np.uint16)
    for index, pixels in enumerate(x):
        folder = tmp_path / "p" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    data = load_data(str(tmp_path / "p"), channels=1, in_memory=in_memory, scale=65535)
    assert load_data(str(tmp_path / "p"), in_memory=in_memory).info == data.info  # which is what is chosen
    loaders = build_search_loaders(data, batch_size=8, train_portion=0.5, seed=0)
    known = {image.tobytes() for image in x}
    for images, _ in loaders.test:
        levels = np.rint((images.double().numpy() * data.info.std[0] + data.info.mean[0]) * 65535)
        assert all(image[0].astype(np.uint16).tobytes() in known for image in levels)
    for bad in ({"channels": 3, "scale": 65535}, {"channels": 1, "scale": -1}):
        with pytest.raises(DataError, match="scale is for grey images"):
            load_data(str(tmp_path / "p"), **bad)
