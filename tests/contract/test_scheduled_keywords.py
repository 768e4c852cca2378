"""Every optimizer with every numeric keyword, and every part: a schedule has its effect, or is refused and why."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from every_black_box import KEYWORDS
from every_black_box import METHODS as BLACK_BOX
from small_searches import ALL as ALL_SUPERNETS
from small_searches import METHODS as SUPERNETS
from small_searches import batches
from small_spaces import ConvSpace

from naslib.config.attribute_schedules import is_numeric
from naslib.errors import ConfigError
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, Trial
from naslib.optimizers import OPTIMIZERS
from naslib.optimizers.oneshot.parts import PARTS
from naslib.registry.signatures import keywords_through
from naslib.search_spaces import NasBench201SearchSpace
from tests.support.zoo import ENTRIES

METHODS = sorted([*BLACK_BOX, *ALL_SUPERNETS])


def numeric(registry: Any, name: str) -> dict[str, inspect.Parameter]:
    keywords = keywords_through(registry.signatures(name))
    return {key: parameter for key, parameter in keywords.items() if is_numeric(parameter.annotation)}


PAIRS = [(name, key) for name in METHODS for key in numeric(OPTIMIZERS, name)]
OF_SUPERNETS = {"momentum", "weight_decay", "grad_clip", "arch_learning_rate", "arch_weight_decay"}
OF_WEIGHTS = {"momentum", "weight_decay", "grad_clip"}
OF_NAO = {"controller_epochs", "k", "max_labels", "max_step", "num_seeds", "spellings", "surplus"}
ACCEPTED: dict[str, set[str]] = {
    **dict.fromkeys(
        ("binary", "binary_masked", "binary_moving_average", "binary_proxyless_style", "darts", "darts_minus"),
        OF_SUPERNETS,
    ),
    **dict.fromkeys(("darts_plus", "darts_pt", "drnas", "edge_popup", "fair_darts", "lambda_darts"), OF_SUPERNETS),
    **dict.fromkeys(("mixed_op", "oles", "pc_darts", "robust_darts", "sdarts_adv", "sdarts_rs", "setn"), OF_SUPERNETS),
    **dict.fromkeys(("fair_nas", "random_nas", "spos"), OF_WEIGHTS),
    "enas": OF_SUPERNETS | {"entropy_weight", "skip_weight", "controller_grad_clip", "baseline_decay"},
    "gdas": OF_SUPERNETS | {"tau"},
    "gsparsity": {"mu", "grad_clip"},
    "ofa": OF_WEIGHTS | {"distillation_weight"},
    "one_shot": OF_WEIGHTS | {"drop_rate"},
    "p_darts": OF_SUPERNETS | {"arch_grad_clip"},
    "proxyless": OF_SUPERNETS | {"arch_interval"},
    "reinmax": OF_SUPERNETS | {"tau"},
    "snas": OF_SUPERNETS | {"tau", "arch_grad_clip"},
    "asha": set(),
    "az_nas": {"population_size"},
    "eas": {"arch_learning_rate", "baseline_rate", "entropy_weight"},
    "neural_predictor": {"max_labels", "pool_size", "predictor_epochs"},
    "random_search": set(),
    "bonas": {"k", "max_labels", "num_candidates", "population_size", "predictor_epochs", "sample_size"},
    "nao": OF_NAO,
    "seminas": OF_NAO | {"epochs_on_both", "num_unlabelled", "up_sample"},
    "pnas": {"beam_size"},
    "q_learning": {"discount", "q_rate", "replays"},
    "bananas": {
        "k",
        "num_arches_to_mutate",
        "max_mutations",
        "num_candidates",
        "patience",
        "num_ensemble",
        "max_labels",
    },
    "bohb": {
        *("num_samples", "random_fraction", "bandwidth_factor"),
        *("min_bandwidth", "top_n_percent", "min_points_in_model"),
    },
    "bp": set(),
    "genetic": {"crossover_prob", "stage_prob", "mutation_prob", "gene_prob"},
    "hierarchical_evolution": {"tournament"},
    "hyperband": set(),
    "la_mcts": {"k", "num_candidates", "leaf_size", "exploration", "max_labels"},
    "local_search": set(),
    "npenas": {"k", "num_arches_to_mutate", "max_mutations", "num_candidates", "num_ensemble", "max_labels"},
    "nsga2": {"crossover_prob", "mutation_rate"},
    "pareto_search": {"k", "num_candidates", "max_labels"},
    "modnas": {
        *("k", "num_candidates", "neighbours", "max_labels", "preferences"),
        *("preference_concentration", "hypernetwork_steps", "hypernetwork_learning_rate"),
    },
    "nas_rl": {"policy_batch", "accumulate", "arch_learning_rate", "baseline_decay", "entropy_weight"},
    "ppo": {"policy_batch", "passes", "clip", "arch_learning_rate", "baseline_decay", "entropy_weight"},
    "proposer": {"batch", "retries", "sample_size", "population_size"},
    "re": {"sample_size"},
    "reinforce": {"arch_learning_rate", "baseline_decay", "entropy_weight"},
    "sh": set(),
    "metadapt": OF_SUPERNETS | {"controller_learning_rate"},
    "smash": OF_WEIGHTS,
    "te_nas": {"prune_number", "repeats", "region_images"},
    "tpe": {"n_candidates"},
    "transfer_controller": {"arch_learning_rate", "baseline_decay", "entropy_weight"},
}


def flat(value: float) -> dict[str, Any]:
    return {"schedule": "piecewise", "values": [value, value], "milestones": [1]}


def refusal(make: Any) -> str:
    """Return why a schedule is refused, "" where it is not."""
    try:
        make()
    except ConfigError as error:
        return str(error)
    return ""


def test_every_numeric_keyword_follows_a_schedule_or_says_why_not() -> None:
    assert len(METHODS) >= 49 and len(PAIRS) >= 405
    accepted: dict[str, set[str]] = {name: set() for name in METHODS}
    for name, key in PAIRS:
        default = numeric(OPTIMIZERS, name)[key].default
        value = default if isinstance(default, int | float) else 1
        others = {"gradient": "masked"} if key == "num_eval_samples" and name == "mixed_op" else {}
        reason = refusal(lambda n=name, k=key, v=value, o=others: OPTIMIZERS.get(n)(**o, **{k: flat(v)}))
        if not reason:
            accepted[name].add(key)
        else:
            assert f"search.{key}" in reason and "cannot follow" in reason and len(reason) > 40, reason
    assert accepted == ACCEPTED
    assert sum(map(len, accepted.values())) >= 170


# Where one half is out of range
VALID = {"num_candidates": 10, "warm_up_epochs": 1, "controller_epochs": 10}


def test_what_no_option_reads_is_refused_and_what_one_reads_is_not() -> None:
    given: list[tuple[str, dict[str, Any], str, str]] = [
        ("drnas", {"regularizer": "kl"}, "reg_scale", "arch_weight_decay"),
        ("drnas", {}, "arch_weight_decay", "reg_scale"),
        ("mixed_op", {"sampler": "all", "forward": "relaxed", "gradient": "autodiff"}, "tau", "baseline_decay"),
        ("mixed_op", {"sampler": "multinomial", "gradient": "reinforce"}, "baseline_decay", "tau"),
        ("proxyless", {"update": "reinforce"}, "n_networks", "warm_up_epochs"),
        ("bananas", {"acq_fn_type": "ucb"}, "explore_factor", "ei_calibration_factor"),
        ("bananas", {"acq_fn_type": "ei"}, "ei_calibration_factor", "explore_factor"),
        ("bananas", {"acq_fn_optimization": "local_search"}, "k", "num_candidates"),
        ("nao", {"carry_over": False}, "k", "controller_epochs"),
        ("ofa", {"distillation": "none"}, "momentum", "distillation_weight"),
    ]
    for name, keywords, read, unread in given:
        value = numeric(OPTIMIZERS, name)[read].default or 1
        assert OPTIMIZERS.get(name)(**keywords, **{read: flat(value)}).attribute_schedules.names() == [read]
        assert "cannot follow a schedule" in refusal(
            lambda n=name, k=keywords, u=unread: OPTIMIZERS.get(n)(**k, **{u: flat(VALID.get(u, 0.5))})
        )


PART_PAIRS = [(name, key) for name in PARTS for key in numeric(PARTS, name)]
PARTS_ACCEPTED = {
    ("auxiliary_skip", "beta"),
    ("drop_path", "drop_prob"),
    ("layer_alignment", "strength"),
    ("layer_alignment", "radius"),
    ("operation_early_stopping", "threshold"),
    ("zero_one_loss", "weight"),
}


def test_every_numeric_keyword_of_a_part_too() -> None:
    assert len(PART_PAIRS) >= 30
    accepted = set()
    for name, key in PART_PAIRS:
        if name in ("latency", "cost"):  # need a table, or a target: tests/numerics/test_cost_part.py
            continue
        default = numeric(PARTS, name)[key].default
        value = default if isinstance(default, int | float) else 1
        reason = refusal(lambda n=name, k=key, v=value: OPTIMIZERS.get("darts")(parts={n: {k: flat(v)}}))
        if reason:
            assert f"search.parts.{name}.{key} cannot follow a schedule" in reason
        else:
            accepted.add((name, key))
    assert accepted == PARTS_ACCEPTED
    text = refusal(lambda: OPTIMIZERS.get("re")(parts={"early_termination": {"delta": flat(0.9)}}))
    assert "search.parts.early_termination.delta cannot follow a schedule: a trial that is pending" in text
    text = refusal(
        lambda: OPTIMIZERS.get("robust_darts")(weight_decay=flat(1e-3), parts={"early_stopping": {"on_stop": "adapt"}})
    )
    assert "the part early_stopping changes it" in text


# What is far from the default, and moves something on the small spaces here
OTHER: dict[str, float] = {
    "momentum": 0.1, "weight_decay": 0.3, "grad_clip": 0.01, "arch_learning_rate": 0.2, "arch_weight_decay": 0.7,
    "tau": 3.0, "drop_rate": 0.9, "entropy_weight": 0.5, "controller_grad_clip": 1e-4, "baseline_decay": 0.1,
    "arch_interval": 2, "mu": 1.0, "arch_grad_clip": 1e-6, "sample_size": 1, "population_size": 1, "batch": 3,
    "crossover_prob": 1.0, "stage_prob": 0.9, "mutation_prob": 0.1, "gene_prob": 0.9, "tournament": 0.9,
    "mutation_rate": 0.9, "policy_batch": 1, "passes": 1, "clip": 0.9, "n_candidates": 1,
}  # fmt: skip
# First values where the default is none, or does not show
FIRST: dict[str, float] = {
    "grad_clip": 5.0,
    "controller_grad_clip": 10.0,
    "tau": 1.0,
    "mutation_rate": 0.2,
    "arch_grad_clip": 5.0,
}
SEARCHES: dict[str, dict[str, Any]] = {
    "enas": {"samples_per_step": 1, "controller_aggregate": 1},
    "pc_darts": {"parts": {"warm_up": {"epochs": 0}}},
    "drnas": {"parts": {"warm_up": {"epochs": 0}}},
    "proxyless": {"warm_up_epochs": 0},
    "p_darts": {"warm_up_epochs": 0, "added_cells": [0], "skip_dropout": [0.0]},
    "fair_darts": {"arch_learning_rate": 0.003},
}
NOT_SEEN = {
    "enas": {"skip_weight"},  # refused once the space is known to be no chain of layers
    "ofa": {"distillation_weight"},  # its teacher is there after the first phase
    "metadapt": {"controller_learning_rate"},  # needs episodes: see tests/numerics/test_metadapt.py
    "te_nas": {"prune_number", "repeats", "region_images"},  # see tests/numerics/test_te_nas.py
}
SEEN = [
    (name, key) for name in SUPERNETS for key in sorted(ACCEPTED.get(name, ())) if key not in NOT_SEEN.get(name, ())
]
QUICK = {"gdas", "snas", "reinmax"}
SLOW = pytest.mark.slow


def first_of(name: str, key: str) -> float:
    default = numeric(OPTIMIZERS, name)[key].default
    return FIRST[key] if key in FIRST or default is None else default


def searched(name: str, epochs: int, **keywords: Any) -> list[torch.Tensor]:
    """Return all that is trained after some epochs of two steps each."""
    torch.manual_seed(3)
    np.random.seed(3)
    optimizer: Any = OPTIMIZERS.get(name)(epochs=4, **{**SEARCHES.get(name, {}), **keywords})
    space = ConvSpace(kind="plain")
    optimizer.adapt_search_space(space)
    optimizer.before_training()
    for epoch in range(epochs):
        optimizer.new_epoch(epoch)
        for _ in range(2):
            optimizer.step(*batches())
    found = [value.detach().clone() for value in optimizer.graph.state_dict().values()]
    extra = [value.detach().clone() for value in optimizer.architecture_parameters]
    return [*found, *extra, *(value.detach().clone() for value in optimizer.architectural_weights)]


def is_equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("name", "key"), [pytest.param(n, k, marks=[] if n in QUICK and k == "tau" else [SLOW]) for n, k in SEEN]
)
def test_a_supernet_is_trained_otherwise_from_the_epoch_on(name: str, key: str) -> None:
    first, other = first_of(name, key), OTHER[key]
    schedule = {"schedule": "piecewise", "values": [first, other], "milestones": [1]}
    assert is_equal(searched(name, 1, **{key: schedule}), searched(name, 1, **{key: first}))
    assert not is_equal(searched(name, 2, **{key: schedule}), searched(name, 2, **{key: first}))


class Genes(Evaluator):
    fidelity = 9
    objectives = (Objective("genes"), Objective("zeros", maximize=False))

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        weights = np.linspace(1.0, 2.0, len(trial.code))
        return Outcome((float(np.sin(weights * np.array(trial.code)).sum()), float(trial.code.count(0))))


_PROPOSER = {
    "proposer": {
        "proposer": lambda request: [
            c for c in request.codec.neighbours(request.parent.code) if c not in request.tried()
        ]
    }
}
BLACK_BOX_KEYWORDS: dict[str, dict[str, Any]] = {
    **KEYWORDS,
    "proposer": {**_PROPOSER["proposer"], "num_init": 3},
    "bohb": {"min_points_in_model": 8, "num_samples": 20, "random_fraction": 0.1, "eta": 2, "fidelities": [9]},
    "la_mcts": {"k": 2, "leaf_size": 4, "partition": "linear"},
    "reinforce": {"arch_learning_rate": 0.3},
    "transfer_controller": {"arch_learning_rate": 0.1},
    "nas_rl": {"policy_batch": 2, "arch_learning_rate": 0.1, "controller_hidden": 8},
    "ppo": {"policy_batch": 3, "passes": 2, "arch_learning_rate": 0.05},
    "re": {"population_size": 10, "sample_size": 6},
    "tpe": {"n_startup": 3},
}
BLACK_BOX_OTHER: dict[str, float] = {
    **OTHER, "k": 5, "num_arches_to_mutate": 1, "max_mutations": 4, "num_candidates": 40, "patience": 1,
    "num_ensemble": 2, "max_labels": 4, "num_samples": 1, "random_fraction": 1.0, "bandwidth_factor": 9.0,
    "leaf_size": 12, "exploration": 5.0, "accumulate": 3,
    "preferences": 1, "preference_concentration": 40.0, "hypernetwork_steps": 30, "hypernetwork_learning_rate": 1.0,
    "neighbours": 0,
    "min_bandwidth": 0.9, "top_n_percent": 90, "min_points_in_model": 30,
}  # fmt: skip
# `retries` matters for what is refused alone, NAS-Bench-201 has no decision that is a value, and the mean of members,
# which is all that `npenas` sees, ranks few children alike
UNSEEN = {("proposer", "retries"), ("bohb", "bandwidth_factor"), ("npenas", "num_ensemble")}
TRIALS_SEEN = [(n, k) for n in BLACK_BOX for k in sorted(ACCEPTED.get(n, ())) if (n, k) not in UNSEEN]
QUICK_TRIALS = {"az_nas", "re", "reinforce", "genetic", "proposer", "hierarchical_evolution", "nsga2"}


def codes(name: str, trials: int, **keywords: Any) -> list[tuple[int, ...]]:
    own = {**BLACK_BOX_KEYWORDS.get(name, {}), **keywords}
    np.random.seed(0)
    torch.manual_seed(0)
    optimizer: Any = OPTIMIZERS.get(name)(**own)
    if "stage_prob" in keywords:  # one cell alone has nothing to exchange
        space: Any = ENTRIES["nasbench301"].make(n_classes=4, in_channels=3)
    else:
        space = NasBench201SearchSpace(channels=4, cells_per_stage=1)
    optimizer.adapt_search_space(space, evaluator=Genes())
    found = []
    for _ in range(trials):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, Genes().evaluate(trial).values)
        found.append(trial.code)
    return found


@pytest.mark.parametrize(
    ("name", "key"), [pytest.param(n, k, marks=[] if n in QUICK_TRIALS else [SLOW]) for n, k in TRIALS_SEEN]
)
def test_a_search_of_trials_goes_on_otherwise_from_the_trial_on(name: str, key: str) -> None:
    given = BLACK_BOX_KEYWORDS.get(name, {})
    first = given[key] if key in given else 1000 if key == "patience" else first_of(name, key)
    other = BLACK_BOX_OTHER[key]
    schedule = {"schedule": "piecewise", "values": [first, other], "milestones": [20], "every": "trial"}
    members = {"predictor_type": "et", "num_candidates": 60, "max_mutations": 3}  # that differ, and have a choice
    others: dict[str, Any] = members if key == "num_ensemble" else {}
    constant, scheduled = codes(name, 60, **others, **{key: first}), codes(name, 60, **others, **{key: schedule})
    assert constant[:20] == scheduled[:20] and constant != scheduled
