"""OmniNGBPredictor: everything that is known, in natural gradient boosting."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError
from naslib.predictors.base import Codes, Predictor
from naslib.predictors.features import encode_batch
from naslib.predictors.tabular import check_rows
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .columns import KnownColumns, Named


class OmniNGBPredictor(Predictor):
    """Predict a normal distribution by natural gradient boosting on proxies, curves and the encoded architecture.

    The OMNI predictor of White et al. (2021), [White2021predictors]; boosting is NGBoost's, Duan et al. (2020),
    [Duan2020ngboost].

    Args:
        zero_cost: See `KnownColumns`.
        lce: See `KnownColumns`.
        encoding_type: See `Predictor`.
        ss_type: Name of the space; NASLib's, without effect here.
        n_hypers: Sets of hyperparameters that are drawn and cross-validated in 3 folds (35 in NASLib); 0 takes those
            that are set.
        space: See `Predictor`.
        seed: See `Predictor`.

    Raises:
        ConfigError: If NGBoost is not installed, for an encoding that is a graph, or as `KnownColumns` and `Predictor`.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "n_estimators": 300,
        "learning_rate": 0.05,
        "minibatch_frac": 0.5,
        "max_depth": 4,
        "max_features": 0.5,
        "min_samples_leaf": 2,
    }
    MIN_LABELS: ClassVar[int] = 6

    def __init__(
        self,
        zero_cost: Named = ("jacov",),
        lce: Sequence[str] = ("sotle",),
        encoding_type: EncodingType | str | None = None,
        ss_type: str | None = None,
        n_hypers: int = 0,
        *,
        space: Graph | Codec[Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed)
        _ngboost()
        check_rows(self)
        if n_hypers < 0:
            raise ConfigError(f"n_hypers is at least 0, not {n_hypers}")
        self.columns, self.ss_type, self.n_hypers = KnownColumns(zero_cost, lce), ss_type, n_hypers

    def get_data_reqs(self) -> dict[str, Any]:
        """Return what the predictor must be given: curves, if it looks at any."""
        metrics = self.columns.metrics
        return {**super().get_data_reqs(), "requires_partial_lc": bool(metrics), "metric": metrics or None}

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> float:
        inputs = np.hstack([self.columns.fit(codes, info), self._encoded(codes)])
        self._offset, self._unit = float(values.mean()), float(values.std()) or 1.0
        targets = (values - self._offset) / self._unit
        self.is_constant = not np.ptp(values)  # then its scale has nothing to be fitted to
        if self.is_constant:
            return 0.0
        if self.n_hypers:
            self.set_hyperparams(self._searched(inputs, targets))
        self.model = self._model(self.hyperparams).fit(inputs, targets)
        return float(np.abs(self._moments(inputs)[0] - values).mean())

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray]:
        if not codes:
            return np.zeros(0), np.zeros(0)
        return self._moments(np.hstack([self.columns.of(codes, info), self._encoded(codes)]))

    def _moments(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.is_constant:
            return np.full(len(inputs), self._offset), np.zeros(len(inputs))
        found = self.model.pred_dist(inputs)
        return np.asarray(found.loc) * self._unit + self._offset, np.asarray(found.scale) * self._unit

    def _encoded(self, codes: Codes) -> np.ndarray:
        rows = encode_batch(self.space if self.space is not None else self.codec, codes, self.encoding_type)
        return np.asarray(rows, dtype=np.float64)

    def _model(self, given: Mapping[str, Any]) -> Any:
        from sklearn.tree import DecisionTreeRegressor

        names = ("max_depth", "max_features", "min_samples_leaf")
        base = DecisionTreeRegressor(random_state=self.seed, **{name: given[name] for name in names})
        boosting = {name: value for name, value in given.items() if name not in names}
        return _ngboost().NGBRegressor(Base=base, verbose=False, random_state=self.seed, **boosting)

    def _searched(self, inputs: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        rng = np.random.default_rng(self.seed)
        folds = np.array_split(rng.permutation(len(targets)), 3)
        drawn = [self._draw(rng) for _ in range(self.n_hypers)]
        losses = []
        for given in drawn:
            loss = 0.0
            for fold in folds:
                kept = np.setdiff1d(np.arange(len(targets)), fold)
                if not np.ptp(targets[kept]):
                    continue
                model = self._model(given).fit(inputs[kept], targets[kept])
                loss -= float(model.pred_dist(inputs[fold]).logpdf(targets[fold]).sum())
            losses.append(loss)
        return drawn[int(np.argmin(np.nan_to_num(losses, nan=np.inf)))]

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return hyperparameters from the ranges of White et al. (2021), [White2021predictors]."""
        return {
            "n_estimators": int(np.exp(rng.uniform(np.log(128), np.log(512)))),
            "learning_rate": float(np.exp(rng.uniform(np.log(1e-3), np.log(0.1)))),
            "minibatch_frac": float(rng.uniform(0.1, 1)),
            "max_depth": int(rng.integers(1, 25)),
            "max_features": float(rng.uniform(0.1, 1)),
            "min_samples_leaf": int(rng.integers(2, 20)),
        }


def _ngboost() -> Any:
    try:
        return importlib.import_module("ngboost")
    except ImportError as error:
        raise ConfigError("OMNI needs NGBoost, which is not installed: pip install 'naslib[trees]'") from error
