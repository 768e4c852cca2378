"""LaMCTS: splits, upper bounds and regions against computations by hand; what it finds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from naslib.errors import ConfigError, UnsupportedBySpaceError
from naslib.optimizers import LaMCTS, RandomSearch
from naslib.optimizers.discrete.la_mcts.regions import (
    Region,
    choose,
    grow,
    leaves,
    linear_split,
    svm_split,
    upper_bounds,
)
from naslib.search_spaces import NasBench201SearchSpace

SPACE = NasBench201SearchSpace(channels=4, cells_per_stage=1)
CUBE = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)], dtype=float)


def test_a_linear_split_is_the_ridge_regression_at_its_mean() -> None:
    values = CUBE @ np.array([4.0, 2.0, 1.0])  # 0 to 7, the mean 3.5
    split = linear_split(CUBE, values)
    assert split is not None
    # by hand: centred columns have squared norm 2 and are orthogonal, so that ridge 1 gives w * 2 / (2 + 1)
    weights = np.array([4.0, 2.0, 1.0]) * 2 / 3
    assert split(CUBE).tolist() == ((CUBE - 0.5) @ weights > 0).tolist() == (values > 3.5).tolist()
    assert linear_split(CUBE, np.ones(8)) is None


def test_a_machine_tells_two_clusters_apart() -> None:
    values = np.where(CUBE[:, 0] == 1, 10.0, 0.0) + CUBE[:, 1]
    split = svm_split(CUBE, values, 0)
    assert split is not None and split(CUBE).tolist() == (CUBE[:, 0] == 1).tolist()
    assert svm_split(CUBE, np.zeros(8), 0) is None


def test_upper_bounds_are_those_of_the_formula() -> None:
    values = np.array([1.0, 0.8, 0.9, 0.1, 0.2])
    parent = Region(np.arange(5), lambda x: x[:, 0] > 0, (Region(np.array([0, 1, 2])), Region(np.array([3, 4]))))
    found = upper_bounds(values, parent, 0.25)
    assert found == pytest.approx([0.9 + 0.5 * math.sqrt(2 * math.log(5) / 3), 0.15 + 0.5 * math.sqrt(math.log(5))])
    assert choose(parent, values, 0.25).members.tolist() == [0, 1, 2]
    assert choose(parent, values, 5.0).members.tolist() == [3, 4]  # fewer members, and much exploration


@pytest.mark.parametrize("partition", ["svm", "linear"])
def test_leaves_share_out_the_points_and_contain_their_own(partition: str) -> None:
    rng = np.random.default_rng(0)
    points = rng.integers(0, 2, (80, 6)).astype(float)
    points = np.unique(points, axis=0)
    values = points @ np.array([3.0, -2.0, 1.0, 0.5, 0.0, 0.0])
    values = (values - values.min()) / np.ptp(values)
    tree = grow(points, values, 8, partition, 0)
    parts = [leaf.members.tolist() for leaf in leaves(tree)]
    assert sorted(index for part in parts for index in part) == list(range(len(points))) and len(parts) > 3
    chosen = choose(tree, values, 0.0)  # without exploration: the better mean at every split
    assert chosen.members.tolist() == parts[0]
    assert set(chosen.members) <= set(np.flatnonzero(chosen.contains(points)))
    assert values[chosen.members].mean() > values.mean() + 0.2


def told(kind: Any, seed: int, trials: int, **keywords: Any) -> Any:
    np.random.seed(seed)
    optimizer = kind(**keywords)
    optimizer.adapt_search_space(SPACE, evaluator="train")
    for _ in range(trials):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, float(trial.code.count(2)) + 0.5 * trial.code.count(3))
    return optimizer


@pytest.mark.parametrize("keywords", [{"partition": "svm"}, {"partition": "linear", "sampler": "model"}])
def test_it_finds_more_than_random_search(keywords: dict[str, Any]) -> None:
    by_tree = [told(LaMCTS, seed, 60, k=5, **keywords).record.incumbent_value for seed in range(4)]
    at_random = [told(RandomSearch, seed, 60).record.incumbent_value for seed in range(4)]
    assert sum(by_tree) > sum(at_random)


def test_the_model_asks_for_what_a_regression_puts_first() -> None:
    from sklearn.linear_model import Ridge

    optimizer = told(LaMCTS, 2, 20, k=5, num_init=20, leaf_size=100, sampler="model", num_candidates=30)
    ranked: list[Any] = []
    candidates = optimizer._candidates
    optimizer._candidates = lambda region: ranked.append(candidates(region)) or ranked[0]
    asked = [code for code, _ in optimizer.next_round()]
    model = Ridge(alpha=1.0).fit(optimizer.points(optimizer.state.codes), optimizer.state.merits)
    predicted = dict(zip(ranked[0].codes, model.predict(optimizer.points(ranked[0].codes)), strict=True))
    assert len(predicted) == 30 and len(asked) == 5
    assert [predicted[code] for code in asked] == pytest.approx(sorted(predicted.values(), reverse=True)[:5], abs=1e-9)


def test_nothing_is_evaluated_twice_and_rounds_are_counted() -> None:
    optimizer = told(LaMCTS, 1, 40, k=5, num_init=10)
    assert len(set(optimizer.state.codes)) == 40 and optimizer.state.rounds == 6
    assert sum(number is not None for number in optimizer.state.numbers) == 40


def test_where_an_architecture_has_too_many_neighbours_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*_: Any) -> None:
        raise UnsupportedBySpaceError("the architecture has 4,199,105,058 neighbours")

    monkeypatch.setattr(type(SPACE.codec), "neighbours", too_many)
    optimizer = told(LaMCTS, 0, 9, k=2, num_init=3, num_candidates=6, leaf_size=2, partition="linear")
    assert len(set(optimizer.state.codes)) == 9 and optimizer.state.rounds == 3


def test_of_many_labels_the_best_and_the_newest_make_the_tree() -> None:
    optimizer = told(LaMCTS, 1, 12, k=20, max_labels=6, leaf_size=100)
    codes, merits, numbers = optimizer._labels()
    best = sorted(optimizer.state.merits, reverse=True)[:3]
    assert len(codes) == len(numbers) == 6 and sorted(merits, reverse=True)[:3] == best
    assert codes[-1] == optimizer.state.codes[-1] and len(optimizer.region().members) == 6


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"partition must be one of svm, linear, not 'svn'; did you mean 'svm'"):
        LaMCTS(partition="svn")
    with pytest.raises(ConfigError, match=r"leaf_size must be at least 1, not 0"):
        LaMCTS(leaf_size=0)
    with pytest.raises(ConfigError, match=r"exploration must not be negative"):
        LaMCTS(exploration=-1.0)
