"""Threads: the decision by measured times, what goes before it, and that a resumed run keeps the number."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from training_runs import load, small_trainer

from naslib.config.loader import load_config
from naslib.errors import ConfigError
from naslib.training import threads
from naslib.training.checkpoint import get_last_checkpoint
from naslib.training.threads import candidates, choose_threads, explicit_setting, measure_threads, settle_threads

CPU = torch.device("cpu")


@pytest.fixture
def four_cores(monkeypatch):
    """Pretend that the machine has four cores and torch has all of them, that nobody has chosen; measure nothing."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads._Process, "chosen", None)
    monkeypatch.setattr(threads, "allowed_cores", lambda: 4)
    monkeypatch.setattr(threads, "affinity_cores", lambda: 4)
    monkeypatch.setattr(threads, "allowed_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(threads, "measure_threads", lambda counts: {1: [3.0], 2: [2.0], 4: [9.0]})
    present = [4]  # real threads would only make the tests slow
    monkeypatch.setattr(torch, "get_num_threads", lambda: present[0])
    monkeypatch.setattr(torch, "set_num_threads", lambda count: present.__setitem__(0, count))


@pytest.mark.parametrize(
    ("cores", "expected"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (12, [1, 2, 4, 8, 12])]
)
def test_candidates_never_exceed_the_cores(cores, expected):
    assert candidates(cores) == expected


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({1: [4.0], 2: [2.1], 4: [1.2]}, 4),  # alone
        ({1: [3.6], 2: [43.0]}, 1),  # beside a busy loop
        ({1: [4.0, 4.0, 4.1], 2: [2.0, 40.0, 41.0]}, 1),  # whose minimum says otherwise
        ({1: [4.0, 4.0, 4.1], 2: [2.0, 2.1, 60.0]}, 2),  # a single mishap
        ({1: [2.1], 2: [2.0]}, 1),  # nothing gained
        ({1: [8.0], 2: [4.0], 4: [3.9], 8: [3.8]}, 2),
        ({1: [0.0]}, 1),
    ],
)
def test_the_decision(times, expected):
    choice = choose_threads({count: [1e-3 * t for t in measured] for count, measured in times.items()}, 8)
    assert choice.threads == expected
    assert "8 cores allowed" in choice.reason
    for count in times:
        assert f"with {count}" in choice.reason


def test_hopeless_numbers_are_measured_twice_only():
    times = {1: [1.0, 1.0], 2: [5.0, 9.0], 4: [5.0]}
    assert [threads.is_promising(count, times) for count in times] == [True, False, True]
    assert threads.is_promising(2, {1: [1.0, 1.0], 2: [9.0, 1.5]})


def test_where_many_threads_take_seconds_they_are_not_tried(monkeypatch):
    class Crowded:
        ran = []

        def run_with(self, count, seconds):
            self.ran.append(count)
            return {1: 0.01, 2: 0.02, 4: 0.3}[count]

    monkeypatch.setattr(threads, "_Work", Crowded)
    times = measure_threads([1, 2, 4, 8, 16])
    assert {count: set(measured) for count, measured in times.items()} == {1: {0.01}, 2: {0.02}, 4: {0.3}}
    assert len(times[4]) == 1 and 8 not in Crowded.ran
    assert choose_threads(times, 16).threads == 1


def test_measuring_changes_nothing():
    before, state = torch.get_num_threads(), torch.get_rng_state()
    times = measure_threads([1, 2])
    assert set(times) <= {1, 2} and times[1] and all(t > 0 for measured in times.values() for t in measured)
    assert torch.get_num_threads() == before and torch.equal(torch.get_rng_state(), state)
    assert measure_threads([1]) == {1: [0.0]}


def test_auto_takes_what_is_fastest_and_says_so_once(four_cores, caplog):
    with caplog.at_level(logging.INFO, "naslib"):
        assert settle_threads("auto", None, CPU).threads == 2 == torch.get_num_threads()
        assert settle_threads("auto", None, CPU).threads == 2
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and lines[0].startswith("threads: 2 (measured: a small convolution takes 3000.0 ms with 1")
    assert threads.thread_reason().startswith("measured")
    torch.set_num_threads(3)
    assert threads.thread_reason() == "not chosen by naslib"
    assert settle_threads("auto", None, CPU) == (3, "torch.set_num_threads(3) goes before threads: auto")


def test_a_number_and_torchs_own(four_cores):
    assert settle_threads(3, 2, CPU).threads == 3 == torch.get_num_threads()
    assert settle_threads(None, 2, CPU) == (3, "torch's own number")


def test_on_an_accelerator_nothing_is_measured(four_cores):
    assert settle_threads("auto", None, torch.device("cuda")).threads == 4


def test_a_checkpoint_goes_before_a_measurement(four_cores):
    assert settle_threads("auto", 1, CPU) == (1, "as the checkpoint was made")
    assert settle_threads("auto", 4, CPU).threads == 4  # another run in the same process
    assert settle_threads("auto", 64, CPU).threads == 4  # of a larger machine: what was chosen here stays


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_what_the_user_has_set_goes_before_auto(four_cores, monkeypatch, variable):
    monkeypatch.setenv(variable, "4")
    assert settle_threads("auto", 1, CPU) == (4, f"{variable}=4 goes before threads: auto")
    assert settle_threads(2, None, CPU).threads == 2  # a number in the config is as explicit


def test_a_number_that_torch_would_not_have_was_set(four_cores):
    assert explicit_setting(4) == ""
    assert explicit_setting(3) == "torch.set_num_threads(3)"


def test_the_number_is_recorded_and_kept(four_cores, monkeypatch, tmp_path):
    small_trainer(tmp_path, epochs=1).search()
    assert torch.get_num_threads() == 2
    recorded = load(tmp_path / "search" / "model_final.pth")["run"]["environment"]
    written = json.loads((tmp_path / "environment.json").read_text())
    assert recorded["threads"] == written["threads"] == 2
    assert written["threads_reason"] == recorded["threads_reason"] and "measured" in written["threads_reason"]

    def fresh_process() -> None:
        monkeypatch.setattr(threads._Process, "chosen", None)
        monkeypatch.setattr(threads, "measure_threads", lambda counts: {1: [1.0], 2: [2.0], 4: [9.0]})
        torch.set_num_threads(4)

    fresh_process()  # in which one thread would be chosen now
    longer = small_trainer(tmp_path, epochs=2)
    longer.search(resume_from=get_last_checkpoint(longer.config))
    assert torch.get_num_threads() == 2
    longer.evaluate()
    assert load(tmp_path / "eval" / "model_final.pth")["run"]["environment"]["threads"] == 2
    fresh_process()  # --eval-only
    small_trainer(tmp_path, epochs=2).evaluate()
    assert torch.get_num_threads() == 2
    fresh_process()
    small_trainer(tmp_path / "other", epochs=1).search()
    assert torch.get_num_threads() == 1


def test_the_key():
    assert load_config({}).threads == "auto"
    assert load_config({}, ["threads=2"]).threads == 2 and load_config({}, ["threads=null"]).threads is None
    for wrong in ("threads=0", "threads=many", "threads=1.5"):
        with pytest.raises(ConfigError, match="threads: expected"):
            load_config({}, [wrong])
