"""Every black-box method by name, and what makes each decide something within a dozen trials."""

from __future__ import annotations

from typing import Any

from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.discrete.base import DiscreteOptimizer

# Every method once, under the first of its names
METHODS = sorted({OPTIMIZERS.get(name): name for name in reversed(OPTIMIZERS.names())}.values())
METHODS = [name for name in METHODS if issubclass(OPTIMIZERS.get(name), DiscreteOptimizer)]

_MODEL: dict[str, Any] = {"predictor_type": "grid_gp", "num_ensemble": 1, "encoding_type": "adjacency_one_hot"}
_ROUNDS: dict[str, Any] = {**_MODEL, "num_init": 3, "k": 2, "num_candidates": 10}
_SEQUENCES: dict[str, Any] = {
    "num_init": 3,
    "k": 3,
    "num_seeds": 3,
    "max_step": 3,
    "first_epochs": 2,
    "controller_epochs": 2,
    "hidden_size": 8,
    "mlp_size": 4,
}
_MODNAS: dict[str, Any] = {
    "num_init": 3,
    "k": 2,
    "n_references": 3,
    "num_candidates": 10,
    "bank_size": 2,
    "hypernetwork_steps": 2,
    "ensemble_size": 2,
    "ensemble_steps": 3,
}
KEYWORDS: dict[str, dict[str, Any]] = {
    "az_nas": {"population_size": 4, "n_initial": 3},
    "bananas": _ROUNDS,
    "bohb": {"min_points_in_model": 2, "num_samples": 8},
    "bonas": {"num_init": 3, "k": 2, "num_candidates": 10, "predictor_epochs": 2},
    "bp": {**_MODEL, "epochs": 8},
    "eas": {"networks": 3, "wider_steps": 2, "deeper_steps": 1, "reward": "value", "rounds_per_start": 2},
    "genetic": {"population_size": 4},
    "hierarchical_evolution": {"population_size": 3, "initial_mutations": 10},
    "la_mcts": {"num_init": 3, "k": 2, "num_candidates": 10, "leaf_size": 3},
    "local_search": {"num_init": 3},
    "modnas": _MODNAS,
    "nao": _SEQUENCES,
    "nas_rl": {"policy_batch": 2, "controller_hidden": 8},
    "neural_predictor": {"num_init": 6, "pool_size": 10, "predictor_epochs": 2, "refit_after": 4},
    "npenas": _ROUNDS,
    "nsga2": {"population_size": 4},
    "pareto_search": {"num_init": 3, "k": 2, "num_candidates": 10, "encoding_type": "adjacency_one_hot"},
    "pnas": {"beam_size": 3, "surrogate_epochs": 2, "ensemble": 2},
    "ppo": {"policy_batch": 3, "passes": 2},
    "proposer": {"num_init": 3, "sample_size": 2},
    "re": {"population_size": 4, "sample_size": 2},
    "seminas": {**_SEQUENCES, "num_unlabelled": 6, "epochs_on_both": 1},
    "tpe": {"n_startup": 3},
}
# Methods that search no other spaces than theirs, and the others
OWN_SPACES: dict[str, tuple[str, ...]] = {"eas": ("eas_cnn",), "pnas": ("nasbench201", "nasbench101", "pnas")}
ON_ANY_SPACE = [name for name in METHODS if name not in OWN_SPACES]
