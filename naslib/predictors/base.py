"""Predictor: learn from architectures with known values what others will have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence, Sized
from typing import Any, ClassVar

import numpy as np

from naslib.errors import ConfigError, PredictorError, did_you_mean
from naslib.search_spaces.core.codec import Code, Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .naslib_keywords import NASLibKeywords

Codes = list[Code]
# Some predictors that read info, for messages
_READERS = ("graf", "et", "rf", "gp", "lgb", "xgb", "mlp")


class Predictor(ABC, metaclass=NASLibKeywords):
    """Predict a value of architectures; larger or smaller being better is the caller's affair.

    Architectures are codes of a space, or graphs of it that have one (`graph.arch`). A subclass writes `_fit` and
    `_predict`, which see codes and float64 values alone.

    Args:
        space: The search space (a `Graph`, or its codec), which turns codes into features. None: it is that of the
            graphs that `fit` is given; codes alone then raise.
        encoding_type: How a code becomes numbers (`EncodingType` or its value); the predictor's own if None.
        seed: Of everything that is random in it; two with one seed, fitted to the same, predict the same.

    Attributes:
        hyperparams: The hyperparameters that it is fitted with.
        hpo_wrapper: Whether NASLib's evaluator looks for hyperparameters before it fits.
        ss_type: Name of the space, where it is known.
        of_rows: Whether it was fitted to rows of numbers in place of architectures.
        is_fitted: Whether `fit` has ended.

    Raises:
        ConfigError: For an encoding that there is not.
    """

    # Values of the hyperparameters where none are set, and what they are drawn from (see `set_random_hyperparams`)
    DEFAULTS: ClassVar[Mapping[str, Any]] = {}
    DEFAULT_ENCODING: ClassVar[EncodingType] = EncodingType.ADJACENCY_ONE_HOT
    MIN_LABELS: ClassVar[int] = 2
    # Whether what else is known of architectures is read; where it is not, it is refused
    READS_INFO: ClassVar[bool] = True

    def __init__(
        self,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        seed: int = 0,
    ) -> None:
        self.space: Graph | None = space if isinstance(space, Graph) else None
        self._codec: Codec[Any] | None = space._codec() if isinstance(space, Graph) else space
        self.encoding_type = as_encoding(encoding_type) if encoding_type is not None else self.DEFAULT_ENCODING
        self.seed = seed
        self.hpo_wrapper, self.ss_type = False, None if self._codec is None else self._codec.name
        self.of_rows = False
        self.hyperparams: dict[str, Any] = dict(self.DEFAULTS)
        self.is_fitted = False

    @property
    def codec(self) -> Codec[Any]:
        """The codec of the space.

        Raises:
            PredictorError: If no space was given, and none was seen.
        """
        if self._codec is None:
            raise PredictorError(
                f"{type(self).__name__} does not know the space that its codes are of: give it space=..., or fit it to "
                "graphs"
            )
        return self._codec

    def fit(self, xtrain: Sequence[Any], ytrain: Sequence[float], train_info: Any = None) -> Any:
        """Learn from architectures with known values.

        Args:
            xtrain: n codes, or graphs with one.
            ytrain: Their n values.
            train_info: What else is known of each, n entries, for predictors that read it (`reads_info`).

        Returns:
            The error on the training set where the predictor has one, else None.

        Raises:
            PredictorError: If the numbers differ, there are too few, or a value is not finite; the message names them.
                Also for info that is not empty, where the predictor does not read it.
        """
        self._refuse_unread(train_info)
        self.of_rows = False
        codes, values = self.codes_of(xtrain), np.asarray(ytrain, dtype=np.float64).reshape(-1)
        if len(codes) != len(values):
            raise PredictorError(f"{len(codes)} architectures and {len(values)} values; each has one")
        if len(codes) < self.MIN_LABELS:
            raise PredictorError(
                f"{type(self).__name__} needs at least {self.MIN_LABELS} architectures with values, not {len(codes)}"
            )
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            raise PredictorError(
                f"{len(bad)} of {len(values)} values are not finite, the first at place {bad[0]} ({values[bad[0]]}) of "
                f"{codes[bad[0]]}: leave failed architectures out"
            )
        result = self._fit(codes, values, train_info)
        self.is_fitted = True
        return result

    def query(self, xtest: Sequence[Any], info: Any = None) -> np.ndarray:
        """Return the predicted values, `(n,)` float64, of n codes or graphs.

        Args:
            xtest: The architectures.
            info: What else is known of each, for predictors that read it.

        Raises:
            PredictorError: Before `fit`, if a value is not finite, or for info that the predictor does not read.
        """
        return self.predict(xtest, info)[0]

    def predict(self, codes: Sequence[Any], info: Any = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Return mean and standard deviation, each `(n,)` float64, of n codes or graphs.

        The standard deviation is that of the predictor's belief about the value; None where it has none.

        Raises:
            PredictorError: Before `fit`, if a value is not finite, or for info that the predictor does not read.
        """
        self._refuse_unread(info)
        given = self._ready(codes)
        mean, std = self._predict(given, info)
        for values in (mean,) if std is None else (mean, std):
            bad = np.flatnonzero(~np.isfinite(values))
            if len(bad):
                raise PredictorError(f"{type(self).__name__} predicts {values[bad[0]]} for {given[bad[0]]}")
        return mean, std

    def reads_info(self) -> bool:
        """Say whether the predictor reads what else is known of architectures."""
        return self.READS_INFO

    def _refuse_unread(self, info: Any) -> None:
        if not self.reads_info() and not _is_empty(info):
            raise PredictorError(
                f"{type(self).__name__} reads architectures alone, and is given info: leave it out, or take one that "
                f"reads it, such as {', '.join(_READERS)}"
            )

    def codes_of(self, architectures: Sequence[Any]) -> Codes:
        """Return the codes of architectures, and remember the space of the first graph.

        Raises:
            ArchitectureError: If one is no architecture of the space.
        """
        found: Codes = []
        for item in architectures:
            given: Any = item if isinstance(item, Graph) else getattr(item, "arch", item)  # a module of `get_nbhd`
            if isinstance(given, np.ndarray) and (given.dtype.kind == "f" or self._codec is None):
                self.of_rows = True
                found.append(tuple(given.tolist()))
            elif isinstance(given, Graph):
                if self._codec is None:
                    self.space, self._codec = given, given._codec()
                found.append(given.get_code())
            else:
                found.append(given if type(given) is tuple else tuple(int(gene) for gene in given))
        return found

    def get_hyperparams(self) -> dict[str, Any]:
        """Return the hyperparameters."""
        return dict(self.hyperparams)

    def set_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Set some or all hyperparameters, for the next `fit`.

        Raises:
            ConfigError: For one that the predictor does not have.
        """
        for name in hyperparams:
            if name not in self.DEFAULTS:
                known = ", ".join(self.DEFAULTS) or "none"
                raise ConfigError(
                    f"{type(self).__name__} has no hyperparameter {name!r}{did_you_mean(name, self.DEFAULTS)} "
                    f"(it has: {known})"
                )
        self.hyperparams.update(hyperparams)

    def set_random_hyperparams(self, rng: np.random.Generator | None = None) -> dict[str, Any]:
        """Draw hyperparameters as the study of predictors did (White et al., 2021), set them, and return them.

        Args:
            rng: Where they are drawn from; a generator of the predictor's seed if None.
        """
        drawn = self._draw(rng if rng is not None else np.random.default_rng(self.seed))
        self.set_hyperparams(drawn)
        return self.get_hyperparams()

    def set_ss_type(self, ss_type: str) -> None:
        """Take the name of the space; the space itself is the constructor's, or that of the graphs in `fit`."""
        self.ss_type = ss_type

    def set_pre_computations(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: nothing is computed twice here; for callers of NASLib."""

    def pre_process(self) -> None:
        """Prepare what does not depend on architectures; called before any are known."""

    def pre_compute(self, xtrain: Sequence[Any], xtest: Sequence[Any], unlabeled: Sequence[Any] | None = None) -> None:
        """Prepare what depends on architectures and not on values; called once for several fits."""

    def get_hpo_wrapper(self) -> bool:
        """Say whether NASLib's evaluator looks for hyperparameters before it fits."""
        return self.hpo_wrapper

    def reset_hyperparams(self) -> None:
        """Set the hyperparameters back to their defaults."""
        self.hyperparams = dict(self.DEFAULTS)

    @property
    def default_hyperparams(self) -> dict[str, Any]:
        """The hyperparameters where none are set."""
        return dict(self.DEFAULTS)

    def get_data_reqs(self) -> dict[str, Any]:
        """Return what the predictor must be given beside architectures and values, by NASLib's names."""
        return {"requires_partial_lc": False, "metric": None, "requires_hyperparameters": False, "hyperparams": None,
                "unlabeled": False, "unlabeled_factor": 0}  # fmt: skip

    def _draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return random hyperparameters; the defaults unless overridden."""
        return dict(self.DEFAULTS)

    def _ready(self, architectures: Sequence[Any]) -> Codes:
        if not self.is_fitted:
            raise PredictorError(f"{type(self).__name__} has not been fitted: call fit(architectures, values) first")
        of_rows = self.of_rows
        found = self.codes_of(architectures)
        if self.of_rows != of_rows:
            self.of_rows = of_rows
            raise PredictorError(
                f"{type(self).__name__} was fitted to architectures, and is asked about rows of numbers"
            )
        return found

    @abstractmethod
    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> Any:
        """Learn from codes and their values, `(n,)` float64 and finite."""

    @abstractmethod
    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray | None]:
        """Return mean and standard deviation, `(n,)` float64 each."""


def _is_empty(info: Any) -> bool:
    """Say whether info says nothing: None, no entries, or entries of which each is None or empty."""
    if info is None:
        return True
    return all(entry is None or (isinstance(entry, Sized) and len(entry) == 0) for entry in info)


def as_encoding(encoding_type: EncodingType | str) -> EncodingType:
    """Return the encoding of that name (any case), or the encoding itself.

    Raises:
        ConfigError: If there is none of that name.
    """
    value = str(getattr(encoding_type, "value", encoding_type)).lower()
    known = {kind.value: kind for kind in EncodingType}
    if value not in known:
        raise ConfigError(f"unknown encoding {encoding_type!r}{did_you_mean(value, known)} (known: {', '.join(known)})")
    return known[value]
