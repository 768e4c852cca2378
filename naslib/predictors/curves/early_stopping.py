"""EarlyStopping: the last value that was seen of a training."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.predictors.base import Codes
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric

from .base import UntrainedCurvePredictor


class EarlyStopping(UntrainedCurvePredictor):
    """Predict the last value of the curve: the accuracy of a short training, or minus its loss."""

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        last = self.curves(codes, info)[:, -1]
        return (last if self.maximize else -last), None


def valacc(*, space: Graph | Codec[Any] | None = None, seed: int = 0) -> EarlyStopping:
    """Return the predictor of the validation accuracy so far."""
    return EarlyStopping(Metric.VAL_ACCURACY, space=space, seed=seed)


def valloss(*, space: Graph | Codec[Any] | None = None, seed: int = 0) -> EarlyStopping:
    """Return the predictor of minus the validation loss so far."""
    return EarlyStopping(Metric.VAL_LOSS, space=space, seed=seed)
