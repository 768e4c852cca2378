"""CurvePredictor: predict what architectures reach from the first epochs of their training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from naslib.benchmarks.base import as_metric
from naslib.errors import ConfigError, PredictorError
from naslib.predictors.base import Codes, Predictor
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.encodings import EncodingType


class CurvePredictor(Predictor):
    """Predict from learning curves, which `info` has, one for each architecture.

    An entry of `info` is the curve, a value per epoch from the first one on, or a mapping with it under `"lc"` (or the
    name of the metric and `_lc`, as `"TRAIN_LOSS_lc"`), as NASLib's evaluator of predictors passes it. Predictions are
    larger for better architectures: of a metric that is minimised they are negative.

    Args:
        metric: What the curves are of; the predictor's own if None.
        space: See `Predictor`.
        encoding_type: See `Predictor`.
        seed: See `Predictor`.

    Attributes:
        metric: What the curves are of.

    Raises:
        ConfigError: For an unknown metric, or encoding.
    """

    METRIC: ClassVar[Metric] = Metric.VAL_ACCURACY
    MIN_LABELS: ClassVar[int] = 0

    def __init__(
        self,
        metric: Metric | str | None = None,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed)
        self.metric = as_metric(metric) if metric is not None else self.METRIC

    @property
    def maximize(self) -> bool:
        """Whether larger values on the curve are better."""
        return self.metric.maximize

    def get_metric(self) -> Metric:
        """Return what the curves are of."""
        return self.metric

    def get_data_reqs(self) -> dict[str, Any]:
        """Return what the predictor must be given: the curves of `metric` so far."""
        return {**super().get_data_reqs(), "requires_partial_lc": True, "metric": self.metric}

    def curves(self, codes: Sequence[Any], info: Any) -> np.ndarray:
        """Return the curves in `info`, `(n, t)` float64, of n architectures, all seen for the same number of epochs.

        Raises:
            PredictorError: If there is none for an architecture, lengths differ, or a value is not finite.
        """
        rows = read_curves(info, len(codes), self.metric)
        lengths = sorted({len(row) for row in rows})
        if len(lengths) > 1:
            raise PredictorError(
                f"curves are compared after equally many epochs; these have {lengths[0]} to {lengths[-1]}: cut them off"
            )
        return np.stack(rows) if rows else np.zeros((0, 1))


class UntrainedCurvePredictor(CurvePredictor):
    """Predict from each curve alone: nothing is learned from architectures with known values."""

    def __init__(
        self,
        metric: Metric | str | None = None,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(metric, space=space, encoding_type=encoding_type, seed=seed)
        self.is_fitted = True

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> None:
        """Learn nothing."""


def read_curves(info: Any, n: int, metric: Metric) -> list[np.ndarray]:
    """Return n curves, float64, as `info` has them.

    Args:
        info: n curves, or n mappings that have one.
        n: How many architectures there are.
        metric: What the curves are of.

    Raises:
        PredictorError: If there is none for an architecture, or a value is not finite.
    """
    if info is None:
        raise PredictorError(f"the predictor needs info: the {metric.name} of the first epochs of each architecture")
    if len(info) != n:
        raise PredictorError(f"{n} architectures and {len(info)} curves; each has one")
    rows = []
    for place, entry in enumerate(info):
        found = entry
        if isinstance(entry, Mapping):
            keys = (f"{metric.name}_lc", "lc")
            found = next((entry[key] for key in keys if key in entry), None)
            if found is None:
                raise PredictorError(f"info {place} has no {keys[0]!r} or 'lc' (it has: {', '.join(map(str, entry))})")
        row = np.asarray(found, dtype=np.float64).reshape(-1)
        if not len(row) or not np.isfinite(row).all():
            raise PredictorError(
                f"curve {place} is {'not finite' if len(row) else 'empty'}: leave failed trainings out"
            )
        rows.append(row)
    return rows


def full_training(final_epoch: int | None, known: Mapping[str, int], name: str | None) -> int:
    """Return the epochs of a full training: `final_epoch`, or what is known of the space.

    Raises:
        ConfigError: If neither says.
    """
    found = final_epoch if final_epoch is not None else known.get(name or "")
    if found is None:
        raise ConfigError(
            f"how many epochs a full training has is not known of {name or 'an unknown space'}: give final_epoch=... "
            f"(known: {', '.join(f'{key} {value}' for key, value in known.items())})"
        )
    if found < 1:
        raise ConfigError(f"a full training has at least 1 epoch, not {found}")
    return found
