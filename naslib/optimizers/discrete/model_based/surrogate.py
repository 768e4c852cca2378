"""Surrogate: one or several predictors of a type, and what they believe together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from naslib.errors import PredictorError
from naslib.predictors import PREDICTORS, Predictor
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.graph import Graph


@dataclass(frozen=True)
class Belief:
    """What a surrogate says of n architectures.

    Attributes:
        mean: `(n,)`.
        std: `(n,)`, zeros where the predictors have no uncertainty and agree.
        members: `(m, n)`, the means of the m predictors.
    """

    mean: np.ndarray
    std: np.ndarray
    members: np.ndarray


class Surrogate:
    """An ensemble of predictors that differ in their seeds.

    The belief is that of a mixture: its mean is the mean of the members' means, its variance the mean of their
    variances (0 where a predictor has none) plus the variance of their means.

    Args:
        members: The predictors, at least one.
        known: What else is known of architectures, by their codes: columns beside their encoding; None for nothing.
    """

    def __init__(self, members: Sequence[Predictor], known: Mapping[Code, Mapping[str, float]] | None = None) -> None:
        self.members, self.known = list(members), known

    @classmethod
    def of_type(
        cls,
        predictor_type: str,
        space: Graph,
        encoding_type: str | None,
        size: int,
        seed: int,
        hyperparams: Mapping[str, Any] | None = None,
    ) -> Surrogate:
        """Return an ensemble of predictors of a type.

        Args:
            predictor_type: A name in `PREDICTORS`.
            space: The search space.
            encoding_type: How codes become numbers; the predictor's own if None.
            size: Number of members.
            seed: The members' seeds are this one and those after it.
            hyperparams: Hyperparameters that are not the predictor's defaults.

        Raises:
            ConfigError: If there is no such predictor, encoding or hyperparameter.
        """
        kind = PREDICTORS.get(predictor_type)
        members = [kind(space=space, encoding_type=encoding_type, seed=seed + place) for place in range(size)]
        for member in members:
            member.set_hyperparams(dict(hyperparams or {}))
        return cls(members)

    def fit(self, codes: Sequence[Code], values: np.ndarray) -> None:
        """Fit all members to architectures and their values `(n,)`, larger being better."""
        for member in self.members:
            member.fit(codes, values.tolist(), self._known_of(codes))

    def predict(self, codes: Sequence[Code]) -> Belief:
        """Return the belief about n architectures.

        Raises:
            PredictorError: If a predictor says something that is not finite.
        """
        info = self._known_of(codes)
        found = [member.predict(codes, info) for member in self.members]
        means = np.stack([np.asarray(mean, dtype=np.float64) for mean, _ in found])
        stds = [np.zeros(len(codes)) if std is None else np.asarray(std, dtype=np.float64) for _, std in found]
        variances = np.stack(stds) ** 2
        if not np.isfinite(means).all() or not np.isfinite(variances).all():
            raise PredictorError(f"{type(self.members[0]).__name__} predicts values that are not finite")
        return Belief(means.mean(0), np.sqrt(variances.mean(0) + means.var(0)), means)

    def _known_of(self, codes: Sequence[Code]) -> list[Mapping[str, float]] | None:
        return None if self.known is None else [self.known[tuple(code)] for code in codes]
