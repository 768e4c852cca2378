"""Fronts of whole searches: growth, reference points, attainment, and the edge that is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from naslib.errors import ConfigError
from naslib.history import Objective, State, Trial
from naslib.history.fronts import as_values, attained, growth_of, reference_point, staircase
from naslib.history.pareto import domination, hypervolume

GOOD = (Objective("accuracy", True, "%"), Objective("latency", False, "ms"))


def trial(number: int, *values: float, fidelity: int = -1, state: State = State.COMPLETE, **user: object) -> Trial:
    return Trial(number, (number,), fidelity, state, values or None, user=user)


def test_a_front_grows_by_what_nothing_dominates_and_loses_what_it_dominates():
    told = [
        trial(0, 90.0, 5.0),
        trial(1, 89.0, 6.0),  # dominated
        trial(2, 91.0, 6.0),
        trial(3, 91.0, 6.0),  # equal: the first stays alone
        trial(4, 92.0, 4.0),  # dominates all
    ]
    growth = growth_of(told, GOOD)
    assert growth.evaluations.tolist() == [1, 3, 5] and growth.total == 5
    assert [front.tolist() for front in growth.fronts] == [[[90, -5]], [[90, -5], [91, -6]], [[92, -4]]]
    # above (80 %, 10 ms): 10 x 5; + 1 x 4 of the second; 12 x 6
    assert growth.volumes((80.0, -10.0)).tolist() == [50.0, 54.0, 72.0]
    assert growth.volume((80.0, -10.0)) == 72.0


def test_failed_pruned_and_unfinished_trials_and_values_that_are_not_finite_decide_nothing():
    told = [
        trial(0, state=State.FAILED),
        trial(1, 99.0, 1.0, state=State.PRUNED),
        trial(2, float("nan"), 1.0),
        trial(3, 95.0, float("inf")),
        trial(4, 95.0),  # a value is missing
        trial(5, 90.0, 5.0, state=State.RUNNING),
        trial(6, 90.0, 5.0),
    ]
    growth = growth_of(told, GOOD)
    assert growth.total == 6  # one is still running
    assert growth.evaluations.tolist() == [6] and growth.fronts[0].tolist() == [[90.0, -5.0]]


def test_a_search_without_a_value_has_no_front_and_no_volume():
    growth = growth_of([trial(0, state=State.FAILED)], GOOD)
    assert growth.last is None and growth.total == 1
    assert growth.volume((0.0, 0.0)) == 0.0 and growth.volumes((0.0, 0.0)).tolist() == []


def test_values_at_a_larger_fidelity_begin_a_new_front_and_smaller_ones_come_too_late():
    told = [
        trial(0, 95.0, 1.0, fidelity=3),
        trial(1, 60.0, 3.0, fidelity=9),
        trial(2, 99.0, 1.0, fidelity=3),
        trial(3, 50.0, 2.0, fidelity=9),
        trial(4, 40.0, 9.0, fidelity=-1),
    ]
    growth = growth_of(told, GOOD)
    assert growth.evaluations.tolist() == [1, 2, 4, 5]
    assert [front.tolist() for front in growth.fronts] == [
        [[95, -1]], [[60, -3]], [[60, -3], [50, -2]], [[40, -9]]
    ]  # fmt: skip


def test_trials_of_another_task_are_counted_and_do_not_decide():
    told = [trial(0, 90.0, 5.0, task="b"), trial(1, 80.0, 6.0, task="a"), trial(2, 81.0, 7.0)]
    growth = growth_of(told, GOOD, task="a")
    assert growth.evaluations.tolist() == [2, 3]
    assert growth.fronts[-1].tolist() == [[80, -6], [81, -7]]


def test_three_objectives_equal_domination_by_pairs():
    rng = np.random.default_rng(0)
    objectives = (*GOOD, Objective("params", False, "M"))
    values = rng.integers(0, 5, (60, 3)).astype(float)
    growth = growth_of([trial(i, *row) for i, row in enumerate(values.tolist())], objectives)
    merits = np.unique(values * [1, -1, -1], axis=0)
    expected = merits[~domination(merits).any(0)]
    assert growth.last is not None
    assert sorted(growth.last.tolist()) == sorted(expected.tolist())
    reference = (-1.0, -6.0, -6.0)
    # unit cubes below some member, counted one by one
    cells = [(a, b, c) for a in range(-1, 5) for b in range(-6, 1) for c in range(-6, 1)]
    covered = sum(any(x >= a + 1 and y >= b + 1 and z >= c + 1 for x, y, z in expected) for a, b, c in cells)
    assert growth.volume(reference) == covered
    assert (np.diff(growth.volumes(reference)) >= 0).all()


def test_the_reference_is_the_worst_of_all_fronts_with_five_percent_slack():
    fronts = [np.array([[90.0, -5.0], [94.0, -9.0]]), np.array([[92.0, -3.0]]), np.zeros((0, 2))]
    assert reference_point(fronts, GOOD) == pytest.approx((90 - 0.05 * 4, -9 - 0.05 * 6))
    found = reference_point(fronts, GOOD)
    assert found is not None and as_values(found, GOOD) == pytest.approx([89.8, 9.3])


def test_what_is_given_takes_the_place_of_what_the_fronts_say():
    fronts = [np.array([[90.0, -5.0], [94.0, -9.0]])]
    assert reference_point(fronts, GOOD, (85.0, None)) == pytest.approx((85.0, -9.2))
    assert reference_point([], GOOD, (85.0, 12.0)) == (85.0, -12.0)
    assert reference_point([], GOOD, (85.0, None)) is None and reference_point([], GOOD) is None


def test_one_point_has_a_volume_all_the_same():
    front = np.array([[80.0, -4.0]])
    assert reference_point([front], GOOD) == pytest.approx((76.0, -4.2))
    reference = reference_point([front], GOOD)
    assert reference is not None and hypervolume(front, reference) == pytest.approx(4.0 * 0.2)
    assert reference_point([np.array([[0.0, -4.0]])], GOOD) == pytest.approx((-0.05, -4.2))


@pytest.mark.parametrize("given", [(1.0,), (1.0, 2.0, 3.0), (1.0, float("nan")), (float("inf"), 1.0)])
def test_a_reference_that_cannot_be_one(given: tuple[float, ...]):
    with pytest.raises(ConfigError, match="reference point"):
        reference_point([np.array([[1.0, 2.0]])], GOOD, given)


FRONTS = [
    np.array([[1.0, 5.0], [3.0, 3.0], [5.0, 1.0]]),
    np.array([[2.0, 4.0], [4.0, 2.0]]),
    np.array([[4.0, 4.0]]),
]


def test_attainment_of_three_fronts_by_hand():
    assert attained(FRONTS, 0.25).tolist() == [[5, 1], [4, 4], [1, 5]]  # by one of them
    assert attained(FRONTS, 0.5).tolist() == [[4, 2], [3, 3], [2, 4]]  # by two
    assert attained(FRONTS, 0.75).tolist() == [[4, 1], [3, 2], [2, 3], [1, 4]]  # by all three


@pytest.mark.parametrize("share", [0.2, 0.25, 0.5, 0.75, 1.0])
def test_attainment_equals_counting_at_every_point(share: float):
    rng = np.random.default_rng(int(share * 100))
    fronts = [rng.integers(0, 8, (int(rng.integers(0, 6)), 2)).astype(float) for _ in range(7)]
    edge = attained(fronts, share)
    needed = np.ceil(share * 7 - 1e-9)
    for x in np.arange(-1, 9, 0.5):
        for y in np.arange(-1, 9, 0.5):
            by = sum(bool(((front[:, 0] >= x) & (front[:, 1] >= y)).any()) for front in fronts)
            assert bool(((edge[:, 0] >= x) & (edge[:, 1] >= y)).any()) == (by >= needed)


def test_nothing_is_attained_by_searches_that_found_nothing():
    assert attained([np.zeros((0, 2))], 0.5).shape == (0, 2)
    assert attained([np.zeros((0, 2)), FRONTS[0]], 0.5).tolist() == [[5, 1], [3, 3], [1, 5]]
    assert attained([np.zeros((0, 2)), FRONTS[0]], 0.75).shape == (0, 2)


def test_the_edge_of_a_front_encloses_its_hypervolume():
    edge = staircase(FRONTS[0], (0.0, 0.0))
    assert edge.tolist() == [[5, 0], [5, 1], [3, 1], [3, 3], [1, 3], [1, 5], [0, 5]]
    x, y = np.concatenate([edge, [[0.0, 0.0]]]).T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == hypervolume(FRONTS[0], (0.0, 0.0))


def test_the_edge_leaves_out_what_is_dominated_or_not_above_the_reference():
    front = np.array([[5.0, 1.0], [4.0, 1.0], [3.0, 3.0], [1.0, 9.0]])
    assert staircase(front, (2.0, 1.0)).tolist() == [[3, 1], [3, 3], [2, 3]]
    assert staircase(front, (9.0, 9.0)).tolist() == [[9, 9]]
