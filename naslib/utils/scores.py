"""Score predictions of architecture performance against the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import DataError

_TOP = (10, 20)


def compute_scores(ytest: Sequence[float] | np.ndarray, test_pred: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Return error, correlation and ranking measures of a predictor.

    Unlike NASLib's, `pearson` keeps its sign and `precision_k` is a share of at most all items. A correlation with a
    constant is NaN.

    Args:
        ytest: `(n,)` true values, n >= 2, larger is better.
        test_pred: `(n,)` predicted values.

    Returns:
        `mae, rmse, pearson, spearman, kendalltau, kt_2dec, kt_1dec` (tau of predictions rounded to 2 and 1 decimals),
        `precision_10, precision_20` (share of the true best k among the predicted best k), `ndcg`, `full_ytest`,
        `full_testpred`.

    Raises:
        DataError: If the lengths differ, are below two, or a value is not finite.
    """
    from scipy import stats
    from sklearn import metrics

    true = np.asarray(ytest, dtype=np.float64).reshape(-1)
    pred = np.asarray(test_pred, dtype=np.float64).reshape(-1)
    if len(true) != len(pred) or len(true) < 2:
        raise DataError(f"scores need two equally long sequences of at least 2 values, got {len(true)} and {len(pred)}")
    if not (np.isfinite(true).all() and np.isfinite(pred).all()):
        raise DataError("scores need finite values, got NaN or infinity")

    def correlation(measure: Any, guess: np.ndarray) -> float:
        return math.nan if np.ptp(true) == 0 or np.ptp(guess) == 0 else float(measure(true, guess)[0])

    scores: dict[str, Any] = {
        "mae": float(np.abs(pred - true).mean()),
        "rmse": float(np.sqrt(np.square(pred - true).mean())),
        "pearson": correlation(stats.pearsonr, pred),
        "spearman": correlation(stats.spearmanr, pred),
        "kendalltau": correlation(stats.kendalltau, pred),
        "kt_2dec": correlation(stats.kendalltau, pred.round(2)),
        "kt_1dec": correlation(stats.kendalltau, pred.round(1)),
    }
    for k in _TOP:
        scores[f"precision_{k}"] = precision_at_k(true, pred, k)
    # The gain must not be negative; shifting keeps the order.
    scores["ndcg"] = float(metrics.ndcg_score([true - true.min()], [pred])) if np.ptp(true) else 1.0
    scores["full_ytest"] = true.tolist()
    scores["full_testpred"] = pred.tolist()
    return scores


def precision_at_k(true: np.ndarray, pred: np.ndarray, k: int) -> float:
    """Return the share of the true best `k` that are among the predicted best `k` (ties: the earlier item)."""
    k = min(k, len(true))
    best_true = np.argsort(-true, kind="stable")[:k]
    best_pred = np.argsort(-pred, kind="stable")[:k]
    return len(np.intersect1d(best_true, best_pred)) / k
