"""Scores against formulas written out."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from naslib.errors import DataError
from naslib.utils.scores import compute_scores


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    true = rng.normal(size=40)
    return true, true + rng.normal(size=40)


def ranks(values: np.ndarray) -> np.ndarray:
    return np.array([sum(other < value for other in values) for value in values], dtype=float)


def test_against_formulas(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, pred = pair
    scores = compute_scores(true, pred.tolist())
    n = len(true)
    assert scores["mae"] == pytest.approx(sum(abs(a - b) for a, b in zip(true, pred, strict=True)) / n, abs=1e-12)
    assert scores["rmse"] == pytest.approx(math.sqrt(sum((a - b) ** 2 for a, b in zip(true, pred, strict=True)) / n))
    pearson = np.corrcoef(true, pred)[0, 1]
    assert scores["pearson"] == pytest.approx(pearson, abs=1e-12)
    assert scores["spearman"] == pytest.approx(np.corrcoef(ranks(true), ranks(pred))[0, 1], abs=1e-12)
    pairs = list(itertools.combinations(range(n), 2))
    tau = sum(np.sign(true[i] - true[j]) * np.sign(pred[i] - pred[j]) for i, j in pairs) / len(pairs)
    assert scores["kendalltau"] == pytest.approx(tau, abs=1e-12)
    for k in (10, 20):
        best = set(np.argsort(true)[-k:]) & set(np.argsort(pred)[-k:])
        assert scores[f"precision_{k}"] == len(best) / k
    gain = (true - true.min())[np.argsort(-pred)]
    ideal = np.sort(true - true.min())[::-1]
    discount = 1 / np.log2(np.arange(n) + 2)
    assert scores["ndcg"] == pytest.approx((gain @ discount) / (ideal @ discount), abs=1e-12)
    assert scores["full_ytest"] == true.tolist()
    assert scores["full_testpred"] == pred.tolist()


def test_sign_and_perfection(pair: tuple[np.ndarray, np.ndarray]) -> None:
    true, _ = pair
    perfect = compute_scores(true, true)
    worst = compute_scores(true, -true)
    for name in ("pearson", "spearman", "kendalltau"):
        assert perfect[name] == pytest.approx(1)
        assert worst[name] == pytest.approx(-1)
    assert (perfect["mae"], perfect["precision_10"], perfect["ndcg"]) == (0, 1, pytest.approx(1))


def test_constant_and_small_input() -> None:
    scores = compute_scores([1, 1, 1], [1, 2, 3])
    assert math.isnan(scores["pearson"])
    assert math.isnan(scores["kendalltau"])
    assert compute_scores([1.0, 2.0], [0.0, 3.0])["precision_10"] == 1.0
    assert math.isnan(compute_scores([1.0, 2.0], [0.001, 0.002])["kt_2dec"])


@pytest.mark.parametrize(("true", "pred"), [([1, 2], [1]), ([1], [1]), ([], []), ([1, float("nan")], [1, 2])])
def test_bad_input(true: list[float], pred: list[float]) -> None:
    with pytest.raises(DataError):
        compute_scores(true, pred)
