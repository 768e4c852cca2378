"""Successive halving, Hyperband and ASHA: their brackets and promotions, what is found, and where they go on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from curve_table import TABLE, Schedules, adapted, told, value_of

from naslib.errors import BenchmarkError, CheckpointError, ConfigError, OptimizerStateError
from naslib.evaluators import SerialExecutor, TableEvaluator, TrialSearch
from naslib.evaluators.base import never
from naslib.history import MemoryHistory, Objective, State
from naslib.history.load import Trials
from naslib.optimizers import ASHA, BOHB, Hyperband, RandomSearch, SuccessiveHalving
from naslib.optimizers.discrete.fidelities.levels import checked_levels, geometric_levels, hyperband_sizes
from naslib.search_spaces.core.query_metrics import Metric

METHODS = [SuccessiveHalving, Hyperband, ASHA, BOHB]


# levels and brackets


def test_the_levels_are_counted_from_the_top():
    assert geometric_levels(1, 81, 3) == (1, 3, 9, 27, 81)
    assert geometric_levels(1, 100, 3) == (1, 4, 11, 33, 100)
    assert geometric_levels(2, 100, 3) == (4, 11, 33, 100)  # 100 / 81 is below 2
    assert geometric_levels(1, 9, 3) == (1, 3, 9) and geometric_levels(5, 5, 2) == (5,)


def test_the_brackets_of_hyperband_are_those_of_the_paper():
    assert hyperband_sizes(5, 3) == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]
    assert hyperband_sizes(1, 3) == [[1]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"eta": 1}, "search.eta must be at least 2, not 1"),
        ({"min_fidelity": 0}, "search.min_fidelity must be at least 1 epoch, not 0"),
        ({"fidelities": [3, 3]}, r"ascending numbers of epochs from 1 on, not \[3, 3\]"),
        ({"fidelities": []}, "ascending numbers of epochs"),
        ({"min_fidelty": 2}, "did you mean 'min_fidelity'"),
    ],
)
def test_levels_that_are_none(words, message):
    with pytest.raises(ConfigError, match=message):
        SuccessiveHalving(**words)
    assert checked_levels([12, 200]) == (12, 200)


@pytest.mark.parametrize("kind", METHODS)
def test_a_longest_training_that_is_not_a_number_or_not_in_the_table(kind):
    with pytest.raises(ConfigError, match="say how many epochs it has"):
        adapted(kind, fidelity=-1)
    with pytest.raises(ConfigError, match=r"search\.min_fidelity is 30 epochs, and the longest training has 27"):
        adapted(kind, min_fidelity=30)
    with pytest.raises(ConfigError, match="end with 9 epochs, and the longest training has 27"):
        adapted(kind, fidelities=[3, 9])
    with pytest.raises(BenchmarkError, match="no epoch 99"):
        adapted(kind, fidelities=[1, 99], fidelity=99)


# successive halving and Hyperband


def test_successive_halving_by_hand():
    """Nine architectures at one epoch, the best three at three, the best at nine; ties go to the earlier trial."""
    optimizer = adapted(SuccessiveHalving, fidelity=9)
    values = [5, 8, 1, 8, 9, 2, 3, 4, 0, 70, 80, 75, 1]
    trials = []
    for value in values:
        (trial,) = optimizer.ask(1)
        trials.append(optimizer.tell(trial, float(value)))
    assert [trial.fidelity for trial in trials] == [1] * 9 + [3] * 3 + [9]
    assert [trial.parent for trial in trials] == [None] * 9 + [4, 1, 3] + [10]
    assert [trial.code for trial in trials[9:]] == [trials[n].code for n in (4, 1, 3, 1)]
    assert [trial.root for trial in trials[9:]] == [4, 1, 3, 1] and trials[12].from_epoch == 3
    assert optimizer.record.epochs == 9 * 1 + 3 * 2 + 1 * 6
    # the best at the highest level, though it is worse than all others
    assert optimizer.record.incumbent_trial == 12 and optimizer.record.incumbent_values == (1.0,)
    assert Trials(trials, (Objective("v"),)).best() == trials[12]
    assert optimizer.record.lowest == 1.0 and optimizer.record.evaluations == 13
    (after,) = optimizer.ask(1)
    assert (after.fidelity, after.parent) == (1, None)  # the next bracket


def test_hyperband_goes_through_its_brackets():
    optimizer = adapted(Hyperband, fidelity=9)
    counts = [[9, 3, 1], [5, 1], [3]]  # levels 1, 3, 9
    expected = [e for sizes, start in zip(counts, (0, 1, 2), strict=True) for e in _epochs(sizes, start)]
    assert [trial.fidelity for trial in told(optimizer, 22)] == expected
    assert [trial.fidelity for trial in told(optimizer, 9)] == [1] * 9


def _epochs(sizes: list[int], start: int) -> list[int]:
    return [epochs for place, size in enumerate(sizes) for epochs in [(1, 3, 9)[start + place]] * size]


@pytest.mark.parametrize("kind", METHODS)
def test_the_best_of_each_level_go_on(kind):
    trials = told(adapted(kind, seed=3), 150)
    by_number = {trial.number: trial for trial in trials}
    for trial in trials:
        if trial.parent is None:
            continue
        parent = by_number[trial.parent]
        assert parent.code == trial.code and parent.fidelity < trial.fidelity and trial.from_epoch == parent.fidelity
        before = [t for t in trials if t.fidelity == parent.fidelity and t.number < trial.number]
        if kind is ASHA:  # which has one set of levels
            assert sum(t.values > parent.values for t in before) < len(before) // 3
    promoted = [trial.parent for trial in trials if trial.parent is not None]
    assert len(promoted) >= 40 and len(set(promoted)) == len(promoted)


def test_failed_trials_are_not_promoted():
    optimizer = adapted(SuccessiveHalving, fidelity=3)
    for number in range(3):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, None if number else 1.0)
    assert optimizer.record.failed == 2
    (promoted,) = optimizer.ask(1)
    assert (promoted.parent, promoted.fidelity) == (0, 3)
    optimizer.tell(promoted)  # fails too: the bracket is over without a winner
    for _ in range(3):
        (trial,) = optimizer.ask(1)
        assert trial.parent is None
        optimizer.tell(trial)
    (trial,) = optimizer.ask(1)
    assert (trial.parent, trial.fidelity) == (None, 1)
    assert optimizer.record.incumbent_fidelity == 1 and optimizer.record.failed == 6


def test_brackets_side_by_side():
    """While results are out the next bracket begins; each trial goes to its own."""
    optimizer = adapted(SuccessiveHalving, fidelity=3)
    first = optimizer.ask(5)
    assert [trial.fidelity for trial in first] == [1] * 5
    for trial in reversed(first[:3]):
        optimizer.tell(trial, float(trial.number))
    (promoted,) = optimizer.ask(1)
    assert (promoted.parent, promoted.fidelity) == (2, 3)
    (sixth,) = optimizer.ask(1)
    for trial in (*first[3:], sixth):
        optimizer.tell(trial, float(-trial.number))
    assert optimizer.ask(1)[0].parent == 3  # of the second bracket: -3 is its best


# ASHA


def test_asha_by_hand():
    """Levels 1, 2, 4 and eta 2: a trace of the rule in algorithm 2, made by hand."""
    optimizer = adapted(ASHA, fidelity=4, eta=2)
    expected = [
        # value told, fidelity and parent expected
        (10, 1, None),
        (20, 1, None),  # of two, one may go on: trial 1
        (30, 2, 1),  # alone at its level: nothing goes on
        (15, 1, None),  # three at level 1: floor(3 / 2) = 1, which is promoted
        (40, 1, None),  # four: two may, 4 is the best and not promoted
        (35, 2, 4),  # two at level 2: one may go on, trial 5
        (50, 4, 5),
        (60, 1, None),  # five at level 1: two may, the best two are 7 and 4: 7
        (33, 2, 7),  # three at level 2: the best is promoted
        (5, 1, None),  # six at level 1: the best three 7, 4, 1 are promoted
    ]
    for number, (value, fidelity, parent) in enumerate(expected):
        (trial,) = optimizer.ask(1)
        assert (trial.number, trial.fidelity, trial.parent) == (number, fidelity, parent)
        optimizer.tell(trial, float(value))
    assert optimizer.record.incumbent_trial == 6


# asking and telling


@pytest.mark.parametrize("kind", METHODS)
def test_a_killed_search_goes_on_as_if_nothing_had_happened(kind):
    whole = told(adapted(kind, seed=5), 90)
    for stop in (7, 40, 61):
        first = adapted(kind, seed=5)
        begun = told(first, stop)
        (pending,) = first.ask(1)
        state = json.loads(json.dumps({k: v.state_dict() for k, v in first.get_checkpointables().items()}))
        second = adapted(kind, seed=8)
        for name, part in second.get_checkpointables().items():
            part.load_state_dict(state[name])
        (again,) = second.pending()
        assert again == pending
        begun.append(second.tell(again, value_of(again)))
        assert [*begun, *told(second, 90 - stop - 1)] == whole
        assert second.record.state_dict() == _finished(kind).record.state_dict()


def _finished(kind: type) -> Any:
    optimizer = adapted(kind, seed=5)
    told(optimizer, 90)
    return optimizer


@pytest.mark.parametrize("kind", [SuccessiveHalving, ASHA])
def test_a_checkpoint_of_other_levels_is_refused(kind):
    name = "rungs" if kind is ASHA else "brackets"
    state = adapted(kind).get_checkpointables()[name].state_dict()
    with pytest.raises(CheckpointError, match=r"fidelities \[1, 3, 9, 27\] with eta 3, this search of \[1, 3, 9\]"):
        adapted(kind, fidelity=9).get_checkpointables()[name].load_state_dict(state)


@pytest.mark.parametrize("kind", METHODS)
def test_codes_can_be_asked_for_and_told(kind):
    optimizer = adapted(kind, seed=2)
    for _ in range(60):
        code = optimizer.ask()
        fidelity = optimizer.pending()[-1].fidelity
        optimizer.tell(code, TABLE.query(code, Metric.VAL_ACCURACY, "x", fidelity))
    whole = adapted(kind, seed=2)
    told(whole, 60)
    assert optimizer.record.state_dict() == whole.record.state_dict() and not optimizer.pending()


@pytest.mark.parametrize("kind", METHODS)
def test_an_own_loop_on_a_table(kind):
    optimizer = adapted(kind, seed=2)
    for epoch in range(60):
        optimizer.new_epoch(epoch)
    whole = adapted(kind, seed=2)
    told(whole, 60)
    assert optimizer.record.state_dict() == whole.record.state_dict()
    code, level = optimizer.record.incumbent, optimizer.record.incumbent_fidelity
    assert optimizer.train_statistics()[1] == TABLE.query(code, Metric.VAL_ACCURACY, "x", level)


def test_before_a_space_is_adapted():
    with pytest.raises(OptimizerStateError, match=r"SuccessiveHalving\.adapt_search_space"):
        SuccessiveHalving().new_epoch(0)


def test_minimising():
    """With a loss the smallest go on, and the smallest at the top is what is found."""
    optimizer = adapted(SuccessiveHalving, fidelity=3, objectives=["TRAIN_TIME"])
    assert optimizer.objectives[0].maximize is False
    for value in (3.0, 1.0, 2.0):
        optimizer.tell(optimizer.ask(1)[0], value)
    assert optimizer.ask(1)[0].parent == 1


# what is paid for


def search(optimizer: Any, budget: float | None, unit: str = "seconds", epochs: int = 10, history: Any = None) -> Any:
    evaluator = TableEvaluator(optimizer.dataset_api, "x", optimizer.metrics, optimizer.fidelity)
    kept = history if history is not None else MemoryHistory()
    found = TrialSearch(
        optimizer, SerialExecutor(evaluator), kept, epochs=epochs, budget=budget, budget_unit=unit, is_instant=True
    )
    done = 0
    while found.goes_on(done):
        found.advance(done, never)
        done += 1
    found.flush()
    return kept


def test_a_promotion_costs_the_epochs_that_are_added():
    optimizer = adapted(SuccessiveHalving, fidelity=9)
    trials = search(optimizer, None, epochs=13).trials()
    assert [trial.seconds for trial in trials] == [10.0] * 9 + [20.0] * 3 + [60.0]
    assert optimizer.record.seconds == 210.0 and optimizer.record.epochs == 21
    cold = adapted(SuccessiveHalving, fidelity=9, table=Schedules())
    trials = search(cold, None, epochs=13).trials()
    assert [trial.seconds for trial in trials] == [10.0] * 9 + [30.0] * 3 + [90.0]
    assert cold.record.epochs == 27 and all(trial.root == trial.number for trial in trials)
    with pytest.raises(ConfigError, match=r"search\.warm_start: this table has no learning curves"):
        adapted(SuccessiveHalving, table=Schedules(), warm_start=True)


def test_a_budget_of_epochs():
    optimizer = adapted(SuccessiveHalving, fidelity=9)
    assert len(search(optimizer, 21, "epochs").trials()) == 13
    optimizer = adapted(SuccessiveHalving, fidelity=9)
    assert len(search(optimizer, 210).trials()) == 13
    for unit in ("epochs", "seconds"):
        with pytest.raises(ConfigError, match=f"search.budget must be above 0 {unit}, not 0"):
            search(adapted(SuccessiveHalving), 0, unit)


def test_a_plain_search_has_one_fidelity():
    optimizer = adapted(RandomSearch)
    trials = search(optimizer, 100, "epochs").trials()
    assert [trial.fidelity for trial in trials] == [27] * 4 and optimizer.record.epochs == 108
    assert optimizer.record.incumbent_fidelity == 27
    assert all(trial.state is State.COMPLETE and trial.user == {} for trial in trials)
