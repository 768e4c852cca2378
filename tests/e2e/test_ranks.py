"""One run on several processes: what it leaves, how it is stopped and killed, and how it goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from rank_runs import Ranks, end, find_run, torchrun
from training_runs import differences, load

TINY = [
    "dataset=digits", "seed=5", "device=cpu", "search_space=nasbench201", "optimizer=darts",
    "search_space_args={channels: 4, cells_per_stage: 1}", "search.epochs=2", "search.batch_size=256",
    "search.checkpoint_steps=1", "evaluation.epochs=1", "evaluation.batch_size=512", "evaluation.mode=retrain",
    "evaluation.cutout=false",
]  # fmt: skip
EXACT = [*TINY, "search.sync_batch_norm=true", "evaluation.sync_batch_norm=true"]
CHECKPOINTS = (("search", "model"), ("search", "architectural_weights"), ("eval", "model"))


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Ranks:
    return Ranks(tmp_path_factory.mktemp("ranks"))


def files(folder: Path) -> set[str]:
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if "tfevents" not in name}


def agree(alone: Path, both: Path, atol: float) -> None:
    """Compare two runs: parameters to `atol`, losses, what was found and every prediction."""
    for name, key in CHECKPOINTS:
        one, two = (load(folder / name / "model_final.pth")[key] for folder in (alone, both))
        assert list(one) == list(two)
        for parameter in one:
            torch.testing.assert_close(two[parameter], one[parameter], rtol=0, atol=atol)
    one, two = (json.loads((folder / "errors.json").read_text()) for folder in (alone, both))
    assert two["train_loss"] == pytest.approx(one["train_loss"], abs=atol) and two["valid_acc"] == one["valid_acc"]
    one, two = (json.loads((folder / "summary.json").read_text()) for folder in (alone, both))
    for key in ("genotype", "test_accuracy", "confusion_matrix", "params_millions", "degenerate"):
        assert two[key] == one[key], key


def identical(a: Path, b: Path) -> None:
    for name in ("search/model_final.pth", "eval/model_final.pth", "arch_weights.pt"):
        assert differences(load(a / name), load(b / name)) == [], name


def wait_for(pattern: str, out: Path, count: int, processes: Sequence[BaseProcess]) -> None:
    deadline = time.monotonic() + 200
    while len(list(out.rglob(pattern))) < count and time.monotonic() < deadline:
        assert any(process.is_alive() for process in processes)
        time.sleep(0.002)


# what needs no training


def test_a_rank_that_does_not_come_is_named(ranks: Ranks, tmp_path: Path) -> None:
    assert end(ranks.start([*TINY, f"out_dir={tmp_path}"], 3, timeout=1, present=[0, 2])) == [2, 2]
    assert ranks.printed(0) == (
        "naslib: 2 of 3 ranks came within 1 seconds, rank 1 did not: start as many processes as WORLD_SIZE says, on "
        "every machine; NASLIB_DIST_TIMEOUT=SECONDS waits longer\n"
    )
    assert ranks.printed(2) == "" and list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(ranks: Ranks, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        assert end(ranks.start([*TINY, f"out_dir={tmp_path}"], 2, port=port, timeout=1, present=[0])) == [2]
    assert f"port {port} of 127.0.0.1, on which the ranks meet, is taken by another program" in ranks.printed(0)
    assert ranks.printed(0).count("\n") == 1


def test_refusals_are_said_once_and_end_all_ranks(ranks: Ranks, tmp_path: Path) -> None:
    out = f"out_dir={tmp_path}"
    assert ranks.run([*TINY, out, "search.batch_size=65", "evaluation.batch_size=97"], 2) == [2, 2]
    assert ranks.printed(0) == (
        "naslib: search.batch_size=65 is the batch of all ranks together, and 2 ranks cannot have equal shares of it: "
        "set it to 64 or 66\n"
        "evaluation.batch_size=97 is the batch of all ranks together, and 2 ranks cannot have equal shares of it: "
        "set it to 96 or 98\n"
    )
    assert ranks.printed(1) == "" and list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["optimizer=rs", "search_space=nasbench301"], "is not shared out among 2 ranks: start one process"),
        (["--seeds", "1-2"], "--seeds is several runs, and torchrun starts several processes for one"),
        (["search.epochs=x"], "search.epochs: expected an integer, got 'x' (text)"),
        (["--resume"], "--resume: there is no run in"),
        (["device=cuda:7"], "device='cuda:7' is one GPU, and there are 2 ranks: device=cuda gives each its own"),
    ],
)
def test_more_refusals(ranks: Ranks, tmp_path: Path, words: list[str], said: str) -> None:
    given = [word for word in TINY if word.partition("=")[0] not in {w.partition("=")[0] for w in words}]
    if "--seeds" in words:
        given.remove("seed=5")
    if "optimizer=rs" in words:
        given = [word for word in given if not word.startswith("search_space_args")]
    assert ranks.run([*given, *words, f"out_dir={tmp_path}"], 2) == [2, 2]
    assert said in ranks.printed(0) and "Traceback" not in ranks.printed(0) and ranks.printed(1) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_folder_that_is_taken_is_refused_by_rank_0_for_all(ranks: Ranks, tmp_path: Path) -> None:
    folder = tmp_path / "nasbench201" / "digits" / "darts" / "5"
    folder.mkdir(parents=True)
    (folder / "errors.json").write_text("{}")
    assert ranks.run([*TINY, f"out_dir={tmp_path}"], 2) == [2, 2]
    assert "already holds a run" in ranks.printed(0) and ranks.printed(1) == ""
    assert files(folder) == {"errors.json"}


# runs


@pytest.mark.slow
def test_two_ranks_leave_what_one_process_leaves(ranks: Ranks, tmp_path: Path) -> None:
    for world in (2, 1):
        words = [*EXACT, f"out_dir={tmp_path / str(world)}"]
        assert ranks.run(words, world, double=True) == [0] * world, ranks.printed(0)
        if world == 2:
            assert ranks.printed(1) == "" and ranks.printed(0).count("items/s on 2 ranks") == 3
    alone, both = find_run(tmp_path / "1"), find_run(tmp_path / "2")
    assert files(alone) == files(both)
    agree(alone, both, 1e-10)
    for folder, world, backend in ((alone, 1, None), (both, 2, "gloo")):
        assert json.loads((folder / "summary.json").read_text())["world_size"] == world
        found = json.loads((folder / "environment.json").read_text())
        assert (found["world_size"], found["backend"]) == (world, backend)
    # two ranks evaluate once more what one process has found
    assert ranks.run([*EXACT, f"out_dir={tmp_path / '1'}", "--eval-only"], 2, double=True) == [0, 0], ranks.printed(0)
    one, two = (load(alone / name / "model_final.pth")["model"] for name in ("eval.1", "eval"))
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=1e-10)
    assert json.loads((alone / "summary.json").read_text())["world_size"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(("dead", "phase"), [(0, "search"), (1, "search"), (1, "eval")])
def test_a_killed_rank_is_named_and_the_run_goes_on(ranks: Ranks, tmp_path: Path, dead: int, phase: str) -> None:
    words = [*(word for word in TINY if not word.startswith("evaluation.epochs")), "evaluation.epochs=2"]
    assert ranks.run([*words, f"out_dir={tmp_path / 'whole'}"], 2) == [0, 0]
    killed, other = [*words, f"out_dir={tmp_path / 'killed'}"], 1 - dead
    processes = ranks.start(killed, 2)
    wait_for(f"{phase}/model_*.pth", tmp_path / "killed", 2, processes)
    pid = processes[dead].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    statuses = end(processes)
    assert (statuses[dead], statuses[other]) == (-signal.SIGKILL, 2)
    said = ranks.printed(other).splitlines()[-1]
    assert said.startswith(f"naslib: rank {other} has lost rank {dead} (killed? is there enough memory?). The last")
    assert said.endswith("is intact: the same command with --resume goes on from it")
    left = [path for path in (tmp_path / "killed").rglob("*.pth") if path.parent.name == phase]
    assert left and all(load(path)["run"]["format"] == 1 for path in left)  # nothing is half-written
    assert ranks.run([*killed, "--resume"], 2) == [0, 0], ranks.printed(0)
    identical(find_run(tmp_path / "whole"), find_run(tmp_path / "killed"))


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_run_goes_on_with_another_number_of_ranks(ranks: Ranks, tmp_path: Path, before: int, after: int) -> None:
    assert ranks.run([*EXACT, f"out_dir={tmp_path / 'whole'}"], 1, double=True) == [0]
    words = [*EXACT, f"out_dir={tmp_path / 'stopped'}"]
    processes = ranks.start(words, before, double=True)
    wait_for("model_*.pth", tmp_path / "stopped", 2, processes)
    pid = processes[-1].pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)  # one rank hears of it, and all stop at one step
    assert end(processes) == [143] * before
    assert ranks.printed(0).count("stopped by SIGTERM after the running step; saved") == 1
    assert before == 1 or ranks.printed(1) == ""
    assert ranks.run([*words, "--resume"], after, double=True) == [0] * after, ranks.printed(0)
    assert f"world_size: {before} then, {after} now" in ranks.printed(0)
    agree(find_run(tmp_path / "whole"), find_run(tmp_path / "stopped"), 1e-10)


# torchrun itself


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
def test_torchrun_restarts_a_job_that_lost_a_rank(ranks: Ranks, tmp_path: Path) -> None:
    assert ranks.run([*TINY, f"out_dir={tmp_path / 'whole'}"], 2) == [0, 0]
    words = [*TINY, f"out_dir={tmp_path / 'killed'}"]
    job = torchrun(words, "--standalone", "--nproc-per-node", "2", "--max-restarts", "1")
    deadline = time.monotonic() + 200
    while len(list((tmp_path / "killed").rglob("model_*.pth"))) < 2 and time.monotonic() < deadline:
        assert job.poll() is None
        time.sleep(0.002)
    os.kill(children(job.pid)[-1], signal.SIGKILL)
    printed, complaints = job.communicate(timeout=300)
    assert job.returncode == 0, complaints
    assert "has lost rank" in complaints and "--resume goes on from it" in complaints and "resuming from" in printed
    identical(find_run(tmp_path / "whole"), find_run(tmp_path / "killed"))


@pytest.mark.slow
def test_torchrun_ends_with_an_error_where_a_rank_is_lost(tmp_path: Path) -> None:
    job = torchrun([*TINY, f"out_dir={tmp_path}", "search.epochs=50"], "--standalone", "--nproc-per-node", "2")
    deadline = time.monotonic() + 200
    while len(list(tmp_path.rglob("model_*.pth"))) < 2 and time.monotonic() < deadline:
        assert job.poll() is None
        time.sleep(0.002)
    os.kill(children(job.pid)[0], signal.SIGKILL)
    _, complaints = job.communicate(timeout=120)
    assert job.returncode == 1 and complaints.count("naslib: rank 1 has lost rank 0") == 1
    folder = find_run(tmp_path)
    named = (folder / "search" / "last_checkpoint").read_text()
    assert load(folder / "search" / named)["run"]["step"] >= 0 and not list(folder.rglob(".*.tmp"))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_torchrun_lets_all_ranks_save(tmp_path: Path, number: int) -> None:
    words = [*TINY, f"out_dir={tmp_path}", "search.epochs=50", "search.checkpoint_steps=0", "search.checkpoint_freq=1"]
    job = torchrun(words, "--standalone", "--nproc-per-node", "2")
    deadline = time.monotonic() + 200
    while not list(tmp_path.rglob("model_*.pth")) and time.monotonic() < deadline:
        assert job.poll() is None
        time.sleep(0.002)
    os.kill(job.pid, number)
    _, complaints = job.communicate(timeout=120)
    name = signal.Signals(number).name
    assert job.returncode != 0 and complaints.count(f"naslib: stopped by {name} after the running step; saved") == 1
    folder = find_run(tmp_path)
    named = folder / "search" / (folder / "search" / "last_checkpoint").read_text()
    assert f"saved {named}. Continue with --resume" in complaints and load(named)["run"]["epoch"] >= 1
