"""Forests: random forest, extremely randomized trees, and these on graph features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from naslib.utils.encodings import EncodingType

from .tabular import TabularPredictor, log_uniform

_TREES: dict[str, Any] = {
    "n_estimators": 300,
    "max_features": 0.33,
    "min_samples_leaf": 1,
    "min_samples_split": 2,
    "bootstrap": False,
}


class Forest(TabularPredictor):
    """The mean of many trees, and their standard deviation."""

    SCALED: ClassVar[bool] = False

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        self._model = self._make().fit(rows, values)

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        rows = rows.astype(np.float32)  # what the trees compare
        each = np.stack([tree.tree_.predict(rows)[:, 0] for tree in self._model.estimators_])
        return each.mean(0), each.std(0)

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return the ranges of [White2021predictors]."""
        return {
            "n_estimators": int(log_uniform(rng, 16, 128)),
            "max_features": log_uniform(rng, 0.1, 0.9),
            "min_samples_leaf": int(rng.integers(1, 20)),
            "min_samples_split": int(rng.integers(2, 20)),
            "bootstrap": False,
        }

    @abstractmethod
    def _make(self) -> Any:
        """Return an unfitted model of scikit-learn with the hyperparameters."""


class RandomForestPredictor(Forest):
    """Random forest ([Breiman2001forests]); the defaults are those tuned for [White2021predictors].

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "n_estimators": 116,
        "max_features": 0.17055852159745608,
        "min_samples_leaf": 2,
        "min_samples_split": 2,
        "bootstrap": False,
    }

    def _make(self) -> Any:
        from sklearn.ensemble import RandomForestRegressor

        return RandomForestRegressor(**self.hyperparams, random_state=self.seed)


class ExtraTreesPredictor(Forest):
    """Extremely randomized trees ([Geurts2006extratrees]): thresholds are drawn, and the best of some is taken.

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = _TREES

    def _make(self) -> Any:
        from sklearn.ensemble import ExtraTreesRegressor

        return ExtraTreesRegressor(**self.hyperparams, random_state=self.seed)


class GrafPredictor(Forest):
    """Extremely randomized trees on GRAF features beside the one-hot encoding ([Kadlecova2024graf]).

    Zero-cost proxies given as info make it better.

    Args:
        space: See `Predictor`.
        encoding_type: Of the first columns; GRAF if None.
        seed: See `Predictor`.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = _TREES
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.GRAF
    MORE_ENCODINGS: ClassVar[tuple[EncodingType, ...]] = (EncodingType.ADJACENCY_ONE_HOT,)

    def _make(self) -> Any:
        from sklearn.ensemble import ExtraTreesRegressor

        return ExtraTreesRegressor(**self.hyperparams, random_state=self.seed)
