"""Ensemble: the mean of several predictors, and how far they are apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError, PredictorError
from naslib.registry.catalogue import PREDICTORS
from naslib.search_spaces.core.codec import Codec
from naslib.search_spaces.core.graph import Graph
from naslib.utils.encodings import EncodingType

from .base import Codes, Predictor


class Ensemble(Predictor):
    """The weighted mean of predictors, fitted to the same architectures and values.

    The variance is the mean of the members' own variances and the variance of their means.

    Args:
        space: See `Predictor`.
        encoding_type: Of members that state none; their own if None.
        predictor_type: What a member is where `members` are not given: a name of `PREDICTORS`.
        num_ensemble: How many members there are of it, with the seeds `seed`, `seed + 1` ...
        members: Instead of these: names, or dictionaries of keywords with the name as `predictor`; `weight` is 1 unless
            given, `hyperparams` are set.
        seed: See `Predictor`.

    Raises:
        ConfigError: For no members, a weight that is not positive, or an unknown predictor.
    """

    def __init__(
        self,
        *,
        space: Graph | Codec[Any] | None = None,
        encoding_type: EncodingType | str | None = None,
        predictor_type: str = "mlp",
        num_ensemble: int = 3,
        members: Sequence[str | Mapping[str, Any]] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(space=space, encoding_type=encoding_type, seed=seed)
        stated = [predictor_type] * num_ensemble if members is None else list(members)
        if not stated:
            raise ConfigError("an ensemble needs at least one member")
        self.members: list[Predictor] = []
        self.weights: list[float] = []
        for number, member in enumerate(stated):
            keywords = {"predictor": member} if isinstance(member, str) else dict(member)
            if "predictor" not in keywords:
                raise ConfigError(f"member {number} of the ensemble does not say which predictor it is: {member!r}")
            kind = PREDICTORS.get(keywords.pop("predictor"))
            self.weights.append(float(keywords.pop("weight", 1.0)))
            hyperparams: Any = keywords.pop("hyperparams", {})
            if not self.weights[-1] > 0:
                raise ConfigError(f"the weight of member {number} of the ensemble is {self.weights[-1]}, not above 0")
            made = kind(**{"space": space, "encoding_type": encoding_type, "seed": seed + number, **keywords})
            made.set_hyperparams(hyperparams)
            self.members.append(made)

    def reads_info(self) -> bool:
        """Say whether all members read what else is known of architectures; who does not refuses it."""
        return all(member.reads_info() for member in self.members)

    def set_random_hyperparams(self, rng: np.random.Generator | None = None) -> dict[str, Any]:
        """Draw the hyperparameters of every member; an ensemble has none of its own."""
        rng = rng if rng is not None else np.random.default_rng(self.seed)
        for member in self.members:
            member.set_random_hyperparams(rng)
        return self.get_hyperparams()

    def _refuse_unread(self, info: Any) -> None:
        """Let each member speak for itself."""
        for member in self.members:
            member._refuse_unread(info)

    def _fit(self, codes: Codes, values: np.ndarray, info: Any) -> Any:
        for member in self.members:
            if member._codec is None:
                member.space, member._codec = self.space, self._codec
            member.fit(codes, values.tolist(), info)

    def _predict(self, codes: Codes, info: Any) -> tuple[np.ndarray, np.ndarray | None]:
        if len(codes) == 0:
            return np.zeros(0), np.zeros(0)
        found = [member.predict(codes, info) for member in self.members]
        if any(len(mean) != len(codes) for mean, _ in found):
            raise PredictorError("a member of the ensemble returned another number of values than architectures")
        weights = np.array(self.weights)[:, None] / sum(self.weights)
        means = np.stack([mean for mean, _ in found])
        mean = (weights * means).sum(0)
        own = np.stack([np.zeros(len(codes)) if std is None else std**2 for _, std in found])
        is_certain = len(found) == 1 and found[0][1] is None
        return mean, None if is_certain else np.sqrt((weights * (own + (means - mean) ** 2)).sum(0))
