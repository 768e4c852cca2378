"""Loaders of a user's own data."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import Dataset

from naslib.config.loader import load_config
from naslib.errors import DataError
from naslib.utils.custom_dataset import CustomDataset


class Numbers(Dataset[Any]):
    def __init__(self, count: int, transform: Any) -> None:
        self.count = count
        self.transform = transform

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(torch.full((1, 2, 2), float(index))), index % 3


class Mine(CustomDataset):
    sizes = (21, 6)

    def get_transforms(self, config: Any) -> tuple[Any, Any]:
        return (lambda x: x + 1000), (lambda x: x)

    def get_data(self, data: Any, train_transform: Any, valid_transform: Any) -> tuple[Any, Any]:
        return Numbers(self.sizes[0], train_transform), Numbers(self.sizes[1], valid_transform)


def images(loader: Any) -> list[float]:
    return [float(x) for batch, _ in loader for x in batch[:, 0, 0, 0]]


def test_split_is_complete_seeded_and_validation_plain() -> None:
    config = load_config({"search": {"batch_size": 4, "train_portion": 0.6}, "data": "here"})
    data = Mine(config)
    assert (data.data, data.dataset, data.seed) == ("here", "cifar10", 99)
    train, valid, test = data.get_data_loaders()
    assert valid is not None
    seen = [x - 1000 for x in images(train)] + images(valid)
    assert sorted(seen) == list(range(21))
    assert len(images(valid)) == 9
    assert images(test) == list(range(6))
    again = Mine(config).get_loaders()
    assert images(again[0]) != sorted(images(again[0]))
    assert images(again[1]) == images(valid)
    other = Mine(load_config({"search": {"batch_size": 4, "train_portion": 0.6}, "seed": 1})).get_data_loaders()
    assert images(other[1]) != images(valid)


def test_evaluation_mode_has_no_validation_and_drops_a_single_image() -> None:
    train, valid, test = Mine(load_config({"evaluation": {"batch_size": 5}}), mode="val").get_data_loaders()
    assert valid is None
    assert [len(y) for _, y in train] == [5, 5, 5, 5]
    assert [len(y) for _, y in test] == [5, 1]


def test_no_images() -> None:
    class Empty(Mine):
        sizes = (0, 3)

    with pytest.raises(DataError, match="0 training"):
        Empty(load_config(None)).get_loaders()
    Empty.sizes = (9, 3)
    with pytest.raises(DataError, match=r"1 training images \(train_portion 0\.2 of 9\) and 3 test images"):
        Empty(load_config({"search": {"train_portion": 0.2}})).get_loaders()
    Empty.sizes = (9, 0)
    with pytest.raises(DataError, match="0 test images"):
        Empty(load_config(None)).get_loaders()
    with pytest.raises(TypeError):
        CustomDataset(load_config(None))  # type: ignore[abstract]
