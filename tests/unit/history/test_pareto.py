"""Dominance, fronts, crowding and hypervolume against brute force and by hand."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from naslib.errors import ConfigError
from naslib.history.pareto import crowding, dominates, domination, hypervolume, ranks, survivors


def ranks_by_hand(merits: np.ndarray) -> list[int]:
    """Peel the fronts off one by one, from the definition."""
    left, found, front = set(range(len(merits))), [0] * len(merits), 0
    while left:
        best = [i for i in left if not any(dominates(merits[j].tolist(), merits[i].tolist()) for j in left)]
        for i in best:
            found[i] = front
        left -= set(best)
        front += 1
    return found


@pytest.mark.parametrize("m", [1, 2, 3])
def test_sorting_equals_the_definition(m: int) -> None:
    merits = np.random.default_rng(m).integers(0, 6, (60, m)).astype(float)  # with ties
    assert ranks(merits).tolist() == ranks_by_hand(merits)
    pairs = domination(merits)
    for i, j in itertools.product(range(20), repeat=2):
        assert pairs[i, j] == dominates(merits[i].tolist(), merits[j].tolist())


def test_equals_do_not_dominate_each_other() -> None:
    assert not dominates((1.0, 2.0), (1.0, 2.0)) and dominates((1.0, 3.0), (1.0, 2.0))
    assert not dominates((0.0, 3.0), (1.0, 2.0))
    assert ranks(np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 2.0]])).tolist() == [0, 0, 1]


def test_crowding_by_hand() -> None:
    # neighbours of (2, 6): (0, 10) and (6, 5): 6/10 + 5/10; of (6, 5): (2, 6) and (10, 0): 8/10 + 6/10
    found = crowding(np.array([[0.0, 10.0], [2.0, 6.0], [6.0, 5.0], [10.0, 0.0]]))
    assert found.tolist() == [np.inf, pytest.approx(1.1), pytest.approx(1.4), np.inf]
    assert crowding(np.array([[1.0, 1.0]] * 3)).tolist() == [0.0, 0.0, 0.0]


def test_whole_fronts_survive_and_then_the_least_crowded() -> None:
    merits = np.array([[0.0, 10.0], [2.0, 6.0], [6.0, 5.0], [10.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert survivors(merits, 3) == [0, 3, 2]
    assert survivors(merits, 5) == [0, 1, 2, 3, 4]
    assert sorted(survivors(merits, 99)) == [*range(6)]


def test_hypervolume_in_two_and_three_objectives() -> None:
    # rectangles above (0, 0): 4x1 + 2x(3-1) + 1x(4-3)
    assert hypervolume(np.array([[4.0, 1.0], [2.0, 3.0], [1.0, 4.0]]), (0.0, 0.0)) == pytest.approx(9.0)
    assert hypervolume(np.array([[4.0, 1.0], [-1.0, 9.0]]), (0.0, 0.0)) == pytest.approx(4.0)
    assert hypervolume(np.zeros((0, 2)), (0.0, 0.0)) == 0.0
    points = np.random.default_rng(0).integers(1, 5, (8, 3)).astype(float)
    cells = itertools.product(range(5), repeat=3)  # unit cubes that a point covers
    covered = sum(any((point > cell).all() for point in points) for cell in map(np.array, cells))
    assert hypervolume(points, (0.0, 0.0, 0.0)) == pytest.approx(covered)


def test_a_wrong_reference_and_a_missing_library_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"reference point has 3 values, the merits have the shape \(1, 2\)"):
        hypervolume(np.ones((1, 2)), (0.0, 0.0, 0.0))
    monkeypatch.setitem(sys.modules, "moocore", None)
    with pytest.raises(ConfigError, match=r"pip install 'naslib\[moocore\]'"):
        hypervolume(np.ones((1, 2)), (0.0, 0.0))
