"""Every black-box method with early termination: by each rule, with one objective and two, several trials pending.

What it finds is checked against the trials themselves. Where there is no curve of what decides, it is refused before
the search.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from curve_table import SPACE, Curves, Schedules
from every_black_box import KEYWORDS, METHODS, OWN_SPACES

from naslib.benchmarks import Benchmark, get_dataset_api
from naslib.errors import BenchmarkError, ConfigError
from naslib.evaluators import TableEvaluator
from naslib.history import State, Trial
from naslib.history.pareto import dominates
from naslib.optimizers import OPTIMIZERS
from naslib.predictors.proxies.votes import log_rank_sum

RULES: dict[str, dict[str, Any]] = {
    "median": {"rule": "median", "min_trials": 3},
    "prediction": {"delta": 0.9, "min_trials": 6},
}
OBJECTIVES = (("VAL_ACCURACY",), ("VAL_ACCURACY", "PARAMETERS"))
ON_THIS_SPACE = [name for name in METHODS if "nasbench201" in OWN_SPACES.get(name, ["nasbench201"])]
PRODUCT = list(itertools.product(ON_THIS_SPACE, RULES, OBJECTIVES))
TRIALS, WORKERS, FAILING = 36, 3, 5


class Sized(Curves):
    """The curves, and sizes that have none."""

    def query(
        self, code: tuple[int, ...], metric: Any, dataset: str | None = None, epoch: int = -1, full_lc: bool = False
    ) -> Any:
        if str(getattr(metric, "name", metric)) == "PARAMETERS":
            return float(np.dot(code, range(1, 7)))
        return super().query(code, metric, dataset, epoch, full_lc)


def adapted(name: str, table: Benchmark, rule: str, objectives: tuple[str, ...], dataset: str = "x") -> Any:
    np.random.seed(0)
    keywords = {"fidelity": 27, **KEYWORDS.get(name, {}), "parts": {"early_termination": RULES[rule]}}
    optimizer = OPTIMIZERS.get(name)(**keywords, objectives=list(objectives))
    optimizer.adapt_search_space(SPACE, dataset, dataset_api=table)
    return optimizer


def test_the_product_is_as_large_as_it_is_said_to_be() -> None:
    assert len(ON_THIS_SPACE) >= 28 and len(PRODUCT) == len(ON_THIS_SPACE) * 2 * 2


@pytest.mark.parametrize(("name", "rule", "objectives"), PRODUCT)
def test_what_is_stopped_is_neither_found_nor_on_the_front(name: str, rule: str, objectives: tuple[str, ...]) -> None:
    table = Sized()
    optimizer = adapted(name, table, rule, objectives)
    evaluator = TableEvaluator(table, "x", optimizer.metrics, optimizer.fidelity)
    told: list[Trial] = []
    while len(told) < TRIALS:
        room = WORKERS - len(optimizer.record.pending)
        assert optimizer.ask(room) or optimizer.pending()
        trial = optimizer.pending()[0]
        if trial.number == FAILING:
            told.append(optimizer.tell(trial, None, user={"error": "no memory"}))
            continue
        outcome = evaluator.evaluate(trial)
        told.append(
            optimizer.tell(trial, outcome.values, seconds=outcome.seconds, user=outcome.user, state=outcome.state)
        )
    record = optimizer.record
    complete = [trial for trial in told if trial.state is State.COMPLETE]
    pruned = [trial for trial in told if trial.state is State.PRUNED]
    assert (record.failed, record.pruned, record.evaluations) == (1, len(pruned), len(complete))
    assert all("predicted" in trial.user for trial in pruned) or rule == "median"
    top = max(trial.fidelity for trial in complete)
    at_top = {t.number: t.values or () for t in complete if t.fidelity == top}
    merits = {number: (first, *(-value for value in rest)) for number, (first, *rest) in at_top.items()}
    if name == "az_nas" and len(objectives) > 1:  # it compares by ranks, which the trials that are out are not among
        scores = log_rank_sum(np.array(list(merits.values())))
        assert record.incumbent_trial == list(merits)[int(np.argmax(scores))]
    else:
        assert record.incumbent_trial == max(merits, key=lambda number: (merits[number][0], -number))
    front = [one for one in merits.values() if not any(dominates(other, one) for other in merits.values())]
    found = [member.merits for member in record.front.members]
    assert sorted(found) == (sorted(set(front)) if len(objectives) > 1 else [])


@pytest.mark.parametrize("name", ON_THIS_SPACE)
def test_it_is_refused_where_there_is_no_curve_of_what_decides(name: str) -> None:
    with pytest.raises(ConfigError, match="looks at learning curves, and this table has none"):
        adapted(name, Schedules(), "median", OBJECTIVES[0])
    keywords = {**KEYWORDS.get(name, {}), "fidelity": 9, "parts": {"early_termination": True}}
    optimizer = OPTIMIZERS.get(name)(**keywords, objectives=["PARAMETERS", "VAL_ACCURACY"])
    table = get_dataset_api("nasbench201", "digits")
    with pytest.raises(BenchmarkError, match="has no learning curve of PARAMETERS"):
        optimizer.adapt_search_space(SPACE, "digits", dataset_api=table)


@pytest.mark.parametrize("name", ["nsga2", "pareto_search", "tpe"])
def test_a_code_with_one_value_is_no_label_of_several_objectives(name: str) -> None:
    optimizer = adapted(name, Sized(), "median", OBJECTIVES[1])
    with pytest.raises(ConfigError, match="weighs 2 objectives"):
        optimizer.tell((0, 1, 2, 3, 4, 0), 50.0)
    assert optimizer.record.evaluations == 0
