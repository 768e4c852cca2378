"""OneShotPredictor: the score of an architecture as a path of a trained supernet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from naslib.errors import ConfigError, PredictorError
from naslib.history import Trial
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .base import Codes, Predictor


@runtime_checkable
class ScoresCodes(Protocol):
    """What scores architectures all at once."""

    def values(self, codes: Codes) -> Sequence[float]:
        """Return the scores of n codes, larger being better."""


@runtime_checkable
class EvaluatesTrials(Protocol):
    """What scores an architecture as a trial: an evaluator of `naslib.evaluators`."""

    fidelity: int
    objectives: Sequence[Any]

    def evaluate(self, trial: Trial) -> Any:
        """Return what a trial reaches, `values` with one per objective."""


class OneShotPredictor(Predictor):
    """Predict by a supernet that was trained before: nothing is fitted.

    Args:
        scores: A function of n codes to n scores, an object with such a method `values`, or an evaluator, as
            `naslib.evaluators.SupernetEvaluator`, whose first objective is the score (negative where less is better).
        space: See `Predictor`.
        encoding_type: Of no effect.
        seed: Of the trials that an evaluator is given.

    Raises:
        ConfigError: If `scores` is none of these.
    """

    MIN_LABELS: ClassVar[int] = 0

    def __init__(
        self,
        scores: Callable[[Codes], Sequence[float]] | ScoresCodes | EvaluatesTrials,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed)
        self._scores: Callable[[Codes], Sequence[float]]
        if isinstance(scores, ScoresCodes):
            self._scores = scores.values
        elif isinstance(scores, EvaluatesTrials):
            evaluator = scores
            self._scores = lambda codes: [self._evaluated(evaluator, code) for code in codes]
        elif callable(scores):
            self._scores = scores
        else:
            raise ConfigError(
                "the one-shot predictor takes a function of codes, an object with values(codes), or an evaluator with "
                f"evaluate(trial), not a {type(scores).__name__}"
            )
        self.is_fitted = True

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> None:
        """Learn nothing."""

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, None]:
        found = np.asarray(self._scores(codes), dtype=np.float64).reshape(-1) if codes else np.zeros(0)
        if len(found) != len(codes):
            raise PredictorError(f"the supernet gave {len(found)} scores of {len(codes)} architectures")
        return found, None

    def _evaluated(self, evaluator: EvaluatesTrials, code: tuple[int, ...]) -> float:
        trial = Trial(number=0, code=code, fidelity=evaluator.fidelity, seed=self.seed)
        value = float(evaluator.evaluate(trial).values[0])
        return value if evaluator.objectives[0].maximize else -value
