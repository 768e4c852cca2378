"""Black-box searches from the command: killed in the middle of a trial they end as if nothing had happened."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from training_runs import differences
from training_runs import load as load_checkpoint

from benchmarks.bars.p9_discrete import write_random_table
from naslib.build import main
from naslib.history import FILE_NAME, State, Trials, load

TRAIN = [
    "dataset=digits", "seed=5", "device=cpu", "threads=1", "search_space=nasbench201",
    "search_space_args={channels: 4, cells_per_stage: 1}",
    "search.evaluator=train", "search.evaluator_args={epochs: 1}",
    "search.epochs=7", "search.population_size=3", "search.sample_size=2", "search.batch_size=128",
    "evaluation.epochs=1", "evaluation.batch_size=256", "evaluation.cutout=false", "evaluation.mode=retrain",
]  # fmt: skip


# Networks that grow from a first one, whose weights they inherit
GROWING = [word for word in TRAIN if not word.startswith(("search_space", "search.evaluator_args"))]
GROWING += ["search_space=eas_cnn", "search_space_args={blocks: 2, widths: [2, 4, 6]}", "search.networks=2"]
GROWING += ["search.evaluator_args={epochs: 1, inherit: morphism}", "search.rounds_per_start=1"]
TABLE = ["dataset=cifar10", "seed=5", "search_space=nasbench201", "optimizer=re", "search.evaluator=table"]
TABLE += ["search.epochs=20", "device=cpu"]
TABLE_OBJECTIVES = ["TEST_ACCURACY", "VAL_ACCURACY"]


def _command(words: list[str]) -> None:
    torch.set_num_threads(1)
    from naslib.build import main

    sys.exit(main(words))


@pytest.fixture(scope="module")
def spawn():
    """Start commands in processes forked from one that has imported everything, so that a kill hits the run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["naslib.cli.pipeline", "sklearn.datasets", "torch.utils.tensorboard"])

    def start(words: list[str]) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=_command, args=(words,))
        process.start()
        return process

    return start


def _finish(process: multiprocessing.process.BaseProcess, status: int = 0) -> None:
    process.join(300)
    assert process.exitcode == status


def _folder(out: Path) -> Path:
    (found,) = {path.parent for path in out.rglob("config.yaml")}
    return found


def _running(out: Path, number: int) -> bool:
    """Say whether a trial is being evaluated now, as a reader of the history sees it."""
    paths = list(out.rglob(FILE_NAME))
    if not paths:
        return False
    trials = load(paths[0])
    return len(trials) > number and trials[number].state is State.RUNNING


def _plain(trials: Trials) -> list:
    return [dataclasses.replace(trial, seconds=0.0, worker=None) for trial in trials]


def _compare(whole: Path, killed: Path, workers: int = 1) -> None:
    first, second = load(whole), load(killed)
    assert _plain(first) == _plain(second) and len(first) == 7 and first.objectives == second.objectives
    states = [load_checkpoint(folder / "search" / "model_final.pth") for folder in (whole, killed)]
    for state in states:
        state["model"].pop("seconds")
    assert [d for d in differences(*states) if not d.endswith((".train_time", ".workers"))] == []
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (whole, killed)]
    for summary in summaries:
        summary["trials"].pop("seconds")
    clocks = {"search_seconds", "evaluation_seconds", "total_seconds", "run_folder"}
    assert {k: v for k, v in summaries[0].items() if k not in clocks} == {
        k: v for k, v in summaries[1].items() if k not in clocks
    }
    assert summaries[0]["trials"]["count"] == 7 and summaries[0]["trials"]["failed"] == 0
    best = first.best()
    assert best is not None and summaries[0]["trials"]["best"] == best.number


@pytest.mark.parametrize(
    ("optimizer", "more", "freq", "kills"),
    [
        ("re", [], 3, (0, 4)),
        pytest.param("re", ["search.workers=2"], 50, (5,), marks=pytest.mark.slow),
        pytest.param("random_search", ["search.workers=2"], 1, (2,), marks=pytest.mark.slow),
        pytest.param("eas", [], 2, (0, 5), marks=pytest.mark.slow),
        pytest.param("eas", ["search.workers=2"], 50, (4,), marks=pytest.mark.slow),
    ],
    ids=["serial", "processes", "processes-random", "inherited", "processes-inherited"],
)
def test_killed_in_the_middle_of_a_trial(spawn, tmp_path, optimizer, more, freq, kills):
    train = GROWING if optimizer == "eas" else TRAIN
    words = [*train, f"optimizer={optimizer}", f"search.checkpoint_freq={freq}", *more]
    _finish(spawn([*words, f"out_dir={tmp_path / 'whole'}"]))
    killed = [*words, f"out_dir={tmp_path / 'killed'}"]
    for attempt, number in enumerate(kills):
        process = spawn([*killed, *(["--resume"] if attempt else [])])
        deadline = time.monotonic() + 120
        while not _running(tmp_path / "killed", number) and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.is_alive()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        trials = load(next((tmp_path / "killed").rglob(FILE_NAME)))
        assert trials[number].state in (State.RUNNING, State.COMPLETE) and len(trials) < 7 + len(kills)
    _finish(spawn([*killed, "--resume"]))
    _compare(_folder(tmp_path / "whole"), _folder(tmp_path / "killed"))


def test_ctrl_c_gives_the_trial_up_and_says_how_to_go_on(spawn, tmp_path):
    words = [*TRAIN, "optimizer=random_search", f"out_dir={tmp_path}", "search.evaluator_args={epochs: 500}"]
    process = spawn(words)
    deadline = time.monotonic() + 120
    while not _running(tmp_path, 0) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    _finish(process, 130)
    folder = _folder(tmp_path)
    assert load(folder)[0].state is State.RUNNING and (folder / "search" / "last_checkpoint").is_file()
    log = (folder / "log.log").read_text()
    assert "Traceback" not in log and "ERROR" not in log


def test_another_evaluator_does_not_go_on_with_the_history(tmp_path, capsys):
    words = [*TRAIN, "optimizer=random_search", f"out_dir={tmp_path}", "search.epochs=2"]
    assert main(words) == 0
    folder = _folder(tmp_path)
    path = load(folder).to_csv(tmp_path / "trials.csv")
    assert len(path.read_text().splitlines()) == 3
    log = (folder / "log.log").read_text()
    assert "trial 1: accuracy" in log and "of which 0 failed; the best is trial" in log
    assert main([*words, "--resume", "search.epochs=3", "search.learning_rate=0.1"]) == 2
    assert "learning_rate is 0.025 in the checkpoint and 0.1 here" in capsys.readouterr().err
    assert main([*words, "--resume", "search.epochs=3"]) == 0
    assert [trial.state for trial in load(folder)] == [State.COMPLETE] * 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search.evaluator=trian"], "unknown evaluator 'trian'; did you mean 'train'? (known: "),
        (["search.evaluator=proxi"], "search.evaluator: unknown evaluator 'proxi'; did you mean 'proxy'?"),
        (["search.evaluator=predictor"], "predictor has no keyword 'epochs'"),
        (["search.executor=rai"], "unknown executor 'rai'; did you mean 'ray'? (known: process, ray, serial)"),
        (["search.workers=0"], "search.workers: expected a number >= 1"),
        (["search.workers=2", "search.executor=serial"], "search.workers: 2 workers need search.executor=process"),
        (["search.budget=0"], "search.budget: expected a number > 0"),
        (["search.budget=-3.5"], "search.budget: expected a number > 0"),
        (["search.objectives=accuracy"], "search.objectives: expected a list"),
        (["search.objectives=[acuracy]"], "no 'acuracy' is measured; did you mean 'accuracy'?"),
        (["search.evaluator_args={epoch: 3}"], "train has no keyword 'epoch'; did you mean 'epochs'?"),
        (["search.evaluator_args={epochs: 1.5}"], "search.evaluator_args.epochs: expected an integer"),
        (["search.evaluator_args={epochs: 0}"], "epochs must be at least 1"),
        (["search.evaluator_args={network_args: {depth: 3}}"], "network_args do not fit nasbench201"),
        (["search.train_portion=1.0"], "set search.train_portion below 1"),
        (["optimizer=darts"], "search.evaluator: darts evaluates no trials; the key goes with "),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_work_is_said_before_any_work(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    assert main([*TRAIN, "optimizer=random_search", *words, f"out_dir={out}"]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset=svhn"], "has no data set 'svhn'"),
        (["dataset=digits"], "nasbench201_digits.npz is of other networks: it was trained with"),
        (["search.evaluator_args={epochs: 1}"], "table has no keyword 'epochs' (keywords: none)"),
        (["search.workers=2"], "a table answers at once"),
        (["search.objectives=[VAL_ACCURACY, LATENCY]"], "LATENCY"),
        (["search.objectives=[VAL_ACURACY]"], "unknown metric 'VAL_ACURACY'; did you mean 'val_accuracy'?"),
        (["search.budget=100"], "search.budget counts the seconds of training, and this table does not tell them"),
        (["search.budget_unit=epochs"], "it says what search.budget counts, and there is no search.budget"),
        (["search.budget=5", "search.budget_unit=epochs", "search.fidelity=-1"], "the search would never end"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_a_table_cannot_answer_is_said_before_any_work(words, said, tmp_path, capsys):
    write_random_table(tmp_path / "nb201.npz")
    out = tmp_path / "out"
    assert main([*TABLE, *words, f"data={tmp_path}", f"out_dir={out}"]) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error and not out.exists()


def test_killed_on_a_table(spawn, tmp_path):
    """The table's answers are written in groups; what a kill loses is asked again."""
    write_random_table(tmp_path / "nb201.npz")
    words = [*TABLE, f"data={tmp_path}", "search.epochs=30000", "search.objectives=[TEST_ACCURACY, VAL_ACCURACY]"]
    _finish(spawn([*words, f"out_dir={tmp_path / 'whole'}"]))
    process = spawn([*words, f"out_dir={tmp_path / 'killed'}"])
    deadline = time.monotonic() + 120
    while process.is_alive() and time.monotonic() < deadline and not _count(tmp_path / "killed"):
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert 0 < _count(tmp_path / "killed") < 30000
    _finish(spawn([*words, f"out_dir={tmp_path / 'killed'}", "--resume"]))
    whole, killed = (load(_folder(tmp_path / name)) for name in ("whole", "killed"))
    assert whole == killed and len(whole) == 30000 and [o.name for o in whole.objectives] == TABLE_OBJECTIVES
    best = json.loads((_folder(tmp_path / "killed") / "summary.json").read_text())["trials"]
    assert best["best"] == whole.best().number and best["best_values"] == list(whole.best().values)


def _count(out: Path) -> int:
    paths = list(out.rglob(FILE_NAME))
    return len(load(paths[0])) if paths else 0


def test_without_a_word_on_it_a_table_answers_if_there_is_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NASLIB_DATA", raising=False)
    table = ["optimizer=re", "search_space=nasbench201", "dataset=cifar10", f"data={tmp_path}"]
    assert main([*table, f"out_dir={tmp_path / 'out'}"]) == 2
    error = capsys.readouterr().err
    assert "nb201.npz" in error and "search.evaluator=train" in error and not (tmp_path / "out").exists()
    without = [word for word in TRAIN if not word.startswith("search.evaluator=")]
    words = [word for word in without if not word.startswith("search.evaluator_args")]
    assert main([*words, "optimizer=random_search", "--dry-run", f"out_dir={tmp_path / 'out'}"]) == 0


FIDELITIES = [
    "dataset=digits", "seed=5", "device=cpu", "threads=1", "search_space=nasbench201",
    "search_space_args={channels: 4, cells_per_stage: 1}", "search.evaluator=train",
    "search.evaluator_args={epochs: 4}", "search.eta=2", "search.batch_size=256", "search.epochs=7",
    "evaluation.epochs=1", "evaluation.batch_size=256", "evaluation.cutout=false", "evaluation.mode=retrain",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sh", "hyperband", "asha", "bohb"])
@pytest.mark.parametrize("more", [["search.checkpoint_freq=50"], ["search.checkpoint_freq=2", "search.workers=2"]])
def test_a_search_of_several_fidelities_survives_kills(spawn, tmp_path, optimizer, more):
    """Of the digits, by training 1, 2 and 4 epochs; killed twice it finds what it finds without."""
    words = [*FIDELITIES, f"optimizer={optimizer}", *more]
    _finish(spawn([*words, f"out_dir={tmp_path / 'whole'}"]))
    killed = [*words, f"out_dir={tmp_path / 'killed'}"]
    for attempt, number in enumerate((1, 5)):
        process = spawn([*killed, *(["--resume"] if attempt else [])])
        deadline = time.monotonic() + 120
        while not _running(tmp_path / "killed", number) and process.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.is_alive()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    _finish(spawn([*killed, "--resume"]))
    _compare(_folder(tmp_path / "whole"), _folder(tmp_path / "killed"), 2 if len(more) > 1 else 1)
    trials = load(_folder(tmp_path / "killed"))
    assert {trial.fidelity for trial in trials} >= {1, 2} and not (_folder(tmp_path / "killed") / "paused").exists()
    assert any(trial.from_epoch for trial in trials)
    best = trials.best()
    assert best is not None and best.fidelity == max(trial.fidelity for trial in trials)


def test_early_termination_by_the_command(tmp_path, capsys):
    words = ["search.parts.early_termination.rule=median", "search.parts.early_termination.min_trials=2"]
    words += ["search.parts.early_termination.min_epochs=1", "optimizer=random_search", f"out_dir={tmp_path}"]
    words += ["search.evaluator_args={epochs: 3}", "search.epochs=6"]
    assert main([*TRAIN[:8], *words, "search.batch_size=256", "search.evaluator=train", "--dry-run"]) == 0
    wrong = [*TRAIN[:8], "optimizer=random_search", "search.parts.early_termination.role=median", "--dry-run"]
    assert main(wrong) != 0
    assert "early_termination has no keyword 'role'; did you mean 'rule'" in capsys.readouterr().err
    assert main([*TRAIN[:8], "optimizer=random_search", "search.parts.warm_up.epochs=3", "--dry-run"]) != 0
    assert "unknown part 'warm_up' (known: early_termination)" in capsys.readouterr().err
