"""ParetoSearch: models of all objectives, and the expected gain of the volume that the front dominates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.history import Objective
from naslib.optimizers.discrete.model_based.candidates import Candidates, Parent
from naslib.optimizers.discrete.model_based.improvement import non_dominated, scalarised, volume_gains
from naslib.optimizers.discrete.model_based.reading import reading_of
from naslib.optimizers.discrete.model_based.rounds import check_counts
from naslib.optimizers.discrete.model_based.several import SearchOfSeveral
from naslib.optimizers.discrete.model_based.surrogate import Surrogate
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code
from naslib.search_spaces.core.query_metrics import Metric

from .known import check_known, known_columns, merits_of

# Draws of the values of a candidate, over which gains are averaged
_DRAWS = 32
# How far below the front's worst the reference is where none is given, as a share of the front's range
_MARGIN = 0.1


@OPTIMIZERS.register("pareto_search")
class ParetoSearch(SearchOfSeveral):
    """Model every objective, and evaluate what is expected to enlarge the front most.

    After `num_init` random architectures, rounds of `k`: each objective has a predictor with uncertainty, fitted to
    what was told. Candidates are all neighbours of the members of the front (at most `num_candidates` of each), as many
    crossovers of two members, and as many random architectures, none of them asked for before. The value of a candidate
    is the mean, over draws from the models, of the area that it would add to what the front dominates above the
    reference point; beyond two objectives, an augmented Chebyshev scalarisation with random weights
    ([Knowles2006parego]); of one objective, what it would be above the best. What was chosen in a round counts as a
    member with its predicted values for the rest of the round.

    Models need not tell apart what is of no use: values are cut off as far below the reference as the best is above
    it, where none is given below the lower quartile. Then the reference of the area lies a tenth of the front's range
    below its worst.

    Args:
        num_init: Random architectures to begin with.
        k: Architectures in a round.
        num_candidates: Neighbours of a member, crossovers, and random architectures.
        reference_point: Per objective, in its own direction and unit, the value beyond which nothing is of use; null
            for an objective without one.
        known: Objectives that are looked up before an architecture is evaluated, and so need no model; `"auto"`: the
            costs among them (`params, macs, memory, latency, energy`) that are counted or stand in a table. Null or an
            empty list for none.
        predictor_type: Name of the predictors in `PREDICTORS`; one that says how sure it is.
        encoding_type: How an architecture becomes numbers. Predictors that read graphs or sequences have an encoding of
            their own; a space without this one is read one-hot, and the log says so.
        predictor_args: Hyperparameters of the predictors that are not their defaults.
        max_labels: To how many architectures they are fitted at most: the front, and those told last.
        fidelity: Epochs of training that the search looks at, -1 for the longest.
        metric: An accuracy (`Metric` or its name), which is maximised.
        objectives: What is measured instead; see `DiscreteOptimizer`.
        evaluator: What gives the trials their values; a benchmark if None.
        **kwargs: Other keys of the shared search schema; ignored.

    Raises:
        ConfigError: For an unknown keyword, or a value out of its range.
    """

    weighs_all = True

    SCHEDULABLE = dict.fromkeys(("k", "num_candidates", "max_labels"), "")

    def __init__(
        self,
        *,
        num_init: int = 10,
        k: int = 10,
        num_candidates: int = 100,
        reference_point: Sequence[float | None] | None = None,
        known: str | Sequence[str] | None = "auto",
        predictor_type: str = "grid_gp",
        encoding_type: str = "graf",
        predictor_args: Mapping[str, Any] | None = None,
        max_labels: int = 400,
        fidelity: int = 200,
        metric: Metric | str = Metric.VAL_ACCURACY,
        objectives: Sequence[Metric | str] | None = None,
        evaluator: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            num_init=num_init,
            max_labels=max_labels,
            fidelity=fidelity,
            metric=metric,
            objectives=objectives,
            evaluator=evaluator,
            **kwargs,
        )
        check_counts(k=k, num_candidates=num_candidates)
        self.k, self.num_candidates = k, num_candidates
        self.reference_point = None if reference_point is None else list(reference_point)
        self.known = check_known(known)
        self.predictor_type, self.encoding_type = predictor_type, encoding_type
        self.predictor_args = dict(predictor_args or {})
        self._encoding: str | None = encoding_type

    def next_round(self) -> list[Parent]:
        """Fit the models and return what they choose."""
        state = self.state
        rows_of = [(merit, *more) for merit, more in zip(state.merits, self.further.rows, strict=True)]
        told = dict(zip(state.codes, rows_of, strict=True))  # of what was told again, the last
        if len(told) < self._fewest:
            return []
        codes, raw = list(told), np.array(list(told.values()))
        reference = self._reference(self.objectives)
        known = known_columns(self.known, self)
        cut = _cut(raw, reference)
        merits = np.maximum(raw, cut)
        front = non_dominated(merits)
        found = self._candidates([codes[row] for row in front])
        if not found:
            return []
        newest = range(max(0, len(codes) - self.max_labels), len(codes))
        rows = sorted({*front, *newest})
        mean, std = self._believed([codes[row] for row in rows], merits[rows], found.codes, known)
        draws = np.random.default_rng(self.rng.getrandbits(63))
        members, chosen = merits[front], []
        for column in known:  # as what was told is
            mean[:, column] = np.maximum(mean[:, column], cut[column])
        left = np.isfinite(mean).all(1)  # what a table does not have cannot be evaluated
        for _ in range(min(self.k, int(left.sum()))):
            drawn = mean + std * draws.standard_normal((_DRAWS, *mean.shape))
            gains = self._gains(members, drawn, reference)
            place = int(np.where(left, gains, -np.inf).argmax())
            left[place] = False
            members = np.concatenate([members, mean[place : place + 1]])
            chosen.append(place)
        return found.first(np.array(chosen), len(chosen))

    def _candidates(self, front: Sequence[Code]) -> Candidates:
        codec, rng = self.codec, self.rng
        number = dict(zip(self.state.codes, self.state.numbers, strict=True))
        found = self.new_candidates()
        found.surround([(code, number[code]) for code in front], self.num_candidates, 1)
        for _ in range(self.num_candidates):
            first, second = rng.choice(front), rng.choice(front)
            found.add(codec.crossover(first, second, rng), number[first])
        found.draw(self.num_candidates)
        return found

    def _believed(
        self,
        codes: Sequence[Code],
        merits: np.ndarray,
        candidates: Sequence[Code],
        known: Mapping[int, Callable[[Code], float]],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations of the merits of candidates, `(k, m)` each; 0 of what is known."""
        means, stds = [], []
        for column in range(merits.shape[1]):
            if column in known:
                means.append(merits_of(candidates, self.objectives[column], known[column]))
                stds.append(np.zeros(len(candidates)))
                continue
            seed = self.rng.getrandbits(31)
            model = Surrogate.of_type(self.predictor_type, self.graph, self._encoding, 1, seed, self.predictor_args)
            model.fit(codes, merits[:, column])
            belief = model.predict(candidates)
            means.append(belief.mean)
            stds.append(belief.std)
        return np.stack(means, axis=1), np.stack(stds, axis=1)

    def _reference(self, objectives: Sequence[Objective]) -> np.ndarray:
        """Return the reference point as merits of m objectives, `(m,)`, NaN where there is none."""
        given = self.reference_point
        if given is None:
            return np.full(len(objectives), np.nan)
        if len(given) != len(objectives):
            names = ", ".join(objective.name for objective in objectives)
            raise ConfigError(f"reference_point has {len(given)} values; the objectives are {names}")
        pairs = zip(objectives, given, strict=True)
        return np.array([np.nan if value is None else objective.merit(float(value)) for objective, value in pairs])

    def _gains(self, front: np.ndarray, drawn: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Return what each candidate is worth, `(k,)`, for draws `(draws, k, m)`."""
        best, worst = front.max(0), front.min(0)
        if len(best) == 1:
            return np.asarray(np.maximum(drawn[:, :, 0] - best[0], 0.0).mean(0))
        low = np.where(np.isnan(reference), worst - _MARGIN * (best - worst), reference)
        if len(best) == 2:
            return np.asarray(volume_gains(front, drawn.reshape(-1, 2), low).reshape(drawn.shape[:2]).mean(0))
        weights = np.array([self.rng.expovariate(1.0) for _ in best])
        points = drawn.reshape(-1, len(best))
        return np.asarray(scalarised(points, best, low, weights / weights.sum()).reshape(drawn.shape[:2]).mean(0))

    def adapted(self) -> None:
        """Settle how architectures are read, and make a model once: what it cannot be is said before the search.

        Raises:
            ConfigError: If the predictor, its encoding or its hyperparameters cannot be had, or the reference point is
                not of the objectives.
        """
        self._encoding, self._fewest = reading_of(self.predictor_type, self.encoding_type, self.codec, self.graph)
        Surrogate.of_type(self.predictor_type, self.graph, self._encoding, 1, 0, self.predictor_args)
        if not isinstance(self.evaluator, str):  # else it is known when that is built
            self._reference(self.objectives)
            known_columns(self.known, self)

    def check_evaluator(self, evaluator: Any) -> None:
        """Raise now if an evaluator cannot serve this search; nothing is changed.

        Raises:
            ConfigError: If the reference point is not of its objectives; see `DiscreteOptimizer`.
        """
        super().check_evaluator(evaluator)
        self._reference(evaluator.objectives)


def _cut(merits: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return below which merits are not told apart, `(m,)`."""
    best = merits.max(0)
    given = reference - np.maximum(best - reference, 0.0)
    return np.asarray(np.where(np.isnan(reference), np.quantile(merits, 0.25, axis=0), given))
