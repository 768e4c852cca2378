"""Runs with several tasks: by a table, by training; killed in the middle; and a controller that goes to a new task."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from training_runs import differences
from training_runs import load as load_checkpoint

from benchmarks.bars.p9_discrete import EDGES, OPS
from naslib.build import main, schema_extensions
from naslib.cli.builders import build_trainer
from naslib.config.loader import load_config
from naslib.errors import CheckpointError, ConfigError, TrialFailed
from naslib.evaluators import TableEvaluator, TasksEvaluator, TrainEvaluator
from naslib.evaluators.base import never
from naslib.evaluators.executors import evaluated
from naslib.history import State, Trial, load
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.seeding import set_seed

TASKS = ("cifar10", "cifar100", "ImageNet16-120")
SMALL = {"controller_hidden": 8, "controller_embedding": 4, "task_embedding": 2}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table of random accuracies on three data sets."""
    folder = tmp_path_factory.mktemp("tables")
    ops = np.array(list(np.ndindex((len(OPS),) * len(EDGES))), dtype=np.int8)
    random = np.random.default_rng(0)
    names = [f"{d}_{part}_200" for d in ("c10", "c100", "in16") for part in ("valid", "test")]
    columns: dict[str, Any] = {name: random.uniform(10, 95, len(ops)).astype(np.float32) for name in names}
    np.savez(folder / "nb201.npz", ops=ops, op_names=np.array(OPS), edges=np.array(EDGES), **columns)
    return folder


def config_for(out: Path, data: Path, **search: Any) -> Any:
    raw = {
        "dataset": "cifar10", "search_space": "nasbench201", "optimizer": "transfer_controller", "seed": 3,
        "data": str(data), "out_dir": str(out), "device": "cpu", "evaluation": {"mode": "query"},
        "search": {"epochs": 12, "checkpoint_freq": 4, "tasks": list(TASKS[:2]), **SMALL, **search},
    }  # fmt: skip
    return load_config(raw, extensions=schema_extensions())


class Killed(Exception):
    """What ends a search as if it were killed."""


def searched(config: Any, kill_after: int | None = None, at_the_kill: Callable[[int], None] | None = None) -> Any:
    """Search, and go on after a kill."""
    for attempt in range(1 if kill_after is None else 2):
        config.set_hidden("resume", bool(attempt))
        set_seed(config.seed)
        trainer = build_trainer(config)
        trainer.check_trials()

        def end(epoch: int, dies: bool = kill_after is not None and not attempt) -> None:
            if dies and epoch == kill_after:
                if at_the_kill is not None:
                    at_the_kill(epoch)
                raise Killed

        try:
            trainer.search(after_epoch=end)
        except Killed:
            assert not attempt
    return trainer


def test_a_killed_search_of_two_tasks_ends_as_if_nothing_had_happened(tmp_path: Path, table: Path):
    whole = searched(config_for(tmp_path / "whole", table))
    killed = searched(config_for(tmp_path / "killed", table), kill_after=5)
    trials = [[dataclasses.replace(t, seconds=0.0) for t in load(trainer.folder)] for trainer in (whole, killed)]
    assert trials[0] == trials[1] and [t.task for t in trials[0]] == [*TASKS[:2]] * 6
    states = [load_checkpoint(trainer.folder / "search" / "model_final.pth") for trainer in (whole, killed)]
    assert [d for d in differences(*states) if "train_time" not in d] == []
    assert whole.summary["trials"] == killed.summary["trials"]


def test_the_summary_says_what_was_found_for_each_task(tmp_path: Path, table: Path):
    trainer = searched(config_for(tmp_path, table))
    told = trainer.summary["trials"]
    api, codec = trainer.optimizer.dataset_api, trainer.optimizer.codec
    assert list(told["tasks"]) == list(TASKS[:2]) and told["count"] == 12
    for name, found in told["tasks"].items():
        own = [t for t in load(trainer.folder) if t.task == name]
        best = max(own, key=lambda t: (t.values[0], -t.number))
        assert (found["count"], found["best"], found["best_values"]) == (6, best.number, list(best.values))
        assert best.values[0] == api.query(best.code, Metric.VAL_ACCURACY, name, 200)
        graph = trainer.optimizer.graph.clone()
        graph.set_spec(best.code)
        assert found["genotype"] == graph.genotype() and codec.is_valid(best.code)
    assert told["best_values"] == told["tasks"]["cifar10"]["best_values"]


def test_a_controller_goes_from_a_run_to_a_new_task_by_two_commands(tmp_path: Path, table: Path):
    words = ["search_space=nasbench201", "optimizer=transfer_controller", f"data={table}", "evaluation.mode=query"]
    words += [f"out_dir={tmp_path}", "search.controller_hidden=8", "device=cpu", "seed=2"]
    assert main([*words, "dataset=cifar10", "search.tasks=[cifar10, cifar100]", "search.epochs=12"]) == 0
    folder = tmp_path / "nasbench201" / "cifar10" / "transfer_controller" / "2"
    new = [*words, "dataset=ImageNet16-120", "search.epochs=5", f"search.transfer_from={folder}"]
    assert main([*new, "search.transfer_train=embedding"]) == 0
    done = folder.parents[2] / "ImageNet16-120" / "transfer_controller" / "2"
    states = [load_checkpoint(path / "search" / "model_final.pth")["policy"] for path in (folder, done)]
    assert all(bool((states[1][n] == v).all()) for n, v in states[0].items() if not n.startswith("tasks."))
    summary = json.loads((done / "summary.json").read_text())
    assert summary["trials"]["count"] == 5 and summary["trials"]["tasks"] is None


def test_a_resumed_search_needs_the_run_of_its_controller_no_more(tmp_path: Path, table: Path):
    first = searched(config_for(tmp_path / "first", table))
    found = []
    for name, kill_after in (("whole", None), ("killed", 5)):
        config = config_for(tmp_path / name, table, tasks=None, epochs=8, transfer_from=str(first.folder))
        config.dataset = TASKS[2]

        def gone(epoch: int) -> None:
            Path(first.folder).rename(tmp_path / "gone")

        found.append(searched(config, kill_after, gone))
    states = [load_checkpoint(trainer.folder / "search" / "model_final.pth")["policy"] for trainer in found]
    assert all(bool((states[1][name] == value).all()) for name, value in states[0].items())


def test_what_does_not_fit_is_an_error_before_there_is_a_run_folder(tmp_path: Path, table: Path):
    def begin(**search: Any) -> None:
        build_trainer(config_for(tmp_path / "new", table, **search)).check_trials()

    with pytest.raises(CheckpointError, match=r"transfer_from: .*nowhere is no run folder"):
        begin(transfer_from=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="must contain the data set of the run, cifar10"):
        begin(tasks=["cifar100"])
    with pytest.raises(Exception, match="no data set 'svhn' in the benchmark"):
        begin(tasks=["cifar10", "svhn"])
    other = config_for(tmp_path / "other", table, epochs=2)
    other["optimizer"], other["search"]["tasks"] = "random_search", None
    plain = {key: value for key, value in other.items() if key != "search"}
    trainer = searched(load_config({**plain, "search": {"epochs": 2}}, extensions=schema_extensions()))
    with pytest.raises(ConfigError, match="no search of transfer_controller"):
        begin(transfer_from=str(trainer.folder))
    assert not (tmp_path / "new").exists()


def digits(folder: Path, name: str, classes: int = 10, channels: int = 1) -> str:
    """Write some digits upside down, and return the file."""
    images, labels = load_digits(return_X_y=True)
    keep = labels < classes
    pictures = np.repeat(images[keep].reshape(-1, 1, 8, 8)[:, :, ::-1], channels, axis=1)[:400]
    path = folder / f"{name}.npz"
    np.savez(path, x=(pictures * 15).astype(np.uint8), y=labels[keep][:400])
    return str(path)


def training(tmp_path: Path, other: str, **search: Any) -> Any:
    raw = {
        "dataset": "digits", "search_space": "nasbench201", "optimizer": "transfer_controller", "seed": 3,
        "search_space_args": {"channels": 4, "cells_per_stage": 1}, "out_dir": str(tmp_path), "device": "cpu",
        "threads": 1, "evaluation": {"mode": "query"},
        "search": {
            "epochs": 4, "tasks": ["digits", other], "evaluator": "train", "evaluator_args": {"epochs": 1},
            "batch_size": 128, **SMALL, **search,
        },
    }  # fmt: skip
    return load_config(raw, extensions=schema_extensions())


def test_trials_are_trained_on_the_data_of_their_task(tmp_path: Path):
    other = digits(tmp_path, "flipped")
    trainer = searched(training(tmp_path, other))
    trials = load(trainer.folder)
    assert [t.task for t in trials] == ["digits", other] * 2 and all(t.values for t in trials)
    evaluator = trainer._evaluator(trainer.optimizer, None)
    assert isinstance(evaluator, TasksEvaluator)
    sizes = {name: sum(len(batch[1]) for batch in e.train) for name, e in evaluator.by_task.items()}  # type: ignore[attr-defined]
    assert sizes["digits"] > 500 and sizes[other] == 160
    again = evaluator.evaluate(trials[1])
    assert again.values == trials[1].values and again.values != evaluator.by_task["digits"].evaluate(trials[1]).values


def test_a_task_with_other_outputs_or_channels_is_refused(tmp_path: Path):
    nine = digits(tmp_path, "nine", classes=9)
    with pytest.raises(ConfigError, match=r"search\.tasks: .*nine\.npz has 9 outputs, and digits 10"):
        build_trainer(training(tmp_path / "a", nine)).check_trials()
    colour = digits(tmp_path, "colour", channels=3)
    with pytest.raises(ConfigError, match="takes images of 1 channels"):
        build_trainer(training(tmp_path / "b", colour)).check_trials()


def test_tasks_that_are_measured_differently_are_refused(table: Path):
    from naslib.utils import get_dataset_api

    api = get_dataset_api("nasbench201", None, table)
    accuracy = TableEvaluator(api, "cifar10", [Metric.VAL_ACCURACY])
    with pytest.raises(ConfigError, match="measured differently: VAL_ACCURACY; TEST_ACCURACY"):
        TasksEvaluator({"a": accuracy, "b": TableEvaluator(api, "cifar100", [Metric.TEST_ACCURACY])})
    with pytest.raises(ConfigError, match="at least one"):
        TasksEvaluator({})


def mepa(tmp_path: Path, other: str, **search: Any) -> Any:
    return training(tmp_path, other, evaluator="mepa", evaluator_args={"shared_steps": 1}, checkpoint_freq=1, **search)


def test_shared_weights_of_each_task_are_in_the_checkpoint(tmp_path: Path):
    other = digits(tmp_path, "flipped")
    whole = searched(mepa(tmp_path / "whole", other))
    killed = searched(mepa(tmp_path / "killed", other), kill_after=1)
    states = [load_checkpoint(trainer.folder / "search" / "model_final.pth") for trainer in (whole, killed)]
    assert [d for d in differences(*states) if "train_time" not in d] == []
    assert [t.values for t in load(whole.folder)] == [t.values for t in load(killed.folder)]
    own = states[0]["run"]["parts"]["evaluator"]
    assert {name: own[name]["steps"] for name in own} == {"digits": 2, other: 2}
    with pytest.raises(CheckpointError, match=r"of the tasks digits, this search digits, .*flipped"):
        whole._evaluator(whole.optimizer, None).load_state_dict({"digits": own["digits"]})


def test_weights_that_trials_change_are_of_one_process(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"search\.workers: TasksEvaluator changes with every trial"):
        searched(mepa(tmp_path, digits(tmp_path, "flipped"), workers=2))


def test_a_failed_trial_of_several_tasks_has_taken_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*given: Any) -> Any:
        raise TrialFailed("no value")

    monkeypatch.setattr(TrainEvaluator, "evaluate", fail)
    trainer = build_trainer(training(tmp_path, digits(tmp_path, "flipped"), epochs=1))
    evaluator = trainer._evaluator(trainer.optimizer, None)
    trial = evaluated(evaluator, Trial(0, (0,) * 6, 1, user={"task": "digits"}), never)
    assert trial.state is State.FAILED and trial.seconds > 0
