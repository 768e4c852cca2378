"""Trainer.search: history, checkpoints, resumption, interruptions, bad losses."""

from __future__ import annotations

import json
import logging
import os
import signal

import pytest
import torch
from torch.utils.data import DataLoader
from training_runs import differences, load, loaders, small_trainer, tensors

from naslib.errors import CheckpointError, DataError, NonFiniteLossError, SearchInterrupted
from naslib.optimizers import DARTSOptimizer, GDASOptimizer
from naslib.training.checkpoint import get_last_checkpoint


class Stop(Exception):
    """Raised by tests to end a search like a crash."""


class CountingDARTS(DARTSOptimizer):
    """DARTS that can fail, get a signal, or lose its loss at a step; and remembers what it was fed."""

    def __init__(self, **kwargs):
        super().__init__(learning_rate=0.1, arch_learning_rate=0.05, **kwargs)
        self.steps, self.fed, self.epochs_begun = 0, [], []
        self.at, self.action = None, None

    def new_epoch(self, epoch):
        super().new_epoch(epoch)
        self.epochs_begun.append(epoch)

    def step(self, data_train, data_val):
        self.fed.append((data_train[0].clone(), data_val[0].clone()))
        result = super().step(data_train, data_val)
        self.steps += 1
        if self.steps == self.at:
            if self.action == "crash":
                raise Stop
            if self.action == "nan":
                return (*result[:2], result[2] * float("nan"), result[3])
            if self.action == "nan weights":
                next(self.graph.parameters()).data.fill_(float("nan"))
            else:
                os.kill(os.getpid(), self.action)
        return result


def stopping(at, action):
    optimizer = CountingDARTS()
    optimizer.at, optimizer.action = at, action
    return optimizer


def final(folder):
    return load(folder / "search" / "model_final.pth")


def test_history_and_files(tmp_path):
    trainer = small_trainer(tmp_path)
    begun = []
    trainer.search(after_epoch=begun.append)
    content = json.loads((tmp_path / "errors.json").read_text())
    assert begun == [0, 1, 2]
    assert [len(content[key]) for key in ("train_acc", "valid_loss", "runtime", "test_acc")] == [3, 3, 3, 3]
    assert content["test_acc"] == [None] * 3 and content["arch_eval"] == [None] * 3
    assert content["train_loss"][2] < content["train_loss"][0]
    assert content["params"] == pytest.approx(trainer.optimizer.get_model_size())
    names = sorted(path.name for path in (tmp_path / "search").iterdir())
    assert names == ["last_checkpoint", *(f"model_{e:07d}.pth" for e in range(3)), "model_final.pth"]
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert environment["torch"] == torch.__version__.split("+")[0] or environment["torch"] == torch.__version__
    assert environment["threads"] == 1 and environment["seed"] == 99
    weights = load(tmp_path / "arch_weights.pt")
    alphas = list(trainer.optimizer.architectural_weights)
    assert [tuple(series.shape) for series in weights["series"]] == [(4, 3)] * 3
    assert all(torch.equal(series[-1], alpha.detach()) for series, alpha in zip(weights["series"], alphas, strict=True))
    rows = json.loads((tmp_path / "arch_weights.json").read_text())
    assert [row["edge"] for row in rows] == [[1, 2], [1, 3], [2, 3]] and rows[0]["graph"] == "cell"


def test_accuracy_is_that_of_what_the_optimizer_returned(tmp_path):
    seen = []

    class Recording(DARTSOptimizer):
        def step(self, data_train, data_val):
            result = super().step(data_train, data_val)
            seen.append((result[0].argmax(1) == data_train[1]).sum().item())
            return result

    trainer = small_trainer(tmp_path, optimizer=Recording(), epochs=1)
    trainer.search()
    assert trainer.search_trajectory.train_acc == [pytest.approx(100 * sum(seen) / 40)]


def test_lightweight_output(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.lightweight_output = True
    trainer.search()
    config, light = json.loads((tmp_path / "errors.json").read_text())
    assert config["search"]["epochs"] == 1 and "valid_acc" in light and "valid_loss" not in light


def test_without_a_validation_part(tmp_path):
    optimizer = CountingDARTS()
    trainer = small_trainer(tmp_path, optimizer=optimizer, own={**loaders(), "valid_loader": None}, epochs=2)
    trainer.search()
    assert all(torch.equal(train, valid) for train, valid in optimizer.fed)
    assert trainer.search_trajectory.valid_acc == [None, None] == trainer.search_trajectory.valid_loss
    assert all(value is not None for value in trainer.search_trajectory.train_acc)


def test_validation_cycles_with_its_own_epochs(tmp_path):
    optimizer = CountingDARTS()
    own = {**loaders(shuffle=False), "valid_loader": DataLoader(tensors(24, 1), batch_size=8)}
    small_trainer(tmp_path, optimizer=optimizer, own=own, epochs=2).search()
    fed = [valid for _, valid in optimizer.fed]
    assert len(fed) == 10 and all(torch.equal(fed[i], fed[i - 3]) for i in range(3, 10))


def test_valid_loader_without_train_loader(tmp_path):
    with pytest.raises(DataError, match="train_loader"):
        small_trainer(tmp_path, own={"valid_loader": []})


def test_scheduler_reaches_the_minimum(tmp_path):
    trainer = small_trainer(tmp_path, epochs=4, learning_rate_min=0.01)
    rates = []
    trainer.search(after_epoch=lambda epoch: rates.append(trainer.optimizer.op_optimizer.param_groups[0]["lr"]))
    assert rates[-1] == pytest.approx(0.01) and rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("at", [3, 4, 5, 6, 7, 13])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, at):
    small_trainer(tmp_path / "a", optimizer=CountingDARTS(), checkpoint_steps=2).search()
    with pytest.raises(Stop):
        small_trainer(tmp_path / "b", optimizer=stopping(at, "crash"), checkpoint_steps=2).search()
    trainer = small_trainer(tmp_path / "b", optimizer=CountingDARTS(), seed=123, checkpoint_steps=2)
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    assert differences(final(tmp_path / "a"), final(tmp_path / "b")) == []
    a, b = load(tmp_path / "a" / "arch_weights.pt"), load(tmp_path / "b" / "arch_weights.pt")
    assert differences(a, b) == []


def test_gdas_resumes_its_samples_and_temperature(tmp_path):
    def make():
        return GDASOptimizer(epochs=3, learning_rate=0.1, arch_learning_rate=0.05)

    small_trainer(tmp_path / "a", optimizer=make()).search()

    def stop(epoch):
        if epoch == 1:
            raise Stop

    with pytest.raises(Stop):
        small_trainer(tmp_path / "b", optimizer=make()).search(after_epoch=stop)
    trainer = small_trainer(tmp_path / "b", optimizer=make(), seed=5)
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    assert differences(final(tmp_path / "a"), final(tmp_path / "b")) == []


def test_random_draws_of_a_callback_do_not_reach_the_search(tmp_path):
    small_trainer(tmp_path / "a").search()
    small_trainer(tmp_path / "b").search(after_epoch=lambda epoch: torch.rand(10))
    assert differences(final(tmp_path / "a"), final(tmp_path / "b")) == []


def test_the_checkpoint_holds_everything(tmp_path):
    trainer = small_trainer(tmp_path, epochs=1)
    trainer.search()
    state = final(tmp_path)
    assert set(state) == {*trainer.optimizer.get_checkpointables(), "scheduler", "iteration", "run"}
    assert state["run"]["epoch"] == 1 and state["run"]["step"] == 0
    assert {"history", "train_batches", "valid_batches", "arch_weights"} <= set(state["run"]["parts"])
    assert {"rng", "fingerprint", "environment", "settings"} <= set(state["run"])
    alphas = list(trainer.optimizer.architectural_weights)
    saved = list(state["architectural_weights"].values())
    assert len(alphas) == len(saved) and all(torch.equal(a, b) for a, b in zip(alphas, saved, strict=True))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", [3, 5, 15])
def test_a_signal_finishes_the_step_and_saves(tmp_path, number, at):
    small_trainer(tmp_path / "a", optimizer=CountingDARTS(), checkpoint_freq=10).search()
    optimizer = stopping(at, number)
    with pytest.raises(SearchInterrupted, match="--resume"):
        small_trainer(tmp_path / "b", optimizer=optimizer, checkpoint_freq=10).search()
    assert optimizer.steps == at
    trainer = small_trainer(tmp_path / "b", optimizer=CountingDARTS(), checkpoint_freq=10)
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    assert trainer.optimizer.steps == 15 - at
    assert differences(final(tmp_path / "a"), final(tmp_path / "b")) == []


def test_a_step_checkpoint_within_an_epoch_begins_that_epoch_once_more(tmp_path):
    with pytest.raises(SearchInterrupted):
        small_trainer(tmp_path, optimizer=stopping(7, signal.SIGTERM)).search()
    trainer = small_trainer(tmp_path, optimizer=CountingDARTS())
    trainer.search(resume_from=get_last_checkpoint(trainer.config))
    assert trainer.optimizer.epochs_begun == [1, 2]


def test_nan_loss_stops_and_keeps_the_last_good_checkpoint(tmp_path):
    with pytest.raises(NonFiniteLossError, match=r"training loss .* epoch 1, step 2 .*model_0000000.pth"):
        small_trainer(tmp_path, optimizer=stopping(8, "nan")).search()
    names = sorted(path.name for path in (tmp_path / "search").iterdir())
    assert names == ["last_checkpoint", "model_0000000.pth"]


def test_nan_weights_are_not_saved(tmp_path):
    with pytest.raises(NonFiniteLossError):
        small_trainer(tmp_path, optimizer=stopping(10, "nan weights")).search()
    assert get_last_checkpoint(small_trainer(tmp_path).config).endswith("model_0000000.pth")


def test_checkpoint_of_another_run(tmp_path):
    small_trainer(tmp_path, epochs=1).search()
    path = tmp_path / "search" / "model_final.pth"
    other = small_trainer(tmp_path / "b", optimizer=GDASOptimizer(epochs=1))
    with pytest.raises(
        CheckpointError, match=r"optimizer is 'DARTSOptimizer' in the checkpoint and 'GDASOptimizer' here"
    ):
        other.search(resume_from=str(path))
    other = small_trainer(tmp_path / "b")
    other.config.dataset = "mnist"
    with pytest.raises(CheckpointError, match="dataset is 'digits' in the checkpoint and 'mnist' here"):
        other.search(resume_from=str(path))


def test_missing_and_unexpected_keys(tmp_path):
    small_trainer(tmp_path, epochs=1).search()
    path = tmp_path / "search" / "model_final.pth"
    state = load(path)
    state["surplus"] = state.pop("arch_optimizer")
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="lacks arch_optimizer and has the unexpected surplus"):
        small_trainer(tmp_path).search(resume_from=str(path))
    state["arch_optimizer"] = state.pop("surplus")
    name = next(iter(state["model"]))
    del state["model"][name]
    torch.save(state, path)
    with pytest.raises(CheckpointError) as error:
        small_trainer(tmp_path).search(resume_from=str(path))
    assert name in str(error.value)


def test_other_conditions_warn_and_the_run_goes_on(tmp_path, caplog):
    small_trainer(tmp_path / "a", epochs=2).search()
    trainer = small_trainer(tmp_path / "a", epochs=4)
    trainer.config["seed"] = 7
    path = get_last_checkpoint(trainer.config)
    state = load(path)
    state["run"]["environment"]["threads"] = 64
    torch.save(state, path)
    with caplog.at_level(logging.WARNING, "naslib"):
        trainer.search(resume_from=path)
    for text in ("seed: 99 then, 7 now", "epochs: 2 then, 4 now", "threads: 64 then, 1 now"):
        assert text in caplog.text
    assert len(trainer.search_trajectory.train_acc) == 4
    assert trainer.optimizer.op_optimizer.param_groups[0]["lr"] == pytest.approx(0.001)


def test_a_truncated_newest_checkpoint_falls_back(tmp_path, caplog):
    small_trainer(tmp_path / "a").search()
    small_trainer(tmp_path / "b").search()
    path = tmp_path / "b" / "search" / "model_final.pth"
    path.write_bytes(path.read_bytes()[:-100])
    trainer = small_trainer(tmp_path / "b")
    with caplog.at_level(logging.WARNING, "naslib"):
        trainer.search(resume_from=str(path))
    assert "falling back to the previous one" in caplog.text
    assert differences(final(tmp_path / "a"), final(tmp_path / "b")) == []
