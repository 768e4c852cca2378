"""SVR_Estimator: regression on learning curves, their differences, and numbers of the architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError, PredictorError, did_you_mean
from naslib.predictors.base import Codes
from naslib.predictors.features import encode_batch, known_numbers
from naslib.predictors.tabular import check_rows
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.encodings import EncodingType

from .base import CurvePredictor
from .sequential import line_through
from .svr import StandardisedNuSVR

MODELS = ("svr", "blr", "rf")
# What an entry of `info` may have beside the curve
NUMBERS = ("flops", "latency", "params")


class SVR_Estimator(CurvePredictor):
    """Learn the end of a training from the curve so far, as Baker et al. (2017), [Baker2017accelerating].

    Features are the curve, its first and second differences, the mean and standard deviation of each, the numbers
    `flops`, `latency` and `params` of the entries of `info` that have them, and the encoded architecture if an encoding
    is named. Training and test curves have equally many epochs. What is learned is what a line through the last values
    seen leaves of the ends, so that a regression that has learned nothing keeps the order of the curves.

    Args:
        metric: What the curves are of.
        all_curve: Whether curve and differences are features themselves, or their means and deviations alone.
        model_name: `"svr"` (nu-SVR with an RBF kernel), `"blr"` (Bayesian ridge regression) or `"rf"` (forest).
        best_hyper: C, nu and gamma of the nu-SVR, in place of a search.
        n_hypers: How many are drawn and cross-validated otherwise.
        space: See `Predictor`.
        encoding_type: How the architecture becomes features; it is none if None.
        seed: Of draws and folds.

    Raises:
        ConfigError: For an unknown model, fewer than one draw, or an encoding that is a graph.
    """

    METRIC: ClassVar[Metric] = Metric.VAL_ACCURACY
    MIN_LABELS: ClassVar[int] = 6

    def __init__(
        self,
        metric: Metric | str | None = None,
        all_curve: bool = True,
        model_name: str = "svr",
        best_hyper: Sequence[float] | None = None,
        n_hypers: int = 1000,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(metric, space=space, encoding_type=encoding_type, seed=seed)
        if model_name not in MODELS:
            raise ConfigError(
                f"no model {model_name!r} of curves{did_you_mean(model_name, MODELS)} (there are: {', '.join(MODELS)})"
            )
        if n_hypers < 1:
            raise ConfigError(f"n_hypers is at least 1, not {n_hypers}")
        self.all_curve, self.model_name, self.best_hyper, self.n_hypers = all_curve, model_name, best_hyper, n_hypers
        self.encodes = encoding_type is not None
        if self.encodes:
            check_rows(self)
        self._numbers: tuple[str, ...] = ()
        self._epochs = 0

    def get_data_reqs(self) -> dict[str, Any]:
        """Return what the predictor must be given: curves, and numbers of the architecture."""
        return {**super().get_data_reqs(), "requires_hyperparameters": True, "hyperparams": list(NUMBERS)}

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> float:
        curves = self.curves(codes, info)
        self._epochs = curves.shape[1]
        self._numbers = tuple(
            name for name in NUMBERS if all(isinstance(entry, Mapping) and name in entry for entry in info)
        )
        inputs = self._inputs(codes, curves, info)
        self._line = line_through(curves[:, -1], values)
        self.model = self._new_model()
        self.model.fit(inputs, values - np.polyval(self._line, curves[:, -1]))
        return float(np.abs(self._ends(curves, inputs) - values).mean())

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray | None]:
        curves = self.curves(codes, info)
        if curves.shape[1] != self._epochs:
            raise PredictorError(f"the predictor was fitted to curves of {self._epochs} epochs, not {curves.shape[1]}")
        if not len(curves):
            return np.zeros(0), np.zeros(0)
        mean = self._ends(curves, self._inputs(codes, curves, info))
        error = getattr(self.model, "error", None)
        return mean, None if error is None else np.full(len(mean), error)

    def _ends(self, curves: np.ndarray, inputs: np.ndarray) -> np.ndarray:
        learned = np.asarray(self.model.predict(inputs), dtype=np.float64)
        return learned + np.polyval(self._line, curves[:, -1])

    def _inputs(self, codes: Codes, curves: np.ndarray, info: Any) -> np.ndarray:
        first = np.diff(curves, axis=1)
        parts = [curves, first, np.diff(first, axis=1)]
        moments = [moment(part, axis=1)[:, None] for part in parts if part.shape[1] for moment in (np.mean, np.std)]
        columns = [*(parts if self.all_curve else []), *moments]
        if self._numbers:
            columns.append(self._known(info))
        if self.encodes:
            columns.append(encode_batch(self.space or self.codec, codes, self.encoding_type).astype(np.float64))
        return np.hstack(columns)

    def _known(self, info: Any) -> np.ndarray:
        """Return the numbers beside the curves, `(n, k)`."""
        entries = [entry if isinstance(entry, Mapping) else {} for entry in info]
        rows, names = known_numbers([{k: e[k] for k in self._numbers if k in e} for e in entries], len(entries))
        if names != self._numbers:
            raise PredictorError(
                f"the predictor was fitted with {', '.join(self._numbers)} in info, and is asked with "
                f"{', '.join(names) or 'none of them'}"
            )
        return rows

    def _new_model(self) -> Any:
        if self.model_name == "svr":
            return StandardisedNuSVR(self.n_hypers, self.seed, self.best_hyper)
        if self.model_name == "blr":
            from sklearn.linear_model import BayesianRidge
            from sklearn.pipeline import make_pipeline
            from sklearn.preprocessing import StandardScaler

            return make_pipeline(StandardScaler(), BayesianRidge())
        from sklearn.ensemble import RandomForestRegressor

        return RandomForestRegressor(n_estimators=100, max_features=0.3, random_state=self.seed)
