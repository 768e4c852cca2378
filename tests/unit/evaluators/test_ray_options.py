"""What can be said of work on Ray, without a cluster."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
from trial_evaluators import SumOfOps

from naslib.config.loader import load_config
from naslib.errors import ConfigError
from naslib.evaluators import ProcessExecutor, RayExecutor, SerialExecutor, TrainingOfTrials, make_executor
from naslib.evaluators.sending import Attempts
from naslib.history import State, Trial
from naslib.utils.ray_cluster import _room, cause_of_death
from naslib.utils.ray_options import RayOptions, ray_options

RAY = ["optimizer=random_search", "search.executor=ray"]


@pytest.fixture
def evaluator(tmp_path) -> SumOfOps:
    return SumOfOps(tmp_path / "log")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"adress": "auto"}, "adress: no such option of Ray; did you mean 'address'? (there are: address, num_cpus"),
        ({"address": "ray://head:10001"}, "address: expected null (a cluster of this machine), auto (the one that"),
        ({"address": "head"}, "auto (the one that runs here) or host:port, got 'head'"),
        ({"address": "head:99999"}, "host:port, got 'head:99999'"),
        ({"address": 8}, "host:port, got 8"),
        ({"num_gpus": 1.5}, "num_gpus: Ray gives one of gpus in parts, and more than one whole (2, say), got 1.5"),
        ({"num_gpus": -1}, "num_gpus: expected a number of gpus from 0, got -1"),
        ({"num_gpus": True}, "num_gpus: expected a number of gpus from 0, got True"),
        ({"num_gpus": 0.00001}, "num_gpus: Ray knows no smaller share than 0.0001, got 1e-05"),
        ({"num_cpus": "all"}, "num_cpus: expected a number of cpus from 0, got 'all'"),
        ({"num_cpus": float("nan")}, "num_cpus: expected a number of cpus from 0, got nan"),
        ({"num_cpus": None}, "num_cpus: expected a number of cpus from 0, got None"),
        ({"retries": -1}, "retries: expected a number of tries from 0, got -1"),
        ({"retries": 0.5}, "retries: expected a number of tries from 0, got 0.5"),
    ],
)
def test_what_ray_cannot_be_told(given: dict[str, Any], said: str):
    with pytest.raises(ConfigError) as raised:
        ray_options(given, "search.executor_args")
    assert said in str(raised.value) and f"search.executor_args.{next(iter(given))}: " in str(raised.value)


def test_what_ray_can_be_told():
    given = {"address": "10.0.0.1:6379", "num_cpus": 0.5, "num_gpus": 0.25, "retries": 0}
    assert ray_options(given, "x") == RayOptions("10.0.0.1:6379", 0.5, 0.25, 0)
    assert ray_options({"num_gpus": 2, "address": None}, "x") == RayOptions(None, 1.0, 2, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*RAY, "search.executor_args={num_gpus: 1.5}"], "search.executor_args.num_gpus: Ray gives one of gpus"),
        ([*RAY, "search.evaluator=table"], "a table answers at once"),
        ([RAY[0], "search.executor_args={address: auto}"], "address: it goes with search.executor=ray"),
        (
            [RAY[0], "search.executor=process", "search.executor_args={num_cpus: 2, retries: 1}"],
            "num_cpus: search.executor=process has retries alone",
        ),
        ([RAY[0], "search.executor=rey"], "unknown executor 'rey'; did you mean 'ray'?"),
        (["optimizer=darts", "search.executor=ray"], "darts evaluates no trials"),
        ([RAY[0], "search.tell=by_chance"], "search.tell"),
    ],
)
def test_it_is_said_with_the_config(words: list[str], said: str):
    from naslib.cli.door import schema_extensions

    with pytest.raises(ConfigError) as raised:
        load_config(None, words, extensions=schema_extensions())
    assert said in str(raised.value)


def test_the_executor_of_a_name(evaluator):
    assert isinstance(make_executor(evaluator, None, 1), SerialExecutor)
    with make_executor(evaluator, None, 2) as found:
        assert isinstance(found, ProcessExecutor) and found.workers == 2
    with make_executor(evaluator, "process", 1, args={"retries": 4}) as found:
        assert isinstance(found, ProcessExecutor) and found._retries == 4
    with make_executor(evaluator, "ray", 3) as found:  # nothing is started for it
        assert isinstance(found, RayExecutor) and found.workers == 3 and not found._cluster.ray.is_initialized()
    with pytest.raises(ConfigError, match=r"needs search\.executor=process"):
        make_executor(evaluator, "serial", 2)
    with pytest.raises(ConfigError, match=r"not 'proces'; did you mean 'process'"):
        make_executor(evaluator, "proces", 2)
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        make_executor(evaluator, "ray", 0)


def test_without_ray_the_extra_is_named(evaluator, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"search\.executor=ray needs ray.*pip install 'naslib\[ray\]'"):
        RayExecutor(evaluator, 2)


def test_nobody_at_the_address_is_said_at_once(evaluator):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    with pytest.raises(ConfigError, match=rf"executor_args\.address: nobody answers at 127\.0\.0\.1:{port} \("):
        RayExecutor(evaluator, 2, options=RayOptions(address=f"127.0.0.1:{port}"))


def test_a_cluster_that_refuses_is_said_with_the_token_that_it_may_want(evaluator, monkeypatch):
    import ray

    def refuse(**how: Any) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379.\nmore")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr("naslib.utils.ray_cluster._check_reachable", lambda *_: None)
    cases = ((None, "10.0.0.1:6379", True), ("token", "10.0.0.1:6379", False), (None, "auto", False))
    for mode, address, is_said in cases:
        monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
        if mode is not None:
            monkeypatch.setenv("RAY_AUTH_MODE", mode)
        with pytest.raises(ConfigError, match=r"no cluster of Ray answers at .* \(Failed to connect[^\n]*\)") as raised:
            RayExecutor(evaluator, 1, options=RayOptions(address=address))
        assert ("RAY_AUTH_MODE=token" in str(raised.value)) == is_said


def test_gpus_that_are_not_there_and_those_that_are_needed(evaluator, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"num_gpus is 2, and this machine has 1 GPUs"):
        RayExecutor(evaluator, 2, options=RayOptions(num_gpus=2))
    assert RayExecutor(evaluator, 2, options=RayOptions(num_gpus=0.5))._cluster.num_gpus == 0.5
    assert RayExecutor(evaluator, 2)._cluster.num_gpus == 0.0
    evaluator.how = TrainingOfTrials(device="cuda")  # type: ignore[attr-defined]
    assert RayExecutor(evaluator, 2)._cluster.num_gpus == 1.0
    with pytest.raises(ConfigError, match=r"num_gpus is 0, and networks are trained on cuda"):
        RayExecutor(evaluator, 2, options=RayOptions(num_gpus=0))
    evaluator.how = TrainingOfTrials(device="cuda:1")  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"device=cuda:1: which GPU a trial has is said by Ray"):
        RayExecutor(evaluator, 2)


@pytest.mark.parametrize(
    ("cpu", "gpu", "cpus", "gpus", "expected"),
    [(8, 0, 1, 0, 8), (8, 0, 3, 0, 2), (8, 2, 1, 0.25, 8), (16, 2, 1, 0.3, 6), (16, 4, 1, 3, 1), (4, 0, 1, 0.5, 0),
     (1, 3, 0, 1, 3), (2, 1, 0.1, 0.1, 10), (0.5, 0, 1, 0, 0)],
)  # fmt: skip
def test_how_many_trials_a_node_holds(cpu, gpu, cpus, gpus, expected):
    """A part of a GPU is on one GPU: three trials of 0.3 on each of two, not six and two thirds."""
    assert _room(cpu, gpu, cpus, gpus) == expected


def test_what_becomes_of_a_trial_whose_workers_die(caplog):
    entry = Attempts(Trial(4, (1, 2)), worker=1)
    assert entry.died("its node died", 2) is None and entry.died("no memory", 2) is None
    failed = entry.died("its process died", 2)
    assert failed is not None and failed.state is State.FAILED and (failed.number, failed.worker) == (4, 1)
    assert failed.user["error"] == "its worker died 3 times: its node died, no memory, its process died"
    assert "the worker of trial 4 died (no memory); the trial is tried once more" in caplog.text
    alone = Attempts(Trial(5, (1,))).died("its node died", 0)
    assert alone is not None and alone.user["error"] == "its worker died: its node died"


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("WorkerCrashedError", "The worker died unexpectedly while executing this task.", "its process died"),
        ("OutOfMemoryError", "Task was killed", "Ray ended its process, as the memory of its node ran out"),
        ("NodeDiedError", "(ip=1)", "its node died"),
        ("ActorDiedError", "a. Worker exit detail: end of file. More", "its process ended: end of file"),
        ("OtherError", "What it says. And more", "OtherError: What it says"),
    ],
)
def test_why_a_worker_died(kind, text, said):
    assert cause_of_death(type(kind, (RuntimeError,), {})(text)) == said
