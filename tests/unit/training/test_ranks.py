"""A Trainer of a script's own on two ranks, and what ranks agree on; with real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from rank_runs import Ranks, end, script
from training_runs import load


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    return Ranks(tmp_path_factory.mktemp("ranks"))


def run(ranks: Ranks, case: str, folder: Path, world: int) -> list[int | None]:
    return end(ranks.start([case, str(folder)], world, act=script))


@pytest.mark.parametrize("case", ["seeded apart", pytest.param("shuffled apart", marks=pytest.mark.slow)])
def test_a_script_with_loaders_of_its_own(ranks: Ranks, tmp_path: Path, case: str) -> None:
    """Ranks that seed differently take the state of rank 0, and end as one process does with the same batches."""
    assert run(ranks, case, tmp_path / "two", 2) == [0, 0], ranks.printed(0) + ranks.printed(1)
    shown = ranks.printed(0), ranks.printed(1)
    assert shown[0] == shown[1] and shown[0].startswith("one-shot ")  # what the script prints itself, and no more
    assert run(ranks, case, tmp_path / "one", 1) == [0], ranks.printed(0)
    assert ranks.printed(0) == shown[0]
    first, second = (load(tmp_path / f"rank{rank}-of-2") for rank in (0, 1))
    alone = load(tmp_path / "rank0-of-1")
    assert list(first) == list(second) == list(alone)
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=0, atol=2e-5)  # single precision: sums in another order
    log = (tmp_path / "two" / "log.log").read_text()
    assert "the ranks have built different states for the search: all take that of rank 0" in log
    assert log.count("items/s on 2 ranks") == 3
    one, two = (load(tmp_path / name / "search" / "model_final.pth") for name in ("one", "two"))
    for a, b in zip(one["architectural_weights"].values(), two["architectural_weights"].values(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=2e-5)


@pytest.mark.slow
def test_loaders_that_give_ranks_other_batches_are_named(ranks: Ranks, tmp_path: Path) -> None:
    assert run(ranks, "other data", tmp_path / "a", 2) == [2, 2]
    said = (
        "DataError: batch 0 of epoch 0 (counted from 0) of the training loader is another one on rank 1 than on rank 0."
    )
    assert ranks.printed(0).startswith(said) and ranks.printed(1).startswith(said)
    assert run(ranks, "sampler", tmp_path / "b", 2) == [2, 2]
    assert ranks.printed(0).startswith("DataError: the training loader has a DistributedSampler, which gives each rank")


@pytest.mark.slow
def test_a_rank_that_fails_alone_is_named_by_the_others(ranks: Ranks, tmp_path: Path) -> None:
    assert run(ranks, "breaks on rank 1", tmp_path / "a", 2) == [2, 1]
    said = (
        "RankError: rank 1 has ended with an error: the disk of this machine is gone. No checkpoint was written yet in"
    )
    assert ranks.printed(0).startswith(said)
    assert "OSError: the disk of this machine is gone" in ranks.printed(1)  # the traceback of the script
