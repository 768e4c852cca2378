"""ScheduledDropPath: probabilities by step and cell as the published code computes them, and a killed retraining."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import nn

from naslib.build import main
from naslib.errors import ConfigError
from naslib.search_spaces import MnasNetSearchSpace, NasBench301SearchSpace, NASRLCNNSearchSpace
from naslib.search_spaces.core.primitives import DropPath
from naslib.search_spaces.nasnet.network import BlockNetwork
from naslib.search_spaces.nasnet.published import NASNET_A
from naslib.tasks import Classification
from naslib.training.drop_path import DropPathSchedule, cell_depths, check_paths
from naslib.training.evaluate import RetrainSettings, RetrainTask


def nasnet(stem: str = "cifar", drop_path: str = "scheduled") -> BlockNetwork:
    network = BlockNetwork(NASNET_A, n_classes=4, cells_per_stage=1, channels=4, stem=stem, drop_path=drop_path)
    network.parse()
    return network


def by_the_code(version: str, keep: float, cell: int, cells: int, step: int, steps: int) -> float:
    """Return the keep probability, in the order of operations of the published code."""
    if version in ("v2", "v3"):
        keep = 1 - (cell + 1) / cells * (1 - keep)
    if version in ("v1", "v3"):
        keep = 1 - min(1.0, step / steps) * (1 - keep)
    return keep


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
@pytest.mark.parametrize(("stem", "cells"), [("cifar", 5), ("imagenet", 7)])
def test_probabilities_are_those_of_the_published_code(version: str, stem: str, cells: int) -> None:
    network = nasnet(stem)
    schedule = DropPathSchedule(network, version, 0.4, 3, 5)
    placed = [network.nodes[node]["subgraph"] for node in range(4, 4 + cells)]
    for epoch, step in ((0, 0), (0, 4), (1, 0), (2, 3)):
        schedule.begin_epoch(epoch)
        schedule.before_step(step)
        for index, cell in enumerate(placed):
            found = {op.drop_prob for op in cell.modules() if isinstance(op, DropPath)}
            expected = 1 - by_the_code(version, 0.6, index, cells, 5 * epoch + step, 15)
            assert [*found] == [pytest.approx(expected, abs=1e-15)]


def test_the_depths_that_a_network_was_built_with_are_those_of_its_cells() -> None:
    for stem in ("cifar", "imagenet"):
        depths = cell_depths(nasnet(stem))
        assert len(depths) > 20 and all(depth == pytest.approx(path.depth, abs=0) for path, depth in depths.items())


def test_a_network_says_how_it_drops_by_itself() -> None:
    assert DropPathSchedule(nasnet(), "auto", 0.4, 3, 5).version == "v3"
    assert DropPathSchedule(nasnet(), "auto", 0.4, 3, None).version == "epochs"
    assert DropPathSchedule(nasnet(drop_path="uniform"), "auto", 0.4, 3, 5).version == "epochs"
    assert DropPathSchedule(nasnet(drop_path="uniform"), "v3", 0.4, 3, 5).version == "v3"
    by_epochs = nasnet()
    schedule = DropPathSchedule(by_epochs, "epochs", 0.4, 4, 5)
    schedule.begin_epoch(2)
    schedule.before_step(3)
    assert {path.drop_prob for path in cell_depths(by_epochs)} == {
        0.4 * 2 / 4 * path.depth for path in cell_depths(by_epochs)
    }


@pytest.mark.parametrize("make", [lambda: NasBench301SearchSpace(channels=4, cells=4, nodes=2), MnasNetSearchSpace])
def test_other_spaces_that_drop_paths_have_cells_too(make: Any) -> None:
    space = make()
    space.sample_random_architecture(rng=Random(2))
    space.parse()
    network = space.evaluation_network(auxiliary=False)
    depths = cell_depths(network)
    schedule = DropPathSchedule(network, "v3", 0.5, 2, 10)
    schedule.begin_epoch(1)
    schedule.before_step(5)
    assert max(depths.values()) == 1.0 and len(set(depths.values())) >= 2
    for path, depth in depths.items():
        assert path.drop_prob == pytest.approx(0.5 * 0.75 * depth, abs=1e-15)


def test_what_cannot_be_is_said_why(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="not 'v4'; did you mean 'v"):
        DropPathSchedule(nasnet(), "v4", 0.4, 3, 5)
    with pytest.raises(ConfigError, match="does not say how many there are: take epochs or v2"):
        DropPathSchedule(nasnet(), "v3", 0.4, 3, None)
    space = NASRLCNNSearchSpace(min_layers=2, max_layers=2, filters=(4,))
    space.sample_random_architecture(rng=Random(0))
    assert DropPathSchedule(space, "auto", 0.4, 3, 5).version == "epochs"
    words = ["--config", "nas_rl.yaml", "--dry-run", "evaluation.drop_path=v3", "evaluation.drop_path_prob=0.2"]
    assert main(words) != 0
    assert "the networks of NASRLCNNSearchSpace have no path to drop" in capsys.readouterr().err
    check_paths(space, "v3", 0.0)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("evaluation.drop_path=v3", "the networks of MemoryBankSearchSpace have no path to drop"),
        ("evaluation.network_args.norm=wieght", "norm is sandwich or weight, not 'wieght'; did you mean 'weight'"),
    ],
)
def test_what_no_network_of_a_space_takes_is_refused_before_the_search(
    word: str, said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [
        "search_space_args={channels: [4], unit: 2, banks: 2, bank: 1, ops: 1, groups: 1}",
        "search.hyper_growth=1",
    ]
    assert main(["--config", "smash.yaml", "--dry-run", *words, "evaluation.drop_path_prob=0.1", word]) != 0
    assert said in capsys.readouterr().err


def test_a_retraining_follows_the_steps_also_from_the_middle_of_an_epoch(tmp_path: Path) -> None:
    def task_of(network: nn.Module) -> RetrainTask:
        settings = RetrainSettings(epochs=4, drop_path_prob=0.4)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        device = torch.device("cpu")
        return RetrainTask(
            network, optimizer, None, Classification(), None, settings, device, False, None, tmp_path / "h.json", 3
        )

    network = nasnet()
    batch = torch.randn(2, 3, 8, 8), torch.tensor([0, 3])
    task = task_of(network)
    last = max(cell_depths(network), key=lambda path: path.depth)
    seen = []
    for epoch in range(2):
        task.begin_epoch(epoch)
        for step in range(3):
            task.train_step(batch, step)
            seen.append(last.drop_prob)
    assert seen == pytest.approx([0.4 * step / 12 for step in range(6)], abs=1e-15)
    resumed = nasnet()
    again = task_of(resumed)
    again.begin_epoch(1)  # what a checkpoint of the epoch is loaded after
    again.train_step(batch, 2)
    assert max(path.drop_prob for path in cell_depths(resumed)) == pytest.approx(0.4 * 5 / 12, abs=1e-15)
