"""Gradient boosting by XGBoost, LightGBM and NGBoost (`pip install 'naslib[trees]'`)."""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError

from .tabular import TabularPredictor, log_uniform


class Boosting(TabularPredictor):
    """Trees that each correct those before, by another library."""

    SCALED: ClassVar[bool] = False
    LIBRARY: ClassVar[str] = ""

    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        try:
            library = importlib.import_module(self.LIBRARY)
        except ImportError as error:
            raise ConfigError(
                f"{type(self).__name__} needs {self.LIBRARY}, which is not installed: pip install 'naslib[trees]'"
            ) from error
        self._boost(library, rows, values)

    @abstractmethod
    def _boost(self, library: Any, rows: np.ndarray, values: np.ndarray) -> None:
        """Fit the library's model."""


class XGBoost(Boosting):
    """XGBoost ([Chen2016xgboost]); defaults and ranges are those of [White2021predictors]. It has no uncertainty.

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
    """

    LIBRARY: ClassVar[str] = "xgboost"
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "num_rounds": 500,
        "max_depth": 6,
        "min_child_weight": 1,
        "colsample_bytree": 1.0,
        "learning_rate": 0.3,
        "colsample_bylevel": 1.0,
    }

    def _boost(self, library: Any, rows: np.ndarray, values: np.ndarray) -> None:
        settings = {"objective": "reg:squarederror", "seed": self.seed, "nthread": 1, **self.hyperparams}
        rounds = int(settings.pop("num_rounds"))
        self._library = library
        self._model = library.train(settings, library.DMatrix(rows, label=values), num_boost_round=rounds)

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self._model.predict(self._library.DMatrix(rows)), None

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {
            "num_rounds": self.hyperparams["num_rounds"],
            "max_depth": int(rng.integers(1, 15)),
            "min_child_weight": int(log_uniform(rng, 1, 10)),
            "colsample_bytree": float(rng.uniform(0.05, 1)),
            "learning_rate": log_uniform(rng, 0.001, 0.5),
            "colsample_bylevel": float(rng.uniform(0.05, 1)),
        }


class LGBoost(Boosting):
    """LightGBM ([Ke2017lightgbm]); defaults and ranges are those of [White2021predictors]. It has no uncertainty.

    A leaf has at most a quarter of the architectures as its least number: else fewer than ten could not be split.

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
    """

    LIBRARY: ClassVar[str] = "lightgbm"
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "num_rounds": 100,
        "num_leaves": 31,
        "learning_rate": 0.05,
        "feature_fraction": 0.9,
        "min_data_in_leaf": 5,
    }

    def _boost(self, library: Any, rows: np.ndarray, values: np.ndarray) -> None:
        settings = {
            "objective": "regression",
            "seed": self.seed,
            "num_threads": 1,
            "verbosity": -1,
            "deterministic": True,
            **self.hyperparams,
        }
        rounds = int(settings.pop("num_rounds"))
        settings["min_data_in_leaf"] = max(1, min(int(settings["min_data_in_leaf"]), len(rows) // 4))
        self._model = library.train(settings, library.Dataset(rows, label=values), num_boost_round=rounds)

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        return self._model.predict(rows), None

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {
            **self.hyperparams,
            "num_leaves": int(rng.integers(10, 100)),
            "learning_rate": log_uniform(rng, 0.001, 0.1),
            "feature_fraction": float(rng.uniform(0.1, 1)),
        }


class NGBoost(Boosting):
    """NGBoost ([Duan2020ngboost]): a normal distribution per architecture; its standard deviation includes the noise.

    Defaults and ranges are those of [White2021predictors].

    Args:
        space: See `Predictor`.
        encoding_type: Likewise.
        seed: Likewise.
    """

    LIBRARY: ClassVar[str] = "ngboost"
    DEFAULTS: ClassVar[Mapping[str, Any]] = {
        "n_estimators": 505,
        "learning_rate": 0.08127053060223186,
        "max_depth": 6,
        "max_features": 0.7920456318712875,
    }

    def _boost(self, library: Any, rows: np.ndarray, values: np.ndarray) -> None:
        from sklearn.tree import DecisionTreeRegressor

        h, state = self.hyperparams, np.random.RandomState(self.seed)
        base = DecisionTreeRegressor(
            max_depth=h["max_depth"],
            max_features=h["max_features"],
            random_state=state,
        )
        self._model = library.NGBRegressor(
            Base=base,
            n_estimators=h["n_estimators"],
            learning_rate=h["learning_rate"],
            natural_gradient=True,
            verbose=False,
            random_state=state,
        )
        # where all values are alike its scale has nothing to be fitted to
        self._constant = float(values[0]) if not np.ptp(values) else None
        if self._constant is None:
            self._model.fit(rows, values)

    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        if self._constant is not None:
            return np.full(len(rows), self._constant), np.zeros(len(rows))
        found = self._model.pred_dist(rows)
        return np.asarray(found.loc), np.asarray(found.scale)

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        return {
            "n_estimators": int(log_uniform(rng, 128, 512)),
            "learning_rate": log_uniform(rng, 0.001, 0.1),
            "max_depth": int(rng.integers(1, 25)),
            "max_features": float(rng.uniform(0.1, 1)),
        }
