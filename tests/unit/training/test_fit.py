"""A space that was made for other images is refused before the first step, with the words that make it right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from naslib.config.loader import load_config
from naslib.data import load_data
from naslib.defaults.trainer import Trainer
from naslib.errors import ConfigError
from naslib.optimizers import DARTSOptimizer
from naslib.search_spaces import NasBench201SearchSpace
from naslib.training.fit import check_fits


def test_the_trainer_says_how_to_make_the_space(tmp_path: Path) -> None:
    config = load_config({"dataset": "digits", "out_dir": str(tmp_path), "device": "cpu"})
    optimizer = DARTSOptimizer(**config.search)
    optimizer.adapt_search_space(NasBench201SearchSpace(n_classes=4, channels=4, cells_per_stage=1), config.dataset)
    with pytest.raises(ConfigError) as info:
        Trainer(optimizer, config).search()
    assert info.value.problems == [
        "NasBench201SearchSpace takes images of 3 channels, those of 'digits' have 1; make it with in_channels=1",
        "NasBench201SearchSpace has 4 outputs, 'digits' has 10 classes; make it with n_classes=10",
    ]


@pytest.mark.parametrize("space", [SimpleNamespace(), SimpleNamespace(in_channels=1, n_classes=12), None])
def test_what_fits_or_says_nothing_of_its_sizes_is_left_alone(space: object) -> None:
    check_fits(space, load_data("digits").info)


def test_own_batches_say_nothing_of_their_sizes() -> None:
    check_fits(SimpleNamespace(in_channels=3, n_classes=4), None)
