"""BatchCursor: put down and taken up anywhere, for our loaders and for anybody's."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from naslib.data import DatasetInfo, ImageData, build_search_loaders
from naslib.errors import CheckpointError, DataError
from naslib.training.loaders import BatchCursor, image_shape, move_batches

CPU = torch.device("cpu")


class Noisy(Dataset):
    """Images with a transform that draws from all three generators."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int):
        noise = random.random() + np.random.rand() + float(torch.rand(()))
        return torch.full((1, 2, 2), index + noise), index


def _user_loader(kind: str):
    generator = torch.Generator().manual_seed(5) if kind == "generator" else None
    return DataLoader(Noisy(), batch_size=3, shuffle=True, generator=generator)


def _seeded_loader():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (40, 8, 8), dtype=np.uint8), np.arange(40) % 4
    data = ImageData.from_arrays("toy", images, labels)
    return build_search_loaders(data, batch_size=5, train_portion=0.5, seed=3)


def _run(cursor: BatchCursor, steps: int) -> list[torch.Tensor]:
    """Cycle through batches, drawing numbers in between as a training does."""
    found = []
    for _ in range(steps):
        x, _ = cursor.next_cycling()
        torch.rand(3), random.random(), np.random.rand()
        found.append(x.clone())
    return found


@pytest.mark.parametrize("kind", ["global", "generator"])
@pytest.mark.parametrize("stop", [0, 1, 4, 6, 7])
def test_user_loader_goes_on_bit_for_bit(kind, stop):
    from naslib.utils.seeding import rng_restore, rng_snapshot, set_seed

    set_seed(11)
    whole = _run(BatchCursor(_user_loader(kind), CPU), 11)

    set_seed(11)
    cursor = BatchCursor(_user_loader(kind), CPU)
    first = _run(cursor, stop)
    state, random_state = cursor.state_dict(), rng_snapshot()
    set_seed(99)  # another process
    resumed = BatchCursor(_user_loader(kind), CPU)
    resumed.load_state_dict(state)
    rng_restore(random_state)
    rest = _run(resumed, 11 - stop)
    assert all(torch.equal(a, b) for a, b in zip(whole, first + rest, strict=True))


@pytest.mark.parametrize("stop", [0, 2, 4, 5])
def test_our_loader_goes_on_bit_for_bit(stop):
    whole = _run(BatchCursor(_seeded_loader().train, CPU), 9)
    cursor = BatchCursor(_seeded_loader().train, CPU)
    _run(cursor, stop)
    resumed = BatchCursor(_seeded_loader().train, CPU)
    resumed.load_state_dict(cursor.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(whole[stop:], _run(resumed, 9 - stop), strict=True))
    assert resumed.state_dict()["replay"] is None


def test_iterators_persist_within_an_epoch():
    class Counting:
        def __init__(self):
            self.opened = 0

        def __iter__(self):
            self.opened += 1
            return iter([(torch.zeros(1, 1), torch.zeros(1))] * 4)

    loader = Counting()
    _run(BatchCursor(loader, CPU), 9)
    assert loader.opened == 3


def test_epochs_of_the_validation_part_are_counted_separately():
    cursor = BatchCursor(_seeded_loader().valid, CPU, name="validation")
    _run(cursor, len(_seeded_loader().valid) + 1)
    assert (cursor.epoch, cursor.position) == (1, 1)


def test_empty_loaders():
    with pytest.raises(DataError, match="validation loader has no batches"):
        BatchCursor([], CPU, name="validation").next_cycling()
    with pytest.raises(DataError):
        image_shape([])
    generator = (batch for batch in [(torch.zeros(1, 1), torch.zeros(1))])
    cursor = BatchCursor(generator, CPU)
    cursor.next_cycling()
    with pytest.raises(DataError):
        cursor.next_cycling()


def test_a_shrunken_loader_is_an_error():
    cursor = BatchCursor([(torch.zeros(1, 1), torch.zeros(1))] * 5, CPU)
    _run(cursor, 4)
    other = BatchCursor([(torch.zeros(1, 1), torch.zeros(1))] * 2, CPU)
    other.load_state_dict(cursor.state_dict())
    with pytest.raises(CheckpointError, match="ended after 2 batches"):
        other.next_in_epoch()


def test_channels_last_and_shapes():
    loader = [(torch.zeros(2, 3, 4, 4), torch.zeros(2)), (torch.zeros(2, 3), torch.zeros(2))]
    batches = list(move_batches(loader, CPU, channels_last=True))
    assert batches[0][0].is_contiguous(memory_format=torch.channels_last) and len(batches) == 2
    assert image_shape(loader) == (3, 4, 4)
    assert image_shape(_seeded_loader().train) == (1, 8, 8)
    assert isinstance(_seeded_loader().train.info, DatasetInfo)
