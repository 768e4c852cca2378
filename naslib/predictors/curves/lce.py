"""LCEPredictor and LCEMPredictor: extrapolate each curve by parametric families."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError
from naslib.predictors.base import Codes
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.encodings import EncodingType

from .base import UntrainedCurvePredictor, full_training
from .extrapolation import CurveScale, extrapolate
from .mixture import sample_ends

# Epochs of a full training in the benchmarks
FINAL_EPOCHS = {"nasbench201": 200, "nasbench301": 98, "nasbench_nlp": 50, "nlp": 50}


class _Extrapolation(UntrainedCurvePredictor):
    """Extrapolate each curve to the last epoch; a prediction never leaves the scale of the metric.

    Args:
        metric: What the curves are of.
        final_epoch: Epochs of a full training; None: what is known of the space's benchmark.
        upper: Largest possible value of a metric that is maximised.
        space: See `Predictor`.
        encoding_type: See `Predictor`.
        seed: See `Predictor`.
    """

    def __init__(
        self,
        metric: Metric | str | None = None,
        *,
        final_epoch: int | None = None,
        upper: float = 100.0,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(metric, space=space, encoding_type=encoding_type, seed=seed)
        self.final_epoch, self.scale = final_epoch, CurveScale(self.maximize, upper)

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray]:
        name = self._codec.name if self._codec is not None else None
        end = full_training(self.final_epoch, FINAL_EPOCHS, name)
        curves = self.curves(codes, info)
        if not len(curves):
            return np.zeros(0), np.zeros(0)
        scaled, unit = self.scale.scaled(curves)
        mean, std = self.scale.restored(*self._ends(scaled, end), unit)
        return (mean if self.maximize else -mean), std

    @abstractmethod
    def _ends(self, curves: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of curves `(n, t)` in [0, 1] at the epoch `end`."""


class LCEPredictor(_Extrapolation):
    """Extrapolate by the eleven families of Domhan et al. (2015), [Domhan2015speeding], each fitted by least squares.

    See `naslib.predictors.curves.extrapolation.extrapolate` for how they are weighted. (NASLib draws from a posterior
    over four of them.)
    """

    METRIC: ClassVar[Metric] = Metric.VAL_ACCURACY

    def _ends(self, curves: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
        return extrapolate(curves, end)


class LCEMPredictor(_Extrapolation):
    """Extrapolate by draws from the posterior of the weighted mixture of the eleven families.

    Domhan et al. (2015), [Domhan2015speeding]; see `naslib.predictors.curves.mixture.sample_ends`.

    Args:
        metric: What the curves are of.
        final_epoch: Epochs of a full training; None: what is known of the space's benchmark.
        upper: Largest possible value of a metric that is maximised.
        walkers: Chains per curve, even.
        burn_in: Steps that are thrown away.
        steps: Steps that are kept.
        space: See `Predictor`.
        encoding_type: See `Predictor`.
        seed: See `Predictor`.

    Raises:
        ConfigError: If walkers are odd or fewer than 4, or no step is kept.
    """

    METRIC: ClassVar[Metric] = Metric.VAL_ACCURACY

    def __init__(
        self,
        metric: Metric | str | None = None,
        *,
        final_epoch: int | None = None,
        upper: float = 100.0,
        walkers: int = 100,
        burn_in: int = 200,
        steps: int = 200,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            metric, final_epoch=final_epoch, upper=upper, space=space, encoding_type=encoding_type, seed=seed
        )
        if walkers < 4 or walkers % 2 or burn_in < 0 or steps < 1:
            raise ConfigError(
                f"walkers are an even number from 4 on, burn_in is at least 0 and steps at least 1, not {walkers}, "
                f"{burn_in} and {steps}"
            )
        self.walkers, self.burn_in, self.steps = walkers, burn_in, steps

    def _ends(self, curves: np.ndarray, end: int) -> tuple[np.ndarray, np.ndarray]:
        return sample_ends(curves, end, walkers=self.walkers, burn_in=self.burn_in, steps=self.steps, seed=self.seed)
