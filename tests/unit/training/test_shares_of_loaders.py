"""What is asked of anybody's loader on several ranks; the other ranks are played here."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

from naslib.errors import DataError
from naslib.tasks import Classification, FewShot
from naslib.training import shares
from naslib.training.loaders import BatchCursor
from naslib.training.shares import check_not_shared_out, check_same, count_rows, joins_ranks, ranks_of
from naslib.utils.distributed import LocalRows

DATA = TensorDataset(torch.arange(12.0), torch.arange(12))
BATCH = (torch.ones(4, 2), torch.tensor([0, 1, 2, 3]))


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "is_distributed", lambda: True)


def test_alone_nothing_is_asked() -> None:
    sampler: DistributedSampler[int] = DistributedSampler(DATA, num_replicas=2, rank=0)
    check_not_shared_out(DataLoader(DATA, sampler=sampler), "training")
    check_same(BATCH, "training", 0, 0)
    assert not joins_ranks(Classification()) and not joins_ranks(None)
    assert ranks_of(object(), True) == (0, 1)


def test_a_distributed_sampler_is_refused(two: None) -> None:
    sampler: DistributedSampler[int] = DistributedSampler(DATA, num_replicas=2, rank=0)
    within = DataLoader(DATA, batch_sampler=BatchSampler(sampler, 2, False))
    for loader in (DataLoader(DATA, sampler=sampler), within):
        with pytest.raises(DataError, match="the test loader has a DistributedSampler, which gives each rank other"):
            check_not_shared_out(loader, "test")
    with pytest.raises(DataError, match="DistributedSampler"):
        BatchCursor(within, torch.device("cpu"))
    alone: DistributedSampler[int] = DistributedSampler(DATA, num_replicas=1, rank=0)  # all batches
    for loader in (DataLoader(DATA, sampler=alone), DataLoader(DATA, shuffle=True), [BATCH], None):
        check_not_shared_out(loader, "test")


def test_a_plain_task_and_episodes_see_whole_batches(two: None) -> None:
    assert not joins_ranks(Classification()) and not joins_ranks(FewShot())


@pytest.mark.parametrize(
    "other",
    [
        (BATCH[0], torch.tensor([0, 1, 3, 2])),
        (BATCH[0] + 1e-6, BATCH[1]),
        (BATCH[0][:3], BATCH[1][:3]),
        (BATCH[0].double(), BATCH[1]),
        {"x": BATCH[0]},
    ],
)
def test_batches_are_compared(monkeypatch: pytest.MonkeyPatch, other: object) -> None:
    theirs = shares._checksum(other)
    monkeypatch.setattr(shares, "gather_objects", lambda mine: [mine, mine, theirs])
    with pytest.raises(
        DataError, match=r"batch 7 of epoch 2 \(counted from 0\) of the training loader is another one on"
    ):
        check_same(BATCH, "training", 2, 7)
    same = (BATCH[0].clone(), BATCH[1].clone())
    theirs = shares._checksum(same)
    check_same(BATCH, "training", 2, 7)


def test_rows_are_those_of_all_ranks() -> None:
    assert count_rows(BATCH) == count_rows({"x": BATCH[1]}) == count_rows([[np.zeros((4, 2))]]) == 4
    assert count_rows(LocalRows(BATCH, 9)) == 9 and count_rows(("a", 3)) == count_rows(torch.tensor(1.0)) == 0
