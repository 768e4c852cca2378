"""The same picture as a file, a PIL image, an array or a tensor gives the network the same numbers, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from naslib.data import Preprocess
from naslib.errors import DataError

GREY, COLOUR = (0.4,), (0.4, 0.5, 0.6)


def preprocess(channels, size, **more):
    mean = GREY if channels == 1 else COLOUR
    return Preprocess(mean=mean, std=[0.3] * channels, in_channels=channels, image_size=size, **more)


def levels(*shape, most=256, kind=np.uint8):
    return np.random.default_rng(7).integers(0, most, shape).astype(kind)


def as_tensor(array):
    array = array if array.ndim == 3 else array[:, :, None]
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def same(to_inputs, expected, *others):
    for given in others:
        found = to_inputs(given)
        assert found.dtype == torch.float32 and torch.equal(found, expected), type(given)


@pytest.mark.parametrize("size", [(12, 10), (6, 5), 7], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "P"])
@pytest.mark.parametrize("channels", [1, 3])
def test_eight_bits(tmp_path, mode, channels, size):
    bands = {"L": (), "RGB": (3,), "RGBA": (4,)}.get(mode, ())
    array = levels(12, 10, *bands)
    picture = Image.fromarray(array).convert(mode)
    path = tmp_path / "a.png"
    picture.save(path)
    to_inputs = preprocess(channels, size)
    expected = to_inputs(path)
    same(to_inputs, expected, str(path), picture, [path], (picture,), Image.open(path))
    if mode == "1":
        array = np.asarray(picture)
        same(to_inputs, expected, array)
    if mode in ("L", "RGB", "RGBA"):
        same(to_inputs, expected, array, array[None, :, :, None] if array.ndim == 2 else array[None], [array])
        same(to_inputs, expected, array / 255, (array / 255).astype(np.float32), array.astype(np.int32))
    if mode in ("L", "RGB") and len(bands or (1,)) and (3 if bands else 1) == channels:
        tensor = as_tensor(array)
        same(to_inputs, expected, tensor, tensor[None], tensor / 255, tensor.double() / 255, [tensor], tensor.long())
        mixed = to_inputs([path, picture, array, tensor, str(path), tensor.float() / 255])
        assert torch.equal(mixed, expected.expand(6, -1, -1, -1))


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("most", [65536, 4096])
def test_sixteen_bits(tmp_path, most, ending):
    array = levels(12, 10, most=most, kind=np.uint16)
    path = tmp_path / f"a.{ending}"
    picture = Image.fromarray(array)
    picture.save(path)
    to_inputs = preprocess(1, (12, 10), scale=most - 1)
    expected = ((torch.from_numpy(array.astype(np.float32)) / (most - 1) - 0.4) / 0.3)[None, None]
    found = to_inputs(path)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    tensor = torch.from_numpy(array.astype(np.int32))
    same(to_inputs, found, str(path), picture, array, array.astype(np.int64), tensor, [path], tensor[None])
    assert torch.equal(to_inputs([path, picture, array, tensor]), found.expand(4, -1, -1, -1))


@pytest.mark.parametrize("size", [(12, 10), 5], ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("white", [65535, 4095])
def test_sixteen_bits_of_a_network_of_bytes(tmp_path, white, channels, size):
    array = levels(12, 10, most=white + 1, kind=np.uint16)
    path = tmp_path / "a.png"
    picture = Image.fromarray(array)
    picture.save(path)
    to_inputs = preprocess(channels, size, deep=white)
    as_bytes = np.rint(array.astype(np.float64) * 255 / white).astype(np.uint8)
    expected = to_inputs(as_bytes)
    same(to_inputs, expected, path, picture, array, [array])
    if channels == 1:
        same(to_inputs, expected, torch.from_numpy(array))
    with pytest.raises(DataError, match=r"an array of uint16 must lie in 0\.\.4095, found"):
        preprocess(channels, size, deep=4095)(np.full((12, 10), 5000, np.uint16))


def test_a_picture_turned_by_its_orientation(tmp_path):
    array = levels(6, 8, 3)
    picture = Image.fromarray(array)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned clockwise
    for name in ("a.png", "b.tif"):
        path = tmp_path / name
        picture.save(path, exif=exif if name == "b.tif" else exif.tobytes())
        to_inputs = preprocess(3, (8, 6))
        same(to_inputs, to_inputs(np.ascontiguousarray(np.rot90(array, -1))), path, Image.open(path))


def test_resized_bytes_are_what_pillow_makes_of_them():
    array = levels(20, 30, 3)
    found = preprocess(3, 10)(array)
    picture = Image.fromarray(array).resize((15, 10), Image.Resampling.BILINEAR).crop((2, 0, 12, 10))
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].double() / 255
    expected = (pixels - torch.tensor(COLOUR, dtype=torch.float64)[:, None, None]) / 0.3
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-5)


def test_other_floats_are_resized_as_they_are():
    values = torch.linspace(0, 1, 20 * 20).view(1, 1, 20, 20)
    found = preprocess(1, 10)(values)
    expected = torch.nn.functional.interpolate(values, size=10, mode="bilinear", antialias=True, align_corners=False)
    torch.testing.assert_close(found, (expected - 0.4) / 0.3, rtol=0, atol=1e-5)
