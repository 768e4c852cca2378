"""Early termination: its rules against what they say, what a stopped trial decides, and where a search goes on."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
from curve_table import SPACE, TABLE, Schedules, adapted

from naslib.errors import CheckpointError, ConfigError, OptimizerStateError
from naslib.evaluators import Evaluator, SerialExecutor, TableEvaluator, TrialSearch
from naslib.evaluators.base import never
from naslib.history import MemoryHistory, Objective, Outcome, State, Trial
from naslib.optimizers import QLearning, RandomSearch, RegularizedEvolution, SuccessiveHalving
from naslib.optimizers.discrete.early_termination.part import EarlyTermination
from naslib.optimizers.discrete.early_termination.stopping import MedianStop, UnlikelyStop, go_on
from naslib.predictors.curves.extrapolation import ParametricCurveModel
from naslib.predictors.curves.model import CurveModel, probability_better
from naslib.predictors.curves.ridge import RidgeCurveModel
from naslib.search_spaces.core.query_metrics import Metric

MEDIAN = {"early_termination": {"rule": "median", "min_trials": 3}}
RULES = [
    pytest.param(MEDIAN, id="median"),
    pytest.param({"early_termination": {"delta": 0.9, "min_trials": 6}}, id="prediction"),
    pytest.param(
        {"early_termination": {"delta": 0.8, "calibration": "leave_one_out", "architecture": True}}, id="left out"
    ),
    pytest.param(
        {"early_termination": {"rule": "extrapolation", "min_epochs": 6, "every": 9}},
        id="extrapolation",
        marks=pytest.mark.slow,
    ),
]


class Fixed(CurveModel):
    """Predict one mean and standard deviation."""

    def __init__(self, mean: float, std: float) -> None:
        self.mean, self.std = mean, std

    def fit(self, curves: Any, finals: Any, features: Any = None) -> None:
        """Do nothing."""

    def predict(self, curve: Any, features: Any = None) -> tuple[float, float]:
        """Return them."""
        return self.mean, self.std


def phi(z: float) -> float:
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


@pytest.mark.parametrize("maximize", [True, False])
@pytest.mark.parametrize("mean", [88.0, 89.9, 90.1, 92.0])
def test_a_trial_is_stopped_if_it_is_hardly_better(mean, maximize):
    """P(y <= y_best) >= delta, with a normal prediction (Baker et al., 2017)."""
    stop = UnlikelyStop(Fixed(mean, 1.0), 90.0, maximize, 0.95, 1, 1)
    worse = phi((90 - mean) / 1.0) if maximize else phi((mean - 90) / 1.0)
    found = stop([1.0, 2.0])
    assert (found is not None) is (worse > 0.95)
    if found is not None:
        assert found["predicted"] == mean and found["stopped"].startswith("better than 90 with probability 0.02")


def test_when_it_looks():
    stop = UnlikelyStop(Fixed(0.0, 1.0), 90.0, True, 0.95, 3, 4)
    assert [n for n in range(1, 16) if stop([1.0] * n) is not None] == [3, 7, 11, 15]
    assert stop([1.0, float("nan"), 1.0]) is None
    median = MedianStop(np.full((3, 16), 5.0), True, 3, 4)
    assert [n for n in range(1, 16) if median([1.0] * n) is not None] == [3, 7, 11, 15]


def test_the_median_rule_by_hand():
    curves = np.array([[1.0, 3.0, 5.0], [2.0, 2.0, 8.0], [3.0, 7.0, 8.0]])
    stop = MedianStop(curves, True, 1, 1)
    assert stop.medians == [2.0, 2.0, 4.0]  # of the averages 1, 2, 3 / 2, 2, 5 / 3, 4, 6
    assert stop([2.0]) is None and stop([1.9]) == {"stopped": "its best value 1.9 is worse than the median average 2"}
    assert stop([2.0, 0.0]) is None  # its best value counts
    assert stop([1.0, 2.0, 3.9]) is not None and stop([1.0, 2.0, 4.0]) is None
    smaller = MedianStop(curves, False, 1, 1)
    assert smaller([2.1]) is not None and smaller([2.0]) is None


def test_a_rule_travels_without_its_regressions():
    curves = [[float(i + t + i * t) for t in range(6)] for i in range(8)]
    model = RidgeCurveModel()
    model.fit(curves, [curve[-1] for curve in curves])
    stop = UnlikelyStop(model, 30.0, True, 0.95, 2, 1)
    here = stop([1.0, 2.0, 2.5])
    there = pickle.loads(pickle.dumps(stop))
    assert model._fits and not there.model._fits
    assert there([1.0, 2.0, 2.5]) == here
    assert here is not None and here["predicted"] == model.predict([1.0, 2.0, 2.5])[0]
    assert probability_better(model, [1.0, 2.0, 2.5], 30.0) < 1 - 0.95


# in a search


def search(
    kind: type, count: int, workers: int = 1, seed: int = 0, state: Any = None, stop: int = 0, **kwargs: Any
) -> tuple[list[Trial], Any, Any]:
    optimizer = adapted(kind, seed, **kwargs)
    for name, part in optimizer.get_checkpointables().items() if state else ():
        part.load_state_dict(state[name])
    executor = SerialExecutor(TableEvaluator(TABLE, "x", optimizer.metrics, optimizer.fidelity))
    executor.workers = workers
    found = TrialSearch(optimizer, executor, MemoryHistory(), epochs=count, is_instant=True)
    done = optimizer.record.evaluations + optimizer.record.pruned
    while done < (stop or count):
        found.advance(done, never)
        done += 1
    found.flush()
    return found.history.trials(), optimizer, found


@pytest.mark.parametrize("parts", RULES)
@pytest.mark.parametrize("kind", [RandomSearch, RegularizedEvolution])
def test_what_is_stopped_is_never_found(kind, parts):
    more = {"population_size": 4, "sample_size": 2} if kind is RegularizedEvolution else {}
    trials, optimizer, _ = search(kind, 60, parts=parts, **more)
    pruned = [trial for trial in trials if trial.state is State.PRUNED]
    complete = [trial for trial in trials if trial.state is State.COMPLETE]
    assert len(trials) == 60 and 2 <= len(pruned) <= 55 and optimizer.record.pruned == len(pruned)
    assert optimizer.record.evaluations == len(complete)
    best = max(complete, key=lambda trial: trial.values)
    assert optimizer.record.incumbent_trial == best.number
    for trial in trials:
        whole = TABLE.query(trial.code, Metric.VAL_ACCURACY, "x", 27, True)
        epochs = trial.user.get("epochs", 27)
        assert trial.user.get("curve", whole) == whole[:epochs] and trial.values == (whole[epochs - 1],)
        assert trial.seconds == 10.0 * epochs and trial.epochs == epochs
    assert optimizer.record.epochs == sum(trial.user.get("epochs", 27) for trial in trials)
    if kind is RegularizedEvolution:
        parents = {trial.parent for trial in trials if trial.parent is not None}
        learned = [t for t in trials if t.state is State.COMPLETE or "predicted" in t.user]
        assert parents <= {trial.number for trial in learned} and len(parents) >= 3
        members = [(t.code, t.user.get("predicted", t.values[0])) for t in learned]
        assert optimizer.population.by_age() == members[-4:]


def test_a_curve_is_extrapolated_by_itself():
    """The families of Domhan et al. (2015), with one complete trial as the bar."""
    rule = {"early_termination": {"rule": "extrapolation", "min_epochs": 13, "every": 30}}
    trials, _, _ = search(RandomSearch, 8, parts=rule)
    pruned = [trial for trial in trials if trial.state is State.PRUNED]
    assert len(pruned) >= 2 and all(trial.user["epochs"] == 13 for trial in pruned)
    best = trials[0].values[0]
    for trial in trials[1:]:
        mean, std = ParametricCurveModel(27).predict(trial.user["curve"][:13])
        is_worse = phi((best - mean) / std) > 0.95
        assert (trial.state is State.PRUNED) is is_worse
        if is_worse:
            assert trial.user["predicted"] == mean
        else:
            best = max(best, trial.values[0])


def test_the_bar_is_what_was_known_when_a_trial_was_asked_for():
    trials, _, _ = search(RandomSearch, 40, workers=4, parts=MEDIAN)
    for trial in trials:
        told = [t for t in trials[: max(0, trial.number - 3)] if t.state is State.COMPLETE]
        assert trial.user["curves_known"] == len(told)
        if len(told) >= 3 and trial.state is State.PRUNED:
            epochs = trial.user["epochs"]
            averages = [sum(t.user["curve"][:epochs]) / epochs for t in told]
            assert max(trial.user["curve"]) < np.median(averages)


@pytest.mark.parametrize("parts", RULES)
def test_a_killed_search_goes_on_as_if_nothing_had_happened(parts):
    whole, finished, _ = search(RandomSearch, 40, workers=3, seed=5, parts=parts)
    begun, first, loop = search(RandomSearch, 40, workers=3, seed=5, parts=parts, stop=23)
    loop._ask()  # the next ones are out
    assert len(first.record.pending) == 3
    state = json.loads(json.dumps({k: v.state_dict() for k, v in first.get_checkpointables().items()}))
    rest, second, _ = search(RandomSearch, 40, workers=3, seed=9, state=state, parts=parts)
    assert sorted([*begun, *rest], key=lambda trial: trial.number) == whole
    assert second.record.state_dict() == finished.record.state_dict()


def test_several_fidelities_have_bars_of_their_own():
    """Below the top the bar is the value of the best third: what would go on is not stopped."""
    trials, _, _ = search(SuccessiveHalving, 120, parts={"early_termination": {"delta": 0.9, "every": 1}})
    pruned = [trial for trial in trials if trial.state is State.PRUNED]
    assert pruned and all(trial.fidelity in (3, 9, 27) for trial in pruned)
    promoted = {trial.parent for trial in trials if trial.parent is not None}
    assert not promoted & {trial.number for trial in pruned}
    termination = EarlyTermination(min_trials=3)
    for number, end in enumerate((5.0, 9.0, 7.0, 8.0, 6.0, 4.0)):
        user = {"curve": [1.0, 2.0 + 0.1 * number, end]}
        termination.observe(Trial(number, (), 3, State.COMPLETE, (end,), user=user))
    objective = Objective("accuracy")
    bars = [termination.watched(Trial(9, (), 3), objective, share).stopping.bar for share in (None, 1 / 3, 1.0)]
    assert bars == [9.0, 7.0, 4.0]
    assert termination.watched(Trial(9, (), 27), objective).stopping is go_on  # nothing is known of that fidelity


def test_what_is_remembered_is_bounded():
    termination = EarlyTermination(memory=4, min_trials=3)
    for number in range(10):
        termination.observe(Trial(number, (), 2, State.COMPLETE, (1.0,), user={"curve": [0.0, float(number)]}))
    assert termination.count == 10 and len(termination.state_dict()["told"]) == 4
    watched = termination.watched(Trial(11, (), 2, user={"curves_known": 9}), Objective("a"))
    assert watched.stopping.bar == 8.0  # the last one had not been told


def test_the_architecture_is_read_beside_the_curve():
    """Curves that say nothing of the end: only the first operation does."""
    termination = EarlyTermination(architecture=True, min_trials=12, min_epochs=2, every=1, delta=0.95)
    termination.begin(SPACE.codec, 9)
    rng = np.random.default_rng(0)
    for number in range(60):
        code = (number % 5, 0, 0, 0, 0, 0)
        curve = [*rng.uniform(50, 51, 2), 60.0 + 5 * code[0] + rng.normal(scale=0.1)]
        termination.observe(Trial(number, code, 9, State.COMPLETE, (curve[-1],), user={"curve": curve}))
    objective = Objective("accuracy")
    for first in range(5):
        stopping = termination.watched(Trial(99, (first, 0, 0, 0, 0, 0), 9), objective).stopping
        mean, _ = stopping.model.predict([50.5, 50.5], stopping.features)
        assert mean == pytest.approx(60 + 5 * first, abs=0.5) and stopping.features.shape == (30,)
        assert (stopping([50.5, 50.5]) is None) is (first == 4)
    again = EarlyTermination(architecture=True, min_trials=12, min_epochs=2, every=1)
    again.begin(SPACE.codec, 9)
    again.load_state_dict(json.loads(json.dumps(termination.state_dict())))
    assert again.state_dict() == termination.state_dict()
    old = {"count": 1, "told": [[9, [1.0, 2.0]]]}  # of a version that kept curves alone
    with pytest.raises(CheckpointError, match="curves alone"):
        again.load_state_dict(old)
    EarlyTermination().load_state_dict(old)


def test_a_q_table_learns_where_a_stopped_curve_would_have_ended():
    parts = {"early_termination": {"delta": 0.8, "min_trials": 6}}
    trials, optimizer, _ = search(QLearning, 60, parts=parts, schedule_length=40, replays=3)
    stopped = {trial.code: trial for trial in trials if trial.state is State.PRUNED}
    assert len(stopped) >= 2
    rewards = optimizer.experience.rewards
    assert all(rewards[code] == trial.user["predicted"] / 100 for code, trial in stopped.items())
    assert set(rewards) == {trial.code for trial in trials}


# what is refused


def test_trainings_that_are_over_before_the_first_look():
    late = {"early_termination": {"min_epochs": 27}}
    message = "min_epochs is 27, and trainings have 27 epochs: none would be looked at"
    with pytest.raises(ConfigError, match=message):
        adapted(RandomSearch, parts=late)
    with pytest.raises(ConfigError, match=message):
        evaluator = TableEvaluator(TABLE, "x", (Metric.VAL_ACCURACY,), 27)
        RandomSearch(parts=late).adapt_search_space(SPACE, "x", evaluator=evaluator)
    adapted(RandomSearch, parts={"early_termination": {"min_epochs": 26}})
    with pytest.raises(ConfigError, match=message):  # the longest that the table has
        longest = RandomSearch(parts=late, fidelity=-1)
        longest.adapt_search_space(SPACE, "x", dataset_api=TABLE)
    with pytest.raises(ConfigError, match=r"min_epochs is 2 \(its default\), and trainings have 2 epochs"):
        EarlyTermination().begin(SPACE.codec, 2)
    EarlyTermination().begin(SPACE.codec, 3)


def test_leave_one_out_can_be_as_sure_as_it_is_asked_to_be():
    with pytest.raises(ConfigError, match=r"of 10 remembered trainings .* surer than 0\.9091 .* delta 0\.95 would"):
        EarlyTermination(calibration="leave_one_out", memory=10)
    with pytest.raises(ConfigError, match=r"of 500 .* surer than 0\.998 .* delta 0\.999 would stop none"):
        EarlyTermination(calibration="leave_one_out", delta=0.999)
    EarlyTermination(calibration="leave_one_out", memory=10, delta=0.9)
    EarlyTermination(delta=0.999, memory=10)


class NoCurves(Evaluator):
    """An evaluator without curves."""

    objectives = (Objective("a"),)
    fidelity = 3

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        """Return 1."""
        return Outcome((1.0,))


def test_where_there_are_no_curves():
    with pytest.raises(ConfigError, match="looks at learning curves, and this table has none"):
        adapted(RandomSearch, parts=MEDIAN, table=Schedules())
    with pytest.raises(ConfigError, match="looks at learning curves, and NoCurves has none"):
        RandomSearch(parts=MEDIAN).adapt_search_space(SPACE, "x", evaluator=NoCurves())
    with pytest.raises(OptimizerStateError, match="in a loop of your own give adapt_search_space"):
        adapted(RandomSearch, parts=MEDIAN).new_epoch(0)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"early_terminaton": {}}, "no part 'early_terminaton'; did you mean 'early_termination'"),
        ({"warm_up": {"epochs": 3}}, "a search of trials has no part 'warm_up'"),
        ({"early_termination": {"rule": "mediam"}}, "unknown 'mediam'; did you mean 'median'"),
        ({"early_termination": {"model": "svm"}}, "unknown 'svm'"),
        ({"early_termination": {"delta": 1.0}}, "delta must be between 0 and 1, not 1.0"),
        ({"early_termination": {"every": 0}}, "every must be at least 1, not 0"),
        ({"early_termination": {"upper": 0}}, "upper must be above 0, not 0"),
        ({"early_termination": {"detla": 0.9}}, "detla"),
        ({"early_termination": {"calibration": "leave_on_out"}}, "did you mean 'leave_one_out'"),
        ({"early_termination": {"rule": "median", "architecture": True}}, "are of the rule prediction, not of median"),
    ],
)
def test_what_is_no_part(parts, message):
    with pytest.raises(ConfigError, match=message):
        RandomSearch(parts=parts)
    assert RandomSearch(parts={"early_termination": False}).termination is None
    assert RandomSearch(parts={"early_termination": True}).termination is not None
