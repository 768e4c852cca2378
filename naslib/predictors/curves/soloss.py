"""SoLosspredictor: the sum of training losses."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError, PredictorError, did_you_mean
from naslib.predictors.base import Codes
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.encodings import EncodingType

from .base import UntrainedCurvePredictor

SUMS = ("SoTL", "SoTLE", "SoTLEMA")


class SoLosspredictor(UntrainedCurvePredictor):
    """Predict by the sum of the training losses of all epochs, of the last ones, or with weights that fade.

    Ru et al. (2021), [Ru2021speedy]: an architecture that trains faster generalises better. Of another metric (the
    validation accuracy, where there are no losses) it is the same sum; losses count negative.

    Args:
        metric: What the curves are of.
        sum_option: `"SoTL"`: sum over all epochs. `"SoTLE"`: over the last `epochs`, one in NASLib and the paper's
            best. `"SoTLEMA"`: epoch t of T counts decay^(T - t).
        epochs: How many of the last epochs SoTLE adds.
        decay: Of SoTLEMA, in (0, 1].
        space: See `Predictor`.
        encoding_type: See `Predictor`.
        seed: See `Predictor`.

    Raises:
        ConfigError: For an unknown sum, fewer than one epoch, or a decay out of range.
    """

    METRIC: ClassVar[Metric] = Metric.TRAIN_LOSS

    def __init__(
        self,
        metric: Metric | str | None = None,
        sum_option: str = "SoTLEMA",
        *,
        epochs: int = 1,
        decay: float = 0.9,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(metric, space=space, encoding_type=encoding_type, seed=seed)
        if sum_option not in SUMS:
            raise ConfigError(
                f"no sum of losses {sum_option!r}{did_you_mean(sum_option, SUMS)} (there are: {', '.join(SUMS)})"
            )
        if epochs < 1:
            raise ConfigError(f"SoTLE adds at least 1 epoch, not {epochs}")
        if not 0 < decay <= 1:
            raise ConfigError(f"the decay of SoTLEMA is in (0, 1], not {decay}")
        self.sum_option, self.epochs, self.decay = sum_option, epochs, decay

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        curves = self.curves(codes, info)
        length = curves.shape[1]
        if self.sum_option == "SoTLE":
            if length < self.epochs:
                raise PredictorError(f"SoTLE adds the last {self.epochs} epochs, and the curves have {length}")
            summed = curves[:, -self.epochs :].sum(1)
        elif self.sum_option == "SoTLEMA":
            summed = curves @ self.decay ** np.arange(length - 1, -1, -1)
        else:
            summed = curves.sum(1)
        return (summed if self.maximize else -summed), None


def sotl(
    metric: Metric | str = Metric.TRAIN_LOSS, *, space: Graph | Codec[Any] | None = None, seed: int = 0
) -> SoLosspredictor:
    """Return the predictor by the sum of the losses of all epochs so far."""
    return SoLosspredictor(metric, "SoTL", space=space, seed=seed)


def sotle(
    metric: Metric | str = Metric.TRAIN_LOSS,
    *,
    epochs: int = 1,
    space: Graph | Codec[Any] | None = None,
    seed: int = 0,
) -> SoLosspredictor:
    """Return the predictor by the sum of the losses of the last epochs (one) so far."""
    return SoLosspredictor(metric, "SoTLE", epochs=epochs, space=space, seed=seed)
