"""NeuralPredictorSearch: a graph network that is fitted once, and a pool that it puts in order ([Wen2020neural])."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.optimizers.discrete.model_based.candidates import Parent
from naslib.optimizers.discrete.model_based.rounds import FEWEST_LABELS, SearchInRounds, check_counts
from naslib.optimizers.registry import OPTIMIZERS
from naslib.predictors.neural.gcn import GCNClassifier, GCNPredictor
from naslib.utils.encodings import EncodingType

# Rounds of draws after which a pool remains smaller than it was to be
_ATTEMPTS = 20


@OPTIMIZERS.register("neural_predictor")
class NeuralPredictorSearch(SearchInRounds):
    """Fit a graph network to random architectures, and evaluate a large pool in the order of its predictions.

    The search of [Wen2020neural]: of N = `num_init` random architectures with values a regressor learns, `pool_size`
    others are ranked by it, and the rest of the budget goes down this ranking. With `two_stage` a classifier is trained
    first to tell which architectures are at least as good as `threshold`; the regressor learns from those of the labels
    that are, and the part of the pool that the classifier thinks to be comes before all others. (Of NAS-Bench-101 the
    paper takes 172 labels, a threshold of 91 % and a pool that is the whole space.)

    Args:
        num_init: Random architectures that the network learns from.
        pool_size: Random architectures that are ranked; where the space has no more that are new, fewer.
        two_stage: Whether the classifier comes before the regressor.
        threshold: In the unit of the first objective; None for the median of the labels.
        refit_after: After so many evaluations of a ranking, networks are fitted to all that is known by then and a new
            pool is ranked; None for when the pool is at its end.
        predictor_epochs: Passes of each network over its labels.
        predictor_args: Hyperparameters of `GCNPredictor` that are not its defaults, of both networks.
        **kwargs: See `SearchInRounds`.

    Raises:
        ConfigError: For an unknown keyword or hyperparameter, a number out of its range, or a threshold without
            `two_stage`.
        UnsupportedBySpaceError: For a space without the encoding `gcn`.
    """

    SCHEDULABLE = dict.fromkeys(("pool_size", "predictor_epochs", "max_labels"), "")

    def __init__(
        self,
        *,
        num_init: int = 100,
        pool_size: int = 2000,
        two_stage: bool = True,
        threshold: float | None = None,
        refit_after: int | None = None,
        predictor_epochs: int = 300,
        predictor_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_init=num_init, **kwargs)
        check_counts(
            pool_size=pool_size,
            refit_after=1 if refit_after is None else refit_after,
            predictor_epochs=predictor_epochs,
        )
        if threshold is not None and not two_stage:
            raise ConfigError("threshold is of the classifier, which two_stage=false leaves out")
        self.pool_size, self.two_stage, self.threshold = pool_size, two_stage, threshold
        self.refit_after = refit_after
        self.predictor_epochs, self.predictor_args = predictor_epochs, dict(predictor_args or {})

    def next_round(self) -> list[Parent]:
        """Fit the networks, and return the pool in their order."""
        state = self.state
        places = state.labels(self.max_labels)
        codes = [state.codes[place] for place in places]
        values = np.array([state.merits[place] for place in places])
        seeds = self.rng.getrandbits(31), self.rng.getrandbits(31)
        pool = self.new_candidates()
        for _ in range(_ATTEMPTS):
            pool.draw(self.pool_size - len(pool))
            if len(pool) >= self.pool_size:
                break
        if not pool:
            return []
        is_good = values >= self._threshold(values)
        first = np.zeros(len(pool), dtype=bool)
        if self.two_stage and min(is_good.sum(), (~is_good).sum()) >= FEWEST_LABELS:
            classifier = self._made(GCNClassifier, seeds[0])
            classifier.fit(codes, is_good.astype(np.float64).tolist())
            first = classifier.query(pool.codes) > 0.5
            codes, values = [code for code, good in zip(codes, is_good, strict=True) if good], values[is_good]
        regressor = self._made(GCNPredictor, seeds[1])
        regressor.fit(codes, values.tolist())
        order = np.lexsort((-regressor.query(pool.codes), ~first))
        return pool.first(order, len(pool) if self.refit_after is None else self.refit_after)

    def _threshold(self, values: np.ndarray) -> float:
        """Return the merit that good architectures have at least."""
        return float(np.median(values)) if self.threshold is None else self.objectives[0].merit(self.threshold)

    def _made(self, kind: type[GCNClassifier] | type[GCNPredictor], seed: int) -> GCNClassifier | GCNPredictor:
        model = kind(space=self.graph, epochs=self.predictor_epochs, seed=seed)
        model.set_hyperparams(self.predictor_args)
        return model

    def adapted(self) -> None:
        """Encode an architecture and make a network once, so that what cannot be is said before the search."""
        self.codec.encode_batch([self.codec.random(Random(0))], EncodingType.GCN, self.graph)
        self._made(GCNPredictor, 0)
