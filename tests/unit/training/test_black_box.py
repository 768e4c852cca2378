"""Black-box searches through the Trainer: records, speed, resumption, queries."""

from __future__ import annotations

import itertools
import json
import logging
import signal
from types import SimpleNamespace

import pytest
from call_count import count_calls
from training_runs import config_for, differences, load, small_trainer

from naslib.defaults.trainer import Trainer
from naslib.errors import SearchInterrupted
from naslib.optimizers.core.metaclasses import MetaOptimizer
from naslib.optimizers.discrete import RandomSearch, RegularizedEvolution
from naslib.search_spaces import NasBench201SearchSpace
from naslib.training.checkpoint import get_last_checkpoint
from naslib.utils.seeding import set_seed


class _State:
    def __init__(self):
        self.value = 0.0

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


class Stub(MetaOptimizer):
    """A black box that costs nothing."""

    using_step_function = False

    def __init__(self):
        super().__init__()
        self.state, self.at, self.reports = _State(), None, []

    def adapt_search_space(self, search_space, dataset=None, scope=None, dataset_api=None, **kwargs):
        """Do nothing."""

    def get_final_architecture(self):
        raise NotImplementedError

    def get_checkpointables(self):
        return {"model": self.state}

    def new_epoch(self, epoch):
        self.state.value += 0.5
        if epoch == self.at:
            signal.raise_signal(signal.SIGTERM)

    def train_statistics(self, report_incumbent=True):
        self.reports = [report_incumbent]
        return self.state.value, self.state.value + 1, float("nan"), 2.0

    def test_statistics(self):
        return None


def _trainer(folder, **search):
    return Trainer(Stub(), config_for(folder, **search))


def test_records(tmp_path):
    trainer = _trainer(tmp_path, epochs=4)
    trainer.search(report_incumbent=False)
    content = json.loads((tmp_path / "errors.json").read_text())
    assert content["train_acc"] == [0.5, 1.0, 1.5, 2.0] and content["valid_acc"] == [1.5, 2.0, 2.5, 3.0]
    assert content["test_acc"] == content["train_loss"] == content["arch_eval"] == [None] * 4
    assert content["train_time"] == [2.0] * 4 and len(content["runtime"]) == 4
    assert trainer.optimizer.reports == [False]
    assert load(tmp_path / "search" / "model_final.pth")["model"] == {"value": 2.0}


def test_overhead_is_some_calls_per_evaluation_and_none_that_grow(tmp_path, monkeypatch):
    """A search on a table is to cost its evaluations; 20,000 of them a second are measured by the benchmarks."""
    # what is done every second, and checkpoints while time allows, are not counted
    monkeypatch.setattr("naslib.training.search_loop.time", SimpleNamespace(perf_counter=lambda: 0.0))
    counts = []
    for epochs in (1000, 2000, 3000):
        trainer = _trainer(tmp_path / str(epochs), epochs=epochs, checkpoint_freq=10**9)
        counts.append(count_calls(trainer.search))
    per_evaluation = [(after - before) / 1000 for before, after in itertools.pairwise(counts)]
    assert per_evaluation[0] < 120
    assert per_evaluation[1] == pytest.approx(per_evaluation[0], rel=0.2)


def test_a_signal_between_evaluations(tmp_path):
    trainer = _trainer(tmp_path, epochs=50, checkpoint_freq=1000)
    trainer.optimizer.at = 30
    with pytest.raises(SearchInterrupted):
        trainer.search()
    other = _trainer(tmp_path, epochs=50, checkpoint_freq=1000)
    other.search(resume_from=get_last_checkpoint(other.config))
    assert len(other.search_trajectory.train_acc) == 50 and other.search_trajectory.train_acc[-1] == 25.0


def test_evaluations_are_not_called_epochs(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("naslib.utils.bar._LINE_SECONDS", 0.0)
    trainer = _trainer(tmp_path, epochs=7, checkpoint_freq=1)
    with caplog.at_level(logging.INFO, "naslib"):
        trainer.search()
        longer = _trainer(tmp_path, epochs=9)
        longer.search(resume_from=get_last_checkpoint(longer.config))
    assert "searched 7 evaluations in" in caplog.text and "searched 9 evaluations in" in caplog.text
    assert "model_final.pth: 7 evaluations are done" in caplog.text
    assert "search: evaluation 3/7 (43 %)" in caplog.text
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert len(said) >= 12 and not [line for line in said if "epoch" in line or "architecture" in line]


def test_epochs_are_called_epochs(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "naslib"):
        small_trainer(tmp_path, epochs=2).search()
    assert "searched 2 epochs in" in caplog.text


@pytest.fixture(scope="module")
def table(shared_data):
    from naslib.benchmarks.lookup import get_dataset_api

    return get_dataset_api("nasbench201", "cifar10", shared_data)


def _search(cls, folder, table, epochs, resume=False, seed=1):
    set_seed(seed)
    optimizer = cls(population_size=10, sample_size=3)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), "cifar10", dataset_api=table)
    config = config_for(folder, epochs=epochs, checkpoint_freq=1000)
    config.dataset = "cifar10"
    trainer = Trainer(optimizer, config)
    trainer.search(resume_from=get_last_checkpoint(config) if resume else "")
    return trainer


@pytest.mark.parametrize("cls", [RandomSearch, RegularizedEvolution])
def test_on_the_table(tmp_path, table, cls):
    trainer = _search(cls, tmp_path / "a", table, 200)
    valid = trainer.search_trajectory.valid_acc
    assert valid == sorted(valid) and len(valid) == 200
    assert trainer.search_trajectory.arch_eval == trainer.search_trajectory.test_acc
    assert trainer.evaluate(dataset_api=table) == trainer.search_trajectory.test_acc[-1]
    assert trainer.result.mode == "query" and trainer.result.flops_millions is not None
    assert trainer.search_trajectory["params"] == pytest.approx(trainer.result.params_millions)

    _search(cls, tmp_path / "b", table, 120)
    _search(cls, tmp_path / "b", table, 200, resume=True, seed=9)
    a, b = (load(tmp_path / name / "search" / "model_final.pth") for name in "ab")
    a["run"].pop("settings"), b["run"].pop("settings")
    assert differences(a, b) == []
