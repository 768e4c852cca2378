"""Reduced data sets: stratified, the same in every run, averaged pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from naslib.data.image_data import ImageData, ImageSet
from naslib.data.reduced import reduced
from naslib.errors import ConfigError


def _data() -> ImageData:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (60, 3, 8, 8), dtype=np.uint8)
    y = np.arange(60) % 3
    return ImageData.from_arrays("toy", x, y, x[:12], y[:12])


def test_a_share_is_stratified_and_always_the_same():
    data = _data()
    first, second = reduced(data, train_images=21), reduced(data, train_images=21)
    assert isinstance(first.train, ImageSet) and isinstance(data.train, ImageSet)
    assert torch.equal(first.train.images, second.train.images) and len(first.train) == 21
    assert torch.bincount(first.train.labels).tolist() == [7, 7, 7]
    originals = {bytes(image.numpy().tobytes()) for image in data.train.images}
    assert all(image.numpy().tobytes() in originals for image in first.train.images)
    assert len(first.test) == 12 and first.info == data.info
    assert reduced(data) is data


def test_pixels_are_block_averages():
    data = _data()
    small = reduced(data, image_size=4)
    blocks = data.test.images.double().reshape(12, 3, 4, 2, 4, 2).mean((3, 5))
    assert (small.test.images.double() - blocks).abs().max() <= 0.5
    assert (small.info.image_size, small.info.cutout_max) == (4, 2)
    mean = small.train.images.double().mean((0, 2, 3)) / 255
    torch.testing.assert_close(torch.tensor(small.info.mean, dtype=torch.float64), mean, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("given", "message"), [({"train_images": 61}, "60"), ({"image_size": 9}, "between 1 and 8")])
def test_what_is_not_there_cannot_be_asked_for(given: dict[str, int], message: str):
    with pytest.raises(ConfigError, match=message):
        reduced(_data(), **given)
