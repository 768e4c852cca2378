"""KnownColumns: what zero-cost proxies and learning curves say of architectures, as standardised columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError, PredictorError, did_you_mean
from naslib.predictors.base import Codes, Predictor
from naslib.predictors.curves.base import read_curves
from naslib.search_spaces.core.query_metrics import Metric

# Predictors of curves that OMNI knows by name: what their curves are of
CURVES = {"sotle": Metric.TRAIN_LOSS, "sotl": Metric.TRAIN_LOSS, "valacc": Metric.VAL_ACCURACY,
          "valloss": Metric.VAL_LOSS}  # fmt: skip
# From n codes to n numbers
Scores = Callable[[Codes], Sequence[float]] | Predictor
Named = Sequence[str] | Mapping[str, Scores | None]


class KnownColumns:
    """Turn proxies and curves into columns with mean 0 and deviation 1 on the training set.

    Args:
        zero_cost: Names of proxies, whose values the entries of `info` have by these names; or what computes them by
            name, a function of codes or a fitted predictor such as `ZeroCost` (None: in `info`).
        lce: What is taken of curves: `sotle` (last training loss), `sotl` (their sum), `valacc`, `valloss` (last
            value). Entries of `info` have them as in `CurvePredictor`.

    Raises:
        ConfigError: For an unknown name in `lce`.
    """

    def __init__(self, zero_cost: Named = (), lce: Sequence[str] = ()) -> None:
        for name in lce:
            if name not in CURVES:
                raise ConfigError(
                    f"OMNI takes no {name!r} of curves{did_you_mean(name, CURVES)} (there are: {', '.join(CURVES)})"
                )
        self.zero_cost: dict[str, Scores | None] = (
            dict(zero_cost) if isinstance(zero_cost, Mapping) else dict.fromkeys(zero_cost)
        )
        self.lce = tuple(lce)
        self._center, self._scale, self._epochs = np.zeros(0), np.ones(0), 0

    @property
    def metrics(self) -> list[Metric]:
        """What the curves must be of."""
        return list(dict.fromkeys(CURVES[name] for name in self.lce))

    def fit(self, codes: Codes, info: Any) -> np.ndarray:
        """Return the columns of the training set, `(n, c)`, and remember how they are scaled.

        Raises:
            PredictorError: If `info` lacks something, or a number is not finite.
        """
        raw = self._raw(codes, info, fitting=True)
        spread = raw.std(0)
        self._center, self._scale = raw.mean(0), np.where(spread > 0, spread, 1.0)
        return (raw - self._center) / self._scale

    def of(self, codes: Codes, info: Any) -> np.ndarray:
        """Return the columns of other architectures, `(n, c)`, on the same scale.

        Raises:
            PredictorError: If `info` lacks something, curves are of another length, or a number is not finite.
        """
        return (self._raw(codes, info, fitting=False) - self._center) / self._scale

    def _raw(self, codes: Codes, info: Any, fitting: bool) -> np.ndarray:
        columns = [self._proxy(name, scores, codes, info) for name, scores in self.zero_cost.items()]
        for name in self.lce:
            rows = read_curves(info, len(codes), CURVES[name])
            lengths = {len(row) for row in rows}
            if fitting and len(lengths) == 1:
                self._epochs = lengths.copy().pop()
            if lengths - {self._epochs}:
                raise PredictorError(
                    f"curves of {', '.join(map(str, sorted(lengths)))} epochs; OMNI compares equally many"
                    + ("" if fitting else f", {self._epochs} as in training")
                )
            columns.append(np.array([row.sum() if name == "sotl" else row[-1] for row in rows]))
        return np.stack(columns, axis=1) if columns else np.zeros((len(codes), 0))

    def _proxy(self, name: str, scores: Scores | None, codes: Codes, info: Any) -> np.ndarray:
        if isinstance(scores, Predictor):
            found: Any = scores.query(codes)
        elif scores is not None:
            found = scores(codes)
        else:
            entries = () if info is None else info
            lacking = [k for k, entry in enumerate(entries) if not isinstance(entry, Mapping) or name not in entry]
            if len(entries) != len(codes) or lacking:
                place = f" (entry {lacking[0]} has none)" if lacking else ""
                raise PredictorError(
                    f"OMNI needs the proxy {name!r} of each architecture in info{place}; or give "
                    f"zero_cost={{{name!r}: function of codes}}"
                )
            found = [entry[name] for entry in entries]
        column = np.asarray(found, dtype=np.float64).reshape(-1)
        if len(column) != len(codes) or not np.isfinite(column).all():
            raise PredictorError(
                f"the proxy {name!r} has {np.isfinite(column).sum()} finite values of {len(codes)} architectures; each "
                "has one"
            )
        return column
