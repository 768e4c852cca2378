"""Curves, tables and tests of ranks, against numbers worked out by hand or given in the literature."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from naslib.comparison import Comparison, anytime, band
from naslib.comparison.pictures import draw_curves, draw_ranks
from naslib.comparison.ranking import wilcoxon
from naslib.errors import ConfigError
from naslib.history import Objective, State, Trial

ACCURACY, LOSS = Objective("accuracy", True, "%"), Objective("loss", False)


def _trials(values, seconds=1.0, fidelities=None):
    made = []
    for number, value in enumerate(values):
        fidelity = -1 if fidelities is None else fidelities[number]
        trial = Trial(number, (number,), fidelity)
        made.append(trial.failed("no") if value is None else trial.completed(value, seconds * (number + 1)))
    return made


def test_a_curve_has_a_step_at_each_better_value_and_counts_failures_as_spent():
    curve = anytime(_trials([50.0, None, 40.0, 60.0, 60.0]), ACCURACY)
    assert curve.spent.tolist() == [1, 4] and curve.best.tolist() == [50, 60] and curve.codes == [(0,), (3,)]
    np.testing.assert_array_equal(curve.at(np.array([0.5, 1, 3.9, 4, 99])), [np.nan, 50, 50, 60, 60])
    by_time = anytime(_trials([3.0, 5.0, 1.0]), LOSS, "seconds")
    assert by_time.spent.tolist() == [1, 6] and by_time.best.tolist() == [3, 1]


def test_a_value_at_a_smaller_fidelity_never_replaces_one_at_a_larger():
    curve = anytime(_trials([80.0, 60.0, 90.0, 70.0], fidelities=[1, 9, 3, 9]), ACCURACY)
    assert curve.best.tolist() == [80, 60, 70]
    assert anytime([Trial(0, (0,), state=State.RUNNING)], ACCURACY).codes == []


def test_the_band_is_students_interval():
    values = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    mean, low, high = band(values)
    assert mean.tolist() == [2, 5] and high[1] == low[1] == 5
    expected = stats.t.interval(0.95, 2, loc=2, scale=stats.sem(values[:, 0]))
    assert (low[0], high[0]) == pytest.approx(expected)
    assert band(values[:1])[1].tolist() == [1, 5]


def test_ranks_share_ties_and_critical_difference_is_the_published_one():
    """Demsar (2006): four algorithms on 14 data sets have a Nemenyi critical difference of 1.25."""
    rng = np.random.default_rng(0)
    four = Comparison({name: rng.normal(size=14) for name in "abcd"})
    assert four.critical_difference() == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    assert round(four.critical_difference(), 2) == 1.25
    ranks = Comparison({"a": [1.0, 2.0], "b": [1.0, 5.0], "c": [0.0, 3.0]}).ranks()
    assert ranks == {"a": 2.25, "b": 1.25, "c": 2.5}
    assert Comparison({"a": [1.0], "b": [2.0]}, maximize=False).ranks() == {"a": 1.0, "b": 2.0}


def test_the_table_has_the_best_first_and_adjusts_the_tests():
    scores = {"low": [1.0, 2, 3, 4, 5, 6], "high": [2.0, 3, 4, 5, 6, 7], "same": [2.0, 3, 4, 5, 6, 6.5]}
    comparison = Comparison(scores)
    rows = comparison.rows()
    assert [row.method for row in rows] == ["high", "same", "low"]
    best, same, low = rows
    assert best.p is None and best.mean == 4.5 and best.std == pytest.approx(np.std(scores["high"], ddof=1))
    # all six differences have one sign: p = 2 / 2^6, doubled by Holm as the smaller of two; one difference alone: 1
    assert low.p == pytest.approx(2 * 2 / 2**6) and same.p == 1.0
    assert (best.worst, best.best) == (2, 7)
    down = Comparison(scores, maximize=False)
    assert down.methods[0] == "low" and down.rows()[0].worst == 6
    assert comparison.friedman() == pytest.approx(stats.friedmanchisquare(*scores.values()).pvalue)


def test_equal_scores_differ_by_nothing():
    assert wilcoxon([1, 2, 3], [1, 2, 3]) == 1.0
    rng = np.random.default_rng(2)
    for n in (6, 12, 30):  # without ties it is the exact test of the library
        first, second = rng.normal(size=n), rng.normal(size=n)
        assert wilcoxon(first, second) == pytest.approx(stats.wilcoxon(first - second, method="exact").pvalue)
    assert Comparison({name: [1.0, 2.0] for name in "abc"}).friedman() == 1.0
    assert Comparison({name: [1.0, 2.0] for name in "ab"}).critical_difference() is None


def test_methods_are_compared_on_the_same_seeds():
    with pytest.raises(ConfigError, match="the same seeds"):
        Comparison({"a": [1.0, 2.0], "b": [1.0]})
    with pytest.raises(ConfigError, match="have no rank; b has some"):
        Comparison({"a": [1.0, 2.0], "b": [1.0, float("nan")]})


def test_pictures_are_drawn(tmp_path):
    rng = np.random.default_rng(1)
    curves = {n: [anytime(_trials(rng.normal(size=30).tolist()), ACCURACY) for _ in range(3)] for n in ("a", "b", "c")}
    files = draw_curves(curves, "accuracy (%)", "evaluations", tmp_path / "curves")
    comparison = Comparison({name: [curve.best[-1] for curve in found] for name, found in curves.items()})
    files += draw_ranks(comparison, tmp_path / "ranks")
    assert [file.name for file in files] == ["curves.svg", "curves.png", "ranks.svg", "ranks.png"]
    assert all(file.stat().st_size > 2000 for file in files)
    assert "evaluations" in (tmp_path / "curves.svg").read_text() or (tmp_path / "curves.svg").stat().st_size > 10_000
