"""Bananas: Bayesian optimisation with predictors, acquisition functions and mutations ([White2021bananas])."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from naslib.errors import ConfigError
from naslib.optimizers.discrete.model_based import acquisition
from naslib.optimizers.discrete.model_based.base import ModelBasedSearch
from naslib.optimizers.discrete.model_based.candidates import Candidates, Parent, Score, as_source
from naslib.optimizers.discrete.model_based.rounds import check_counts
from naslib.optimizers.discrete.model_based.surrogate import Belief, Surrogate
from naslib.optimizers.registry import OPTIMIZERS
from naslib.search_spaces.core.codec import Code

# Keywords that a source of candidates does not read
_UNREAD = {("num_candidates", "local_search"), ("max_mutations", "local_search")}


@OPTIMIZERS.register("bananas")
class Bananas(ModelBasedSearch):
    """Evaluate, k at a time, what an acquisition function of a model finds most promising ([White2021bananas]).

    `acq_fn_type` is the acquisition function: `its` draws from the belief of each architecture, `thompson` takes the
    word of one member of the ensemble, `ucb` is mean + `explore_factor` std, `ei` the expected improvement, `pi` its
    probability, `exploit_only` the mean. An ensemble of one knows no other member: `thompson` is then `its`.

    `acq_fn_optimization` is where candidates come from: `mutation` of the best `num_arches_to_mutate`, each
    `num_candidates / num_arches_to_mutate / max_mutations` times by `max_mutations` decisions; `random_sampling` of
    `num_candidates`; `local_search`, climbs on the acquisition function from those best; `neighbours`, all their
    neighbours (at most `num_candidates` of each), walks of up to `max_mutations` steps from them and random
    architectures, `num_candidates` of both. The defaults are NASLib's.

    Args:
        k: Architectures in a round.
        acq_fn_type: The acquisition function.
        acq_fn_optimization: Where candidates come from.
        num_arches_to_mutate: How many of the best architectures candidates are made of.
        max_mutations: Mutations per candidate.
        num_candidates: Candidates per round.
        explore_factor: Of `ucb`.
        ei_calibration_factor: `ei` divides the standard deviation by it.
        patience: After so many evaluations without a better one, every second architecture of a round is what `its`
            finds most promising, until there is a better one. None: never.
        **kwargs: Keywords of `ModelBasedSearch`.

    Raises:
        ConfigError: For an unknown keyword, name, or a number out of range.
    """

    SCHEDULABLE = dict.fromkeys(
        (
            *("k", "num_arches_to_mutate", "max_mutations", "num_candidates"),
            *("explore_factor", "ei_calibration_factor", "patience"),
        ),
        "",
    )

    def __init__(
        self,
        *,
        k: int = 10,
        acq_fn_type: str = "its",
        acq_fn_optimization: str = "mutation",
        num_arches_to_mutate: int = 2,
        max_mutations: int = 1,
        num_candidates: int = 100,
        explore_factor: float = 0.5,
        ei_calibration_factor: float = 5.0,
        patience: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(
            k=k,
            num_arches_to_mutate=num_arches_to_mutate,
            max_mutations=max_mutations,
            num_candidates=num_candidates,
            patience=1 if patience is None else patience,
        )
        if not ei_calibration_factor > 0 or explore_factor < 0:
            raise ConfigError(
                f"ei_calibration_factor must be above 0 and explore_factor not below it, not {ei_calibration_factor:g} "
                f"and {explore_factor:g}"
            )
        self.k, self.num_candidates = k, num_candidates
        self.acq_fn_type = acquisition.as_acquisition(acq_fn_type)
        self.acq_fn_optimization = as_source(acq_fn_optimization)
        self.num_arches_to_mutate, self.max_mutations = num_arches_to_mutate, max_mutations
        self.explore_factor, self.ei_calibration_factor = explore_factor, ei_calibration_factor
        self.patience = patience

    def unscheduled(self, name: str) -> str:
        """Return why a keyword cannot follow a schedule; see the parent."""
        reader = {"explore_factor": "ucb", "ei_calibration_factor": "ei"}.get(name, self.acq_fn_type)
        if reader != self.acq_fn_type:
            return f"only acq_fn_type: {reader} reads it"
        if name in ("num_arches_to_mutate", "max_mutations") and self.acq_fn_optimization == "random_sampling":
            return "random_sampling mutates nothing"
        if (name, self.acq_fn_optimization) in _UNREAD:
            return f"acq_fn_optimization: {self.acq_fn_optimization} does not read it"
        return super().unscheduled(name)

    def choose(self, surrogate: Surrogate, values: np.ndarray, rng: np.random.Generator) -> list[Parent]:
        """Return the k most promising candidates."""
        best = float(values.max())

        def score(codes: Sequence[Code]) -> np.ndarray:
            return self._acquisition(surrogate.predict(codes), best, rng)

        candidates = self._candidates(score)
        if not candidates:
            return []
        belief = surrogate.predict(candidates.codes)
        order = acquisition.by_promise(self._acquisition(belief, best, rng), belief.mean)
        if self.patience is not None and self.state.since_best() >= self.patience:
            drawn = acquisition.its(belief.mean, belief.std, rng)
            order = acquisition.in_turn(order, acquisition.by_promise(drawn, belief.mean))
        return candidates.first(order, self.k)

    def _candidates(self, score: Score) -> Candidates:
        found, parents = self.new_candidates(), self.best_parents(self.num_arches_to_mutate)
        source, count = self.acq_fn_optimization, self.num_candidates
        if source == "mutation":
            found.mutate(parents, count, self.max_mutations)
        elif source == "random_sampling":
            found.draw(count)
        elif source == "local_search":
            found.climb(parents, score)
        else:
            found.surround(parents, count, self.max_mutations)
            found.draw(count)
        return found

    def _acquisition(self, belief: Belief, best: float, rng: np.random.Generator) -> np.ndarray:
        """Return the acquisition of the architectures of a belief, `(n,)`."""
        mean, std, kind = belief.mean, belief.std, self.acq_fn_type
        if kind == "thompson" and len(belief.members) > 1:
            return acquisition.thompson(belief.members, rng)
        if kind in ("its", "thompson"):
            return acquisition.its(mean, std, rng)
        if kind == "ucb":
            return acquisition.ucb(mean, std, self.explore_factor)
        if kind == "ei":
            return acquisition.ei(mean, std, best, self.ei_calibration_factor)
        if kind == "pi":
            return acquisition.pi(mean, std, best)
        return acquisition.exploit_only(mean)
