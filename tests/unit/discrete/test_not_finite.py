"""What is not finite, and values of several fidelities: neither is found, learned from, or compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from curve_table import SPACE, Curves, adapted

from naslib.history import Objective, State, Trial
from naslib.optimizers import ASHA, RegularizedEvolution
from naslib.optimizers.discrete.early_termination.part import EarlyTermination
from naslib.optimizers.discrete.early_termination.stopping import MedianStop, go_on


class Broken(Curves):
    """A table that says of some architectures what is no value."""

    def query(self, code: Any, metric: Any, dataset: Any = None, epoch: int = -1, full_lc: bool = False) -> Any:
        if code[0] in (1, 2):
            return float("nan") if code[0] == 1 else float("inf")
        return super().query(code, metric, dataset, epoch, full_lc)


def test_a_table_without_a_value_has_failed() -> None:
    optimizer = adapted(RegularizedEvolution, table=Broken(), population_size=4, sample_size=2)
    for epoch in range(40):
        optimizer.new_epoch(epoch)
    record = optimizer.record
    assert record.failed >= 2 and record.evaluations + record.failed == record.asked == 40
    assert "a value is not finite (" in record.last_failure
    assert all(math.isfinite(value) for _, value in optimizer.population.by_age())
    assert math.isfinite(record.incumbent_value) and record.incumbent[0] not in (1, 2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), None])
def test_a_code_that_is_told_no_value_has_failed(value: float | None) -> None:
    optimizer = adapted(RegularizedEvolution)
    optimizer.tell(optimizer.ask(), value)
    assert (optimizer.record.failed, optimizer.record.evaluations, len(optimizer.population)) == (1, 0, 0)
    assert optimizer.record.incumbent is None


def test_a_curve_with_a_gap_says_nothing() -> None:
    rule, objective = EarlyTermination(rule="median", min_trials=3), Objective("a")
    for number, first in enumerate((5.0, float("nan"), float("inf"), 6.0)):
        rule.observe(Trial(number, (), 3, State.COMPLETE, (9.0,), user={"curve": [first, 8.0, 9.0]}))
    assert rule.count == 2 and rule.watched(Trial(9, (), 3), objective).stopping is go_on
    assert MedianStop(np.full((3, 3), 5.0), True, 1, 1)([float("nan"), 1.0]) is None


def test_a_code_that_nobody_asked_for_is_of_the_highest_level() -> None:
    optimizer = ASHA(fidelity=27)
    optimizer.adapt_search_space(SPACE, "x", dataset_api=Curves())
    (trial,) = optimizer.ask(1)
    optimizer.tell(trial, 99.0)  # after one epoch
    optimizer.tell((0,) * 6, 50.0)
    assert (optimizer.record.incumbent, optimizer.record.incumbent_fidelity) == ((0,) * 6, 27)
    (trial,) = optimizer.ask(1)
    optimizer.tell(trial, 98.0)
    assert optimizer.record.incumbent_value == 50.0
