"""The search of AZ-NAS: ranks by hand, who becomes a parent, what is found, and a search that is killed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from black_box import Scores, adapted, drive, restore, saved, values_of
from scipy.stats import rankdata

from naslib.errors import ConfigError
from naslib.optimizers import OPTIMIZERS, AZNASSearch
from naslib.optimizers.discrete.az_nas.optimizer import RankedHistory


def test_scores_are_sums_of_logarithms_of_ranks():
    """Of four: ranks 1, 4, 2.5, 2.5 and 4, 1, 2, 3 over four."""
    seen = RankedHistory()
    for number, merits in enumerate([(1.0, 9.0), (5.0, 1.0), (3.0, 2.0), (3.0, 4.0)]):
        seen.add((number,), merits, number)
    expected = [math.log(1 / 4), math.log(1 / 4), math.log(2.5 / 4 * 2 / 4), math.log(2.5 / 4 * 3 / 4)]
    np.testing.assert_allclose(seen.scores(), expected, rtol=1e-14)
    assert seen.best(4).tolist() == [3, 2, 0, 1]  # of equals the first told
    seen.add((4,), (2.0, 9.5), None)  # the two that were equal are no longer
    np.testing.assert_allclose(seen.scores()[[0, 1]], [math.log(1 / 5 * 4 / 5), math.log(5 / 5 * 1 / 5)], rtol=1e-14)


def test_what_is_found_is_the_best_by_ranks_of_all_and_is_reported_with_its_own_values():
    optimizer = adapted(AZNASSearch, evaluator=Scores(2), population_size=8)
    codes = drive(optimizer, 60)
    merits = np.array([values_of(code) for code in codes]) * (1, -1)
    sums = sum(np.log(rankdata(column) / len(codes)) for column in merits.T)
    best = int(np.argmax(sums))
    record = optimizer.record
    assert (record.incumbent, record.incumbent_trial) == (codes[best], best)
    assert record.incumbent_values == values_of(codes[best]) and record.evaluations == len(codes) == 60
    assert best != int(np.argmax(merits[:, 0]))  # the first objective alone says another
    assert optimizer.undecided() == ""
    assert [code for _, _, code in record.trajectory][-1] == codes[best]
    assert len({n for n, _, _ in record.trajectory}) == len(record.trajectory)  # one change per trial at most


def test_parents_are_drawn_of_all_and_then_of_the_best():
    optimizer = adapted(AZNASSearch, evaluator=Scores(2), population_size=5, n_initial=4)
    parents = []
    for asked in range(80):
        (trial,) = optimizer.ask(1)
        assert (trial.parent is None) == (asked < 4)
        if asked > 5:
            best = [optimizer.seen.numbers[place] for place in optimizer.seen.best(5)]
            assert trial.parent in best
            parents.append(best.index(trial.parent))
        optimizer.tell(trial, values_of(trial.code))
    counts = np.bincount(parents, minlength=5)
    assert counts.sum() == 74 and counts.min() >= 5  # each place is a parent about 15 times


def test_a_killed_search_goes_on_as_it_would_have():
    whole = adapted(AZNASSearch, evaluator=Scores(2), population_size=6)
    codes = drive(whole, 40)
    first, second = (adapted(AZNASSearch, evaluator=Scores(2), population_size=6) for _ in range(2))
    drive(first, 23)
    restore(second, saved(first))
    assert drive(second, 40) == codes[23:]
    assert second.record.state_dict() == whole.record.state_dict()


def test_one_objective_is_a_greedy_evolution():
    optimizer = adapted(AZNASSearch, population_size=3)
    codes = drive(optimizer, 50)
    assert optimizer.record.incumbent == max(codes, key=lambda code: values_of(code)[0])
    again = adapted(AZNASSearch, population_size=3)
    again.tell(codes[0], 1.0)
    assert again.record.incumbent == codes[0]


def test_what_was_stopped_early_is_ranked_and_not_found():
    seen = RankedHistory()
    seen.add((0,), (9.0, 9.0), 0, ended=False)
    seen.add((1,), (2.0, 1.0), 1)
    seen.add((2,), (1.0, 4.0), 2)
    assert seen.best(3).tolist() == [0, 1, 2] and seen.found() == 1
    again = RankedHistory()
    again.load_state_dict(seen.state_dict())
    assert again.found() == 1 and again.ended == [False, True, True]


def test_bad_input_is_named():
    with pytest.raises(ConfigError, match="population_size must be at least 1, not 0"):
        AZNASSearch(population_size=0)
    with pytest.raises(ConfigError, match="n_initial must be at least 1"):
        OPTIMIZERS.get("az_nas")(n_initial=0)
