"""Loaders that never end: said, and given epochs of a fixed number of batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from training_runs import differences, load, loaders, small_trainer, tensors

from naslib.data import FixedEpochs
from naslib.defaults.trainer import Trainer
from naslib.errors import DataError
from naslib.training.checkpoint import get_last_checkpoint


class Stop(Exception):
    """Ends a search like a crash."""


def _stopping(epoch: int) -> None:
    if epoch == 0:
        raise Stop


def _batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    x, y = tensors(24, 0).tensors
    return list(zip(x.split(8), y.split(8), strict=True))


@pytest.mark.parametrize("name", ["train_loader", "valid_loader", "test_loader"])
def test_a_loader_that_never_ends_is_said_and_has_an_epoch_if_one_is_given(tmp_path: Path, name: str):
    trainer = small_trainer(tmp_path, epochs=2)
    own = loaders()
    own[name] = itertools.cycle(list(own[name]))
    word = {"train_loader": "training", "valid_loader": "validation", "test_loader": "test"}[name]
    with pytest.raises(DataError, match=rf"the {word} loader, an itertools.cycle, never ends.*FixedEpochs"):
        Trainer(trainer.optimizer, trainer.config, **own).search()
    own[name] = FixedEpochs(own[name], 3)
    trainer = Trainer(trainer.optimizer, trainer.config, **own)
    trainer.search()
    assert len(trainer.search_trajectory.train_acc) == 2 and 0 <= trainer.evaluate() <= 100


class Endless:
    """A loader that begins anew and never ends."""

    def __iter__(self) -> Iterator[Any]:
        while True:
            yield from _batches()


def test_fixed_epochs():
    again = FixedEpochs(Endless(), 5)
    first, second = list(again), list(again)
    assert len(again) == len(first) == len(second) == 5
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, second, strict=True))
    going_on = FixedEpochs(itertools.count(), 4)
    assert [list(going_on), list(going_on)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    with pytest.raises(DataError, match="ended after 3 of the 4 batches"):
        list(FixedEpochs(_batches(), 4))
    with pytest.raises(DataError, match="steps=0"):
        FixedEpochs([], 0)


def test_a_resumed_search_on_fixed_epochs_is_the_same(tmp_path: Path):
    own = {**loaders(), "train_loader": FixedEpochs(Endless(), 3)}
    small_trainer(tmp_path / "a", own=own).search()
    with pytest.raises(Stop):
        small_trainer(tmp_path / "b", own=own).search(after_epoch=_stopping)
    trainer = small_trainer(tmp_path / "b", own=own)
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    a, b = (load(tmp_path / name / "search" / "model_final.pth")["model"] for name in "ab")
    assert differences(a, b) == []
