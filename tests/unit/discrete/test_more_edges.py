"""Spaces whose codes say more than their decisions: methods that vary decisions ask for no cell that is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, Trial
from naslib.optimizers import OPTIMIZERS
from naslib.search_spaces import NasBench101SearchSpace

SPACE = NasBench101SearchSpace()
METHODS: dict[str, dict[str, Any]] = {
    "genetic": {"population_size": 20, "crossover_prob": 1.0, "stage_prob": 0.5},
    "hierarchical_evolution": {"population_size": 4, "initial_mutations": 3},
    "ppo": {"policy_batch": 4, "arch_learning_rate": 0.05},
    "reinforce": {"arch_learning_rate": 0.1},
    "tpe": {"n_startup": 4},
}


class Edges(Evaluator):
    """More edges and later operations are better; ten edges are too many."""

    fidelity = 1
    objectives = (Objective("edges"),)

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome((float(sum(trial.code)),))


@pytest.mark.parametrize("name", METHODS)
def test_a_search_for_many_edges_stays_in_the_space(name: str) -> None:
    np.random.seed(0)
    optimizer: Any = OPTIMIZERS.get(name)(**METHODS[name])
    optimizer.adapt_search_space(SPACE, evaluator=Edges())
    codes = []
    for epoch in range(60):
        optimizer.new_epoch(epoch)
        codes.append(optimizer.record.latest)
    assert all(SPACE._codec().is_valid(code) for code in codes) and len(set(codes)) >= 10
