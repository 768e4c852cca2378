"""Loaders that yield nothing: an epoch without a step is an error that says what to change, as early as possible."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from training_runs import loaders, small_trainer, tensors

from naslib.data import ImageData
from naslib.data.batch_loader import BatchLoader
from naslib.errors import DataError
from naslib.training.lengths import length_of
from naslib.training.loaders import BatchCursor, move_batches

CPU = torch.device("cpu")


def _batches(n: int = 3):
    return list(DataLoader(tensors(8 * n, 3), batch_size=8))


class Once:
    """A loader that tells no length and has batches in its first epoch only."""

    def __init__(self) -> None:
        self.left = _batches()

    def __iter__(self):
        while self.left:
            yield self.left.pop()


class Nothing:
    def __iter__(self):
        return iter(())


class Stream(IterableDataset):
    """A stream without a length."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self):
        return iter(tensors(self.n, 3))


def _few():
    return DataLoader(tensors(5, 0), batch_size=8, drop_last=True)


def _trainer(folder, **own):
    return small_trainer(folder, own={**loaders(), **own}, epochs=2)


@pytest.mark.parametrize(
    ("part", "make", "said"),
    [
        ("train", list, "training loader has no batches"),
        ("valid", list, "validation loader has no batches"),
        ("test", list, "test loader has no batches"),
        ("train", _few, r"training loader has no batches: its 5 images make no batch of 8, and drop_last=True"),
        ("valid", _few, r"validation loader .* drop_last=False"),
        ("test", _few, r"test loader .* drop_last=False"),
        ("train", lambda: DataLoader(TensorDataset(torch.zeros(0, 6)), batch_size=8), "training .* data set is empty"),
        (
            "train",
            lambda: (batch for batch in _batches()),
            r"is a generator, which can be gone through once .* 2 epochs",
        ),
        ("train", lambda: iter(_batches()), r"is a list_iterator, .* 2 epochs"),
    ],
)
def test_what_is_known_is_said_before_the_first_step(tmp_path, part, make, said):
    trainer = _trainer(tmp_path, **{f"{part}_loader": make()})
    steps = []
    trainer.optimizer.step = lambda *batches: steps.append(batches)
    with pytest.raises(DataError, match=said):
        trainer.search()
    assert not steps and not (tmp_path / "search" / "model_final.pth").exists()
    with pytest.raises(DataError, match=said):
        _trainer(tmp_path / "b", **{f"{part}_loader": make()}).evaluate()
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.parametrize(
    ("part", "make", "said"),
    [
        ("train", Nothing, "the training loader has no batches; give"),
        ("valid", Nothing, "the validation loader has no batches; give"),
        ("train", Once, r"the training loader has no batches in epoch 1 \(counted from 0\)"),
        ("valid", Once, r"the validation loader has no batches in epoch 1 \(counted from 0\)"),
        (
            "valid",
            lambda: (batch for batch in _batches()),
            r"validation .* epoch 1 .* a generator can be gone through once",
        ),
        ("train", lambda: DataLoader(Stream(5), batch_size=8, drop_last=True), "the training loader has no batches"),
    ],
)
def test_what_turns_out_is_no_success(tmp_path, part, make, said):
    trainer = _trainer(tmp_path, **{f"{part}_loader": make()})
    with pytest.raises(DataError, match=said):
        trainer.search()
    assert not (tmp_path / "search" / "model_final.pth").exists()


@pytest.mark.parametrize(
    ("part", "make", "said"),
    [
        ("train", Nothing, "training loader has no batches"),
        ("train", Once, r"training loader has no batches in epoch 1"),
        ("valid", Nothing, "validation loader has no batches"),
        ("test", Nothing, "test loader has no batches"),
    ],
)
def test_retraining_and_testing(tmp_path, part, make, said):
    trainer = _trainer(tmp_path)
    trainer.search()
    trainer._own_loaders = tuple({**loaders(), f"{part}_loader": make()}.values())
    with pytest.raises(DataError, match=said):
        trainer.evaluate()
    assert trainer.result is None


def test_a_generator_is_enough_for_one_epoch(tmp_path):
    trainer = small_trainer(tmp_path, own={**loaders(), "train_loader": (b for b in _batches())}, epochs=1)
    trainer.search()
    assert trainer.search_trajectory.train_acc[0] is not None
    with pytest.raises(DataError, match="can be gone through once"):
        trainer.evaluate()


def test_a_stream_without_a_length_is_searched_on(tmp_path):
    loader = DataLoader(Stream(24), batch_size=8)
    assert length_of(loader) is None and length_of([1]) == 1 and length_of(object()) is None
    trainer = _trainer(tmp_path, train_loader=loader, valid_loader=DataLoader(Stream(16), batch_size=8))
    trainer.search()
    assert len(trainer.search_trajectory.train_loss) == 2


def test_cursors_and_passes():
    with pytest.raises(DataError, match="validation loader has no batches"):
        list(move_batches(Nothing(), CPU, name="validation"))
    cursor = BatchCursor(Nothing(), CPU)
    cursor.begin(0)
    with pytest.raises(DataError, match="training loader has no batches"):
        cursor.next_in_epoch()
    cursor = BatchCursor(_batches(2), CPU)
    cursor.begin(0)
    assert [cursor.next_in_epoch() is None for _ in range(4)] == [False, False, True, True]


def test_our_loaders_say_so_when_they_are_made():
    rng = np.random.default_rng(0)
    data = ImageData.from_arrays("toy", rng.integers(0, 255, (6, 8, 8), dtype=np.uint8), np.arange(6) % 2)
    with pytest.raises(DataError, match=r"one image, and batch normalization .*train_portion"):
        BatchLoader(data.train, data.info, batch_size=5, indices=np.array([2]))
    assert len(BatchLoader(data.train, data.info, batch_size=5, indices=np.array([2]), shuffle=False)) == 1
