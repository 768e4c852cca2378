"""Ray as it is: local clusters, workers, nodes and drivers that are killed, and what stays afterwards."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ray_runs import Held, alive, wait_until
from torch.utils.data import DataLoader, TensorDataset
from trial_evaluators import SumOfOps

from naslib.errors import ConfigError, NASLibError, TrialStopped
from naslib.evaluators import (
    RayExecutor,
    RecordedTraining,
    SerialExecutor,
    TrainEvaluator,
    TrainingOfTrials,
    TrialSearch,
    build_table,
)
from naslib.evaluators.base import never
from naslib.history import FILE_NAME, MemoryHistory, State, Trial, load
from naslib.optimizers import RandomSearch
from naslib.search_spaces import NasBench201SearchSpace
from naslib.utils.ray_cluster import RayCluster
from naslib.utils.ray_options import RayOptions

pytest.importorskip("ray", reason="Ray is an extra")
pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

ROOT = Path(__file__).resolve().parents[2]
SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)
RUN = [
    "dataset=digits", "seed=5", "device=cpu", "search_space=nasbench201", "optimizer=re",
    "search_space_args={channels: 4, cells_per_stage: 1}", "search.evaluator=train",
    "search.evaluator_args={epochs: 1}",
    "search.epochs=8", "search.population_size=3", "search.sample_size=2", "search.batch_size=128",
    "search.workers=2", "search.executor=ray", "evaluation.epochs=1", "evaluation.batch_size=256",
    "evaluation.mode=retrain",
]  # fmt: skip


def search_of(evaluator: Any, executor: Any, epochs: int = 6, **more: Any) -> TrialSearch:
    np.random.seed(0)
    optimizer = RandomSearch()
    optimizer.adapt_search_space(SPACE, "x", evaluator=evaluator)
    return TrialSearch(optimizer, executor, MemoryHistory(), seed=7, epochs=epochs, **more)


def run(search: TrialSearch) -> list[Trial]:
    done = 0
    while search.goes_on(done):
        search.advance(done, never)
        done += 1
    return search.history.trials()


def found_of(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(t.number, t.code, t.state, t.values, t.seed, t.seconds) for t in trials]


@pytest.fixture
def marked(monkeypatch) -> str:
    """A word in the environment of all that a test starts."""
    word = f"naslib-test-{os.getpid()}-{os.urandom(4).hex()}"
    monkeypatch.setenv("NASLIB_TEST_MARK", word)
    return word


def test_a_local_cluster_leaves_nothing_behind(tmp_path, marked, capfd, monkeypatch):
    from ray._raylet import get_authentication_mode

    monkeypatch.setattr(logging.getLogger("naslib"), "handlers", [])  # others may have left theirs
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    environment = dict(os.environ)
    mode = get_authentication_mode()
    evaluator = SumOfOps(tmp_path / "log", fail=(2,))
    with RayExecutor(evaluator, 1) as executor:
        trials = run(search_of(evaluator, executor, 3, by_arrival=True))
        assert alive(marked)
    expected = run(search_of(evaluator, SerialExecutor(evaluator), 3))
    assert found_of(trials) == found_of(expected) and trials[2].user["error"] == "on purpose"
    assert {t.worker for t in trials} == {0} and evaluator.begun() == [0, 1, 2] * 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert dict(os.environ) == environment and get_authentication_mode() == mode  # else the next cluster refuses us
    wait_until(lambda: not alive(marked))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_search_whose_workers_are_killed_finds_what_one_process_finds(tmp_path, marked, capfd, caplog):
    (tmp_path / "one").mkdir()
    plain = SumOfOps(tmp_path / "one" / "log")
    expected = run(search_of(plain, SerialExecutor(plain)))
    evaluator = SumOfOps(tmp_path / "log", kill={1: 1, 4: 99}, fail=(2,))
    with RayExecutor(evaluator, 2) as executor:
        trials = run(search_of(evaluator, executor, by_arrival=True))
    assert [t.state for t in trials] == [State.COMPLETE] * 2 + [State.FAILED, State.COMPLETE] * 2
    assert trials[4].user["error"] == "its worker died 2 times: its process died, its process died"
    assert trials[2].user["error"] == "on purpose" and {t.worker for t in trials} == {0, 1}
    kept = [number for number in range(6) if number not in (2, 4)]
    assert [found_of(trials)[n] for n in kept] == [found_of(expected)[n] for n in kept]
    assert evaluator.begun().count(1) == evaluator.begun().count(4) == 2 and evaluator.begun().count(3) == 1
    assert "the worker of trial 1 died (its process died); the trial is tried once more" in caplog.text
    wait_until(lambda: not alive(marked))
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_worker_is_killed_from_outside_and_a_stop_gives_up(tmp_path, marked):
    evaluator = Held(tmp_path, (0,))
    with RayExecutor(evaluator, 1) as executor:
        executor.submit(Trial(0, (1, 2), 3, seed=1))
        asked: list[int] = []

        def kill_once() -> bool:
            found = evaluator.pids(0)
            if found and not asked:
                os.kill(found[0], signal.SIGKILL)
                asked.append(found[0])
            if len(found) > 1:
                (tmp_path / "go").touch()
            return False

        trial = executor.next_finished(kill_once)
        assert trial.state is State.COMPLETE and trial.values == (3.0,)
        assert trial.user["pid"] != asked[0] and set(evaluator.pids(0)) == {asked[0], trial.user["pid"]}
        (tmp_path / "go").unlink()
        (tmp_path / f"0.{trial.user['pid']}").unlink()
        executor.submit(Trial(0, (1, 2), 3, seed=1))
        with pytest.raises(TrialStopped):
            executor.next_finished(lambda: len(evaluator.pids(0)) > 1)
    wait_until(lambda: not alive(marked))


@pytest.mark.slow
def test_an_error_of_the_set_up_ends_the_search_with_its_own_words(tmp_path, marked):
    evaluator = SumOfOps(tmp_path / "log", error=1)
    with RayExecutor(evaluator, 1) as executor, pytest.raises(KeyError, match="an error of the set-up") as raised:
        run(search_of(evaluator, executor))
    notes = "\n".join(raised.value.__notes__)
    assert "while evaluating trial 1" in notes and "trial_evaluators.py" in notes
    wait_until(lambda: not alive(marked))


@pytest.fixture
def cluster(marked):
    """A cluster of three nodes on this machine that was there before: a head, and two that work."""
    import ray
    from ray.cluster_utils import Cluster

    with RayCluster(RayOptions(), 1):  # one with a token, in the same process, is forgotten
        pass
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    workers = [found.add_node(num_cpus=1, num_gpus=1) for _ in range(2)]  # Ray takes our word for the GPUs
    yield found, workers
    assert not ray.is_initialized()
    found.shutdown()


@pytest.mark.slow
def test_an_existing_cluster_is_left_alone_and_a_node_of_it_may_die(tmp_path, cluster, caplog):
    import ray

    found, (first, second) = cluster
    options = RayOptions(address=found.address)
    with pytest.raises(ConfigError, match=r"wants 2 CPUs and 0 GPUs .* no node of the cluster has them \(nodes: "):
        RayExecutor(Held(tmp_path), 1, options=RayOptions(address=found.address, num_cpus=2))
    with pytest.raises(ConfigError, match=r"wants 1 CPUs and 2 GPUs"):
        RayExecutor(Held(tmp_path), 1, options=RayOptions(address=found.address, num_gpus=2))
    evaluator = Held(tmp_path, (0, 1))
    with RayExecutor(evaluator, 3, options=options) as executor:  # three trials, room for two: the third waits
        for number in range(3):
            executor.submit(Trial(number, (number, 2), 3, seed=1))
        with pytest.raises(TrialStopped):  # an error of a trial is raised here, not waited for
            executor.next_finished(lambda: bool(evaluator.pids(0) and evaluator.pids(1)))
        found.remove_node(second, allow_graceful=False)

        def is_lost() -> bool:
            return "died" in caplog.text

        with pytest.raises(TrialStopped):
            executor.next_finished(is_lost)
        (tmp_path / "go").touch()
        trials = sorted((executor.next_finished(never) for _ in range(3)), key=lambda t: t.number)
    assert [t.values for t in trials] == [(2.0,), (3.0,), (4.0,)] and {t.state for t in trials} == {State.COMPLETE}
    assert sorted([len(evaluator.pids(0)), len(evaluator.pids(1))]) == [1, 2]
    assert "its node died" in caplog.text or "its process died" in caplog.text
    assert not ray.is_initialized() and first.remaining_processes_alive()
    with RayExecutor(Held(tmp_path), 1, options=options) as again:
        again.submit(Trial(9, (4,), 3))
        assert again.next_finished(never).values == (4.0,)


@pytest.mark.slow
def test_parts_of_gpus_are_passed_on(tmp_path, cluster):
    """Two nodes with a GPU each hold four trials of half a GPU, and each trial sees one."""
    found, _ = cluster
    evaluator = Held(tmp_path, (0, 1, 2, 3))
    options = RayOptions(address=found.address, num_cpus=0.25, num_gpus=0.5)
    with RayExecutor(evaluator, 5, options=options) as executor:
        for number in range(5):
            executor.submit(Trial(number, (number, 2), 3, seed=1))
        with pytest.raises(TrialStopped):
            executor.next_finished(lambda: sum(bool(evaluator.pids(number)) for number in range(5)) == 4)
        assert sum(bool(evaluator.pids(number)) for number in range(5)) == 4
        (tmp_path / "go").touch()
        trials = [executor.next_finished(never) for _ in range(5)]
    assert {t.user["gpus"] for t in trials} == {"0"} and {t.state for t in trials} == {State.COMPLETE}
    assert len({t.user["pid"] for t in trials}) == 5  # a process with a GPU has one trial


@pytest.mark.slow
def test_no_cluster_at_auto_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises((ConfigError, NASLibError), match=r"no cluster of Ray answers at auto"):
        RayExecutor(Held(tmp_path), 1, options=RayOptions(address="auto"))


# the command


def start(words: list[str], folder: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "runner.py"), *words]
    with (folder / "said").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)


def over(folder: Path) -> dict[int, Trial]:
    path = folder / "run" / "nasbench201" / "digits" / "re" / "5" / FILE_NAME
    return {t.number: t for t in load(path) if t.state.is_over} if path.is_file() else {}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT"])
def test_a_driver_that_is_killed_goes_on_from_the_history(how, tmp_path, marked):
    """SIGKILL of the driver; Ctrl-C, which reaches all processes of a terminal."""
    process = start([*RUN, "search.checkpoint_freq=50"], tmp_path)
    wait_until(lambda: len(over(tmp_path)) >= 3 or process.poll() is not None)
    assert process.poll() is None
    if how == "SIGKILL":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGINT)
    assert process.wait(120) == (-9 if how == "SIGKILL" else 130), (tmp_path / "said").read_text()
    wait_until(lambda: not alive(marked))
    before = over(tmp_path)
    assert 3 <= len(before) < 8
    again = start([*RUN, "search.checkpoint_freq=50", "--resume"], tmp_path)
    assert again.wait(600) == 0, (tmp_path / "said").read_text()
    wait_until(lambda: not alive(marked))
    after = over(tmp_path)
    assert sorted(after) == list(range(8)) and all(t.state is State.COMPLETE for t in after.values())
    for number, trial in before.items():  # with the seconds that it took then: it was not evaluated again
        assert (after[number].seconds, after[number].values) == (trial.seconds, trial.values)
        assert after[number].user.get("told", number) == trial.user.get("told", number)
    assert sorted(t.user["told"] for t in after.values()) == list(range(8))
    said = (tmp_path / "said").read_text()
    assert "raylet" not in said and "ray::" not in said and "Started a local Ray" not in said
    (summary,) = tmp_path.rglob("summary.json")
    assert json.loads(summary.read_text())["trials"]["count"] == 8


SEEDS = ["--config", "random_search.yaml", "search.epochs=10", "evaluation.mode=query", "--seeds", "1-2", "--jobs", "2"]


@pytest.mark.slow
def test_seeds_on_ray_are_those_of_processes(tmp_path, marked):
    scores = []
    for name, more in (("ray", ["--executor", "ray"]), ("process", [])):
        process = start([*SEEDS, f"out_dir={name}", *more], tmp_path)
        assert process.wait(600) == 0, (tmp_path / "said").read_text()
        (path,) = (tmp_path / name).rglob("seeds.json")
        scores.append([(run["seed"], run["score"]) for run in json.loads(path.read_text())["runs"]])
    assert scores[0] == scores[1] and [seed for seed, _ in scores[0]] == [1, 2]
    wait_until(lambda: not alive(marked))


@pytest.mark.slow
def test_seeds_on_ray_that_are_interrupted_are_saved_and_go_on(tmp_path, marked):
    own = ("seed=", "search.workers", "search.executor")
    words = [*(word for word in RUN if not word.startswith(own)), "--seeds", "5", "--executor", "ray"]
    process = start(words, tmp_path)
    wait_until(lambda: len(over(tmp_path)) >= 2 or process.poll() is not None)
    process.terminate()
    assert process.wait(300) == 143, (tmp_path / "said").read_text()
    wait_until(lambda: not alive(marked))
    said = (tmp_path / "said").read_text()
    assert "seeds not finished: 5; go on with --resume" in said and "interrupted; what it had done is saved" in said
    before = over(tmp_path)
    assert 2 <= len(before) < 8 and list(tmp_path.rglob("search/*.pth")) and not list(tmp_path.rglob("summary.json"))
    again = start([*words, "--resume"], tmp_path)
    assert again.wait(600) == 0, (tmp_path / "said").read_text()
    after = over(tmp_path)
    assert sorted(after) == list(range(8)) and all(after[n].seconds == before[n].seconds for n in before)
    assert len(list(tmp_path.rglob("summary.json"))) == 1
    wait_until(lambda: not alive(marked))


@pytest.mark.slow
def test_a_table_built_on_ray_is_that_of_one_process(tmp_path, marked):
    space = NasBench201SearchSpace(n_classes=2, in_channels=2, channels=2, cells_per_stage=1)
    generator = torch.Generator().manual_seed(0)
    parts = []
    for n in (16, 8, 8):
        x = torch.randn(n, 2, 8, 8, generator=generator)
        parts.append(DataLoader(TensorDataset(x, x.mean(dim=(1, 2, 3)).gt(0).long()), 8))
    training = TrainEvaluator(space, parts[0], parts[1], TrainingOfTrials(learning_rate=0.05), epochs=2)
    evaluator = RecordedTraining(training, parts[2], "cpu")
    tables = []
    for name, more in (("serial", {}), ("ray", {"executor": "ray", "workers": 2})):
        arguments = {"name": "nasbench201", "dataset": "made", "architectures": 3, "seeds": (1, 2), **more}
        tables.append(build_table(evaluator, tmp_path / f"{name}.npz", **arguments))
    first, second = tables
    assert first.codes == second.codes and first.seeds == second.seeds and len(first.trained) == 3
    for name, curve in first.curves.items():
        np.testing.assert_array_equal(curve, second.curves[name])
    wait_until(lambda: not alive(marked))
