"""NASLib's get_train_val_loaders."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from naslib.data.facade import augment_options, get_train_val_loaders
from naslib.errors import ConfigError


def config(**search: object) -> SimpleNamespace:
    common = {"cutout_length": 16, "cutout_prob": 1.0}
    return SimpleNamespace(
        dataset="digits",
        data=None,
        seed=7,
        search=SimpleNamespace(**{"batch_size": 32, "train_portion": 0.5, "cutout": False, **common, **search}),
        evaluation=SimpleNamespace(batch_size=50, train_portion=1.0, cutout=True, **common),
    )


def test_search_queues() -> None:
    train, valid, test, train_transform, valid_transform = get_train_val_loaders(config())
    assert valid is not None
    assert (train.n_images, valid.n_images, test.n_images) == (719, 719, 359)
    x, y = next(iter(train))
    assert x.shape == (32, 1, 8, 8) and y.shape == (32,)
    picture = Image.new("RGB", (8, 8))
    assert train_transform(picture).shape == (1, 8, 8)
    torch.testing.assert_close(valid_transform(picture), torch.full((1, 8, 8), -train.info.mean[0] / train.info.std[0]))


def test_evaluation_queues_take_what_small_images_allow() -> None:
    train, valid, _, _, _ = get_train_val_loaders(config(), mode="val")
    assert valid is None and train.n_images == 1438 and train.batch_size == 50
    assert train.augmentation is not None and train.augmentation.cutout_length == 4


def test_errors() -> None:
    with pytest.raises(ConfigError, match="unknown mode 'training'"):
        get_train_val_loaders(config(), mode="training")
    with pytest.raises(ConfigError, match="would erase"):
        get_train_val_loaders(config(cutout=True, cutout_length=12))
    assert augment_options(SimpleNamespace()).cutout is False


def test_default_length_that_the_user_gave_is_taken_as_it_is() -> None:
    chosen = config(cutout=True)
    assert get_train_val_loaders(chosen)[0].augmentation is not None
    chosen.given = {"search.cutout_length"}
    with pytest.raises(ConfigError, match="would erase"):
        get_train_val_loaders(chosen)
