"""Evolutionary and reinforcement searches: what all of them promise, on a space of every kind of decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from black_box import SIZE, Scores, adapted, drive, restore, saved, values_of

from naslib.history.pareto import dominates
from naslib.optimizers.discrete.front import Front
from naslib.optimizers.discrete.genetic import GeneticCNN
from naslib.optimizers.discrete.hierarchical import HierarchicalEvolution
from naslib.optimizers.discrete.nas_rl import NASRL
from naslib.optimizers.discrete.nsga2 import NSGA2
from naslib.optimizers.discrete.pareto_search import ParetoSearch
from naslib.optimizers.discrete.ppo import PPOController
from naslib.optimizers.discrete.reinforce import ReinforceController
from naslib.optimizers.discrete.tpe import TPE

KINDS: list[tuple[Any, dict[str, Any]]] = [
    (ParetoSearch, {"num_init": 5, "k": 3, "num_candidates": 20}),
    (TPE, {}),
    (GeneticCNN, {"population_size": 8}),
    (GeneticCNN, {"population_size": 8, "reevaluate": False}),
    (HierarchicalEvolution, {"population_size": 10, "tournament": 0.2, "initial_mutations": 20}),
    (ReinforceController, {"arch_learning_rate": 0.1}),
    (PPOController, {"arch_learning_rate": 0.02, "policy_batch": 8, "controller_hidden": 12, "passes": 3}),
    (NASRL, {"arch_learning_rate": 0.05, "policy_batch": 4, "controller_hidden": 12, "reward": "value"}),
    (NSGA2, {"population_size": 6}),
]
EACH = pytest.mark.parametrize(("kind", "kwargs"), KINDS, ids=[kind.__name__ for kind, _ in KINDS])
# Those whose proposals take milliseconds
SLOW = (TPE, ParetoSearch, PPOController, NASRL)


def length(kind: Any) -> int:
    """Return how many trials a test has."""
    return 18 if kind in SLOW else 60


@EACH
@pytest.mark.parametrize("n_objectives", [1, 2])
def test_it_asks_for_valid_architectures_and_keeps_the_best(kind: Any, kwargs: dict[str, Any], n_objectives: int):
    optimizer = adapted(kind, evaluator=Scores(n_objectives), **kwargs)
    asked = drive(optimizer, length(kind))
    assert len(asked) == length(kind) and all(optimizer.codec.is_valid(code) for code in asked)
    best = max(values_of(code)[0] for code in asked)
    assert optimizer.record.incumbent_value == best == values_of(optimizer.record.incumbent)[0]
    if n_objectives == 1:
        assert len(optimizer.record.front) == 0
        return
    merits = {(values_of(code)[0], -values_of(code)[1]) for code in asked}
    front = {one for one in merits if not any(dominates(other, one) for other in merits)}
    assert {member.merits for member in optimizer.record.front.members} == front


@EACH
def test_it_climbs(kind: Any, kwargs: dict[str, Any]):
    space = adapted(kind, **kwargs).codec.decision_space
    every = [values_of(code)[0] for code in space.iterate()]
    assert len(every) == SIZE
    if kind in (TPE, ParetoSearch):  # they ask for nothing twice, so that the last are not the best
        optimizer = adapted(kind, **kwargs)
        drive(optimizer, 50)
        assert optimizer.record.incumbent_value >= np.quantile(every, 0.99)
        return
    seeds, count = (1, 60) if kind in (PPOController, NASRL) else (3, 150)
    asked = [drive(adapted(kind, seed, **kwargs), count)[-count // 4 :] for seed in range(seeds)]
    assert np.mean([values_of(code)[0] for codes in asked for code in codes]) > np.mean(every) + 3.0


@EACH
@pytest.mark.parametrize("stop", [1, 13])
def test_a_resumed_search_equals_the_uninterrupted_one(kind: Any, kwargs: dict[str, Any], stop: int):
    until = length(kind)
    whole, first = adapted(kind, 3, Scores(2), **kwargs), adapted(kind, 3, Scores(2), **kwargs)
    asked = drive(whole, until)
    assert drive(first, stop) == asked[:stop]
    second = adapted(kind, 99, Scores(2), **kwargs)
    restore(second, saved(first))
    assert drive(second, until) == asked[stop:]
    assert saved(second)["model"] == saved(whole)["model"]


@EACH
def test_pending_trials_are_in_the_checkpoint(kind: Any, kwargs: dict[str, Any]):
    first = adapted(kind, 5, **kwargs)
    drive(first, 8, workers=3)
    first.ask(1)
    second, third = adapted(kind, 6, **kwargs), adapted(kind, 5, **kwargs)
    restore(second, saved(first))
    restore(third, saved(first))
    assert second.pending() == first.pending()
    assert drive(second, 16, workers=3) == drive(third, 16, workers=3)


@EACH
def test_failed_trials_leave_no_trace(kind: Any, kwargs: dict[str, Any]):
    optimizer = adapted(kind, evaluator=Scores(1, fail=[0, 1, 2, 3, 4, 5, 9, 14]), **kwargs)
    drive(optimizer, length(kind), workers=4)
    assert optimizer.record.failed == 8 and optimizer.record.evaluations == length(kind) - 8


@EACH
def test_codes_alone_can_be_asked_and_told(kind: Any, kwargs: dict[str, Any]):
    optimizer = adapted(kind, **kwargs)
    for _ in range(length(kind)):
        code = optimizer.ask()
        optimizer.tell(code, values_of(code)[0])
    assert optimizer.record.evaluations == length(kind)


def test_the_front_keeps_the_first_of_equals_and_forgets_what_is_dominated():
    front = Front()
    assert front.add((0,), (1.0, 1.0), 0) and front.add((1,), (2.0, 0.0), 1)
    assert not front.add((2,), (1.0, 1.0), 2) and not front.add((3,), (0.0, 0.0), 3)
    assert front.add((4,), (1.0, 2.0), 4)
    assert [(member.code, member.number) for member in front.in_order()] == [((1,), 1), ((4,), 4)]
    again = Front.from_plain(front.to_plain())
    assert again.members == front.members and again.fidelity is None
