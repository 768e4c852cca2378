"""Npenas: evolution whose children are chosen by a predictor ([Wei2022npenas])."""

from __future__ import annotations

from typing import Any

import numpy as np

from naslib.optimizers.discrete.model_based.acquisition import by_promise
from naslib.optimizers.discrete.model_based.base import ModelBasedSearch
from naslib.optimizers.discrete.model_based.candidates import Parent
from naslib.optimizers.discrete.model_based.rounds import check_counts
from naslib.optimizers.discrete.model_based.surrogate import Surrogate
from naslib.optimizers.registry import OPTIMIZERS


@OPTIMIZERS.register("npenas")
class Npenas(ModelBasedSearch):
    """Mutate the best architectures and evaluate, k at a time, the children that a model predicts to be best.

    The predictor-guided evolution of [Wei2022npenas] with NASLib's keywords: each of the best `num_arches_to_mutate` is
    mutated `num_candidates / num_arches_to_mutate / max_mutations` times by `max_mutations` decisions.

    Args:
        k: Architectures in a round.
        num_arches_to_mutate: How many of the best architectures are mutated.
        max_mutations: Mutations per child.
        num_candidates: Children per round.
        **kwargs: Keywords of `ModelBasedSearch`.

    Raises:
        ConfigError: For an unknown keyword or name, or a number below one.
    """

    SCHEDULABLE = dict.fromkeys(("k", "num_arches_to_mutate", "max_mutations", "num_candidates"), "")

    def __init__(
        self,
        *,
        k: int = 10,
        num_arches_to_mutate: int = 2,
        max_mutations: int = 1,
        num_candidates: int = 100,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_counts(
            k=k,
            num_arches_to_mutate=num_arches_to_mutate,
            max_mutations=max_mutations,
            num_candidates=num_candidates,
        )
        self.k, self.num_candidates = k, num_candidates
        self.num_arches_to_mutate, self.max_mutations = num_arches_to_mutate, max_mutations

    def choose(self, surrogate: Surrogate, values: np.ndarray, rng: np.random.Generator) -> list[Parent]:
        """Return the k children with the largest predicted values."""
        children = self.new_candidates()
        children.mutate(self.best_parents(self.num_arches_to_mutate), self.num_candidates, self.max_mutations)
        if not children:
            return []
        mean = surrogate.predict(children.codes).mean
        return children.first(by_promise(mean, mean), self.k)
