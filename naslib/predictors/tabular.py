"""TabularPredictor: what predictors on a table of features have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError, PredictorError
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .base import Codes, Predictor
from .features import Ranks, ScaledValues, Scaler, known_numbers

# Encodings whose rows are graphs
_GRAPHS = (EncodingType.GCN, EncodingType.BONAS, EncodingType.SEMINAS)


class TabularPredictor(Predictor):
    """Predict values from a row of features: the encoding of an architecture, and what else is known of it.

    Info that `fit` is given (zero-cost proxies, sizes: see `features.known_numbers`) becomes columns, its ranks among
    the training set (`features.Ranks`), and is then needed by `query` and `predict`. A subclass writes `_learn` and
    `_infer`, which see float64 rows and values that have mean 0 and standard deviation 1 on the training set. Standard
    deviations are of the function, without the noise of values.

    Args:
        space: See `Predictor`.
        encoding_type: Likewise; an encoding that is a graph (gcn, bonas, seminas) is refused.
        seed: Likewise.
        warp: Whether values become normal scores (`features.ScaledValues`); as is usual for the predictor if None.

    Raises:
        ConfigError: For an unknown encoding, or one that is no row of numbers.
    """

    # Encodings that are put beside the first one
    MORE_ENCODINGS: ClassVar[tuple[EncodingType, ...]] = ()
    # Whether features are standardized, and constant ones dropped
    SCALED: ClassVar[bool] = True
    # Whether values become normal scores where nothing else is said
    WARPED: ClassVar[bool] = False

    def __init__(
        self,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
        warp: bool | None = None,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed)
        self.warp = warp
        check_rows(self)
        self._known: tuple[str, ...] = ()
        self._scaler: Scaler | None = None

    def features(self, codes: Codes) -> np.ndarray:
        """Return the rows of architectures without info, `(n, d)` float32."""
        if self.of_rows:
            return np.array(codes, dtype=np.float32)
        kinds = (self.encoding_type, *(kind for kind in self.MORE_ENCODINGS if kind != self.encoding_type))
        return np.concatenate([self.codec.encode_batch(codes, kind, self.space) for kind in kinds], axis=1)

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> Any:
        known, self._known = known_numbers(info, len(codes))
        self._ranks = Ranks(known)
        rows = np.concatenate([self.features(codes).astype(np.float64), self._ranks(known)], axis=1)
        self._scaler = Scaler(rows) if self.SCALED else None
        self._targets = ScaledValues(values, self.WARPED if self.warp is None else self.warp)
        self._learn(self._scaler(rows) if self._scaler is not None else rows, self._targets.scaled)

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray | None]:
        if not codes:
            return np.zeros(0), np.zeros(0)
        rows = self._rows(codes, info)
        return self._targets.back(*self._infer(rows))

    def _rows(self, codes: Codes, info: Any) -> np.ndarray:
        known, names = known_numbers(info, len(codes))
        if names != self._known:
            raise PredictorError(
                f"{type(self).__name__} was fitted with info on {_listed(self._known)}, and is asked with info on "
                f"{_listed(names)}"
            )
        rows = np.concatenate([self.features(codes).astype(np.float64), self._ranks(known)], axis=1)
        return self._scaler(rows) if self._scaler is not None else rows

    @abstractmethod
    def _learn(self, rows: np.ndarray, values: np.ndarray) -> None:
        """Fit to `(n, d)` rows and `(n,)` values, float64."""

    @abstractmethod
    def _infer(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return mean and standard deviation, `(n,)` each, of `(n, d)` rows."""


def check_rows(predictor: Predictor) -> None:
    """Refuse an encoding that is no row of numbers.

    Raises:
        ConfigError: If the predictor has one that is a graph.
    """
    if predictor.encoding_type in _GRAPHS:
        raise ConfigError(
            f"{type(predictor).__name__} reads rows of numbers, and {predictor.encoding_type.value} is a graph: use "
            "adjacency_one_hot, adjacency_mix, path, compact or graf"
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "nothing"


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a draw whose logarithm is uniform in `low` to `high`."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
