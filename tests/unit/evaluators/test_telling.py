"""In which order results are told: by number, and by arrival, where no worker waits for a straggler."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from black_box import EveryKind, Scores, adapted, restore, saved
from every_black_box import KEYWORDS, METHODS, ON_ANY_SPACE
from executor_clock import Clock, Shuffled, makespan

from naslib.config.loader import load_config
from naslib.defaults._trials import is_told_by_arrival
from naslib.errors import ConfigError
from naslib.evaluators import Executor, TrialSearch
from naslib.evaluators.base import never
from naslib.history import History, MemoryHistory, SqliteHistory, State, Trial, load
from naslib.optimizers import ASHA, NSGA2, OPTIMIZERS, RandomSearch, RegularizedEvolution, SuccessiveHalving

EPOCHS = 24
ASYNCHRONOUS = ["asha", "hierarchical_evolution", "nsga2", "random_search", "re", "tpe"]
# Every fourth trial takes ten times as long
STRAGGLE = [10.0 if number % 4 == 1 else 1.0 for number in range(EPOCHS)]
ASHA_KEYS = {"fidelities": [1, 3], "eta": 3}


def optimizer_of(name: str, seed: int = 0, evaluator: Scores | None = None) -> Any:
    keywords = {**KEYWORDS.get(name, {}), **(ASHA_KEYS if name in ("asha", "sh", "hyperband", "bohb") else {})}
    return adapted(OPTIMIZERS.get(name), seed, evaluator or Scores(), **keywords)


def run(
    optimizer: Any, executor: Executor, history: History | None = None, stop: int | None = None, **more: Any
) -> list[Trial]:
    search = TrialSearch(
        optimizer, executor, history if history is not None else MemoryHistory(),
        **{"seed": 7, "epochs": EPOCHS, "by_arrival": True, **more},
    )  # fmt: skip
    done = optimizer.record.asked - len(optimizer.record.pending)
    while search.goes_on(done) and done != stop:
        search.advance(done, never)
        done += 1
    return search.history.trials()


def in_order_of_telling(trials: list[Trial]) -> list[int]:
    return [t.number for t in sorted((t for t in trials if t.state.is_over), key=lambda t: t.user["told"])]


@pytest.mark.parametrize("name", ["asha", "nsga2", "re", "rs"])
def test_by_arrival_no_worker_is_idle_while_trials_are_left(name):
    """Every worker has a trial whenever a result is waited for, until fewer trials are left than workers."""
    optimizer = optimizer_of(name)
    executor = Clock(optimizer.evaluator, 4, STRAGGLE.__getitem__)
    trials = run(optimizer, executor)
    assert executor.idle == [0] * (EPOCHS - 3) + [1, 2, 3]
    assert executor.now == makespan(STRAGGLE, 4)
    assert in_order_of_telling(trials) == [number for _, number in executor.ended]
    assert sorted(t.user["told"] for t in trials) == list(range(EPOCHS)) and not optimizer.record.pending


def test_by_number_the_same_trials_take_longer():
    """By hand: trials 1, 5, 9 ... hold up the three after them, and are begun 10 seconds apart."""
    optimizer = optimizer_of("rs")
    executor = Clock(optimizer.evaluator, 4, STRAGGLE.__getitem__)
    trials = run(optimizer, executor, by_arrival=False)
    assert executor.now == 60.0 and makespan(STRAGGLE, 4) == 24.0
    assert sum(executor.idle) == 36 and all("told" not in t.user for t in trials)


@pytest.mark.parametrize("name", ["asha", "nsga2", "re"])
@pytest.mark.parametrize("stop", [1, 9, 20])
def test_a_search_that_was_killed_tells_in_the_same_order_again(name, stop, tmp_path):
    """The history alone is enough: what had been told is told in that order, what was running is evaluated anew."""
    whole = optimizer_of(name)
    expected = run(whole, Shuffled(whole.evaluator, 4))
    assert in_order_of_telling(expected) != list(range(EPOCHS))
    first = optimizer_of(name)
    with SqliteHistory(tmp_path / "history.sqlite") as history:
        run(first, Shuffled(first.evaluator, 4), history, stop)
        over = {trial.number for trial in history if trial.state.is_over}
    assert len(over) == stop
    again = optimizer_of(name)
    executor = Shuffled(again.evaluator, 4)
    with SqliteHistory(tmp_path / "history.sqlite") as history:
        found = run(again, executor, history)
    assert found == expected == load(tmp_path)
    assert again.record.state_dict() == whole.record.state_dict()
    assert sorted(executor.begun) == sorted(set(range(EPOCHS)) - over)


@pytest.mark.parametrize("name", ["asha", "nsga2", "re"])
def test_a_checkpoint_and_the_history_behind_it_go_together(name):
    whole = optimizer_of(name)
    expected = run(whole, Shuffled(whole.evaluator, 4))
    first, history = optimizer_of(name), MemoryHistory()
    executor = Shuffled(first.evaluator, 4)
    search = TrialSearch(first, executor, history, seed=7, epochs=EPOCHS, by_arrival=True)
    for done in range(7):
        search.advance(done, never)
    checkpoint = saved(first)
    for done in range(7, 15):
        search.advance(done, never)
    second = optimizer_of(name, seed=5)
    restore(second, checkpoint)
    executor = Shuffled(second.evaluator, 4)
    assert run(second, executor, history) == expected and len(executor.begun) == EPOCHS - 15
    assert second.record.state_dict() == whole.record.state_dict()


def test_a_search_that_was_told_by_number_goes_on_by_arrival_and_with_other_workers(tmp_path, caplog):
    first = optimizer_of("rs")
    with SqliteHistory(tmp_path / "history.sqlite") as history:
        run(first, Shuffled(first.evaluator, 4), history, 6, by_arrival=False)
        over = {trial.number for trial in history if trial.state.is_over}
        second = optimizer_of("rs")
        executor = Shuffled(second.evaluator, 2)
        found = run(second, executor, history, 15)
        third = optimizer_of("rs")
        last = Shuffled(third.evaluator, 3)
        found = run(third, last, history)
    assert {t.number for t in found} == set(range(EPOCHS)) and all(t.state is State.COMPLETE for t in found)
    assert sorted([*over, *executor.begun, *last.begun]) == list(range(EPOCHS)) and "anew" not in caplog.text
    assert sorted(t.user["told"] for t in found) == list(range(EPOCHS))


def test_with_one_worker_both_are_the_same():
    found = []
    for by_arrival in (False, True):
        optimizer = optimizer_of("re")
        found.append((run(optimizer, Shuffled(optimizer.evaluator, 1), by_arrival=by_arrival), optimizer))
    assert found[0][0] == found[1][0] and found[0][1].record.state_dict() == found[1][1].record.state_dict()
    assert not found[1][1].is_told_by_arrival


def test_a_budget_ends_a_search_by_arrival():
    optimizer = optimizer_of("rs")  # a trial takes a second
    trials = run(optimizer, Shuffled(optimizer.evaluator, 4), budget=10.0)
    assert len(trials) == 13 and optimizer.record.seconds == 13.0  # three were under way


def test_nsga2_by_arrival_breeds_from_what_is_told_and_asks_for_nothing_twice():
    evaluator = Scores(2)
    optimizer = adapted(NSGA2, 3, evaluator, population_size=6)
    trials = run(optimizer, Clock(evaluator, 4, lambda n: STRAGGLE[n % EPOCHS]), epochs=30)
    codes = [t.code for t in trials]
    assert len(trials) == 30 and len(set(codes[6:])) == 24
    # the second generation was bred while the straggler of the first was out
    told = {t.number: t.user["told"] for t in trials}
    bred = [t for t in trials if t.parent is not None]
    assert bred[0].number == 6 and told[1] > told[2] and min(told[t.number] for t in bred) < told[5]
    assert all(told[t.parent] < told[t.number] for t in bred)
    waiting = adapted(NSGA2, 3, evaluator, population_size=6)
    expected = run(waiting, Clock(evaluator, 4, lambda n: STRAGGLE[n % EPOCHS]), epochs=30, by_arrival=False)
    assert [t.code for t in expected[:6]] == codes[:6] and [t.code for t in expected] != codes


def test_which_methods_are_told_by_arrival_on_ray():
    assert [name for name in METHODS if OPTIMIZERS.get(name).IS_ASYNCHRONOUS] == ASYNCHRONOUS
    for kind, expected in (
        (RandomSearch, True),
        (RegularizedEvolution, True),
        (ASHA, True),
        (SuccessiveHalving, False),
    ):
        optimizer = kind()
        for words, found in (
            ([], False),
            (["search.executor=process"], False),
            (["search.executor=ray"], expected),
            (["search.executor=ray", "search.tell=by_number"], False),
            (["search.tell=by_arrival"], True),
        ):
            assert is_told_by_arrival(load_config(None, words), optimizer) is found, (kind, words)


def test_what_cannot_be_is_said_with_the_config():
    with pytest.raises(ConfigError, match=r"search\.tell"):
        load_config(None, ["search.tell=by_chance"])


# every method, in both orders


def product_case(name: str, folder: Path | None = None) -> Any:
    if name in ON_ANY_SPACE:
        return optimizer_of(name, evaluator=Scores(1))
    optimizer = OPTIMIZERS.get(name)(**KEYWORDS.get(name, {}))
    np.random.seed(0)
    from naslib.search_spaces import SEARCH_SPACES

    space = SEARCH_SPACES.get("eas_cnn" if name == "eas" else "pnas")()
    optimizer.adapt_search_space(space, "none", evaluator=SumOfCode())
    return optimizer


class SumOfCode(Scores):
    """A score of any architecture."""

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Any:
        from naslib.history import Outcome

        return Outcome((float(sum(trial.code) % 17),), 1.0)


def check_product(name: str, by_arrival: bool, workers: int) -> None:
    optimizer = product_case(name)
    executor = Shuffled(optimizer.evaluator, workers)
    trials = run(optimizer, executor, by_arrival=by_arrival, epochs=14)
    assert [t.number for t in trials] == list(range(14)) == sorted(executor.begun)
    assert all(t.state is State.COMPLETE for t in trials) and optimizer.record.evaluations == 14
    assert not optimizer.record.pending
    assert optimizer.record.asked == 14
    told = [dataclasses.replace(t, user={}) for t in trials if "told" in t.user]
    assert len(told) == (14 if by_arrival and workers > 1 else 0)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("by_arrival", [False, True])
@pytest.mark.parametrize("name", ["asha", "bohb", "genetic", "hyperband", "local_search", "sh"])
def test_methods_finish_whatever_the_order(name, by_arrival, workers):
    check_product(name, by_arrival, workers)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("by_arrival", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_finishes_whatever_the_order(name, by_arrival, workers):
    check_product(name, by_arrival, workers)


def test_the_space_of_these_tests_has_a_code():
    assert len(EveryKind().decision_space.decisions) == 5
