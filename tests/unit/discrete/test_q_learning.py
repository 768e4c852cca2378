"""Q-learning over words: the update by hand, the schedule, the replay, and what is never asked for twice."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
from black_box import SIZE, EveryKind, Scores, adapted, drive, restore, saved, values_of

from naslib.errors import ArchitectureError, ConfigError
from naslib.history import State
from naslib.optimizers import QLearning
from naslib.optimizers.discrete.q_learning.optimizer import SCHEDULE, epsilon_at
from naslib.optimizers.discrete.q_learning.table import QTable
from naslib.optimizers.discrete.steps import Steps
from naslib.search_spaces.core.decisions import Decision
from naslib.search_spaces.core.schema import DecisionSpace

TWO = DecisionSpace([Decision("first", "op", ("a", "b")), Decision("second", "op", ("c", "d", "e"))])


def test_the_update_by_hand():
    table = QTable(Steps(TWO), memory=1, initial=0.5)
    path = table.trajectory((1, 2))
    assert [(step.state, step.allowed, step.word) for step in path] == [((0,), (0, 1), 1), ((1, 1), (0, 1, 2), 2)]
    table.update(path, reward=0.9, rate=0.1, discount=1.0)
    # the last word first: .5 + .1 (.9 - .5) = .54, which is then the largest value of its state
    assert table.values[(1, 1)] == pytest.approx([0.5, 0.5, 0.54], abs=1e-15)
    assert table.values[(0,)] == pytest.approx([0.5, 0.504], abs=1e-15)
    table.update(path, reward=0.1, rate=0.1, discount=0.5)
    # .54 + .1 (.1 - .54) = .496; the largest is now .5, half of which is the target: .504 + .1 (.25 - .504)
    assert table.values[(1, 1)] == pytest.approx([0.5, 0.5, 0.496], abs=1e-15)
    assert table.values[(0,)] == pytest.approx([0.5, 0.4786], abs=1e-15)


def test_states_have_as_many_words_as_they_are_told():
    code = EveryKind().decision_space.random(3)
    for memory in (0, 1, 3):
        path = QTable(Steps(EveryKind().decision_space), memory, 0.5).trajectory(code)
        words = [step.word for step in path]
        assert [step.state[1:] for step in path] == [tuple(words[max(0, k - memory) : k]) for k in range(len(words))]


def test_greedy_words_are_the_best_and_random_ones_uniform():
    table, rng = QTable(Steps(TWO), memory=1, initial=0.5), Random(0)
    table.update(table.trajectory((1, 2)), 1.0, 0.5, 1.0)
    assert {table.sample(0.0, rng) for _ in range(50)} == {(1, 2)}
    drawn = Counter(table.sample(1.0, rng) for _ in range(3000))
    assert len(drawn) == 6 and all(abs(count - 500) < 4 * 20.4 for count in drawn.values())
    first = Counter(table.sample(0.4, rng)[0] for _ in range(3000))
    assert abs(first[0] - 3000 * 0.2) < 4 * 21.9  # .4 / 2


def test_the_schedule_is_that_of_the_paper():
    assert sum(count for _, count in SCHEDULE) == 2700
    at = {0: 1.0, 1499: 1.0, 1500: 0.9, 1799: 0.7, 1800: 0.6, 2549: 0.2, 2550: 0.1, 9999: 0.1}
    assert {models: epsilon_at(SCHEDULE, models) for models in at} == at
    assert {models: epsilon_at(SCHEDULE, models / 10, 270) for models in at} == at


def test_what_is_pending_counts_in_the_schedule():
    optimizer = adapted(QLearning, replays=1, epsilon_schedule=[[1.0, 2], [0.5, 1], [0.25, 1]])
    first, second, third = optimizer.ask(3)
    assert optimizer.epsilon == 0.25
    optimizer.tell(first, 1.0)
    assert optimizer.epsilon == 0.25  # a value in place of a trial that is pending
    optimizer.tell(second, None), optimizer.tell(third, None)  # they have failed, and count no more
    assert optimizer.epsilon == 1.0


def test_every_reward_replays_and_nothing_is_asked_twice():
    optimizer = adapted(QLearning, q_rate=0.1, replays=20, schedule_length=150)
    asked = drive(optimizer, 200)
    assert len(set(asked)) == 200  # of 432
    assert optimizer.epsilon == 0.1
    rewards = optimizer.experience.rewards
    assert rewards == {code: values_of(code)[0] / 100 for code in asked}
    best = max(values_of(code)[0] for code in EveryKind().decision_space.iterate())
    assert optimizer.record.incumbent_value == best
    # greedy words have learned: what they make is above the mean of what there is
    every = [values_of(code)[0] for code in EveryKind().decision_space.iterate()]
    greedy = [values_of(optimizer.table.sample(0.0, Random(seed)))[0] for seed in range(20)]
    assert len(every) == SIZE and np.mean(greedy) > np.quantile(every, 0.95)


def test_a_space_that_is_used_up_is_evaluated_again():
    space = EveryKind()
    space.state_decisions = lambda scope=None: TWO
    optimizer = QLearning(replays=2)
    np.random.seed(0)
    optimizer.adapt_search_space(space, evaluator=Scores())
    for _ in range(8):
        (trial,) = optimizer.ask(1)
        optimizer.tell(trial, [1.0])
    assert len(optimizer.experience.rewards) == 6 and optimizer.record.evaluations == 8


def test_a_killed_search_goes_on_as_if_it_had_not_been():
    whole, other = (
        adapted(QLearning, replays=5, schedule_length=20),
        adapted(QLearning, 9, replays=5, schedule_length=20),
    )
    drive(whole, 15, workers=2)
    restore(other, saved(whole))
    assert drive(whole, 40, workers=2) == drive(other, 40, workers=2)
    assert whole.table.values == other.table.values and whole.rng.getstate() == other.rng.getstate()


def test_failed_trials_teach_nothing_and_stopped_ones_their_predicted_end():
    optimizer = adapted(QLearning, replays=3)
    first, second = optimizer.ask(2)
    optimizer.tell(first, None, state=State.FAILED)
    assert not optimizer.experience.rewards and not optimizer.table.values
    optimizer.tell(second, [10.0], user={"predicted": 70.0}, state=State.PRUNED)
    assert optimizer.experience.rewards == {second.code: 0.7}


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"q_rate must be in \(0, 1\], not 0"):
        QLearning(q_rate=0)
    with pytest.raises(ConfigError, match="epsilon_schedule has pairs"):
        QLearning(epsilon_schedule=[[1.5, 10]])
    with pytest.raises(ConfigError, match="replays must be at least 1"):
        QLearning(replays=0)
    optimizer = adapted(QLearning)
    with pytest.raises(ArchitectureError, match="no word of it can learn"):
        optimizer.tell((9, 9, 9), 50.0)
