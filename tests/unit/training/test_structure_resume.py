"""Searches that change the structure of their supernet: resumed at any point they are bitwise the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset
from training_runs import config_for, differences, load, small_trainer

from naslib.defaults.trainer import Trainer
from naslib.errors import CheckpointError
from naslib.optimizers import DARTSOptimizer, DrNASOptimizer
from naslib.search_spaces import NasBench301SearchSpace
from naslib.search_spaces.core.primitives import MixedOp
from naslib.training.pictures import draw_arch_weights
from naslib.utils.seeding import set_seed

STAGES = [{"epochs": 1}, {"epochs": 1, "n_ops": 2}, {"n_ops": 1}]


def _shrinking(**kwargs) -> DrNASOptimizer:
    parts = {"progressive_shrinking": {"stages": STAGES, "warm_up": 0}}
    return DrNASOptimizer(learning_rate=0.1, arch_learning_rate=0.05, parts=parts, **kwargs)


def _trainer(folder: Path, seed: int = 0, **search):
    return small_trainer(folder, seed=seed, optimizer=_shrinking(op_optimizer="SGD"), **search)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A search of 4 epochs that saves within epochs, too."""
    folder = tmp_path_factory.mktemp("straight")
    trainer = _trainer(folder, epochs=4, checkpoint_steps=3)
    trainer.search()
    return folder, trainer


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_resumed_after_any_epoch_it_is_bitwise_the_same(straight, tmp_path, epoch):
    folder, trainer = straight
    path = folder / "search" / f"model_{epoch:07d}.pth"
    assert [len(kept) for kept in load(path)["structure"]["kept"]] == [3 - epoch] * 3
    resumed = _trainer(tmp_path, seed=5, epochs=4, checkpoint_steps=3)
    resumed.search(resume_from=str(path))
    expected, found = (load(place / "search" / "model_final.pth") for place in (folder, tmp_path))
    assert differences(expected, found) == []
    first, second = trainer.optimizer.get_final_architecture(), resumed.optimizer.get_final_architecture()
    assert first.genotype() == second.genotype()
    assert differences(dict(first.state_dict()), dict(second.state_dict())) == []
    assert differences(load(folder / "arch_weights.pt"), load(tmp_path / "arch_weights.pt")) == []


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_stopped_within_an_epoch_it_is_bitwise_the_same(straight, tmp_path, stop):
    class Stop(Exception):
        pass

    def run(trainer, resume_from=""):
        step, epochs, count = trainer.optimizer.step, {"n": 0}, 5 * stop + 4

        def counted(*batches):
            if epochs["n"] == count:
                raise Stop
            epochs["n"] += 1
            return step(*batches)

        trainer.optimizer.step = counted if not resume_from else step
        trainer.search(resume_from=resume_from)

    with pytest.raises(Stop):
        run(_trainer(tmp_path, epochs=4, checkpoint_steps=3))
    path = tmp_path / "search" / f"model_{stop:07d}_step{3:07d}.pth"
    assert [len(kept) for kept in load(path)["structure"]["kept"]] == [max(3 - stop, 1)] * 3
    run(_trainer(tmp_path, seed=8, epochs=4, checkpoint_steps=3), str(path))
    expected, found = (load(place / "search" / "model_final.pth") for place in (straight[0], tmp_path))
    assert differences(expected, found) == []


def _image_trainer(folder: Path, make, seed: int = 0, **search):
    set_seed(seed)
    generator = torch.Generator().manual_seed(3)
    images, labels = torch.randn(12, 3, 8, 8, generator=generator), torch.randint(3, (12,), generator=generator)
    loader = DataLoader(TensorDataset(images, labels), batch_size=6, shuffle=True)
    config = config_for(folder, channels_last=True, **search)
    optimizer = make()
    optimizer.adapt_search_space(NasBench301SearchSpace(n_classes=3, channels=4, cells=2, nodes=1), config.dataset)
    return Trainer(optimizer, config, train_loader=loader, valid_loader=loader, test_loader=loader)


def _widening() -> DrNASOptimizer:
    stages = [{"epochs": 1}, {"epochs": 1, "n_ops": 4, "k": 1}, {"n_ops": 2}]
    parts = {"partial_channels": {"k": 2}, "progressive_shrinking": {"stages": stages, "warm_up": 0}}
    return DrNASOptimizer(learning_rate=0.1, arch_learning_rate=0.05, parts={**parts, "edge_normalization": {}})


@pytest.mark.parametrize("make", [_widening])
def test_a_supernet_of_another_size_is_rebuilt(make, tmp_path):
    trainer = _image_trainer(tmp_path / "a", make)
    trainer.search()
    expected = load(tmp_path / "a" / "search" / "model_final.pth")
    for epoch in (0, 1):
        resumed = _image_trainer(tmp_path / f"b{epoch}", make, seed=4)
        resumed.search(resume_from=str(tmp_path / "a" / "search" / f"model_{epoch:07d}.pth"))
        assert differences(expected, load(tmp_path / f"b{epoch}" / "search" / "model_final.pth")) == []
    # in the same process, back to an earlier structure
    final = trainer.found_architecture(str(tmp_path / "a" / "search" / "model_0000000.pth"))
    assert 0 <= trainer.evaluate(retrain=False, best_arch=final) <= 100


def test_the_found_architecture_is_read_from_any_checkpoint(straight, tmp_path):
    folder, trainer = straight
    expected = trainer.optimizer.get_final_architecture()
    fresh = _trainer(folder, seed=9, epochs=4)
    found = fresh.found_architecture()  # the newest checkpoint in the folder: --eval-only
    assert found.genotype() == expected.genotype()
    assert differences(dict(found.state_dict()), dict(expected.state_dict())) == []
    # back to a checkpoint with more candidates than the supernet has now
    earlier = fresh.found_architecture(str(folder / "search" / "model_0000000.pth"))
    assert [len(data.op.primitives) for data in fresh.optimizer.decisions] == [3, 3, 3]
    assert not any(isinstance(module, MixedOp) for module in earlier.modules())
    assert 0 <= fresh.evaluate_oneshot(str(folder / "search" / "model_0000002.pth")) <= 100
    assert [len(data.op.primitives) for data in fresh.optimizer.decisions] == [1, 1, 1]


def test_a_checkpoint_without_structure_is_refused(straight, tmp_path):
    plain = small_trainer(tmp_path, optimizer=DrNASOptimizer(), epochs=1)
    plain.search()
    with pytest.raises(CheckpointError, match="structure"):
        _trainer(tmp_path, epochs=4).search(resume_from=str(tmp_path / "search" / "model_final.pth"))
    assert "structure" not in DARTSOptimizer.PARTS


def test_the_record_keeps_the_full_width(straight):
    folder, trainer = straight
    record = load(folder / "arch_weights.pt")
    kept = trainer.optimizer.structure.kept
    for series, decision, left in zip(record["series"], record["decisions"], kept, strict=True):
        assert series.shape == (5, 3) and len(decision["ops"]) == 3
        assert series.isfinite().sum(1).tolist() == [3, 3, 2, 1, 1]
        assert torch.nonzero(series[-1].isfinite()).flatten().tolist() == list(left)
    rows = json.loads((folder / "arch_weights.json").read_text())
    assert rows[0]["weights"][-1].count(None) == 2
    assert len(draw_arch_weights(folder)) == 2
