"""The simulated cluster: clocks, idle time, stragglers and deaths by hand, and the real optimizers on it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import data_file

from benchmarks import cluster, history_writers
from benchmarks.cluster_simulation import HOUR, Troubles, simulate
from naslib.evaluators import Evaluator
from naslib.history import Objective, Outcome, Trial
from naslib.optimizers import ASHA, NSGA2, RandomSearch, RegularizedEvolution
from naslib.search_spaces import NasBench201SearchSpace

TABLE = data_file("nb201.npz")
NONE = Troubles()


class Codes(Evaluator):
    """Values that are a function of the code."""

    objectives = (Objective("sum"), Objective("first", maximize=False))
    fidelity = 27

    def evaluate(self, trial: Trial, should_stop: Any = None) -> Outcome:
        return Outcome((float(sum(trial.code)), float(trial.code[0])))


def adapted(kind: Any, **keywords: Any) -> Any:
    np.random.seed(0)
    optimizer = kind(**keywords)
    optimizer.adapt_search_space(NasBench201SearchSpace(channels=4, cells_per_stage=1), evaluator=Codes())
    return optimizer


def hours(seconds_of: Any) -> Any:
    def train(trial: Trial) -> tuple[tuple[float, ...], float]:
        return (float(sum(trial.code)), float(trial.code[0])), HOUR * seconds_of(trial)

    return train


def test_trainings_of_an_hour_keep_all_workers_busy():
    found = simulate(adapted(RandomSearch), hours(lambda _: 1.0), 4, 12.5 * 4, NONE, 0, 27, 1e9)
    assert (found.hours, found.trials, found.full, found.unlearned) == (12.5, 48, 48, 4)
    assert found.busy == pytest.approx(50.0) and found.idle == pytest.approx(0.0)
    assert found.hours_to_target is None and found.lost == found.down == found.deaths == 0


def test_a_generation_waits_for_its_last_member():
    """Of 4 members on 4 workers three take one hour and one takes 3: 6 of 12 worker-hours are waited."""
    train = hours(lambda trial: 3.0 if trial.number % 4 == 3 else 1.0)
    found = simulate(adapted(NSGA2, population_size=4), train, 4, 4 * 9.0, NONE, 0, 27, 1e9)
    assert found.trials == 12 and found.idle == pytest.approx(0.5)
    overlapping = adapted(NSGA2, population_size=4)
    overlapping.is_told_by_arrival = True
    assert simulate(overlapping, train, 4, 4 * 9.0, NONE, 0, 27, 1e9).idle == pytest.approx(0.0)


def test_results_told_by_number_wait_for_the_slow_one_before_them():
    """Trial 0 takes 10 hours: its worker's three fellows end 1 hour trials, and wait for it with what they know."""
    train = hours(lambda trial: 10.0 if trial.number == 0 else 1.0)
    free = simulate(adapted(RandomSearch), train, 4, 4 * 10.5, NONE, 0, 27, 1e9)
    held = simulate(adapted(RandomSearch), train, 4, 4 * 10.5, NONE, 0, 27, 1e9, in_order=True)
    assert (free.trials, held.trials) == (31, 4)
    assert free.idle == pytest.approx(0.0) and held.idle == pytest.approx(3 * 9 / 42)


def test_the_target_is_reached_when_its_trial_ends():
    def train(trial: Trial) -> tuple[tuple[float, ...], float]:
        return (float(trial.number % 8 + 1), 0.0), 2 * HOUR

    found = simulate(adapted(RandomSearch), train, 2, 20.0, NONE, 0, 27, 6.0)
    assert (found.hours_to_target, found.trials_to_target, found.best) == (6.0, 6, 8.0)


def test_a_worker_that_dies_trains_its_trial_anew():
    told: list[int] = []
    optimizer = adapted(RandomSearch)
    tell = optimizer.tell
    optimizer.tell = lambda trial, *given, **more: (told.append(trial.number), tell(trial, *given, **more))
    troubles = Troubles(deaths=0.5, restart=0.25 * HOUR)
    found = simulate(optimizer, hours(lambda _: 1.0), 5, 5 * 200.0, troubles, 0, 27, 1e9)
    assert len(set(told)) == len(told) and {*range(len(told) - 5)} <= {*told}  # none twice, none left out
    assert found.deaths > 300 and found.lost > 0 and found.idle == pytest.approx(0.0)
    assert found.busy + found.lost + found.down == pytest.approx(1000.0)
    # an hour without a death has the probability exp(-1/2); of a death its mean time is 2 - 1 / (exp(1/2) - 1)
    alive = np.exp(-0.5)
    cycle = (1 - alive) / alive * (2 - 1 / (np.exp(0.5) - 1) + 0.25) + 1
    assert found.trials == pytest.approx(1000.0 / cycle, rel=0.06)
    assert found.down <= 0.25 * found.deaths


def test_stragglers_have_the_tail_that_is_said():
    troubles, rng = Troubles(stragglers=0.3, slow_most=1e9), random.Random(0)
    factors = np.array([troubles.factor(rng) for _ in range(200_000)])
    slow = factors[factors > 1]
    assert troubles.tail == pytest.approx(8 / 6.5) and slow.min() >= 1.5
    assert len(slow) / len(factors) == pytest.approx(0.3, abs=0.01)
    for factor in (3.0, 10.0, 50.0):
        assert (slow > factor).mean() == pytest.approx((1.5 / factor) ** troubles.tail, rel=0.1)
    cut = [Troubles(stragglers=1.0)._replace(slow_most=2.0).factor(rng) for _ in range(1000)]
    assert max(cut) == 2.0


def test_the_same_seed_is_the_same_cluster():
    rough = Troubles(stragglers=0.2, deaths=0.3)
    a, b = (
        simulate(adapted(RegularizedEvolution, population_size=5), hours(lambda _: 1.0), 3, 90, rough, 7, 27, 1e9)
        for _ in range(2)
    )
    assert (a.trials, a.lost, a.busy, a.best) == (b.trials, b.lost, b.busy, b.best) and a.deaths > 0


def test_asha_never_waits_and_synchronous_halving_does():
    train = hours(lambda trial: trial.fidelity / 27)
    levels = {"fidelity": 27, "min_fidelity": 3, "eta": 3}
    asha = simulate(adapted(ASHA, **levels), train, 9, 270, NONE, 0, 27, 1e9)
    halving = simulate(adapted(cluster.SynchronousHalving, num_configs=9, **levels), train, 9, 270, NONE, 0, 27, 1e9)
    assert asha.idle == pytest.approx(0.0)
    # a bracket of 9, 3 and 1 trials of 1/9, 1/3 and 1 hour takes 13/9 hours, of which 3 worker-hours are work
    assert halving.idle == pytest.approx(1 - 3 / (9 * 13 / 9), abs=0.02)


@pytest.mark.skipif(not TABLE.is_file(), reason=f"the table {TABLE} is not there")
def test_the_benchmark_runs_and_tells_what_it_measured(monkeypatch: Any, capsys: Any):
    monkeypatch.setattr(cluster, "BUDGET", {3: 60.0})
    words = ["--data", str(TABLE.parent), "--workers", "3", "--seeds", "2", "--methods", "random search", "ASHA"]
    assert cluster.main([*words, "NSGA-II, 30 members, generations overlap"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[2] for line in lines[2:]] == [
        "random search", "ASHA", "NSGA-II, 30 members, generations overlap",
    ]  # fmt: skip
    assert all(line.split(" | ")[5].startswith("0.0") for line in lines[2:])


def _rows() -> list[cluster.Row]:
    rows = cluster.read_as(cluster.Row, cluster.FILE)
    return [row for row in rows if row.workers in (1, 1000) and row.seed < 2 and row.method == "ASHA"]


@pytest.mark.slow
def test_the_picture_is_drawn(tmp_path: Path):
    assert cluster.draw(_rows(), tmp_path / "cluster.svg").stat().st_size > 1000


def test_the_table_is_of_the_rows():
    shown = _rows()
    (line,) = [line for line in cluster.table_of(shown).splitlines() if "| measured | 1,000 |" in line]
    found = [row.trials_per_hour for row in shown if (row.cluster, row.workers) == ("measured", 1000)]
    assert f"| {np.mean(found):,.0f} ± {np.std(found, ddof=1):,.0f} |" in line


def test_writers_are_counted_and_nothing_is_lost():
    row = history_writers.measure(0, 50, 10)
    assert (row.what, row.trials, row.refused, row.lost) == ("one driver", 50, 0, 0) and row.rate > 0
    assert history_writers.trial(7).number == 7
