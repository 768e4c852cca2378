"""Searches of trials: what is told in which order, what is recalled, what a budget allows, what dead workers cost."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trial_evaluators import SumOfOps

from naslib.errors import ConfigError, OptimizerStateError, TrialFailed, TrialStopped
from naslib.evaluators import (
    Evaluator,
    Executor,
    FittedEvaluator,
    ProcessExecutor,
    ProxyEvaluator,
    SerialExecutor,
    SupernetEvaluator,
    TrainEvaluator,
    TrialSearch,
)
from naslib.evaluators.base import never
from naslib.evaluators.executors import evaluated
from naslib.history import History, MemoryHistory, Objective, Outcome, SqliteHistory, State, Trial, load
from naslib.optimizers import RandomSearch, RegularizedEvolution
from naslib.search_spaces import NasBench201SearchSpace
from naslib.utils.seeding import derive_seed

KINDS = [RandomSearch, RegularizedEvolution]
SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)


class Backwards(Executor):
    """Of the trials it has, the last one submitted is over first: workers of very different speed."""

    def __init__(self, evaluator: SumOfOps, workers: int) -> None:
        self.evaluator, self.workers, self.waiting = evaluator, workers, []  # type: ignore[var-annotated]

    def submit(self, trial: Trial) -> None:
        self.waiting.append(trial)

    def next_finished(self, should_stop: Any) -> Trial:
        return evaluated(self.evaluator, self.waiting.pop(), should_stop)


def adapted(kind: type, evaluator: SumOfOps, seed: int = 0) -> Any:
    np.random.seed(seed)
    optimizer = kind(**({"population_size": 4, "sample_size": 2} if kind is RegularizedEvolution else {}))
    optimizer.adapt_search_space(SPACE, "x", evaluator=evaluator)
    return optimizer


def run(search: TrialSearch, epochs: int | None = None) -> list[Trial]:
    done = 0
    while search.goes_on(done) and done != epochs:
        search.advance(done, never)
        done += 1
    return search.history.trials()


def searched(
    kind: type, folder: Path, executor: Any = SerialExecutor, history: History | None = None, **more: Any
) -> tuple[list[Trial], Any, SumOfOps]:
    evaluator = SumOfOps(folder / "log", **{key: more.pop(key) for key in ("fail", "kill", "slow") if key in more})
    optimizer = adapted(kind, evaluator)
    kept = history if history is not None else MemoryHistory()
    with executor(evaluator) as running:
        trials = run(TrialSearch(optimizer, running, kept, seed=7, **{"epochs": 15, **more}))
    return trials, optimizer, evaluator


def plain(trials: list[Trial]) -> list[Trial]:
    """Trials without what depends on who evaluates them."""
    return [dataclasses.replace(trial, worker=None) for trial in trials]


@pytest.mark.parametrize("kind", KINDS)
def test_every_trial_is_in_the_history_and_told(kind, tmp_path):
    trials, optimizer, evaluator = searched(kind, tmp_path, fail=(2, 9))
    assert [trial.number for trial in trials] == list(range(15)) == evaluator.begun()
    assert [trial.number for trial in trials if trial.state is State.FAILED] == [2, 9]
    assert all(trial.seed == derive_seed(7, "trial", trial.number) and trial.fidelity == 3 for trial in trials)
    assert all(trial.values == (float(sum(trial.code)),) for trial in trials if trial.state is State.COMPLETE)
    assert optimizer.record.evaluations == 13 and optimizer.record.failed == 2 and not optimizer.pending()
    assert optimizer.record.seconds == sum(trial.seconds for trial in trials)


def test_random_search_finds_the_same_with_any_number_of_workers(tmp_path):
    expected, optimizer, _ = searched(RandomSearch, tmp_path, fail=(5,))
    for workers in (2, 3, 8):
        (tmp_path / str(workers)).mkdir()
        found, other, _ = searched(
            RandomSearch, tmp_path / str(workers), lambda e, n=workers: Backwards(e, n), fail=(5,)
        )
        assert found == expected
        assert other.record.state_dict() == optimizer.record.state_dict()


@pytest.mark.parametrize("workers", [2, 3])
def test_evolution_depends_on_the_number_of_workers_and_not_on_their_speed(workers, tmp_path):
    class InOrder(Backwards):
        def next_finished(self, should_stop):
            return evaluated(self.evaluator, self.waiting.pop(0), should_stop)

    found = []
    for kind in (Backwards, InOrder):
        (tmp_path / kind.__name__).mkdir()
        found.append(searched(RegularizedEvolution, tmp_path / kind.__name__, lambda e, k=kind: k(e, workers))[0])
    assert found[0] == found[1]
    # the asynchronous algorithm written out: trial k is asked for when all before k - workers + 1 are told
    evaluator = SumOfOps(tmp_path / "log")
    optimizer, waiting, expected = adapted(RegularizedEvolution, evaluator), [], []
    for number in range(15):
        while len(waiting) < workers and number + len(waiting) < 15:
            waiting += optimizer.ask(1)
        trial = waiting.pop(0)
        expected.append((trial.number, trial.code, trial.parent))
        optimizer.tell(trial, float(sum(trial.code)))
    assert [(trial.number, trial.code, trial.parent) for trial in found[0]] == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("stop", [1, 6, 11])
def test_what_the_history_knows_is_not_evaluated_again(kind, workers, stop, tmp_path):
    """A search that begins anew beside the history of one that was killed goes on with it: recovery is replay."""

    def executor(evaluator: SumOfOps) -> Executor:
        return Backwards(evaluator, workers)

    (tmp_path / "whole").mkdir()
    whole, optimizer, _ = searched(kind, tmp_path / "whole", executor, fail=(3,))
    evaluator = SumOfOps(tmp_path / "log", fail=(3,))
    with SqliteHistory(tmp_path / "history.sqlite") as history:
        search = TrialSearch(adapted(kind, evaluator), executor(evaluator), history, seed=7, epochs=15)
        run(search, stop)  # and then it is killed, with trials that were begun and not finished
        over = {trial.number for trial in history if trial.state.is_over}
    with SqliteHistory(tmp_path / "history.sqlite") as history:
        again = adapted(kind, evaluator)
        found = run(TrialSearch(again, executor(evaluator), history, seed=7, epochs=15))
    assert found == whole == load(tmp_path) and again.record.state_dict() == optimizer.record.state_dict()
    begun = evaluator.begun()
    assert sorted(set(begun)) == list(range(15)) and all(begun.count(number) == 1 for number in over)


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_and_the_history_behind_it_go_together(kind, tmp_path):
    (tmp_path / "whole").mkdir()
    whole, optimizer, _ = searched(kind, tmp_path / "whole", lambda e: Backwards(e, 3))
    evaluator, history = SumOfOps(tmp_path / "log"), MemoryHistory()
    first = adapted(kind, evaluator)
    search = TrialSearch(first, Backwards(evaluator, 3), history, seed=7, epochs=15)
    run(search, 5)
    state = {name: part.state_dict() for name, part in first.get_checkpointables().items()}
    run(search, 4)
    second = adapted(kind, evaluator, seed=5)
    for name, part in second.get_checkpointables().items():
        part.load_state_dict(state[name])
    resumed = TrialSearch(second, Backwards(evaluator, 3), history, seed=7, epochs=15)
    for done in range(5, 15):
        resumed.advance(done, never)
    assert history.trials() == whole and second.record.state_dict() == optimizer.record.state_dict()


def test_another_course_is_said_and_evaluated_anew(tmp_path, caplog):
    evaluator, history = SumOfOps(tmp_path / "log"), MemoryHistory()
    run(TrialSearch(adapted(RandomSearch, evaluator, 1), SerialExecutor(evaluator), history, seed=7, epochs=3))
    other = run(TrialSearch(adapted(RandomSearch, evaluator, 2), SerialExecutor(evaluator), history, seed=7, epochs=3))
    assert evaluator.begun() == [0, 1, 2, 0, 1, 2] and "trial 0 is [" in caplog.text
    (tmp_path / "b").mkdir()
    evaluator = SumOfOps(tmp_path / "b" / "log")
    fresh, executor = adapted(RandomSearch, evaluator, 2), SerialExecutor(evaluator)
    assert other == run(TrialSearch(fresh, executor, MemoryHistory(), seed=7, epochs=3))


def test_a_budget_of_seconds_ends_the_search(tmp_path):
    trials, optimizer, _ = searched(RandomSearch, tmp_path, budget=16.0, epochs=2)  # they take 1, 2, 3 ... seconds
    assert [trial.seconds for trial in trials] == [1, 2, 3, 4, 5, 6] and optimizer.record.seconds == 21
    (tmp_path / "two").mkdir()
    trials, _, _ = searched(RandomSearch, tmp_path / "two", lambda e: Backwards(e, 2), budget=16.0, epochs=2)
    assert len(trials) == 7 and all(trial.state is State.COMPLETE for trial in trials)  # one was under way
    with pytest.raises(ConfigError, match="above 0 seconds"):
        searched(RandomSearch, tmp_path, budget=0.0)


class NeverFinite(Evaluator):
    """Takes a moment, and fails."""

    objectives = (Objective("nothing"),)
    fidelity = 1
    is_timed = True

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        time.sleep(0.01)
        raise TrialFailed("the loss became NaN")


def test_a_budget_of_seconds_is_spent_where_every_trial_fails(tmp_path):
    optimizer = adapted(RandomSearch, NeverFinite())  # type: ignore[arg-type]
    search = TrialSearch(optimizer, SerialExecutor(NeverFinite()), MemoryHistory(), budget=0.05, epochs=1)
    trials = run(search, epochs=50)
    assert {trial.state for trial in trials} == {State.FAILED} and 1 <= len(trials) <= 5
    assert all(trial.seconds >= 0.01 for trial in trials) and not search.goes_on(len(trials))
    for kind in (TrainEvaluator, ProxyEvaluator, SupernetEvaluator, FittedEvaluator):
        assert kind.is_timed


def test_instant_evaluations_are_written_in_groups_and_all_in_the_end(tmp_path):
    evaluator = SumOfOps(tmp_path / "log")
    with SqliteHistory(tmp_path / "history.sqlite") as history:
        search = TrialSearch(
            adapted(RandomSearch, evaluator), SerialExecutor(evaluator), history, epochs=40, is_instant=True
        )
        run(search)
        search.flush()
    assert [trial.number for trial in load(tmp_path)] == list(range(40))


def test_a_method_that_asks_for_nothing_is_an_error(tmp_path):
    class Silent(RandomSearch):
        def propose(self):
            return None

    evaluator = SumOfOps(tmp_path / "log")
    search = TrialSearch(adapted(Silent, evaluator), SerialExecutor(evaluator), MemoryHistory(), epochs=3)
    with pytest.raises(OptimizerStateError, match="Silent asks for no trial"):
        search.advance(0, never)


# processes


def test_processes_find_what_one_process_finds(tmp_path):
    expected, optimizer, _ = searched(RandomSearch, tmp_path, epochs=8, fail=(3,))
    (tmp_path / "two").mkdir()
    found, other, evaluator = searched(
        RandomSearch, tmp_path / "two", lambda e: ProcessExecutor(e, 2), epochs=8, fail=(3,), slow=0.05
    )
    assert plain(found) == expected and {trial.worker for trial in found} <= {0, 1}
    assert other.record.state_dict() == optimizer.record.state_dict() and sorted(evaluator.begun()) == list(range(8))


def test_a_worker_that_dies_costs_a_second_try_and_a_second_death_the_trial(tmp_path, caplog):
    expected, _, _ = searched(RandomSearch, tmp_path, epochs=6)
    (tmp_path / "killed").mkdir()
    found, optimizer, evaluator = searched(
        RandomSearch, tmp_path / "killed", lambda e: ProcessExecutor(e, 2), epochs=6, kill={1: 1, 4: 99}
    )
    assert [trial.state for trial in found].count(State.FAILED) == 1 and optimizer.record.failed == 1
    assert "died 2 times: killed by SIGKILL, killed by SIGKILL" in found[4].user["error"]
    assert [trial for trial in plain(found) if trial.number != 4] == [trial for trial in expected if trial.number != 4]
    assert evaluator.begun().count(1) == 2 and evaluator.begun().count(4) == 2
    assert "the worker of trial 1 died (killed by SIGKILL); the trial is tried once more" in caplog.text
    assert "the worker of trial 4 died again" in caplog.text


def test_an_error_of_the_set_up_ends_the_search_with_its_own_words(tmp_path):
    evaluator = SumOfOps(tmp_path / "log", error=1)
    for executor in (SerialExecutor(evaluator), ProcessExecutor(evaluator, 1)):
        search = TrialSearch(adapted(RandomSearch, evaluator), executor, MemoryHistory(), epochs=3)
        with executor, pytest.raises(KeyError, match="an error of the set-up") as raised:
            run(search)
        assert any("while evaluating trial 1" in note for note in raised.value.__notes__)


def test_processes_stop_when_they_are_asked_to(tmp_path):
    evaluator = SumOfOps(tmp_path / "log", slow=60.0)
    with ProcessExecutor(evaluator, 1) as executor:
        search = TrialSearch(adapted(RandomSearch, evaluator), executor, MemoryHistory(), epochs=3)
        with pytest.raises(TrialStopped):
            search.advance(0, lambda: bool(evaluator.begun()))
        assert [trial.state for trial in search.history] == [State.RUNNING]
        processes = [worker.process for worker in executor._workers]
    assert processes and not any(process.is_alive() for process in processes)


def test_what_cannot_be_sent_or_started_is_one_clear_error(tmp_path):
    evaluator = SumOfOps(tmp_path / "log")
    with pytest.raises(ConfigError, match=r"workers must be at least 1, not 0"):
        ProcessExecutor(evaluator, 0)
    evaluator.hook = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"cannot be copied.*executor=serial"):
        ProcessExecutor(evaluator, 1)
