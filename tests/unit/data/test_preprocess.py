"""The preprocessing of a served network equals that of the loaders."""

from __future__ import annotations

import json

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
    torch.testing.assert_close(preprocess(tensor)[0], by_tensor(tensor / 255.0), rtol=0, atol=1e-4)


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
