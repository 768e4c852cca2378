"""BONAS: Bayesian optimisation on the embedding of a graph network ([Shi2020bonas])."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np

from naslib.errors import ConfigError, did_you_mean
from naslib.history.pareto import survivors
from naslib.optimizers.discrete.model_based.acquisition import ei, ucb
from naslib.optimizers.discrete.model_based.candidates import Candidates, Parent
from naslib.optimizers.discrete.model_based.rounds import FEWEST_LABELS, check_counts
from naslib.optimizers.discrete.model_based.several import SearchOfSeveral
from naslib.optimizers.registry import OPTIMIZERS
from naslib.predictors.neural.bonas import BonasPredictor
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric
from naslib.utils.encodings import EncodingType

from .sampler import winner

_ACQUISITIONS, _SAMPLERS = ("ei", "ucb", "its"), ("ea", "random")
# What a table says of an architecture without a training
_SIZES = (Metric.PARAMETERS, Metric.FLOPS)


@OPTIMIZERS.register("bonas")
class BONAS(SearchOfSeveral):
    """Evaluate, k at a time, what a graph network and Bayesian linear regression find most promising ([Shi2020bonas]).

    In each round a new `BonasPredictor` is fitted to the labels: a graph network with a global vertex, and Bayesian
    linear regression of the logits on its embedding. `ei` is the expected improvement of the logit over that of the
    best label, with the normal belief that the regression gives; `ucb` is the mean of the value plus `explore_factor`
    times its deviation, both of the sigmoid of that normal.

    `sampler` is where candidates come from. `ea`: of the `population_size` architectures told last, the best of
    `sample_size` drawn ones is a parent, and all its neighbours are candidates, as in the authors' code; tournaments go
    on until there are `num_candidates` (the code has one). `random`: `num_candidates` random architectures.

    With several objectives the candidates of the predicted front are asked for: fronts by the acquisition of the first
    objective and what the others come to, of the last front what is least crowded. Parameters and FLOPs that a table
    knows are exact, as in the paper; every other objective has a predictor of its own. A tournament is then won by a
    member of the front of those drawn.

    Args:
        k: Architectures in a round; 100 in the authors' settings.
        acq_fn_type: `ei`, `ucb`, or `its` for draws from the logit's distribution, one per candidate.
        explore_factor: Of `ucb`.
        sampler: `ea` or `random`.
        num_candidates: Candidates in a round.
        population_size: From how many of the newest architectures the parents are drawn.
        sample_size: How many take part in a tournament.
        predictor_epochs: Passes of the graph network over the labels.
        predictor_args: Hyperparameters of `BonasPredictor` that are not its defaults.
        **kwargs: See `SearchInRounds`.

    Raises:
        ConfigError: For an unknown keyword, name or hyperparameter, or a number out of its range.
        UnsupportedBySpaceError: For a space without the encoding `bonas`.
    """

    SCHEDULABLE = dict.fromkeys(
        (
            *("k", "explore_factor", "num_candidates", "population_size"),
            *("sample_size", "predictor_epochs", "max_labels"),
        ),
        "",
    )

    def __init__(
        self,
        *,
        k: int = 10,
        acq_fn_type: str = "ei",
        explore_factor: float = 0.5,
        sampler: str = "ea",
        num_candidates: int = 100,
        population_size: int = 30,
        sample_size: int = 10,
        predictor_epochs: int = 100,
        predictor_args: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(
            k=k,
            num_candidates=num_candidates,
            population_size=population_size,
            sample_size=sample_size,
            predictor_epochs=predictor_epochs,
        )
        if not explore_factor >= 0:
            raise ConfigError(f"explore_factor must not be below 0: {explore_factor:g}")
        self.acq_fn_type = _one_of("acq_fn_type", acq_fn_type, _ACQUISITIONS)
        self.sampler = _one_of("sampler", sampler, _SAMPLERS)
        self.k, self.explore_factor, self.num_candidates = k, explore_factor, num_candidates
        self.population_size, self.sample_size = population_size, sample_size
        self.predictor_epochs, self.predictor_args = predictor_epochs, dict(predictor_args or {})

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        if name == "explore_factor" and self.acq_fn_type != "ucb":
            return "only acq_fn_type: ucb reads it"
        if name in ("population_size", "sample_size") and self.sampler != "ea":
            return "only sampler: ea reads it"
        return super().unscheduled(name)

    def next_round(self) -> list[Parent]:
        """Fit the model, make candidates, and return the k most promising."""
        state = self.state
        places = state.labels(self.max_labels)
        codes = [state.codes[place] for place in places]
        found = self._candidates()
        if not found:
            return []
        merits = [self._acquisition(codes, np.array([state.merits[place] for place in places]), found.codes)]
        known = [self.further.rows[place] for place in places]
        for column in range(len(known[0])):
            merits.append(self._further(column, codes, np.array([row[column] for row in known]), found.codes))
        if len(merits) == 1:
            return self.filled(found.first(np.argsort(-merits[0], kind="stable"), self.k), self.k)
        chosen = survivors(np.stack(merits, axis=1), self.k)
        return self.filled(found.first(np.array(chosen), len(chosen)), self.k)

    def _acquisition(self, codes: Sequence[Code], values: np.ndarray, candidates: Sequence[Code]) -> np.ndarray:
        """Return how promising candidates are by the first objective, `(c,)`."""
        model = self._model()
        model.fit(codes, values.tolist())
        if self.acq_fn_type == "its":
            return np.random.default_rng(self.rng.getrandbits(63)).normal(*model.predict_logits(candidates))
        if self.acq_fn_type == "ei":
            mean, std = model.predict_logits(candidates)
            return ei(mean, std, float(model.logits_of(values).max()), 1.0)
        mean, deviation = model.predict(candidates)
        return ucb(mean, np.zeros(len(mean)) if deviation is None else deviation, self.explore_factor)

    def _further(
        self, column: int, codes: Sequence[Code], values: np.ndarray, candidates: Sequence[Code]
    ) -> np.ndarray:
        """Return the merits of candidates by another objective, `(c,)`: exact ones where they are known."""
        size_of = self._size_of(column + 1)
        if size_of is not None:
            return np.array([size_of(code) for code in candidates])
        rows = np.flatnonzero(np.isfinite(values)).tolist()
        if len(rows) < FEWEST_LABELS:
            return np.zeros(len(candidates))
        model = self._model()
        model.fit([codes[row] for row in rows], values[rows].tolist())
        return model.predict(candidates)[0]

    def _size_of(self, place: int) -> Callable[[Code], float] | None:
        """Return what says the merit of an objective without a training; None where that is not known."""
        if not self._asks_the_benchmark() or self.metrics[place] not in _SIZES:
            return None
        api, metric, objective = self.dataset_api, self.metrics[place], self.objectives[place]
        return lambda code: objective.merit(float(api.query(code, metric, self.dataset, self.fidelity)))

    def _candidates(self) -> Candidates:
        found = self.new_candidates()
        if self.sampler == "random":
            found.draw(self.num_candidates)
            return found
        state = self.state
        rows = np.array([(merit, *more) for merit, more in zip(state.merits, self.further.rows, strict=True)])
        newest = np.flatnonzero(np.isfinite(rows).all(1))[-self.population_size :]
        merits = rows[newest]
        for _ in range(self.population_size if len(newest) else 0):
            place = newest[winner(merits, self.sample_size, self.rng)]
            found.surround([(state.codes[place], state.numbers[place])], self.num_candidates, 1)
            if len(found) >= self.num_candidates:
                break
        if not found:
            found.draw(self.num_candidates)
        return found

    def _model(self) -> BonasPredictor:
        """Return a predictor that is not fitted; its seed follows from the generator of the search."""
        model = BonasPredictor(space=self.graph, epochs=self.predictor_epochs, seed=self.rng.getrandbits(31))
        model.set_hyperparams(self.predictor_args)
        return model

    def adapted(self) -> None:
        """Encode an architecture and make a model once, so that what cannot be is said before the search."""
        self.codec.encode_batch([self.codec.random(Random(0))], EncodingType.BONAS, self.graph)
        BonasPredictor(space=self.graph, epochs=self.predictor_epochs).set_hyperparams(self.predictor_args)


def _one_of(key: str, given: str, names: Sequence[str]) -> str:
    name = str(given).lower()
    if name not in names:
        raise ConfigError(
            f"search.{key}: there is no {given!r}{did_you_mean(name, names)} (there are: {', '.join(names)})"
        )
    return name
