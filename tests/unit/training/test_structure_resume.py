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
from naslib.optimizers import DARTSOptimizer, DrNASOptimizer, PDARTSOptimizer
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


class Stop(Exception):
    pass


def _stop_after(trainer: Trainer, steps: int) -> None:
    """Search until a number of steps is done."""
    step, done = trainer.optimizer.step, [0]

    def counted(*batches):
        if done[0] == steps:
            raise Stop
        done[0] += 1
        return step(*batches)

    trainer.optimizer.step = counted
    with pytest.raises(Stop):
        trainer.search()


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_stopped_within_an_epoch_it_is_bitwise_the_same(straight, tmp_path, stop):
    _stop_after(_trainer(tmp_path, epochs=4, checkpoint_steps=3), 5 * stop + 4)
    path = tmp_path / "search" / f"model_{stop:07d}_step{3:07d}.pth"
    assert [len(kept) for kept in load(path)["structure"]["kept"]] == [max(3 - stop, 1)] * 3
    _trainer(tmp_path, seed=8, epochs=4, checkpoint_steps=3).search(resume_from=str(path))
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


def _deepening() -> PDARTSOptimizer:
    dropout = (0.3, 0.4, 0.7)
    return PDARTSOptimizer(epochs=3, added_cells=(0, 1, 2), warm_up_epochs=0, skip_dropout=dropout, learning_rate=0.1)


@pytest.mark.parametrize("make", [_widening, _deepening])
def test_a_supernet_of_another_size_is_rebuilt(make, tmp_path):
    trainer = _image_trainer(tmp_path / "a", make)
    trainer.search()
    expected = load(tmp_path / "a" / "search" / "model_final.pth")
    rates = [load(tmp_path / "a" / "search" / f"model_{e:07d}.pth")["op_optimizer"]["param_groups"] for e in range(3)]
    # after an epoch the rate is that of the next: P-DARTS begins every stage, here of one epoch, at the top
    if isinstance(trainer.optimizer, PDARTSOptimizer):
        assert [groups[0]["lr"] for groups in rates] == pytest.approx([0.1, 0.1, 0.001])
    for epoch in (0, 1):
        resumed = _image_trainer(tmp_path / f"b{epoch}", make, seed=4)
        resumed.search(resume_from=str(tmp_path / "a" / "search" / f"model_{epoch:07d}.pth"))
        assert differences(expected, load(tmp_path / f"b{epoch}" / "search" / "model_final.pth")) == []
    fresh = _image_trainer(tmp_path / "a", make, seed=9).found_architecture()
    assert fresh.genotype() == trainer.optimizer.get_final_architecture().genotype()
    _stop_after(_image_trainer(tmp_path / "c", make, checkpoint_steps=1), 3)  # within the second stage
    resumed = _image_trainer(tmp_path / "c", make, seed=5, checkpoint_steps=1)
    resumed.search(resume_from=str(tmp_path / "c" / "search" / f"model_{1:07d}_step{1:07d}.pth"))
    found = load(tmp_path / "c" / "search" / "model_final.pth")
    assert [d for d in differences(expected, found) if "checkpoint_steps" not in d] == []
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


def _authors_rates(lengths: list[int], rate: float, rate_min: float) -> list[float]:
    """What the authors' script of DrNAS does, with torch's own schedules: per stage a new SGD and a new cosine over all
    epochs, which then loads the state of the old one."""
    rates, schedule = [], None
    for length in lengths:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], rate)
        new = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, float(sum(lengths)), eta_min=rate_min)
        if schedule is not None:
            new.load_state_dict(schedule.state_dict())
        schedule = new
        for _ in range(length):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
    return rates


def _rates(trainer: Trainer, resume_from: str = "") -> list[float]:
    rates: list[float] = []
    begin = trainer.optimizer.new_epoch

    def new_epoch(epoch: int) -> None:
        begin(epoch)
        rates.append(trainer.optimizer.op_optimizer.param_groups[0]["lr"])

    trainer.optimizer.new_epoch = new_epoch  # type: ignore[method-assign]
    trainer.search(resume_from=resume_from)
    return rates


@pytest.mark.parametrize("lengths", [[3, 3], [2, 1, 3]])
@pytest.mark.parametrize("rate_min", [0.0, 0.01])
def test_the_learning_rate_restarts_in_every_stage_as_in_the_authors_script(tmp_path, lengths, rate_min):
    stages = [{"epochs": n} if not index else {"epochs": n, "n_ops": 3 - index} for index, n in enumerate(lengths)]
    parts = {"progressive_shrinking": {"stages": stages, "warm_up": 0}}
    optimizer = DrNASOptimizer(learning_rate=0.1, epochs=6, parts=parts)
    trainer = small_trainer(tmp_path, optimizer=optimizer, epochs=6, learning_rate_min=rate_min)
    rates = _rates(trainer)
    assert rates == pytest.approx(_authors_rates(lengths, 0.1, rate_min), rel=1e-9)
    starts = [sum(lengths[:stage]) for stage in range(len(lengths))]
    assert [rates[start] for start in starts] == pytest.approx([0.1] * len(lengths), rel=1e-12)
    assert optimizer.op_optimizer.param_groups[0]["lr"] == pytest.approx(rate_min, abs=1e-12)  # after the last epoch


def test_a_restarting_schedule_goes_on_under_another_number_of_epochs(tmp_path):
    def trainer(folder: Path, epochs: int) -> Trainer:
        parts = {"progressive_shrinking": {"stages": [{"epochs": 2}, {"n_ops": 2}], "warm_up": 0}}
        optimizer = DrNASOptimizer(learning_rate=0.1, epochs=epochs, parts=parts)
        return small_trainer(folder, optimizer=optimizer, epochs=epochs, learning_rate_min=0.0)

    trainer(tmp_path / "a", 4).search()
    checkpoint = str(tmp_path / "a" / "search" / "model_0000003.pth")
    found = _rates(trainer(tmp_path / "b", 6), checkpoint)
    assert found == pytest.approx(_rates(trainer(tmp_path / "c", 6))[4:], rel=1e-12) and len(found) == 2


def test_without_stages_the_trainer_has_the_schedule():
    assert DrNASOptimizer().build_scheduler(0.0) is None
    parts = {"progressive_shrinking": {"stages": [{"epochs": 5}, {"n_ops": 2}]}}
    assert DrNASOptimizer(epochs=5, parts=parts).build_scheduler(0.0) is None  # the second stage is never reached
