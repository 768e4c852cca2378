"""Measures of predictors against counts and sums by hand."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from naslib.errors import ConfigError, DataError
from naslib.predictors import measures

TRUE = [90.0, 94.0, 91.0, 91.0, 70.0]
PRED = [0.3, 0.5, 0.5, 0.2, 0.4]


def _pairs(first: list[float], second: list[float]) -> tuple[int, int, int]:
    """Return the pairs in order less those out of order, and those tied in the first and in the second."""
    balance = tied_first = tied_second = 0
    for i, j in itertools.combinations(range(len(first)), 2):
        one, other = first[i] - first[j], second[i] - second[j]
        balance += (one * other > 0) - (one * other < 0)
        tied_first += one == 0
        tied_second += other == 0
    return balance, tied_first, tied_second


def test_kendall_counts_pairs():
    # 10 pairs: (90, 94) + ... by hand 5 in order, 3 out of order, one tie each
    assert _pairs(TRUE, PRED) == (2, 1, 1)
    assert measures.kendall_tau_a(TRUE, PRED) == pytest.approx(2 / 10)
    assert measures.kendall_tau_b(TRUE, PRED) == pytest.approx(2 / 9)


def test_kendall_equals_the_count_of_all_pairs_with_ties():
    rng = np.random.default_rng(0)
    true, pred = rng.integers(0, 8, 60).tolist(), rng.integers(0, 5, 60).tolist()
    balance, tied_true, tied_pred = _pairs(true, pred)
    n = 60 * 59 / 2
    assert measures.kendall_tau_a(true, pred) == pytest.approx(balance / n, abs=1e-12)
    assert measures.kendall_tau_b(true, pred) == pytest.approx(
        balance / math.sqrt((n - tied_true) * (n - tied_pred)), abs=1e-12
    )


def test_spearman_is_the_correlation_of_mean_ranks():
    ranks_true, ranks_pred = [2, 5, 3.5, 3.5, 1], [2, 4.5, 4.5, 1, 3]
    assert measures.spearman(TRUE, PRED) == pytest.approx(np.corrcoef(ranks_true, ranks_pred)[0, 1], abs=1e-12)
    assert measures.pearson(TRUE, PRED) == pytest.approx(np.corrcoef(TRUE, PRED)[0, 1], abs=1e-12)
    assert measures.spearman([1, 2, 3], [4, 8, 9]) == 1.0 and measures.pearson([1, 2], [2, 1]) == -1.0


def test_errors_are_in_the_unit_of_the_values():
    assert measures.mae([1, 2, 4], [2, 2, 1]) == pytest.approx(4 / 3)
    assert measures.rmse([1, 2, 4], [2, 2, 1]) == pytest.approx(math.sqrt(10 / 3))


def test_ndcg_by_hand():
    true, pred = [3.0, 1.0, 2.0, 5.0], [0.9, 0.8, 0.1, 0.5]  # predicted order 3, 1, 5, 2; gains 2, 0, 4, 1
    best = 4 + 2 / math.log2(3) + 1 / 2
    assert measures.ndcg(true, pred) == pytest.approx((2 + 0 + 4 / 2 + 1 / math.log2(5)) / best)
    assert measures.ndcg(true, pred, k=2) == pytest.approx(2 / (4 + 2 / math.log2(3)))
    gains = [2.0 ** (value / 4) - 1 for value in (2, 0, 4, 1)]
    wanted = (gains[0] + gains[2] / 2) / (gains[2] + gains[0] / math.log2(3) + gains[3] / 2)
    assert measures.ndcg(true, pred, k=3, gain="exponential") == pytest.approx(wanted)
    assert measures.ndcg(true, true) == 1.0 and measures.ndcg([2, 2, 2], [1, 2, 3]) == 1.0


def test_ndcg_shares_the_places_of_equal_predictions():
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    true, pred = rng.normal(size=40), rng.integers(0, 6, 40).astype(float)
    for k in (None, 7):
        wanted = sklearn.ndcg_score([true - true.min()], [pred], k=k)
        assert measures.ndcg(true, pred, k=k) == pytest.approx(wanted, abs=1e-12)


def test_regret_and_precision_look_at_the_predicted_best():
    assert measures.regret(TRUE, PRED, k=1) == 0.0  # 94 and 91 are tied at the top, the earlier counts
    assert measures.regret([90, 91, 94], [0.9, 0.8, 0.7], k=1) == 4
    assert measures.regret([90, 91, 94], [0.9, 0.8, 0.7], k=2) == 3
    assert measures.precision([1, 2, 3, 4], [4, 1, 2, 3], k=2) == 0.5
    assert measures.precision([1, 2, 3, 4], [4, 1, 2, 3], k=9) == 1.0


def test_all_together():
    found = measures.measure(TRUE, PRED, k=2)
    assert found["kendall_tau_a"] == pytest.approx(0.2) and found["regret_k"] == 0.0 and len(found) == 10
    assert found["precision_k"] == measures.precision(TRUE, PRED, 2)
    assert found["ndcg_k"] == measures.ndcg(TRUE, PRED, 2) != found["ndcg"]


def test_what_cannot_be_measured():
    assert math.isnan(measures.spearman([1, 1, 1], [1, 2, 3])) and math.isnan(measures.kendall_tau_b([1, 1], [1, 2]))
    assert measures.kendall_tau_a([1, 1, 1], [1, 2, 3]) == 0.0
    with pytest.raises(DataError, match="at least 2 values, not 1 and 2"):
        measures.mae([1], [1, 2])
    with pytest.raises(DataError, match="1 predicted values are not finite, the first at place 1"):
        measures.spearman([1, 2], [1, math.nan])
    with pytest.raises(ConfigError, match="did you mean 'exponential'"):
        measures.ndcg([1, 2], [1, 2], gain="exponentail")
    with pytest.raises(ConfigError, match="at least 1, not 0"):
        measures.regret([1, 2], [1, 2], k=0)
