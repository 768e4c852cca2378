"""A search that is really killed (SIGKILL), at random points, ends bit-identical to one that ran through."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from rank_runs import PRELOADED
from training_runs import differences, load

TINY = [
    "dataset=digits", "seed=5", "device=cpu",
    "search.epochs=3", "search.batch_size=128", "search.checkpoint_freq=2", "search.checkpoint_steps=2",
    "evaluation.epochs=2", "evaluation.batch_size=256", "evaluation.checkpoint_freq=1", "evaluation.mode=retrain",
    "evaluation.cutout=false",
]  # fmt: skip
NB201 = ["search_space=nasbench201", "search_space_args={channels: 4, cells_per_stage: 1}"]
DARTS = [
    "search_space=nasbench301", "search_space_args={cells: 2, nodes: 2, channels: 4}", "evaluation.cells=3",
    "evaluation.channels=4", "evaluation.auxiliary=false",
]  # fmt: skip


def _command(words: list[str]) -> None:
    """Run the command in a child process."""
    torch.set_num_threads(1)
    from naslib.build import main

    sys.exit(main(words))


@pytest.fixture(scope="module")
def spawn():
    """Start commands in processes forked from one that has imported everything, so that a kill hits the run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)

    def start(words: list[str]) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=_command, args=(words,))
        process.start()
        return process

    return start


def _run(spawn, words: list[str], status: int = 0) -> None:
    process = spawn(words)
    process.join(300)
    assert process.exitcode == status


def _find(out: Path) -> Path:
    (folder,) = {path.parent for path in out.rglob("config.yaml")}
    return folder


def _written(out: Path) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in out.rglob("*.pth")}


def _kill_while_working(spawn, words: list[str], out: Path, rng: random.Random) -> bool:
    """Start the command, kill it a random moment after its next checkpoints; say whether it was still running."""
    before = _written(out)
    process = spawn(words)
    patience = rng.randrange(1, 4)  # checkpoints to see before the kill
    while process.is_alive() and len(_written(out) - before) < patience:
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.15))
    running = process.is_alive()
    if running:
        os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    return running


def _compare(a: Path, b: Path) -> None:
    for name in ("search/model_final.pth", "eval/model_final.pth", "arch_weights.pt"):
        assert differences(load(a / name), load(b / name)) == [], name
    first, second = (json.loads((folder / "errors.json").read_text()) for folder in (a, b))
    for key in set(first) - {"runtime", "train_time"}:
        assert first[key] == second[key], key
    first, second = (json.loads((folder / "summary.json").read_text()) for folder in (a, b))
    for key in set(first) - {"search_seconds", "evaluation_seconds", "total_seconds", "run_folder"}:
        assert first[key] == second[key], key


def _kill_and_resume(spawn, tmp_path: Path, words: list[str], kills: int, seed: int) -> None:
    rng = random.Random(seed)
    _run(spawn, [*words, f"out_dir={tmp_path / 'whole'}"])
    killed = [*words, f"out_dir={tmp_path / 'killed'}"]
    hits = 0
    for attempt in range(kills):
        hits += _kill_while_working(spawn, [*killed, *(["--resume"] if attempt else [])], tmp_path / "killed", rng)
    assert hits >= 1
    _run(spawn, [*killed, "--resume"])
    _compare(_find(tmp_path / "whole"), _find(tmp_path / "killed"))


def test_killed_at_random_points(spawn, tmp_path):
    _kill_and_resume(spawn, tmp_path, [*TINY, *NB201, "optimizer=darts"], kills=2, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("optimizer", ["darts", "gdas"])
@pytest.mark.parametrize("space", [NB201, DARTS], ids=["nasbench201", "nasbench301"])
def test_killed_often(spawn, tmp_path, space, optimizer, seed):
    _kill_and_resume(spawn, tmp_path, [*TINY, *space, f"optimizer={optimizer}"], kills=6, seed=seed)


@pytest.mark.slow
def test_second_order_and_no_validation_part(spawn, tmp_path):
    words = [*TINY, *NB201, "optimizer=darts", "search.unrolled=true", "search.train_portion=1.0"]
    _kill_and_resume(spawn, tmp_path, words, kills=2, seed=4)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_polite_stop_says_how_to_go_on(spawn, tmp_path, number, status):
    words = [*TINY, *NB201, "optimizer=gdas", f"out_dir={tmp_path}", "search.epochs=200", "search.checkpoint_steps=0"]
    process = spawn(words)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("model_*.pth")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == status
    folder = _find(tmp_path)
    name = (folder / "search" / "last_checkpoint").read_text()
    state = load(folder / "search" / name)
    assert state["run"]["epoch"] >= 2
    log = (folder / "log.log").read_text()
    assert "ERROR" not in log and "Traceback" not in log


@pytest.mark.slow
def test_eval_only_in_a_fresh_process_finds_the_same(spawn, tmp_path):
    words = [*TINY, *NB201, "optimizer=darts", f"out_dir={tmp_path}", "search.epochs=1"]
    _run(spawn, words)
    folder = _find(tmp_path)
    first = json.loads((folder / "summary.json").read_text())
    weights = load(folder / "eval" / "model_final.pth")["model"]
    _run(spawn, [*words, "--eval-only"])
    second = json.loads((folder / "summary.json").read_text())
    assert first["genotype"] == second["genotype"] and first["test_accuracy"] == second["test_accuracy"]
    again = load(folder / "eval" / "model_final.pth")["model"]
    assert all(torch.equal(weights[name], again[name]) for name in weights)
    assert (folder / "eval.1" / "model_final.pth").is_file()
    _run(spawn, words, status=2)
