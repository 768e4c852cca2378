"""Ask and tell with trials: numbers, parents, failures, directions, what is pending in a checkpoint."""

from __future__ import annotations

import io
import math
import random
from typing import Any

import numpy as np
import pytest
import torch

from naslib.errors import BenchmarkApiMissing, BenchmarkError, ConfigError, OptimizerStateError
from naslib.history import Objective, Outcome, State, Trial
from naslib.optimizers import RandomSearch, RegularizedEvolution
from naslib.optimizers.discrete.base import DiscreteOptimizer
from naslib.search_spaces import NasBench201SearchSpace
from naslib.search_spaces.nasbench201.codec import NasBench201Codec

KINDS = [RandomSearch, RegularizedEvolution]
SMALL = {"channels": 4, "cells_per_stage": 1}


class Sum:
    """An evaluator: the sum of the ops, better if larger or smaller, and the first op."""

    def __init__(self, maximize: bool = True) -> None:
        self.objectives = (Objective("sum", maximize), Objective("first", False))
        self.fidelity = 7

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome((float(sum(trial.code)), float(trial.code[0])), 2.0)


def adapted(kind: type[DiscreteOptimizer], maximize: bool = True, seed: int = 0, **kwargs: Any) -> Any:
    np.random.seed(seed)
    optimizer = kind(**({"population_size": 5, "sample_size": 3} if kind is RegularizedEvolution else {}), **kwargs)
    optimizer.adapt_search_space(NasBench201SearchSpace(**SMALL), "digits", evaluator=Sum(maximize))
    return optimizer


@pytest.mark.parametrize("kind", KINDS)
def test_both_forms_of_ask_give_the_same_architectures(kind):
    codes, trials = adapted(kind), adapted(kind)
    for number in range(30):
        code = codes.ask()
        codes.tell(code, float(sum(code)))
        (trial,) = trials.ask(n=1)
        assert (trial.code, trial.number, trial.fidelity, trial.state) == (code, number, 7, State.WAITING)
        told = trials.tell(trial, [float(sum(code)), 1.0], seconds=0.5, user={"a": 1})
        assert told.state is State.COMPLETE and told.values == (float(sum(code)), 1.0) and told.user == {"a": 1}
    assert codes.record.incumbent == trials.record.incumbent and trials.record.seconds == 15.0
    assert trials.record.incumbent_trial is not None and trials.record.incumbent_values[1] == 1.0
    assert [len(trials.ask(n)) for n in (1, 4)] == [1, 4] and len(trials.pending()) == 5


def test_a_child_names_its_parent():
    optimizer, codec = adapted(RegularizedEvolution), NasBench201Codec()
    by_number: dict[int, Trial] = {}
    for _ in range(40):
        (trial,) = optimizer.ask(1)
        by_number[trial.number] = trial
        optimizer.tell(trial, [float(sum(trial.code)), 0.0])
    children = [trial for trial in by_number.values() if trial.parent is not None]
    assert [trial.number for trial in by_number.values() if trial.parent is None] == [0, 1, 2, 3, 4]
    assert len(children) == 35
    for child in children:
        assert child.parent in range(child.number - 5, child.number)
        assert child.code in codec.neighbours(by_number[child.parent].code)


@pytest.mark.parametrize("maximize", [True, False])
def test_the_first_objective_decides_in_its_own_direction(maximize):
    optimizer = adapted(RegularizedEvolution, maximize)
    values = []
    for epoch in range(200):
        optimizer.new_epoch(epoch)
        values.append(float(sum(optimizer.record.latest)))
    best = (max if maximize else min)(values)
    assert optimizer.record.incumbent_values[0] == best == float(sum(optimizer.record.incumbent))
    late = np.mean(values[100:])
    assert late > 15.5 if maximize else late < 8.5  # random is 12 of 24: it is selected, not only noted
    assert optimizer.record.incumbent_value == (best if maximize else -best)


@pytest.mark.parametrize("how", ["none", "nan", "failed_trial", "state"])
def test_a_failed_trial_enters_no_population(how):
    optimizer = adapted(RegularizedEvolution)
    for number in range(12):
        (trial,) = optimizer.ask(1)
        if number % 3 != 1:
            optimizer.tell(trial, [1.0 + number, 0.0])
            continue
        if how == "none":
            told = optimizer.tell(trial)
        elif how == "nan":
            told = optimizer.tell(trial, [math.nan, 0.0])
        elif how == "state":
            told = optimizer.tell(trial, [99.0, 0.0], state=State.FAILED)
        else:
            told = optimizer.tell(trial.failed("it fell"))
        assert told.state is State.FAILED and told.values is None and told.user["error"]
    assert optimizer.record.failed == 4 and optimizer.record.evaluations == 8
    assert sorted(optimizer.population.numbers) == [5, 6, 8, 9, 11]
    assert optimizer.record.incumbent_values[0] == 12.0
    code = optimizer.ask()
    optimizer.tell(code, math.nan)
    assert len(optimizer.population) == 5 and all(math.isfinite(v) for v in optimizer.population.values)


def test_pruned_trials_decide_nothing():
    optimizer = adapted(RegularizedEvolution)
    (trial,) = optimizer.ask(1)
    told = optimizer.tell(trial, [99.0, 0.0], state=State.PRUNED)
    assert told.state is State.PRUNED and told.values == (99.0, 0.0)
    assert optimizer.record.evaluations == 0 and not optimizer.pending()


def test_misuse_is_one_clear_error():
    optimizer = adapted(RandomSearch)
    (trial,) = optimizer.ask(1)
    with pytest.raises(ConfigError, match=r"has 1 values; the objectives are sum, first"):
        optimizer.tell(trial, 3.0)
    optimizer.tell(trial, [3.0, 1.0])
    with pytest.raises(OptimizerStateError, match="trial 0 is not pending"):
        optimizer.tell(trial, [3.0, 1.0])
    with pytest.raises(ConfigError, match="at least one trial"):
        optimizer.ask(0)
    other = RandomSearch(evaluator="train")
    other.adapt_search_space(NasBench201SearchSpace(**SMALL), "digits")
    with pytest.raises(OptimizerStateError, match=r"'train' is built by Trainer\.search"):
        other.new_epoch(0)
    with pytest.raises(BenchmarkApiMissing, match=r"search\.evaluator=train"):
        RandomSearch().adapt_search_space(NasBench201SearchSpace(**SMALL), "digits")
    failing = adapted(RandomSearch)
    failing.tell(failing.ask(1)[0].failed("no memory"))
    with pytest.raises(OptimizerStateError, match="all 1 trials have failed; the last, trial 0: no memory"):
        failing.get_final_architecture()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_pending_is_in_the_checkpoint(kind):
    def drive(optimizer: Any, rounds: int, waiting: list[Trial]) -> list[Trial]:
        """Keep three trials in flight, and tell them in a fixed order that is not theirs."""
        seen = []
        for _ in range(rounds):
            waiting += optimizer.ask(3 - len(waiting))
            trial = waiting.pop(random.Random(len(seen)).randrange(len(waiting)))
            seen.append(trial)
            optimizer.tell(trial, [float(sum(trial.code)), 0.0])
        return seen

    whole, first = adapted(kind, seed=3), adapted(kind, seed=3)
    waiting: list[Trial] = []
    expected = drive(whole, 40, waiting)
    waiting = []
    found = drive(first, 17, waiting)
    buffer = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in first.get_checkpointables().items()}, buffer)
    buffer.seek(0)
    state, second = torch.load(buffer, weights_only=True), adapted(kind, seed=9)
    for name, part in second.get_checkpointables().items():
        part.load_state_dict(state[name])
    assert second.pending() == sorted(waiting, key=lambda trial: trial.number) and len(waiting) == 2
    seen = []
    for index in range(17, 40):  # as `drive`, whose generator restarts with its list
        waiting += second.ask(3 - len(waiting))
        trial = waiting.pop(random.Random(index).randrange(len(waiting)))
        seen.append(trial)
        second.tell(trial, [float(sum(trial.code)), 0.0])
    assert found + seen == expected
    assert second.record.state_dict() == whole.record.state_dict()


def test_metrics_of_a_table_have_directions():
    from naslib.search_spaces.core import Metric

    up = {metric for metric in Metric if metric.maximize}
    assert up == {Metric.TRAIN_ACCURACY, Metric.VAL_ACCURACY, Metric.TEST_ACCURACY}
    units = {m.name: m.unit for m in (Metric.TEST_TIME, Metric.LATENCY, Metric.FLOPS, Metric.VAL_LOSS, Metric.EPOCH)}
    assert units == {"TEST_TIME": "s", "LATENCY": "ms", "FLOPS": "M", "VAL_LOSS": "", "EPOCH": ""}


def test_a_benchmark_can_be_asked_for_more_than_one_metric():
    class Table:
        def query(self, code, metric, dataset=None, epoch=-1, full_lc=False):
            if metric.name not in ("LATENCY", "VAL_ACCURACY"):
                raise BenchmarkError(f"no {metric.name}")
            return float(sum(code)) if metric.name == "LATENCY" else 90.0

        def has(self, metric, dataset=None, epoch=-1):
            return metric.name in ("LATENCY", "VAL_ACCURACY")

    np.random.seed(0)
    optimizer = RegularizedEvolution(objectives=["latency", "VAL_ACCURACY"], population_size=5, sample_size=3)
    optimizer.adapt_search_space(NasBench201SearchSpace(**SMALL), "x", dataset_api=Table())
    assert optimizer.objectives == (Objective("LATENCY", False, "ms"), Objective("VAL_ACCURACY", True, "%"))
    for epoch in range(200):
        optimizer.new_epoch(epoch)
    assert sum(optimizer.record.incumbent) <= 2  # the smallest latency
    with pytest.raises(BenchmarkError, match="no FLOPS"):
        RandomSearch(objectives=["FLOPS"]).adapt_search_space(NasBench201SearchSpace(**SMALL), "x", dataset_api=Table())
