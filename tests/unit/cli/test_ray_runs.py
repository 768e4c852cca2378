"""Runs on Ray, without Ray: what the options say, and what becomes of works that end, die, or are interrupted."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from naslib.cli import ray_workers
from naslib.cli.command import main
from naslib.cli.quiet_run import INTERRUPTED, QuietRun
from naslib.cli.ray_runs import runs_on_ray
from naslib.cli.ray_workers import on_ray
from naslib.cli.seeds import plan_seeds
from naslib.cli.workers import Event, Stopped
from naslib.config.cli import CommandLine, parse_cli
from naslib.errors import ConfigError
from naslib.utils.ray_options import RayOptions


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class TaskCancelledError(RayError):
    pass


class WorkerCrashedError(RayError):
    pass


class FakeCluster:
    """Works that end in the order in which they began, each as it is said in advance.

    Attributes:
        outcomes: Of each work, what comes of it the first time, the second ...: a value, or an error.
    """

    outcomes: dict[str, list[Any]] = {}
    begun: list[str] = []
    cancelled: list[tuple[int, bool]] = []

    def __init__(self, options: RayOptions, slots: int, place: str, asked: str) -> None:
        self.slots = slots
        kinds = SimpleNamespace(
            RayError=RayError, RayTaskError=RayTaskError, TaskCancelledError=TaskCancelledError,
            RuntimeEnvSetupError=RayTaskError,
        )  # fmt: skip
        self.ray = SimpleNamespace(wait=self._wait, get=self._get, exceptions=kinds)
        self.calls: list[str] = []

    def __enter__(self) -> FakeCluster:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def function(self, function: Any) -> Any:
        return SimpleNamespace(remote=self._begin)

    def _begin(self, act: Any, work: str, here: Any) -> int:
        assert callable(act) and here[0] == str(Path.cwd())
        self.begun.append(work)
        self.calls.append(work)
        return len(self.calls) - 1

    def _wait(self, running: list[int], num_returns: int, timeout: float) -> tuple[list[int], list[int]]:
        assert len(running) <= self.slots
        return running[:1], running[1:]

    def _get(self, call: int) -> Any:
        outcome = self.outcomes[self.calls[call].rstrip("+")].pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def cancel(self, calls: Any, force: bool = True) -> None:
        self.cancelled.extend((call, force) for call in list(calls))


@pytest.fixture
def cluster(monkeypatch) -> type[FakeCluster]:
    monkeypatch.setattr(ray_workers, "RayCluster", FakeCluster)
    monkeypatch.setattr(FakeCluster, "begun", [])
    monkeypatch.setattr(FakeCluster, "cancelled", [])
    return FakeCluster


def again(work: str) -> str:
    return work + "+"


def test_what_happens_to_works(cluster):
    cluster.outcomes = {
        "a": [1],
        "dies": [WorkerCrashedError(), 2],
        "dies twice": [WorkerCrashedError(), WorkerCrashedError()],
        "crashes": [RayTaskError("ValueError: it is wrong\nmore")],
        "b": [3],
    }
    events = list(on_ray(len, list(cluster.outcomes), 2, RayOptions(), again))
    by_place = {e.place: e for e in events if e.kind not in ("begun", "waiting")}
    assert by_place == {
        0: Event("done", 0, 1), 1: Event("done", 1, 2), 2: Event("died", 2, "its process died"),
        3: Event("crashed", 3, "RayTaskError: ValueError: it is wrong"), 4: Event("done", 4, 3),
    }  # fmt: skip
    assert [e.place for e in events if e.kind == "begun"] == [0, 1, 2, 3, 4]  # once, also those that died
    assert sorted(cluster.begun) == ["a", "b", "crashes", "dies", "dies twice", "dies twice+", "dies+"]


def test_without_retries_the_first_death_is_the_last(cluster):
    cluster.outcomes = {"dies": [WorkerCrashedError()], "a": [1]}
    events = list(on_ray(len, ["dies", "a"], 1, RayOptions(retries=0)))
    assert events == [Event("begun", 0), Event("died", 0, "its process died"), Event("begun", 1), Event("done", 1, 1)]


def test_a_signal_is_handed_on_and_no_other_work_begins(cluster):
    cluster.outcomes = {"a": [1], "b": ["saved"], "c": [TaskCancelledError()], "d": [4]}
    found = []
    with pytest.raises(Stopped, match="SIGTERM") as stopped:
        for event in on_ray(len, ["a", "b", "c", "d"], 2, RayOptions(), interrupted=INTERRUPTED):
            found.append(event)
            if event == Event("done", 0, 1):
                os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.signum == signal.SIGTERM
    assert found == [Event("begun", 0), Event("begun", 1), Event("done", 0, 1), Event("done", 1, "saved")]
    assert cluster.cancelled == [(1, False)] and "d" not in cluster.begun


def test_a_work_that_the_signal_ended_is_interrupted(cluster):
    cluster.outcomes = {"a": [TaskCancelledError()]}
    events = list(on_ray(len, ["a"], 1, RayOptions(), interrupted=INTERRUPTED))
    assert events == [Event("begun", 0), Event("done", 0, INTERRUPTED)]


def test_a_consumer_that_goes_away_ends_the_works(cluster):
    cluster.outcomes = {"a": [1], "b": [2]}
    events = on_ray(len, ["a", "b"], 2, RayOptions())
    assert [next(events), next(events)] == [Event("begun", 0), Event("begun", 1)]
    events.close()
    assert cluster.cancelled == [(0, True), (1, True)]


def test_a_run_whose_process_died_goes_on_with_what_it_saved(cluster, monkeypatch, tmp_path):
    command = CommandLine("a.yaml", overwrite=True)
    begun: list[QuietRun] = []
    outcomes = [WorkerCrashedError(), ""]
    monkeypatch.setattr(FakeCluster, "_begin", lambda self, act, work, here: begun.append(work) or len(begun))

    def get(self: FakeCluster, call: int) -> Any:
        outcome = outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(FakeCluster, "_get", get)
    work = QuietRun(command, tmp_path, keeps=False)
    assert list(runs_on_ray([work], 1, None)) == [Event("begun", 0), Event("done", 0, "")]
    assert begun == [work, QuietRun(command, tmp_path, keeps=True)]
    assert list(runs_on_ray([], 1, None)) == []


# the options


def test_the_options_are_read():
    words = ["--config", "a.yaml", "--seeds", "1-2", "--executor", "ray"]
    found = parse_cli([*words, "--executor-args", "address=auto, num_gpus=0.5"])
    assert (found.executor, found.executor_args) == ("ray", {"address": "auto", "num_gpus": 0.5})
    assert parse_cli([*words, "--executor-args", "{retries: 3}"]).executor_args == {"retries": 3}
    assert parse_cli(words).executor_args is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--executor", "ray"], "--executor says where the runs of --seeds are; where trials are evaluated is search."),
        (["--seeds", "1-2", "--executor", "serial"], "--executor is one of process, ray, not 'serial'"),
        (["--seeds", "1-2", "--executor-args", "address=auto"], "--executor-args address: it goes with --executor ray"),
        (["--seeds", "1-2", "--executor", "ray", "--executor-args", "gpus=1"], "did you mean 'num_gpus'?"),
        (["--seeds", "1-2", "--executor", "ray", "--executor-args", "num_gpus=1.5"], "more than one whole (2, say)"),
    ],
)
def test_what_they_cannot_be(words, said):
    with pytest.raises(ConfigError) as raised:
        parse_cli(["--config", "random_search.yaml", *words])
    assert said in str(raised.value)


def test_runs_and_their_trials_are_not_both_on_ray(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = CommandLine("random_search_train.yaml", overrides=("search.executor=ray",), seeds=(1, 2), executor="ray")
    with pytest.raises(ConfigError, match=r"--executor ray has the runs on Ray, and search\.executor=ray the trials"):
        plan_seeds(command)
    words = ["compare", "random_search_train.yaml", "--methods", "rs,re", "--seeds", "1", "--evaluations", "3"]
    assert main([*words, "--executor", "ray", "search.executor=ray"]) == 2
    assert "leave one of them out" in capsys.readouterr().err and not list(tmp_path.iterdir())
